"""Many devices: a file says which and how, a durable engine carries it through, whatever is killed meanwhile."""
