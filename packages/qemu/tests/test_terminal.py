from __future__ import annotations

import itertools
import re
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_qemu import ExpectTimeoutError, Line, Transcript
from cloudboot_qemu.terminal import PlainText
from cloudboot_qemu.transcript import SPAN, ConsoleClosedError

FRAGMENTS = [
    b"text", b"\r", b"\n", b"\r\n", b"\x1b", b"\x1b[", b"\x1b[1;33m", b"\x1b[2J", b"\x1b[08;01H", b"\x1b[H",
    b"\x1b]0;title\x07", b"\x1b]0;title\x1b\\", b"\x1b(B", b"\x1b=", b"\0", b"\xc3\xa9", b"\x9b", b"[", b"]",
    b"\x1b[1;", b"0m", b"\x1b[1;5H",
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (b"\x1b[2J\x1b[01;01HBdsDxe: \x1b[1mloading\x1b[0m\r\n", b"BdsDxe: loading\n"),
        (b"10%\r20%\r\n", b"10%\n20%\n"),
        (b"line\r\r\nnext", b"line\nnext"),
        (b"Shell> \x1b[5;8Hm\x1b[5;9Ha\x1b[5;10Hp", b"Shell> map"),  # an echo that addresses each character
        (b"one\x1b[7;1Htwo\x1b[8;1H\x1b[9;1Hthree", b"one\ntwo\nthree"),
        (b"\xc3\xa9\x1b[1;2Hx", "\u00e9x".encode()),  # two bytes, one column
        (b"\x1b]0;window title\x07login: ", b"login: "),
        (b"bell\x07\0", b"bell"),
    ],
)
def test_escape_sequences_vanish_and_lines_stay(raw: bytes, plain: bytes) -> None:
    assert PlainText().feed(raw) == plain


@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=4)), st.data())
def test_pieces_give_what_the_whole_gives(fragments: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(fragments) + b"\nend"
    whole = PlainText().feed(raw)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    filter_ = PlainText()
    edges = [0, *cuts, len(raw)]
    assert b"".join(filter_.feed(raw[a:b]) for a, b in itertools.pairwise(edges)) == whole
    assert b"\r" not in whole
    assert b"\0" not in whole


@pytest.mark.parametrize("introducer", [b"\x1b[", b"\x1b]", b"\x1b ", b"\x1b"])
def test_a_stray_introducer_withholds_little(introducer: bytes) -> None:
    plain = PlainText()
    assert len(plain.feed(introducer + b"9" * 1000)) >= 700


def test_lines_keep_the_moment_they_began() -> None:
    transcript = Transcript()
    for now, data in [(1.0, b"fir"), (2.0, b"st\r\nsec"), (3.0, b"ond\r\n\r\nla"), (4.0, b"st")]:
        transcript.feed(data, now)
    assert transcript.lines() == [Line(1.0, "first"), Line(2.0, "second"), Line(3.0, ""), Line(3.0, "last")]
    assert transcript.raw == b"first\r\nsecond\r\n\r\nlast"
    assert transcript.expect(rb"st\nsec", 0).time == 1.0
    found = transcript.expect(rb"l(a)st", 0)
    assert (found.time, found.text, found.match[1]) == (3.0, b"ond\n\nlast", b"a")


def test_a_match_is_used_up() -> None:
    transcript = Transcript()
    transcript.feed(b"Shell> one\nShell> ", 0)
    assert transcript.expect(rb"Shell> ", 0).text == b"Shell> "
    assert transcript.expect(rb"Shell> ", 0).text == b"one\nShell> "
    with pytest.raises(ExpectTimeoutError, match="'Shell> ' did not appear within 0 s"):
        transcript.expect(rb"Shell> ", 0)


@given(st.lists(st.binary(max_size=40), max_size=40), st.integers(16, 64))
def test_memory_is_bounded_and_lines_stay_whole(pieces: list[bytes], limit: int) -> None:
    transcript, reference = Transcript(limit), Transcript()
    for now, piece in enumerate(pieces):
        transcript.feed(piece, now)
        reference.feed(piece, now)
    assert len(transcript.text) <= limit + limit // 4
    assert len(transcript.raw) <= limit + limit // 4
    assert reference.text.endswith(transcript.text)
    kept, all_lines = transcript.lines(), reference.lines()
    assert kept[1:] == all_lines[len(all_lines) - len(kept) + 1 :]
    if kept:  # the oldest may have lost its beginning
        assert all_lines[-len(kept)].text.encode().endswith(kept[0].text.encode().lstrip(b"\xef\xbf\xbd"))


def test_a_pattern_is_found_across_pieces_behind_much_text() -> None:
    transcript = Transcript()

    def talk() -> None:
        for _ in range(40):
            transcript.feed(b"x" * (SPAN // 8) + b"\n", 0)
        for piece in (b"lo", b"gin", b": "):
            time.sleep(0.03)
            transcript.feed(piece, 7.0)

    thread = threading.Thread(target=talk)
    thread.start()
    assert transcript.expect(re.compile(rb"^login: \Z", re.MULTILINE), 10).time == 7.0
    thread.join()


def test_a_talkative_console_still_times_out() -> None:
    transcript = Transcript()
    stop = threading.Event()

    def talk() -> None:
        while not stop.is_set():
            transcript.feed(b"again\n", 0)
            time.sleep(0.001)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        with pytest.raises(ExpectTimeoutError):
            transcript.expect(rb"never", 0.2)  # a wait without an end is ended with the test
    finally:
        stop.set()
        thread.join()


def test_text_before_the_end_counts_and_then_the_end_does() -> None:
    transcript = Transcript()
    transcript.feed(b"last words", 0)
    transcript.close()
    transcript.expect(rb"last", 0)
    with pytest.raises(ConsoleClosedError):
        transcript.expect(rb"more", 60)
