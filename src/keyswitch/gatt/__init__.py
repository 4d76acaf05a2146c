"""The GATT table that changes while people look at it; pure."""
