"""Server-sent events from bytes as they come, one pass, no regular expressions.

The format is the HTML standard's, section 9.2.6: lines end in LF, CRLF or CR, a blank line ends an
event, lines that start with a colon are comments. ``id`` and ``retry`` mean nothing here.
"""

from __future__ import annotations

_BOM = b"\xef\xbb\xbf"


class EventParser:
    """Turns chunks of a stream into the ``data`` of its events; the answer of most chunks is one.

    The name of an event is not kept: every provider repeats it inside the data.
    """

    __slots__ = ("_after_cr", "_data", "_partial", "_started")

    def __init__(self) -> None:
        self._partial: list[bytes] = []
        self._data: list[bytes] = []
        self._after_cr = False
        self._started = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that this chunk completes, in order."""
        if not self._started and chunk:
            chunk = self._first(chunk)
        if self._after_cr and chunk:
            # The CR that ended the last chunk has ended its line already.
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            if chunk:
                self._partial.append(chunk)
            return []
        lines = chunk.split(b"\n")
        if self._partial:
            self._partial.append(lines[0])
            lines[0] = b"".join(self._partial)
            self._partial.clear()
        last = lines.pop()
        if last:
            self._partial.append(last)
        events: list[bytes] = []
        data = self._data
        for line in lines:
            if not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
            elif line.startswith(b"data:"):
                # One space after the colon belongs to the format; JSON does not mind more.
                data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line == b"data":
                data.append(b"")
        return events

    def close(self) -> list[bytes]:
        """What an unfinished last event holds; some servers leave out the final blank line."""
        return self.feed(b"\n\n") if self._partial or self._data else []

    def _first(self, chunk: bytes) -> bytes:
        # A byte order mark may itself arrive in pieces.
        whole = b"".join(self._partial) + chunk
        self._partial.clear()
        if len(whole) < len(_BOM) and _BOM.startswith(whole):
            self._partial.append(whole)
            return b""
        self._started = True
        return whole.removeprefix(_BOM)
