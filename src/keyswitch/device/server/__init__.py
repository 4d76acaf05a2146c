"""The pure server: packets and time in, answers and effects out."""
