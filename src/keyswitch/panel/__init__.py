"""The panel of a running device, from both sides: what goes over its socket, and a client."""
