"""Terminal output as plain text, however it is cut into pieces."""

from __future__ import annotations

import re

STRING_LIMIT = 16 << 10
"""Bytes a command string (OSC, DCS, SOS, PM, APC) may have; an introducer without an end within them is no string."""

# ECMA-48 control sequences. The bounds keep a stray introducer from withholding the text behind it forever.
_CSI = rb"\x1b\[[0-?]{0,64}[ -/]{0,4}[@-~]"
# Command strings end with ST; CAN and SUB cancel them, and so does the escape of any other sequence (ECMA-48 5.6,
# 8.3.143). A BEL ends an OSC as well: xterm's way, which everybody follows.
_END = rb"\x18|\x1a|\x1b\\|(?=\x1b[^\\])"
# An OSC begins with a number, which is what tells it from a stray introducer. Linux's console knows two without an end.
_OSC = rb"\x1b\][0-9]{0,6}(?:;[^\x07\x18\x1a\x1b]{0,%d})?(?:\x07|%s)|\x1b\]P[0-9A-Fa-f]{7}|\x1b\]R" % (
    STRING_LIMIT,
    _END,
)
_STRING = rb"\x1b[PX^_][^\x18\x1a\x1b]{0,%d}(?:%s)" % (STRING_LIMIT, _END)
_ESCAPE = rb"\x1b[ -/]{0,4}[0-~]"
_TOKEN = re.compile(rb"|".join([_CSI, _OSC, _STRING, _ESCAPE, rb"\x1b", rb"\r+\n?", rb"[\x00\x07]+"]))
_ADDRESS = re.compile(rb"\x1b\[[0-9]*(?:;([0-9]{0,9}))?[Hf]")
_UNFINISHED = re.compile(
    rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,4}|\](?:[0-9]{0,6}(?:;[^\x07\x18\x1a\x1b]{0,%d})?\x1b?|P[0-9A-Fa-f]{0,6})"
    rb"|[PX^_][^\x18\x1a\x1b]{0,%d}\x1b?|[ -/]{0,4})\Z" % (STRING_LIMIT, STRING_LIMIT)
)


class PlainText:
    r"""Removes escape sequences and command strings from a console's bytes and ends every line with ``\n``.

    ``\r\n`` and a lone ``\r`` (a line drawn again) become ``\n``; so does a cursor address (``CSI H``), which is how
    firmware menus begin their lines, unless it names the column the cursor is in anyway (UEFI's Shell does that
    for every character it echoes).
    """

    def __init__(self) -> None:
        self._pending = b""
        self._after_return = False
        self._column = 1
        self._written = False  # anything on this line

    def feed(self, data: bytes) -> bytes:
        """The plain text ``data`` adds; an escape sequence cut at its end waits for the rest."""
        if self._after_return and data:
            rest = data.lstrip(b"\r")
            if not rest:
                return b""
            self._after_return = False
            data = rest[1:] if rest[0] == 0x0A else rest
        data = self._pending + data
        unfinished = _UNFINISHED.search(data)
        end = unfinished.start() if unfinished else len(data)
        self._pending = data[end:]
        return self._plain(data, end)

    def flush(self) -> bytes:
        """The plain text of a sequence that waits for a rest that will not come."""
        data, self._pending = self._pending, b""
        return self._plain(data, len(data))

    def _plain(self, data: bytes, end: int) -> bytes:
        pieces: list[bytes] = []
        position = 0
        for token in _TOKEN.finditer(data):  # all of it: what ends a string may be the beginning of what waits
            if token.start() >= end:
                break
            self._emit(pieces, data[position : token.start()])
            position = token.end()
            text = token[0]
            if text[0] == 0x0D:
                self._emit(pieces, b"\n")
                self._after_return = text[-1] == 0x0D and position == len(data)
            elif (address := _ADDRESS.fullmatch(text)) is not None:
                self._move(pieces, int(address[1] or 1))
        self._emit(pieces, data[position:end])
        return b"".join(pieces)

    def _move(self, pieces: list[bytes], column: int) -> None:
        if column != self._column:
            if self._written:
                self._emit(pieces, b"\n")
            self._column = column

    def _emit(self, pieces: list[bytes], text: bytes) -> None:
        if text:
            pieces.append(text)
            line = text[text.rfind(b"\n") + 1 :]
            if len(line) < len(text):
                self._column, self._written = 1, False
            if line:
                self._column += sum(byte & 0xC0 != 0x80 for byte in line)  # a character begins at each of these
                self._written = True
