"""How long things take by the rules alone: the numbers of the air, and the most an upload can reach on it. Pure."""
