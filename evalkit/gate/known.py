"""What a stored run measured: its scorers, and every metric that a gate can name."""

from __future__ import annotations

from evalkit import registry
from evalkit.config.gate_metrics import MetricInfo, known_metrics
from evalkit.errors import EvalkitError
from evalkit.model import Run
from evalkit.registry import ScorerPlugin


def metrics_of(run: Run, suite: str) -> dict[str, MetricInfo]:
    """Every metric that a gate can name on a suite of a run."""
    wanted = {
        one.name for one in run.scorers if one.suite == suite and "|wanted:yes|" in one.signature
    }
    return known_metrics(plugins_of(run, suite), attacks=True, wanted=wanted)


def plugins_of(run: Run, suite: str) -> dict[str, ScorerPlugin]:
    """The scorers of a suite by name, without the project's own code, which did not run."""
    found = {}
    for one in run.scorers:
        if one.suite != suite:
            continue
        try:
            plugin = registry.get(registry.Kind.SCORER, one.scorer)
        except EvalkitError:
            continue  # the project's own code, which this command did not run
        if isinstance(plugin, ScorerPlugin):
            found[one.name] = plugin
    return found
