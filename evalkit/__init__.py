"""evalkit tells, before a merge, whether a change made an LLM system worse, and shows where."""

from evalkit.cards import Measured, ScorerCard
from evalkit.errors import ErrorClass, EvalkitError, ExitCode, TargetError, Unscorable
from evalkit.model import (
    Case,
    Evidence,
    InterToken,
    Leg,
    Message,
    Metric,
    Output,
    Request,
    Score,
    Target,
    ToolCall,
    Usage,
    corpus,
    mean,
    p50,
    p95,
    p99,
    rate,
    total,
)
from evalkit.registry import dataset, renderer, scorer, target, transform

__version__ = "0.1.0"

__all__ = [
    "Case",
    "ErrorClass",
    "EvalkitError",
    "Evidence",
    "ExitCode",
    "InterToken",
    "Leg",
    "Measured",
    "Message",
    "Metric",
    "Output",
    "Request",
    "Score",
    "ScorerCard",
    "Target",
    "TargetError",
    "ToolCall",
    "Unscorable",
    "Usage",
    "__version__",
    "corpus",
    "dataset",
    "mean",
    "p50",
    "p95",
    "p99",
    "rate",
    "renderer",
    "scorer",
    "target",
    "total",
    "transform",
]
