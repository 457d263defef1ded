"""The conversation of a review: a page, a key, and what it does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from evalkit.cli.keys import QUIT, Keys
from evalkit.cli.stored import emit
from evalkit.model import Trial
from evalkit.report import review as pages
from evalkit.report.screen import Screen
from evalkit.runner.labelling import Labelling


class Conversation:
    """Shows answers and takes judgements until the person quits or nothing is left."""

    def __init__(self, work: Labelling, keys: Keys):
        self._work = work
        self._keys = keys
        self._seen: dict[int, Trial] = {}

    def run(self) -> None:
        """Go on until it is over; every judgement is stored when its key was struck."""
        work = self._work
        while not work.over:
            self._page()
            here = work.place
            while work.place == here:
                self._prompt()
                key = self._keys.key()
                if key.lower() == QUIT:
                    emit("\n")
                    return
                if self._act(key):
                    break
        emit("\n")

    @property
    def _screen(self) -> Screen:
        return Screen.of(sys.stdout)

    def _trial(self) -> Trial:
        place = self._work.place
        if place not in self._seen:
            self._seen = {place: self._work.trial()}
        return self._seen[place]

    def _page(self, *, whole: bool = False) -> None:
        work = self._work
        emit(
            pages.page_text(
                self._trial(),
                self._screen,
                question=work.agenda.asked.text,
                place=(work.place + 1, len(work.agenda.answers)),
                judged=work.judged,
                shown=work.open,
                mine=work.own(),
                whole=whole,
            )
        )
        if work.open:
            self._verdicts()

    def _verdicts(self) -> None:
        emit(pages.verdicts_text(self._trial(), self._screen, self._work.own()))

    def _prompt(self) -> None:
        work = self._work
        unheard = work.unheard() if work.open else None
        emit(pages.keys_text(self._screen, unheard=unheard, shown=work.open, decided=work.decided))

    def _act(self, key: str) -> bool:
        """Do what a key says; ``True`` when the page is to be shown anew."""
        work, key = self._work, key.lower()
        deeds: dict[str, Callable[[], object]] = {
            "r": lambda: self._tell(lambda: work.explain(self._keys.line("reason: "))),
            "u": self._undo,
            "s": work.skip,
            "b": self._back,
            "v": self._page,
            "m": lambda: self._page(whole=True),
            "?": lambda: emit(pages.help_text(self._screen)),
            "p": lambda: self._judge(passed=True),
            "f": lambda: self._judge(passed=False),
            "a": lambda: self._answer_scorer(agrees=True),
            "d": lambda: self._answer_scorer(agrees=False),
            **dict.fromkeys(("\n", " ", "n"), self._next),
            **{one: partial(self._rate, int(one)) for one in "12345"},
        }
        deed = deeds.get(key)
        if deed is not None:
            return deed() is True
        if key:
            emit(f"no key {key!r}: ? shows them all\n")
        return False

    def _tell(self, judgement: Callable[[], None]) -> None:
        judgement()
        emit(f"you said: {self._said()}\n")

    def _rate(self, rating: int) -> None:
        self._tell(lambda: self._work.rate(rating))

    def _judge(self, *, passed: bool) -> None:
        work, was_open = self._work, self._work.open
        self._tell(lambda: work.judge(passed))
        if work.blind and not work.reveal:
            work.forward()
        elif not was_open:
            self._verdicts()

    def _back(self) -> None:
        if not self._work.back():
            emit("this is the first answer\n")

    def _said(self) -> str:
        mine = self._work.own()
        return "nothing" if mine is None else pages.said(mine)

    def _next(self) -> None:
        if self._work.decided:
            self._work.forward()
        else:
            emit("judge it with p or f first, or skip it with s\n")

    def _answer_scorer(self, *, agrees: bool) -> None:
        work = self._work
        if not work.open:
            hidden = "are hidden" if work.reveal else "stay hidden"
            emit(f"verdicts {hidden} until you have judged: p or f\n")
            return
        name = work.unheard()
        if name is None:
            emit("no scorer's verdict is left to agree with\n")
            return
        work.answer_scorer(name, agrees=agrees)
        emit(f"you {'agree' if agrees else 'disagree'} with {name}\n")

    def _undo(self) -> bool:
        deed = self._work.undo()
        if deed is None:
            emit("nothing of this session is left to undo\n")
            return False
        emit("undone\n")
        return True
