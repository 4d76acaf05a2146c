"""Explores the gate's own machine: proof or counterexample."""
