"""The share of relevant ids that were retrieved, by ragas."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas_ids


@scorer(
    metrics=(mean,),
    prepare=_ragas_ids.installed,
    card=_ragas_ids.card("what is retrieved beside them"),
)
async def ragas_id_context_recall(
    case: Case, output: Output, *, relevant: str = "relevant", retrieved: str = "retrieved"
) -> Score:
    """The share of relevant ids that were retrieved, by ragas.

    ragas's ``IDBasedContextRecall``; without a model. ``relevant`` names the list of ids in the
    case's metadata, ``retrieved`` the one in the target's ``extra``. ``context_recall`` with ``by:
    id`` does the same without ragas.
    """
    from ragas.metrics import IDBasedContextRecall

    return await _ragas_ids.score(IDBasedContextRecall(), case, output, relevant, retrieved)
