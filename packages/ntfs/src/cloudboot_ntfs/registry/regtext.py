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
#: Data that is no hexadecimal list, and the comment that may follow it.
_DATA = re.compile(r'("(?:[^"\\]|\\.)*"|dword:[0-9a-fA-F]{1,8}|-)\s*(?:;.*)?', re.DOTALL)
_HEX = re.compile(r"hex(?:\(([0-9a-fA-F]{1,8})\))?:([0-9a-fA-F,\s]*)")
#: What regedit ends lines with; texts may hold any other separator of Unicode.
_LINE_END = re.compile(r"\r\n|\r|\n")
#: A quoted text from behind its opening mark on.
_TO_MARK = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)
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
    tree = _Tree(root)
    try:
        for number, line in lines:
            if line.startswith("["):
                _section(tree, line, split(prefix), number)
            elif tree.values is None:
                raise RegTextError("a value without a key", where={"line": number}, actual=line)
            else:
                _apply(tree.values, line, number, is_old=is_old)
            count += 1
    finally:
        tree.leave()
    return count


class _Tree:
    """Keys from a root on, found by their names without a search; the values of one of them at a time.

    A key may have many thousands of keys or values, which a search for each would make quadratic.
    """

    def __init__(self, root: Key) -> None:
        self._root = root
        self._key: Key | None = None
        self._below: dict[int, dict[str, Key]] = {}
        self._removed: list[Key] = []  # alive, so that no other key gets the identity of one of them
        #: The values of the key that was entered, by name in upper case and in their order.
        self.values: dict[str, Value] | None = None

    def enter(self, names: list[str]) -> None:
        """Go to the key at a path, which is made if there is none."""
        self.leave()
        node = self._root
        for name in names:
            below = self._keys_of(node)
            made = below.get(upcase(name))
            if made is None:
                made = below[upcase(name)] = Key(name, modified=node.modified)
                node.keys.append(made)
            node = made
        self._key, self.values = node, {upcase(value.name): value for value in node.values}

    def leave(self) -> None:
        """Give the key that was entered its values."""
        if self._key is not None and self.values is not None:
            self._key.values[:] = self.values.values()
        self._key = self.values = None

    def remove(self, names: list[str]) -> None:
        """Take the key at a path away, if it is there."""
        self.leave()
        node = self._root
        for name in names[:-1]:
            above = self._keys_of(node).get(upcase(name))
            if above is None:
                return
            node = above
        found = self._keys_of(node).pop(upcase(names[-1]), None)
        if found is not None:
            node.keys[:] = [key for key in node.keys if key is not found]
            self._removed.append(found)

    def _keys_of(self, node: Key) -> dict[str, Key]:
        found = self._below.get(id(node))
        if found is None:
            found = self._below[id(node)] = {upcase(key.name): key for key in node.keys}
        return found


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """``(number, line)`` without comments and empty lines; lines that go on, and texts over several, are one."""
    parts: list[str] = []
    start, is_open, is_hex = 0, False, False
    for number, raw in enumerate(_LINE_END.split(text), 1):
        if is_open:
            parts.append("\r\n" + raw)
        else:
            line = raw.strip() if is_hex else raw.lstrip()
            if not line or line.startswith(";") or (line.startswith("#") and not is_hex):
                continue
            start = start if is_hex else number
            parts.append(line)
        if not is_hex:
            if parts[0].startswith(('"', "@")):
                is_open = _is_open(parts[-1], is_open=is_open)
            if is_open:
                continue
            parts = _data_apart("".join(parts))
            is_hex = len(parts) > 1
        if is_hex:
            line = parts[-1].partition(";")[0].rstrip()
            parts[-1] = line.removesuffix("\\").rstrip()
            if line.endswith("\\"):
                if parts[-1].endswith((",", ":")):
                    continue
                parts[-1] = line  # a list goes on behind a comma only
        yield start, "".join(parts).rstrip()
        parts, is_hex = [], False
    if parts:
        raise RegTextError("the last line goes on", where={"line": start}, actual="".join(parts)[:200])


def _data_apart(line: str) -> list[str]:
    """The line; that of a hexadecimal list as what is before the list, and the list."""
    found = _NAME.match(line)
    if found is None or not line.startswith("hex", found.end()):
        return [line]
    return [line[: found.end()], line[found.end() :]]


def _is_open(piece: str, *, is_open: bool) -> bool:
    """Whether a quoted text goes on at the end of a line, which began within one or not."""
    position = -1 if is_open else piece.find('"')
    while is_open or position >= 0:
        found = _TO_MARK.match(piece, position + 1)
        if found is None:
            return True
        is_open, position = False, piece.find('"', found.end())
        if ";" in piece[found.end() : position]:
            return False
    return False


def _section(tree: _Tree, line: str, prefix: list[str], number: int) -> None:
    path, closing, _ = line.rpartition("]")
    if not closing:
        raise RegTextError("a key without its closing bracket", where={"line": number}, actual=line)
    is_removed = line.startswith("[-")
    names = split(path[2:] if is_removed else path[1:])
    if list(map(upcase, names[: len(prefix)])) != list(map(upcase, prefix)):
        raise RegTextError("a key outside of the hive", where={"line": number}, expected="\\".join(prefix), actual=line)
    names = names[len(prefix) :]
    if not is_removed:
        tree.enter(names)
    elif names:
        tree.remove(names)
    else:
        raise RegTextError("the root of the hive cannot be removed", where={"line": number}, actual=line)


def _apply(values: dict[str, Value], line: str, number: int, *, is_old: bool) -> None:
    found = _NAME.match(line)
    if found is None:
        raise RegTextError("not a value", where={"line": number}, actual=line)
    name = "" if found[1] == "@" else _unescaped(found[1][1:-1])
    text = line[found.end() :]
    data = _DATA.fullmatch(text)
    if data is not None and data[1] == "-":
        values.pop(upcase(name), None)
        return
    value = _hex_value(name, text, is_old=is_old) if data is None else _plain_value(name, data[1])
    if value is None:
        raise RegTextError("not the data of a value", where={"line": number}, actual=text)
    values[upcase(name)] = value


def _plain_value(name: str, text: str) -> Value:
    return Value.text(name, _unescaped(text[1:-1])) if text[0] == '"' else Value.number(name, int(text[6:], 16))


def _hex_value(name: str, text: str, *, is_old: bool) -> Value | None:
    """The value of a list of bytes, which may end with a comma; ``None`` for what is no such list."""
    found = _HEX.fullmatch(text)
    if found is None:
        return None
    digits = [part.strip() for part in found[2].split(",")]
    if not digits[-1]:
        del digits[-1]
    if not all(1 <= len(part) <= 2 for part in digits):
        return None
    kind = int(found[1], 16) if found[1] else ValueType.REG_BINARY
    data = bytes(int(part, 16) for part in digits)
    if is_old and kind in _TEXT_TYPES:
        data = _from_ansi(data).encode("utf-16-le")
    return Value(name, int(kind), data)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
