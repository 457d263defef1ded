"""A report as one HTML file that needs nothing else and can run nothing that a model wrote.

The first screen is plain HTML. The cases are a columnar index and blocks of texts, compressed and
inert; the page's own script, named by its hash in the policy, reads them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evalkit.gate.table import Outcome
from evalkit.report.page import CaseRows, ReportView
from evalkit.report.page_shown import GLYPHS, place, shown, tone

BUDGET = 5_000_000
"""Bytes of a whole page."""
PER_BLOCK = 128
_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True, slots=True)
class Packed:
    """The data of a page, compressed: the index of all cases, which of them have texts, the texts.

    ``left_out`` counts texts that found no room.
    """

    index: bytes
    texts: bytes
    blocks: tuple[bytes, ...]
    left_out: int

    def parts(self) -> dict[str, bytes]:
        """The parts by the names the script asks for."""
        blocks = {f"b{n}": one for n, one in enumerate(self.blocks)}
        return {"index": self.index, "texts": self.texts, **blocks}


def page_html(view: ReportView, *, budget: int = BUDGET) -> str:
    """The report as one file of ``budget`` bytes at the most; the first screen is always whole."""
    style, script = _asset("report.css"), _asset("report.js")
    fixed = len(style) + len(script) + 60_000
    packed = pack(view, budget=budget - fixed, wide=4 / 3)
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none';"
        f" style-src 'sha256-{_sha256(style)}'; script-src 'sha256-{_sha256(script)}';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    )
    blocks = "\n".join(
        f'<script type="text/plain" id="data-{name}">{base64.b64encode(data).decode()}</script>'
        for name, data in packed.parts().items()
    )
    return _render(
        view,
        packed,
        policy=policy,
        style=f"<style>{style}</style>",
        script=f"<script>{script}</script>",
        data=blocks,
    )


def page_files(view: ReportView, name: str, *, budget: int = BUDGET) -> dict[str, bytes]:
    """The report as several files by relative path, for servers that forbid inline code."""
    packed = pack(view, budget=budget, wide=1.0)
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'self';"
        " script-src 'self'; connect-src 'self'; require-trusted-types-for 'script';"
        " trusted-types 'none'"
    )
    page = _render(
        view,
        packed,
        policy=policy,
        style='<link rel="stylesheet" href="report.css">',
        script='<script src="report.js"></script>',
        data="",
    )
    return {
        name: page.encode(),
        "report.css": _asset("report.css").encode(),
        "report.js": _asset("report.js").encode(),
        **{f"data/{part}.json.gz": data for part, data in packed.parts().items()},
    }


def _render(view: ReportView, packed: Packed, **parts: str) -> str:
    from markupsafe import Markup

    ours = {
        name: text if name == "policy" else Markup(text)  # noqa: S704 - our own assets and base64
        for name, text in parts.items()
    }
    page: str = _template().render(page=shown(view, left_out=packed.left_out), **ours)
    return page


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string((_ASSETS / "page.html.j2").read_text(encoding="utf-8"))


_COMMENTS = re.compile(r"/\*.*?\*/ ?|^\s*//[^\n]*\n|^\s+", re.DOTALL | re.MULTILINE)


@cache
def _asset(name: str) -> str:
    """A file of the page; the script without its comments and indentation."""
    text = (_ASSETS / name).read_text(encoding="utf-8")
    return _COMMENTS.sub("", text) if name.endswith(".js") else text


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def pack(view: ReportView, *, budget: int, wide: float) -> Packed:
    """Index and texts, compressed; texts are filled in their order while they fit.

    ``wide`` is how many bytes of the page one compressed byte takes.
    """
    index = _squeezed(_index(view))
    # which rows have texts: a few bytes each at the most
    room = budget - wide * (len(index) + 3 * len(view.texts))
    blocks: list[bytes] = []
    kept = 0
    for start in range(0, len(view.texts), PER_BLOCK):
        chunk = whole = view.texts[start : start + PER_BLOCK]
        block = _squeezed(chunk)
        while chunk and wide * len(block) > room:
            chunk = chunk[: len(chunk) // 2]
            block = _squeezed(chunk)
        if chunk:
            room -= wide * len(block)
            blocks.append(block)
            kept += len(chunk)
        if len(chunk) < len(whole):
            break
    texts = _squeezed([one.row for one in view.texts[:kept]])
    return Packed(index, texts, tuple(blocks), len(view.rows.id) - kept)


def _index(view: ReportView) -> Mapping[str, Any]:
    rows = view.rows
    return {
        **{name: getattr(rows, name) for name in CaseRows.__slots__},
        "outcomes": [
            {"name": one, "glyph": GLYPHS[Outcome(one)], "tone": tone(one)} for one in rows.outcomes
        ],
        "groups": [{**_fields(one), "place": place(one, rows.groups)} for one in rows.groups],
        # as one text each: a browser reads it many times as fast as a list of a hundred thousand
        "id": _lines(rows.id),
        "name": _lines(rows.name),
        "slices": _telling(rows),
        "first": "s:regressed" if _regressed(rows) else "",
        "candidate": view.candidate.run_id,
        "baseline": "" if view.baseline is None else view.baseline.run_id,
    }


def _telling(rows: CaseRows) -> list[str]:
    """The tags that tell cases apart beside their suite, whose name stands behind a case's.

    What nearly every case has for itself, such as the name of an attack, does not; nor does a value
    that says nothing without its tag, such as ``no``.
    """
    nothing = {one.suite for one in rows.groups} | {"yes", "no", "true", "false", "1", "0", ""}
    return [
        name
        for name, tag in rows.tags.items()
        if 2 * len(tag.values) <= len(rows.id) and not nothing.issuperset(tag.values)
    ]


def _regressed(rows: CaseRows) -> bool:
    """Whether any case did: the worst stand first."""
    return bool(rows.outcome) and rows.outcomes[rows.outcome[0]] == Outcome.REGRESSED


def _lines(values: Sequence[str]) -> str:
    return "\n".join(one.replace("\n", " ") for one in values)


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _squeezed(value: object) -> bytes:
    # ASCII only: a lone surrogate of a model's answer survives as its escape
    text = json.dumps(value, separators=(",", ":"), default=_fields)
    return gzip.compress(text.encode("ascii"), compresslevel=6, mtime=0)
