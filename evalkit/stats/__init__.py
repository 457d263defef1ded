"""Pure statistics: intervals and aggregates."""

from evalkit.stats.aggregate import Estimate, summarise

__all__ = ["Estimate", "summarise"]
