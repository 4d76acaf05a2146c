"""The central on the computer's own adapter, by bleak."""
