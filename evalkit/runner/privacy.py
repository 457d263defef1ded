"""The masker of a run: values of the dataset are numbered first, so a resumed run repeats them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from evalkit.model import Case
from evalkit.pii import PII_KINDS, PiiKind
from evalkit.runner.plan import Plan
from evalkit.runner.record import case_texts
from evalkit.secrets import cleaned

if TYPE_CHECKING:
    from evalkit.pii.masker import Masker
    from evalkit.store import Store

_USED = """
SELECT split_part(trim(mark, '<>'), '_', -1)::BIGINT AS number,
    lower(trim(mark, '<>0123456789')) AS kind
FROM (
    SELECT unnest(regexp_extract_all(concat_ws(' ', output, error, messages::VARCHAR,
        extra::VARCHAR, tool_calls::VARCHAR, output_context::VARCHAR, turns::VARCHAR),
        '{marks}')) AS mark
    FROM trials WHERE run_id = '{run_id}'
)
"""


def masker_of(plan: Plan, store: Store, *, resumed: bool) -> Masker | None:
    """The masker that the project asks for, ``None`` for none.

    The cases are read through once and their values numbered in the order of the dataset: a run,
    its continuation and the next run of the same data use the same placeholders. What only answers
    hold is numbered above, as it comes.
    """
    masker = new_masker(plan)
    if masker is None:
        return None
    for suite in plan.suites:
        _number(suite.cases.whole(), masker)
    if resumed:
        masker.begin_above(_used(store, plan.run.id))
    return masker


def new_masker(plan: Plan) -> Masker | None:
    """A masker of what the project masks that has seen nothing yet, ``None`` for none."""
    if not plan.project.mask:
        return None
    from evalkit.pii.masker import Masker

    return Masker(plan.project.mask)


def _number(cases: Iterable[Case], masker: Masker) -> None:
    for case in cases:
        for one in case_texts(case):
            cleaned(one, masker.text)


def _used(store: Store, run_id: str) -> dict[PiiKind, int]:
    """The highest number of each kind among the answers that are stored."""
    marks = f"<(?:{'|'.join(one.upper() for one in PII_KINDS)})_[0-9]{{1,12}}>"
    sql = f"SELECT kind, max(number) AS n FROM ({_USED.format(marks=marks, run_id=run_id)}) GROUP BY kind"  # noqa: S608, E501 - constants, and the id of a stored run
    found = {row["kind"].rstrip("_"): row["n"] for row in store.query(sql).to_pylist()}
    return {one: found[one] for one in PII_KINDS if one in found}
