"""What files in TOML may hold, as data: read by it, described by it, with one quality of errors for all of them."""
