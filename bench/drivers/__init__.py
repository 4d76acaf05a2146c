"""Programs that upload one image and say how it went; each runs as a process of its own."""
