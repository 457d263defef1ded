"""What can be known to fail before the first call: no case, no variable, nothing to score with."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Protocol

from evalkit.errors import ConfigError, PromptError, Undecided, suggestion
from evalkit.model import Case
from evalkit.runner.fleet import Fleet
from evalkit.runner.select import Selection
from evalkit.runner.shown import shown_by
from evalkit.runner.suites import PlannedSuite


class Tagged(Protocol):
    """What a dataset says of its tags: cases by tag and value."""

    @property
    def tags(self) -> Mapping[str, Mapping[str, int]]:
        """Cases by tag and value."""
        ...


def refuse_nothing(
    suites: Sequence[PlannedSuite], selection: Selection, infos: Sequence[Tagged]
) -> None:
    """Raise ``Undecided`` when no suite has a case left; it says what could be selected."""
    if any(one.survey.total for one in suites):
        return
    flags = [f"--tags {','.join(selection.tags)}"] if selection.tags else []
    flags += [f"--filter {selection.filter!r}"] if selection.filter else []
    cases = sum(version.cases for one in suites for version in one.datasets)
    tags = {
        f"{name}:{value}"
        for info in infos
        for name, values in info.tags.items()
        for value in values
    }
    raise Undecided(
        f"nothing is selected: {' '.join(flags)} leaves none of {cases:,} cases",
        where=", ".join(str(one.spec.path) for one in suites),
        hint=_tags_hint(selection, tags) if selection.tags else "try other words",
    )


def _tags_hint(selection: Selection, known: Set[str]) -> str:
    """What the tags that no case has may have meant: another name, or other values of theirs."""
    names = {one.partition(":")[0] for one in known}
    asked = [part.strip() for one in selection.tags for part in one.split(",") if part.strip()]
    for one in asked:
        name = one.partition(":")[0]
        if name not in names and difflib.get_close_matches(name, names, n=1):
            return suggestion(name, names)
    wanted = {one.partition(":")[0] for one in asked}
    of_these = {one for one in known if one.partition(":")[0] in wanted}
    there = sorted(of_these or known)
    more = " …" if len(there) > 12 else ""
    return f"the tags there are: {', '.join(there[:12]) or 'none'}{more}"


def check_prompts(suite: PlannedSuite, fleet: Fleet) -> None:
    """Render the first case with every prompt that the suite's targets, or their children, use.

    And the first conversation, which meets a prompt otherwise. Raises ``PromptError`` at the place
    in the prompt.
    """
    single = next((one for one in suite.survey.first if not one.turns), None)
    talk = next((one for one in suite.survey.first if one.turns), None)
    for case in (one for one in (single, talk) if one is not None):
        for name in fleet.reached(suite.targets):
            render = fleet.lanes[name].render
            if render is None:
                continue
            try:
                if case.turns:
                    render.turns(case)
                else:
                    render(case)
            except PromptError as error:
                who = f"target {name!r}, suite {suite.name!r}, case {case.name or case.id}"
                who += f", row {case.row}" if case.turns and case.row else ""
                raise PromptError(
                    f"{error.what} ({who})", where=error.where, hint=error.hint
                ) from error


def check_reach(suite: PlannedSuite, fleet: Fleet) -> list[str]:
    """What attacks bring and a target's prompt never shows its model, as warnings.

    An attack that nobody sees always holds, and says nothing: its cases stay undecided.
    """
    shown, first = shown_by(fleet, [suite.spec]), suite.survey.first
    brought = {one for case in first for one in (*case.inputs, "context")}
    warnings = [
        f"attack_in of {suite.name!r} names {one!r}, which none of {len(first):,} cases brings"
        for one in suite.spec.attack_in
        if one not in brought
    ]
    for name in suite.targets:
        unseen = Counter(one for case in first for one in shown.unseen(suite.name, name, case))
        hidden = shown.hidden(suite.name, unseen)
        warnings += [
            f"target {name!r} never shows {one!r} to its model, and {count} of {len(first):,} cases"
            f" of {suite.name!r} bring it"
            + (
                ": its attacks and twins stay undecided, which is no pass; write"
                f" {shown.remedy(name, [one])}, or run the suite on a target that shows it"
                if one in hidden
                else ""
            )
            for one, count in unseen.items()
        ]
    return warnings


def check_needs(suite: PlannedSuite) -> list[str]:
    """What scorers need and the first cases lack, as warnings.

    Raises ``ConfigError`` when no case at all can satisfy a scorer.
    """
    first, warnings = suite.survey.first, []
    for scorer, spec in zip(suite.scorers, suite.spec.scorers, strict=True):
        for need in scorer.plugin.needs:
            if not first or any(_has(case, need) for case in first):
                continue
            what = f"scorer {scorer.name!r} needs {need!r}"
            # a target may bring a context of its own
            if suite.survey.whole and need != "context":
                raise ConfigError(
                    f"{what}, and none of the {len(first):,} cases of suite {suite.name!r} has it",
                    where=spec.position,
                    hint="map the column that holds it under 'dataset: {columns: ...}',"
                    " or take the scorer out",
                )
            warnings.append(
                f"{what}, and none of the first {len(first):,} cases of {suite.name!r} has it"
            )
    return warnings


def check_turns(suite: PlannedSuite) -> list[str]:
    """Scorers that are to judge the turns of conversations where there seem to be none."""
    first = suite.survey.first
    if not first or any(one.turns for one in first):
        return []
    which = "no case" if suite.survey.whole else f"none of the first {len(first):,} cases"
    return [
        f"scorer {one.name!r} judges every turn of conversations (turns: {one.turns}), and {which}"
        f" of {suite.name!r} is one: it has no column 'turns'"
        for one in suite.scorers
        if one.turns != "last"
    ]


def _has(case: Case, need: str) -> bool:
    kind, _, name = need.partition(".")
    if kind == "expected":
        return bool(case.references) or any(one.expected is not None for one in case.turns)
    if kind == "metadata" and any(name in one.metadata for one in case.turns):
        return True
    if kind == "context":
        return bool(case.context)
    return kind not in {"inputs", "tags", "metadata"} or name in getattr(case, kind)
