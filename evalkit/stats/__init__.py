"""Pure statistics: intervals and aggregates."""
