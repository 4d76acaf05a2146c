"""The upload of one image: window, encoder, frame size, limits."""
