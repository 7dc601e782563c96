"""Text of ``.reg`` files: export, and import into keys in memory.

Version 5.00 is UTF-16 with a byte order mark; REGEDIT4 has one byte per character. What a quoted text cannot give back
byte for byte is exported as ``hex(N):``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import RegTextError
from cloudboot_ntfs.upcase import upcase

from .constants import ValueType
from .model import Key, Value, encode_text, split

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = "Windows Registry Editor Version 5.00"
_OLD_HEADER = "REGEDIT4"
_LINE_WIDTH = 80
_NAME = re.compile(r'(@|"(?:[^"\\]|\\.)*")\s*=\s*', re.DOTALL)
_HEX = re.compile(r"hex(?:\(([0-9a-fA-F]{1,8})\))?:([0-9a-fA-F,\s]*)")
#: What regedit ends lines with; texts may hold any other separator of Unicode.
_LINE_END = re.compile(r"\r\n|\r|\n")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TEXT_TYPES = (ValueType.REG_SZ, ValueType.REG_EXPAND_SZ, ValueType.REG_MULTI_SZ)


def export_text(root: Key, prefix: str) -> str:
    """The keys from ``root`` on as text, lines ended by CR LF; ``prefix`` is the path of ``root``.

    ``text.encode("utf-16")`` is what regedit writes.
    """
    lines = [HEADER, ""]
    for path, key in root.walk():
        lines.append(f"[{prefix}\\{path}]" if path else f"[{prefix}]")
        lines += [_value_line(value) for value in key.values]
        lines.append("")
    return "\r\n".join(lines) + "\r\n"


def _value_line(value: Value) -> str:
    name = f'"{_escaped(value.name)}"' if value.name else "@"
    data = value.data
    text = value.decoded
    if value.kind == ValueType.REG_SZ and isinstance(text, str) and encode_text(text) == data and text.isprintable():
        return f'{name}="{_escaped(text)}"'
    if value.kind == ValueType.REG_DWORD and len(data) == 4:
        return f"{name}=dword:{int.from_bytes(data, 'little'):08x}"
    head = f"{name}=hex:" if value.kind == ValueType.REG_BINARY else f"{name}=hex({value.kind:x}):"
    return _wrapped(head, [f"{byte:02x}" for byte in data])


def _wrapped(head: str, digits: list[str]) -> str:
    lines, line = [], head
    for index, pair in enumerate(digits):
        item = pair + ("," if index < len(digits) - 1 else "")
        if len(line) + len(item) >= _LINE_WIDTH - 1 and line != head:
            lines.append(line + "\\")
            line = "  "
        line += item
    return "\r\n".join([*lines, line])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def decode_file(data: bytes) -> str:
    """The text of the bytes of a ``.reg`` file: UTF-16 or UTF-8 with a byte order mark, else UTF-8 or Windows-1252.

    Raises:
        RegTextError: the bytes are not in the encoding that their mark says.
    """
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise RegTextError("the text is not UTF-16", offset=error.start) from None
        return _from_ansi(data)


def _from_ansi(data: bytes) -> str:
    """Text of the code page of Western Europe, as REGEDIT4 has it; bytes that it leaves out stand for themselves."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return "".join(bytes([each]).decode("cp1252", "ignore") or chr(each) for each in data)


def import_text(root: Key, text: str, prefix: str) -> int:
    r"""Apply the text of a ``.reg`` file to the keys from ``root`` on; the number of values and keys that were named.

    Args:
        root: changed in place; on an error it is as it was up to the line at fault.
        text: what :func:`decode_file` gives.
        prefix: the path that ``root`` has in the text, such as ``HKEY_LOCAL_MACHINE\SYSTEM``.

    Raises:
        RegTextError: the text breaks the grammar, or names a key outside of ``prefix``.
    """
    lines = _logical_lines(text)
    number, header = next(lines, (1, ""))
    if header not in (HEADER, _OLD_HEADER):
        raise RegTextError("not a .reg file", where={"line": number}, expected=HEADER, actual=header)
    is_old, count = header == _OLD_HEADER, 0
    key: Key | None = None
    for number, line in lines:
        if line.startswith("["):
            key = _section(root, line, split(prefix), number)
        elif key is None:
            raise RegTextError("a value without a key", where={"line": number}, actual=line)
        else:
            _apply(key, line, number, is_old=is_old)
        count += 1
    return count


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """``(number, line)`` without comments and empty lines; lines that go on, and texts over several, are one."""
    pending, start, in_text = "", 0, False
    for number, raw in enumerate(_LINE_END.split(text), 1):
        if in_text:
            pending += "\r\n" + raw
        elif pending:
            pending += raw.strip()
        else:
            start, pending = number, raw.strip()
            if pending.startswith(";"):
                pending = ""
            if not pending:
                continue
        is_value = pending.startswith(('"', "@"))
        in_text = is_value and _is_open(pending)
        if in_text:
            continue
        pending = pending.rstrip()
        if pending.endswith("\\") and is_value:
            pending = pending[:-1]
            continue
        yield start, pending
        pending = ""
    if pending:
        raise RegTextError("the last line goes on", where={"line": start}, actual=pending[:200])


def _is_open(line: str) -> bool:
    """Whether a quoted text begins in the line and does not end in it."""
    return '"' in _QUOTED.sub("", line)


def _section(root: Key, line: str, prefix: list[str], number: int) -> Key | None:
    if not line.endswith("]"):
        raise RegTextError("a key without its closing bracket", where={"line": number}, actual=line)
    is_removed = line.startswith("[-")
    names = split(line[2:-1] if is_removed else line[1:-1])
    if list(map(upcase, names[: len(prefix)])) != list(map(upcase, prefix)):
        raise RegTextError("a key outside of the hive", where={"line": number}, expected="\\".join(prefix), actual=line)
    path = "\\".join(names[len(prefix) :])
    if not is_removed:
        return root.make(path)
    if root.find(path) is not None:
        if not path:
            raise RegTextError("the root of the hive cannot be removed", where={"line": number}, actual=line)
        root.remove(path)
    return None


def _apply(key: Key, line: str, number: int, *, is_old: bool) -> None:
    found = _NAME.match(line)
    if found is None:
        raise RegTextError("not a value", where={"line": number}, actual=line)
    name = "" if found[1] == "@" else _unescaped(found[1][1:-1])
    text = line[found.end() :].strip()
    if text == "-":
        key.discard(name)
        return
    value = _value(name, text, is_old=is_old)
    if value is None:
        raise RegTextError("not the data of a value", where={"line": number}, actual=text)
    key.set(value)


def _value(name: str, text: str, *, is_old: bool) -> Value | None:
    if re.fullmatch(r'"(?:[^"\\]|\\.)*"', text):
        return Value.text(name, _unescaped(text[1:-1]))
    if re.fullmatch(r"dword:[0-9a-fA-F]{1,8}", text):
        return Value.number(name, int(text[6:], 16))
    found = _HEX.fullmatch(text)
    if found is None:
        return None
    digits = [part.strip() for part in found[2].split(",") if part.strip()]
    if any(len(part) > 2 for part in digits):
        return None
    kind = int(found[1], 16) if found[1] else ValueType.REG_BINARY
    data = bytes(int(part, 16) for part in digits)
    if is_old and kind in _TEXT_TYPES:
        data = _from_ansi(data).encode("utf-16-le")
    return Value(name, int(kind), data)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
