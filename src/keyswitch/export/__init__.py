"""What other worlds need of a policy: the tables and settings of a Zephyr module."""
