"""What of a case a target's prompt shows its model: an attack that nobody saw was not withstood.

Nor was one that wants a tool called by a target that has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalkit.config.gate_metrics import ATTACKS
from evalkit.config.spec import SuiteSpec
from evalkit.model import Case, Output, ScoreRecord, ScoreStatus

if TYPE_CHECKING:
    from evalkit.model import Run
    from evalkit.runner.fleet import Fleet
    from evalkit.runner.window import Window
    from evalkit.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the models of a run's targets see, and its suites of attacks with where those hide.

    A target without a window is given whole requests: nothing is known to be kept from it.
    ``instead`` says, by suite and version of a prompt, which inputs the prompt itself stands in
    for: where a suite looks for leaks of the target's own prompt, no case's ``system`` is missed.
    """

    windows: Mapping[str, Window] = field(default_factory=dict)
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instead: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    attack_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def unseen(self, suite: str, target: str, case: Case) -> tuple[str, ...]:
        """What a case of an attack suite brings that no prompt of the target refers to."""
        if suite not in self.instead:
            return ()
        brought = (*case.inputs, *(("context",) if case.context else ()))
        return tuple(one for one in brought if self._hides(target, one, self.instead[suite]))

    def hidden(self, suite: str, unseen: Iterable[str]) -> tuple[str, ...]:
        """Those of the unseen in which the suite says that its attacks hide."""
        return tuple(one for one in unseen if one in self.attack_in.get(suite, ()))

    def untried(self, suite: str, target: str, case: Case, output: Output) -> str | None:
        """Why an answer to an attack or a twin decides nothing, ``None`` where it may.

        Of a route what counts is the target that answered.
        """
        if case.tags.get("sort") not in ATTACKS.values():
            return None
        last = output.legs[-1].target if output.legs else target
        asked = last if last in self.children.get(target, ()) else target
        unseen = self.hidden(suite, self.unseen(suite, asked, case))
        if not unseen:
            return None
        names = " and ".join(map(repr, unseen))
        return (
            f"the target {asked!r} never shows {names} to its model, so this was not tried; put"
            f" {self.remedy(asked, unseen)}"
        )

    def remedy(self, target: str, unseen: Iterable[str]) -> str:
        """Where templates of what is not seen have to be written."""
        window = next(self._windows(target))
        needed = " and ".join(f"{{{{ {window.template(one)} }}}}" for one in unseen)
        return f"{needed} into its {window.place}"

    def _windows(self, target: str) -> Iterator[Window]:
        """The windows of a target, or of those that it asks."""
        if target in self.windows:
            yield self.windows[target]
        for one in self.children.get(target, ()):
            yield from self._windows(one)

    def _hides(self, target: str, name: str, instead: Mapping[str, frozenset[str]]) -> bool:
        children = self.children.get(target, ())
        if children:
            return all(self._hides(one, name, instead) for one in children)
        window = self.windows.get(target)
        if window is None or window.shows(name):
            return False
        return window.prompt is None or name not in instead.get(window.prompt.version, ())


NOTHING_HIDDEN = Shown()


def unscored(name: str, signature: str, why: str) -> ScoreRecord:
    """What a scorer of that name and signature says of an answer that decides nothing."""
    return ScoreRecord(name=name, signature=signature, status=ScoreStatus.UNSCORED, reason=why)


def without_tools(record: ScoreRecord, target: str, output: Output) -> ScoreRecord:
    """The score of a target that can make no call: that it made none says nothing, so no pass."""
    if output.tool_calls:
        return record
    reason = f"the target {target!r} has no tools, so it could not call any"
    return replace(record, status=ScoreStatus.UNSCORED, score=None, reason=reason)


def shown_by(fleet: Fleet, suites: Iterable[SuiteSpec]) -> Shown:
    """What the targets of a fleet show of the cases of these suites."""
    return _shown(
        {name: one.window for name, one in fleet.targets.items()},
        {name: one.children for name, one in fleet.targets.items()},
        suites,
    )


def shown_then(run: Run, store: Store, suites: Iterable[SuiteSpec]) -> Shown:
    """What the targets of a stored run showed of the cases of these suites.

    Raises ``ConfigError`` where that cannot be said: a run that was replayed in it is gone.
    """
    from evalkit.runner.window import children_then, window_then

    suites = list(suites)
    if not any(one.kind == "adversarial" for one in suites):
        return NOTHING_HIDDEN
    windows = {one.name: window_then(run, one.name, store) for one in run.targets}
    return _shown(windows, children_then(run), suites)


def _shown(
    windows: Mapping[str, Window | None],
    children: Mapping[str, tuple[str, ...]],
    suites: Iterable[SuiteSpec],
) -> Shown:
    suites = [one for one in suites if one.kind == "adversarial"]
    return Shown(
        windows={name: one for name, one in windows.items() if one is not None},
        children={name: of for name, of in children.items() if of},
        instead={one.name: _instead(one) for one in suites},
        attack_in={one.name: one.attack_in for one in suites},
    )


def _instead(spec: SuiteSpec) -> dict[str, frozenset[str]]:
    from evalkit.config import load_prompt

    found: dict[str, frozenset[str]] = {}
    for one in spec.scorers:
        path = one.options.get("prompt")
        if one.scorer == "prompt_overlap" and path is not None:
            version = load_prompt(path).version
            kept = str(one.options.get("field", "inputs.system"))
            found[version] = found.get(version, frozenset()) | {kept.removeprefix("inputs.")}
    return found
