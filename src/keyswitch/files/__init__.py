"""Files: read with a bound, written as a whole, every mistake one `InputError` that names the file."""
