"""Permissions as chmod(1) takes them: octal, or changes such as ``u+x,go-w``."""

from __future__ import annotations

import re
import stat

from cloudboot_ufs2.errors import OptionError

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*)+)\Z")
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}


def changed_mode(mode: int, text: str) -> int:
    """The permissions that ``text`` makes of those in ``mode``, which also holds the type of the file.

    Raises:
        OptionError: ``text`` is neither up to four octal digits nor a list of changes.
    """
    if re.fullmatch(r"[0-7]{1,4}", text):
        return int(text, 8)
    found = stat.S_IMODE(mode)
    for clause in text.split(","):
        match = _CLAUSE.match(clause)
        if match is None:
            raise OptionError("not permissions", field="mode", expected="644, 1777 or u+x,go-w", actual=text)
        who = sum(_WHO[each] for each in set(match[1]) & set(_WHO)) if match[1] and "a" not in match[1] else 0o7777
        for sign, letters in re.findall(r"([-+=])([rwxXst]*)", match[2]):
            bits = 0
            for letter in letters:
                if letter != "X":
                    bits |= _BITS[letter]
                elif stat.S_ISDIR(mode) or found & 0o111:
                    bits |= 0o111
            bits &= who
            if sign == "=":
                found &= ~(who & ~0o6000 if stat.S_ISDIR(mode) else who)
            found = found & ~bits if sign == "-" else found | bits
    return found
