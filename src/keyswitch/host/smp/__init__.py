"""SMP as a client speaks it: requests, replies, channels, what devices tell about themselves."""
