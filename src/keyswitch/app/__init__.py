"""What the commands do, for whoever asks: a person, a program, a campaign. Plain values in, events out."""
