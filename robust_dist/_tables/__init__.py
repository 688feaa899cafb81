"""Generated data: each module says which command made it."""
