"""What may happen, and when: read this first. Frozen data and its TOML loader."""
