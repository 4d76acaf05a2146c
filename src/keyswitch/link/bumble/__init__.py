"""Peripheral and central on Bumble, the only place that knows its API besides link.air."""
