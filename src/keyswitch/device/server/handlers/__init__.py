"""One module for each SMP group that the device serves, with a table of handlers behind the one door in `dispatch`."""
