"""The device: a pure server and the runtime that gives it time, flash and radio."""
