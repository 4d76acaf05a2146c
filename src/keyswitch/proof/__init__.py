"""Entry proofs, made and verified; pure."""
