"""From a target to a connection, and what the device on it says: endpoints, scan, verdict."""
