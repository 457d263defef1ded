"""The share of retrieved ids that are relevant, by ragas."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas_ids


@scorer(
    metrics=(mean,),
    prepare=_ragas_ids.installed,
    card=_ragas_ids.card("ranks: the order does not count"),
)
async def ragas_id_context_precision(
    case: Case, output: Output, *, relevant: str = "relevant", retrieved: str = "retrieved"
) -> Score:
    """The share of retrieved ids that are relevant, by ragas.

    ragas's ``IDBasedContextPrecision``; without a model. ``relevant`` names the list of ids in the
    case's metadata, ``retrieved`` the one in the target's ``extra``. ``context_precision`` with
    ``by: id`` does the same without ragas.
    """
    from ragas.metrics import IDBasedContextPrecision

    return await _ragas_ids.score(IDBasedContextPrecision(), case, output, relevant, retrieved)
