"""Transforms of attacks: each file is one, found by its name."""
