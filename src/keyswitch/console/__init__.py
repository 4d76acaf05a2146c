"""A page for the person at the machine: the devices of one bench, what each needs, and one button to update it."""
