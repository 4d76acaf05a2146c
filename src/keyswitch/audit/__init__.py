"""The auditor: attacks the gate of any device from outside, as its declared policy lets it be attacked, and reports."""
