"""What gives the server time, flash, radio and power."""
