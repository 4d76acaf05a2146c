"""The outsider: attacks a device and reports."""
