"""Into maintenance and out again: entry strategies, the mode group, recipes, what a policy tells."""
