"""The pytest plugin: a gated device in one line."""
