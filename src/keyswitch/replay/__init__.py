"""The prover's traces, played on the whole device."""
