"""The search of a store for secrets: all its texts, and every file beside it.

The values looked for are those of the environment variables that the project's targets refer to,
and of others that are named. Each is looked for as the redactor does, in every form it knows, cut
or encoded; and as bytes in the database's file, where deleted rows may linger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.config.spec import Project
from evalkit.doctor.check import Check, State, failed, ok, warning
from evalkit.errors import EvalkitError, ExitCode, UsageError
from evalkit.secrets import SHORTEST, Redactor

if TYPE_CHECKING:
    from evalkit.store import Store

_CHUNK = 8_000_000
_LINES_AT_ONCE = 1_000_000
_OVERLAP = 8_192
_LINES = frozenset({".csv", ".html", ".json", ".jsonl", ".log", ".md", ".txt", ".xml", ".yaml"})


@dataclass(slots=True)
class Search:
    """What is looked for by name, and how much was looked through.

    All values are looked for at once, so that many take no longer than one; then whose was found.
    """

    given: Mapping[str, str]
    texts: int = 0
    files: int = 0
    found: dict[tuple[str, str], int] = field(default_factory=dict)
    values: Mapping[str, Redactor] = field(init=False)
    _any: Redactor = field(init=False)
    _forms: Sequence[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.values = {name: Redactor([value]) for name, value in self.given.items()}
        self._any = Redactor(self.given.values())
        self._forms = _bytes_of(self._any)

    def text(self, text: str, place: str) -> None:
        """Look through one text, and through the texts inside it when it is JSON."""
        held = [one for one in _inside(text) if self._any.spans(one)]
        for name, redactor in self.values.items() if held else ():
            if any(map(redactor.spans, held)):
                self._count(name, place)

    def file(self, path: Path, place: str) -> None:
        """Look through one file, by lines where it has any and as bytes."""
        self.files += 1
        if path.suffix in _LINES:
            self._lines(path, place)
            return
        with path.open("rb") as content:
            rest = b""
            while chunk := content.read(_CHUNK):
                part = rest + chunk
                text = part.decode("latin-1")
                if any(one in part for one in self._forms) or self._any.spans(text):
                    for name, redactor in self.values.items():
                        whole = any(one in part for one in _bytes_of(redactor))
                        if whole or redactor.spans(text):
                            self._count(name, place)
                rest = part[-_OVERLAP:]

    def _lines(self, path: Path, place: str) -> None:
        """Look through a file line by line, and for values that go over several lines."""
        with path.open(encoding="utf-8", errors="replace") as content:
            before = ""
            while lines := content.readlines(_LINES_AT_ONCE):
                for line in lines:
                    self.text(line.rstrip("\n"), place)
                text = before + "".join(lines)
                held = self._any.spans(text)
                for name, redactor in self.values.items() if held else ():
                    if any(
                        end > len(before) and "\n" in text[start:end]
                        for start, end in redactor.spans(text)
                    ):
                        self._count(name, place)
                before = text[-_OVERLAP:]

    def _count(self, name: str, place: str) -> None:
        self.found[name, place] = self.found.get((name, place), 0) + 1


def _bytes_of(redactor: Redactor) -> list[bytes]:
    return [one.encode("utf-8", "surrogatepass") for one in redactor.forms()]


def _inside(text: str) -> Iterator[str]:
    yield text
    if text[:1] not in {"{", "[", '"'}:
        return
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one


def secrets(
    project: Project, store: Store, environ: Mapping[str, str], names: Iterable[str] = ()
) -> Iterator[Check]:
    """Search the store, its journal and the reports for the values of secret variables.

    Raises ``UsageError`` for one of ``names`` that is not set. Undecided when a variable that the
    project refers to is not set: what is not known cannot be looked for.
    """
    from evalkit.config import env_names

    for name in names:
        if not environ.get(name):
            raise UsageError(
                f"the environment variable {name} is not set", hint="set it, or leave it out"
            )
    wanted = {
        *names,
        *(name for one in project.targets.values() for name in env_names(one.options)),
    }
    missing = sorted(name for name in wanted if not environ.get(name))
    given = {name: environ[name] for name in sorted(wanted - set(missing))}
    short = [name for name, value in given.items() if len(value.strip()) < SHORTEST]
    search = Search({name: value for name, value in given.items() if name not in short})
    if missing:
        yield Check(
            name="secrets",
            state=State.UNKNOWN,
            said=f"not looked for, since not set: {', '.join(missing)}",
            hint="set the variables that the project refers to, and look again",
            code=ExitCode.UNDECIDED,
        )
    if short:
        yield warning(
            "secrets",
            f"too short to be told from ordinary text: {', '.join(short)}",
            f"use secrets of {SHORTEST} characters and more",
        )
    if not search.values:
        if not wanted:
            yield ok("secrets", "the project refers to none; name others with --env")
        return
    try:
        _look(search, project, store)
    except EvalkitError as error:
        yield failed("secrets", error)
        return
    yield from _result(search)


def _look(search: Search, project: Project, store: Store) -> None:
    if store.exists:
        for place, texts in store.texts():
            search.texts += len(texts)
            for one in texts:
                search.text(one, place)
    for folder in (store.path.parent, project.root / "reports", project.root / "baselines"):
        if folder == project.root or not folder.is_dir():
            continue
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                search.file(path, path.relative_to(project.root).as_posix())


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _result(search: Search) -> Iterator[Check]:
    looked = (
        f"{', '.join(search.values)} in {_counted(search.texts, 'text')} of the store and"
        f" {_counted(search.files, 'file')}"
    )
    if not search.found:
        yield ok("secrets", f"none found: looked for {looked}")
        return
    for (name, place), times in sorted(search.found.items()):
        yield Check(
            name="secrets",
            state=State.FAILED,
            said=f"the value of {name} is in {place}" + (f", {times:,} times" if times > 1 else ""),
            hint="revoke the secret first, then delete the file or the rows",
            code=ExitCode.FAIL,
        )
