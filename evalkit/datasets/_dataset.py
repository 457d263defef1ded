"""A dataset: every row checked once, then streamed as cases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from evalkit.config.freeze import check_frozen
from evalkit.config.spec import DatasetSpec
from evalkit.datasets._files import check_file
from evalkit.datasets._mapping import Mapper
from evalkit.datasets._rows import BadValue, Row
from evalkit.datasets._scan import DatasetInfo, Found, Scan, Scanned, build, is_empty, place
from evalkit.errors import DatasetError, UnknownName, suggestion
from evalkit.hashing import MultisetHash
from evalkit.model import Case
from evalkit.registry import DatasetPlugin, Kind, get, names

KEPT_CASES = 10_000
"""Cases of a small file that are kept from its scan: to read them again takes as long as the scan.

They take ten megabytes or so."""
KEPT_BYTES = 4_000_000
"""The largest file that counts as small."""


def open_dataset(spec: DatasetSpec) -> Dataset:
    """The dataset of a specification; its file exists, its reader, options and map are known.

    Raises ``DatasetError`` or ``UnknownName``, and ``ConfigError`` for a file that was frozen and
    edited since; no row is read yet.
    """
    plugin = _reader(spec)
    known = plugin.parameters
    for name in spec.options:
        if name not in known:
            raise DatasetError(
                f"the {plugin.name} reader has no option {name!r}",
                where=spec.position,
                hint=suggestion(name, known),
            )
    Mapper(spec)
    if plugin.suffixes:
        check_file(Path(spec.source))
        check_frozen(Path(spec.source))
    return Dataset(spec, plugin)


def _reader(spec: DatasetSpec) -> DatasetPlugin:
    name = spec.format.removeprefix("builtin:")
    if name:
        with suppress(UnknownName):
            return _dataset_plugin(spec.format)
    known = names(Kind.DATASET)
    # Without a format the file's ending decides, and a format may be an ending, such as ndjson.
    path = Path(spec.source.lower().removesuffix(".gz"))
    suffix = f".{name.removeprefix('.').lower()}" if name else path.suffix
    plugins = [_dataset_plugin(one) for one in known]
    for one in plugins:
        if suffix in one.suffixes:
            return one
    if name:
        raise UnknownName("dataset format", name, known, where=spec.position)
    endings = sorted({ending for one in plugins for ending in one.suffixes})
    raise DatasetError(
        f"no reader for files that end in {suffix!r}",
        where=spec.source,
        hint=f"name the format, or use {', '.join(endings)}",
    )


def _dataset_plugin(name: str) -> DatasetPlugin:
    plugin = get(Kind.DATASET, name)
    if not isinstance(plugin, DatasetPlugin):
        raise DatasetError(f"{name!r} is not a dataset reader", hint="decorate it with @dataset")
    return plugin


class Dataset:
    """Rows of one source as cases; but for small files only digests of them are held in memory.

    20 to 40 bytes a case while it is scanned, twice that when rows have ids, and 8 bytes a
    duplicate afterwards. Of a small file the cases themselves are kept.
    """

    def __init__(self, spec: DatasetSpec, plugin: DatasetPlugin):
        self.spec = spec
        self._plugin = plugin
        self._scanned: Scanned | None = None
        self._kept: list[Case] | None = None
        self._stamp = self._stamp_now()

    def scan(self, *, strict: bool = True) -> DatasetInfo:
        """Read every row once and say what there is; a second call remembers the answer.

        Raises ``DatasetError`` with the first error when a row has one, or when there is no case;
        without ``strict`` the errors are among the issues instead.
        """
        if self._scanned is None:
            self._stamp = self._stamp_now()
            scan = Scan(self.spec)
            kept: list[Case] | None = [] if self._is_small() else None
            try:
                for row, line, found in self._walk(scan.mapper):
                    case = scan.add(row, line, found)
                    if kept is not None and case is not None:
                        kept.append(case)
                        if len(kept) > KEPT_CASES:
                            kept = None
            except DatasetError as error:
                scan.stop(error)
            self._scanned, self._kept = scan.result(), kept
        if strict and self._scanned.error is not None:
            raise self._scanned.error
        return self._scanned.info

    def cases(self) -> Iterator[Case]:
        """The cases in the order of the source, each once, with ``Case.row`` set.

        Scans first when that has not been done. Raises ``DatasetError`` for a source that is not
        what was scanned.
        """
        info = self.scan()
        self._check_unchanged()
        if self._kept is not None:
            yield from self._kept
            self._check_unchanged()
            return
        # A source without a file of its own, such as a folder, is compared by what it gave.
        given = MultisetHash() if self._stamp is None else None
        skip = iter(self._scanned.repeated if self._scanned else ())
        skipped = next(skip, 0)
        for row, _, found in self._walk(Mapper(self.spec)):
            if row == skipped:
                skipped = next(skip, 0)
            elif isinstance(found, DatasetError):
                raise found
            elif found is not None:
                if given is not None:
                    given.add(found.case.id)
                yield found.case
        self._check_unchanged()
        if given is not None and given.hexdigest() != info.version:
            raise self._changed()

    def _walk(self, mapper: Mapper) -> Iterator[tuple[int, int, Found | DatasetError | None]]:
        """Every row with its number and line: its case, its error, or nothing if it is empty."""
        has_lines = self._plugin.counts == "lines"
        rows: Iterator[Row] = self._plugin.obj(self.spec.source, **self.spec.options)
        for row, (number, values) in enumerate(rows, 1):
            line = number if has_lines else 0
            if isinstance(values, DatasetError):
                yield row, line, values
            elif is_empty(values):
                yield row, line, None
            else:
                try:
                    yield row, line, build(mapper, values, row, line)
                except BadValue as error:
                    yield (
                        row,
                        line,
                        DatasetError(
                            f"row {row}: {error.what}",
                            where=place(self.spec.source, row, line),
                            hint=error.hint,
                        ),
                    )

    def _is_small(self) -> bool:
        """Whether the file is known to hold little: a packed one may hold any amount."""
        packed = self.spec.source.lower().endswith(".gz")
        text = self._plugin.counts == "lines" and not packed
        return text and self._stamp is not None and self._stamp[1] <= KEPT_BYTES

    def _stamp_now(self) -> tuple[int, int] | None:
        if not self._plugin.suffixes:
            return None
        path = Path(self.spec.source)
        check_file(path)
        stat = path.stat()
        return stat.st_mtime_ns, stat.st_size

    def _check_unchanged(self) -> None:
        if self._stamp_now() != self._stamp:
            raise self._changed()

    def _changed(self) -> DatasetError:
        return DatasetError(
            "the dataset changed after it was checked",
            where=self.spec.source,
            hint="run again; nothing else may write to it during a run",
        )
