"""Pure statistics: intervals and aggregates."""

from evalkit.stats.aggregate import Estimate, summarise, summarise_sums

__all__ = ["Estimate", "summarise", "summarise_sums"]
