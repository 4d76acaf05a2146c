"""What a run leaves behind: record, evidence file, sequence chart."""
