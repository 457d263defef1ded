"""From a plan to stored trials: schedule, limits, retries, scoring."""
