"""The GATT table that changes while people look at it, and the ATT server on it. Pure: PDUs in, PDUs out."""
