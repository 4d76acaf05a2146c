"""An audit on paper: one value, and each form in which it is written."""
