"""A promoted baseline as a small JSON value with a hash over everything in it.

Facts a reviewer reads stand in the open: run, commit, data, scorers, levels. The columns a
comparison needs are packed, so that the file alone is enough on a machine without the run.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from evalkit.errors import UsageError
from evalkit.gate.stored import Stored
from evalkit.hashing import content_id
from evalkit.model import (
    DatasetVersion,
    GitState,
    Run,
    RunStatus,
    ScorerVersion,
    TargetVersion,
)
from evalkit.stats.sides import Side, SideScores

FORMAT = 1
MAX_UNPACKED = 1_000_000_000
LINE = 100
_COLUMNS = ("latency_s", "ttft_s", "cost_usd", "input_tokens", "output_tokens")
_BOOLS = ("ok", "live")


def freeze(stored: Stored, *, by: str, reason: str, at: datetime) -> dict[str, Any]:
    """The JSON value of a baseline; ``by`` promoted it ``at`` an instant for a ``reason``."""
    run = stored.run
    body: dict[str, Any] = {
        "format": FORMAT,
        "project": run.project,
        "run": run.id,
        "runs": list(stored.runs or (run.id,)),
        "promoted": {"by": by, "at": at.isoformat(), "reason": reason},
        "started_at": run.started_at.isoformat(),
        "commit": None
        if run.git is None
        else {"commit": run.git.commit, "branch": run.git.branch, "dirty": run.git.dirty},
        "suite_hashes": dict(run.suite_hashes),
        "targets": [
            {
                "name": one.name,
                "kind": one.kind,
                "content_hash": one.content_hash,
                "options": dict(one.options),
                "model": one.model,
                "prompt_version": one.prompt_version,
                "price": None if one.price is None else dict(one.price),
            }
            for one in run.targets
        ],
        "datasets": [_fields(one, DatasetVersion) for one in run.datasets],
        "scorers": [
            {**_fields(one, ScorerVersion), "metrics": list(one.metrics)} for one in run.scorers
        ],
        "levels": {
            f"{suite}/{target}": _levels(side)
            for (suite, target), side in sorted(stored.sides.items())
        },
        "columns": _packed([_side(one) for _, one in sorted(stored.sides.items())]),
    }
    return {**body, "hash": content_id(body)}


def thaw(value: Any, *, where: str) -> Stored:
    """The baseline of a JSON value; raises ``UsageError`` when it is damaged or of a newer form."""
    if not isinstance(value, dict) or "hash" not in value:
        raise _damaged(where, "it is no baseline")
    body = {key: one for key, one in value.items() if key != "hash"}
    if body.get("format") != FORMAT:
        raise UsageError(
            f"the baseline has the form {body.get('format')!r}, this evalkit reads {FORMAT}",
            where=where,
            hint="promote it again, or use the evalkit that wrote it",
        )
    if content_id(body) != value["hash"]:
        raise _damaged(where, "its content does not match its hash")
    try:
        return _stored(body)
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise _damaged(where, f"it cannot be read ({type(error).__name__})") from error


def _damaged(where: str, why: str) -> UsageError:
    return UsageError(
        f"the baseline is damaged: {why}",
        where=where,
        hint="restore it from git, or promote a run again",
    )


def _fields(value: Any, kind: type) -> dict[str, Any]:
    return {name: getattr(value, name) for name in kind.__dataclass_fields__}  # type: ignore[attr-defined]  # a dataclass


def _levels(side: Side) -> dict[str, Any]:
    """What a reviewer of the file sees: how many, and the mean of every scorer."""
    found: dict[str, Any] = {"cases": len(side.cases), "trials": side.trials}
    for name, one in side.scores.items():
        known = one.values[~np.isnan(one.values)]
        found[name] = round(float(known.mean()), 6) if len(known) else None
    return found


def _numbers(column: Any) -> list[float | None]:
    return [None if one != one else one for one in column.tolist()]  # noqa: PLR0124 - only NaN is not itself


def _floats(values: list[float | None]) -> Any:
    return np.array([np.nan if one is None else one for one in values], dtype=np.float64)


def _side(side: Side) -> dict[str, Any]:
    return {
        "suite": side.suite,
        "target": side.target,
        "runs": list(side.runs),
        "cases": list(side.cases),
        "inputs": list(side.inputs),
        "names": list(side.names),
        "tags": {tag: list(values) for tag, values in side.tags.items()},
        "owner": side.owner.tolist(),
        "models": dict(side.models),
        **{name: getattr(side, name).tolist() for name in _BOOLS},
        **{name: _numbers(getattr(side, name)) for name in _COLUMNS},
        "scores": {
            name: {
                "values": _numbers(one.values),
                "passed": one.passed.tolist(),
                "unscored": one.unscored.tolist(),
                "stats": None if one.stats is None else [_numbers(row) for row in one.stats],
                # absent where no judge was asked, as in files of before there were any
                **({"models": dict(one.models)} if one.models else {}),
            }
            for name, one in side.scores.items()
        },
    }


def _packed(sides: list[dict[str, Any]]) -> list[str]:
    text = json.dumps(sides, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return [packed[start : start + LINE] for start in range(0, len(packed), LINE)]


def _unpacked(lines: list[str]) -> list[dict[str, Any]]:
    inflater = zlib.decompressobj()
    data = inflater.decompress(base64.b64decode("".join(lines), validate=True), MAX_UNPACKED)
    if inflater.unconsumed_tail:
        raise ValueError("the columns are larger than any baseline")
    found = json.loads(data)
    if not isinstance(found, list):
        raise TypeError("the columns are a list of sides")
    return found


def _stored(body: Mapping[str, Any]) -> Stored:
    commit = body["commit"]
    run = Run(
        id=body["run"],
        project=body["project"],
        started_at=datetime.fromisoformat(body["started_at"]),
        status=RunStatus.COMPLETE,
        planned=0,
        suites=tuple(sorted({one["suite"] for one in body["datasets"]})),
        suite_hashes=body["suite_hashes"],
        targets=tuple(TargetVersion(**one) for one in body["targets"]),
        prompts=(),
        datasets=tuple(DatasetVersion(**one) for one in body["datasets"]),
        scorers=tuple(
            ScorerVersion(**{**one, "metrics": tuple(one["metrics"])}) for one in body["scorers"]
        ),
        git=None if commit is None else GitState(**commit),
    )
    sides = [_side_of(one) for one in _unpacked(body["columns"])]
    return Stored(
        run=replace(run, planned=sum(one.trials for one in sides)),
        sides={(one.suite, one.target): one for one in sides},
        runs=tuple(body["runs"]),
    )


def _side_of(value: Mapping[str, Any]) -> Side:
    return Side(
        suite=value["suite"],
        target=value["target"],
        runs=tuple(value["runs"]),
        cases=value["cases"],
        inputs=value["inputs"],
        names=value["names"],
        tags=value["tags"],
        owner=np.array(value["owner"], dtype=np.intp),
        models=value["models"],
        ok=np.array(value["ok"], dtype=np.bool_),
        live=np.array(value["live"], dtype=np.bool_),
        **{name: _floats(value[name]) for name in _COLUMNS},
        scores={
            name: SideScores(
                values=_floats(one["values"]),
                passed=np.array(one["passed"], dtype=np.int8),
                unscored=np.array(one["unscored"], dtype=np.bool_),
                stats=None
                if one["stats"] is None
                else np.array([_floats(row) for row in one["stats"]]),
                models=one.get("models", {}),
            )
            for name, one in value["scores"].items()
        },
    )
