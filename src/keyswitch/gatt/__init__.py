"""The GATT table that changes while people look at it, and the ATT server that stands on it. Pure: PDUs in, PDUs out."""
