"""The scorers, one file each, found by the name of the file."""

from evalkit.scorers._bind import BoundScorer, bind

__all__ = ["BoundScorer", "bind"]
