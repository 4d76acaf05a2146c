"""Hash-chained records of what was done."""
