"""The law on a window of the line."""
