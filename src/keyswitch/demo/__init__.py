"""The story of the README, told with real processes."""
