from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evalkit.targets._sse import EventParser

LINES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=12
)


def parse(stream: bytes, cuts: list[int]) -> list[bytes]:
    parser = EventParser()
    found: list[bytes] = []
    at = 0
    for cut in [*sorted(cuts), len(stream)]:
        found += parser.feed(stream[at:cut])
        at = max(at, cut)
    return found + parser.close()


def reference(stream: bytes) -> list[bytes]:
    """The standard's algorithm, on the whole text and line by line."""
    text = stream.decode("utf-8").removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    found: list[bytes] = []
    data: list[str] = []
    for line in [*text.split("\n"), ""]:
        if not line:
            if data:
                found.append("\n".join(data).encode())
            data = []
            continue
        field, colon, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" ") if colon else "")
    return found


@given(
    lines=st.lists(
        st.one_of(
            st.just(""),
            LINES,
            LINES.map(lambda text: f"data: {text}"),
            LINES.map(lambda text: f"data:{text}"),
            LINES.map(lambda text: f": {text}"),
            st.sampled_from(["data", "event: x", "id: 3", "retry: 9", "dat", "data :x"]),
        ),
        max_size=20,
    ),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=40),
)
def test_events_are_the_standards_wherever_the_stream_is_cut(
    lines: list[str], newline: str, bom: bool, cuts: list[int]
) -> None:
    stream = ("\ufeff" * bom + newline.join(lines)).encode()
    assert parse(stream, [cut for cut in cuts if cut < len(stream)]) == reference(stream)


def test_an_event_comes_out_as_soon_as_its_blank_line_is_there() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\r\n\r") == [b"a"]
    assert parser.feed(b"\ndata: b\n") == []
    assert parser.feed(b"\n: keep-alive\n\n") == [b"b"]
    assert parser.close() == []


def test_one_byte_at_a_time() -> None:
    stream = b'\xef\xbb\xbfevent: m\r\ndata: {"a": 1}\r\n\r\ndata: x\r\ndata: y\r\n\r\n'
    assert parse(stream, list(range(len(stream)))) == [b'{"a": 1}', b"x\ny"]


def test_a_long_event_in_many_chunks_takes_linear_time() -> None:
    parser = EventParser()
    assert parser.feed(b"data: ") == []
    for _ in range(200_000):
        parser.feed(b"x" * 20)
    assert [len(one) for one in parser.feed(b"\n\n")] == [4_000_000]
