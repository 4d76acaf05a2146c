"""Benchmarks: what is measured, beside what could be at most. `python -m bench` writes build/bench.json."""
