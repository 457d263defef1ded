"""Comparison and policy to verdict: pure, nothing here reads a store or a file."""
