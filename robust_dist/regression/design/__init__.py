"""From a table and formulas to the numbers of a regression."""
