"""The device as a process: options, state, panel, event output."""
