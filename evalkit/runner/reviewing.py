"""Which answers a person is shown, in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalkit import registry
from evalkit.config.spec import Project
from evalkit.errors import EvalkitError, Undecided, UnknownName, UsageError
from evalkit.labels import Selection
from evalkit.model import Run
from evalkit.registry import ScorerPlugin
from evalkit.runner.calibrating import estimating, load_records
from evalkit.runner.opinions import AnswerKey, settle
from evalkit.store import Store
from evalkit.store.labels import Answer

WHOLE = "answer"
"""The question about an answer as a whole, where no scorer stands in for a person."""
_WHOLE_TEXT = "Is the answer good enough?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What people are asked of every answer: ``name`` is stored, ``text`` is shown."""

    name: str
    text: str
    scorer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """The answers of one suite of a run to be judged, in the order they are shown.

    ``seeded`` order is the same for everyone, so that people who stop early have judged the same
    answers.
    """

    run: Run
    suite: str
    asked: Asked
    answers: tuple[Answer, ...]
    selection: Selection
    of: int


def agenda(
    project: Project,
    store: Store,
    run: str,
    *,
    suite: str | None = None,
    scorer: str | None = None,
    question: str | None = None,
    sample: int | None = None,
    uncertain: int | None = None,
    disagree: bool = False,
    seed: int | None = None,
) -> Agenda:
    """What a person is shown: every different answer of a suite once, or a selection of them.

    ``sample`` takes so many, each as likely as any other, spread evenly over the scorer's values;
    ``uncertain`` the so many nearest its threshold; ``disagree`` those on which scorers, or a
    scorer and people, differ. Raises ``Undecided`` when nothing is left.
    """
    found = store.load_run(store.resolve(run))
    suite = _suite(found, suite)
    asked = _asked(found, suite, scorer, question)
    every = _distinct([one for one in store.answers(found.id) if one.suite == suite])
    if not every:
        raise Undecided(
            f"the run {found.id} has no answer in suite {suite!r}", hint="see: evalkit runs"
        )
    seed = found.seed if seed is None else seed
    selection, chosen = Selection.ALL, every
    if sum((sample is not None, uncertain is not None, disagree)) > 1:
        raise UsageError(
            "--sample, --uncertain and --disagree choose differently", hint="give one of them"
        )
    if sample is not None:
        selection, chosen = Selection.SAMPLE, _sampled(every, asked, sample, seed)
    elif uncertain is not None:
        selection = Selection.UNCERTAIN
        chosen = _uncertain(project, every, suite, asked, uncertain)
    elif disagree:
        selection = Selection.DISAGREE
        chosen = _disputed(every, settle(
            one for one in store.labels(suite) if one.name == asked.name
        ), asked)  # fmt: skip
        if not chosen:
            raise Undecided(
                "nobody disagrees: every scorer and every label says the same",
                hint="leave --disagree out",
            )
    return Agenda(
        run=found,
        suite=suite,
        asked=asked,
        answers=tuple(sorted(chosen, key=lambda one: _place(one, seed))),
        selection=selection,
        of=len(every),
    )


def _suite(run: Run, suite: str | None) -> str:
    if suite is not None:
        if suite not in run.suites:
            raise UnknownName("suite", suite, list(run.suites))
        return suite
    if len(run.suites) == 1:
        return run.suites[0]
    raise UsageError(
        f"the run {run.id} has {len(run.suites)} suites",
        hint="name one with --suite: " + ", ".join(run.suites),
    )


def _asked(run: Run, suite: str, scorer: str | None, question: str | None) -> Asked:
    scorers = [one for one in run.scorers if one.suite == suite]
    names = [one.name for one in scorers]
    if scorer is not None and scorer not in names:
        raise UnknownName("scorer", scorer, names)
    if scorer is None and question is None:
        estimates = list(estimating(scorers))
        scorer = estimates[0] if len(estimates) == 1 else None
    if scorer is not None:
        kind = next(one.scorer for one in scorers if one.name == scorer)
        text = _question(kind) or f"Should the answer pass {scorer}?"
        return Asked(name=question or scorer, text=text, scorer=scorer)
    name = question or WHOLE
    return Asked(name=name, text=_WHOLE_TEXT if name == WHOLE else name)


def _question(kind: str) -> str:
    try:
        plugin = registry.get(registry.Kind.SCORER, kind)
    except EvalkitError:
        return ""
    return plugin.question if isinstance(plugin, ScorerPlugin) else ""


def _distinct(answers: Sequence[Answer]) -> list[Answer]:
    """Equal answers to one case, of several targets or trials, are judged once."""
    found: dict[AnswerKey, Answer] = {}
    for one in answers:
        found.setdefault((one.case_id, one.output_hash), one)
    return list(found.values())


def _place(answer: Answer, seed: int) -> bytes:
    text = f"{seed}\0{answer.case_id}\0{answer.output_hash}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _sampled(answers: Sequence[Answer], asked: Asked, count: int, seed: int) -> list[Answer]:
    """Every so manyth of the answers in the order of the scorer's value, from a random start.

    Each is as likely to be taken as any other, and every range of values has its share.
    """
    if count < 1:
        raise UsageError("a sample has at least one answer", hint="as --sample 100")
    if count >= len(answers):
        return list(answers)

    def order(one: Answer) -> tuple[float, bytes]:
        value = one.values.get(asked.scorer or "")
        return (float("inf") if value is None else value, _place(one, seed))

    ordered = sorted(answers, key=order)
    step = len(ordered) / count
    drawn = hashlib.sha256(f"start\0{seed}".encode()).digest()
    start = int.from_bytes(drawn[:6], "big") / 2**48 * step
    return [ordered[int(start + step * turn)] for turn in range(count)]


def _uncertain(
    project: Project, answers: Sequence[Answer], suite: str, asked: Asked, count: int
) -> list[Answer]:
    """The answers whose score is nearest the threshold."""
    name = asked.scorer
    if name is None:
        raise UsageError("--uncertain needs the scorer that is uncertain", hint="add --scorer NAME")
    if count < 1:
        raise UsageError("--uncertain takes at least one answer", hint="as --uncertain 30")
    scored = [one for one in answers if name in one.values]
    record = load_records(project, [suite]).get((suite, name))
    cut = _boundary(scored, name) if record is None else record.threshold
    if cut is None:
        raise Undecided(
            f"{name} has no threshold: it decided nothing, or everything alike",
            hint="set 'threshold' in the suite, or use --sample",
        )
    return sorted(scored, key=lambda one: (abs(one.values[name] - cut), one.case_id))[:count]


def _boundary(answers: Sequence[Answer], name: str) -> float | None:
    """Half-way between the values that pass and those that do not."""
    passed = [one.values[name] for one in answers if one.passed.get(name) is True]
    failed = [one.values[name] for one in answers if one.passed.get(name) is False]
    if not passed or not failed:
        return None
    if max(passed) <= min(failed):
        return (max(passed) + min(failed)) / 2
    return (min(passed) + max(failed)) / 2


def _disputed(
    answers: Sequence[Answer], opinions: Mapping[AnswerKey, object], asked: Asked
) -> list[Answer]:
    found = []
    for one in answers:
        opinion = opinions.get((one.case_id, one.output_hash))
        said = getattr(opinion, "passed", None)
        mine = one.passed.get(asked.scorer or "")
        split = opinion is not None and said is None
        against = said is not None and mine is not None and said is not mine
        if split or against or len(set(one.passed.values())) > 1:
            found.append(one)
    return found
