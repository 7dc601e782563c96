"""Input scripts: ``<tic>:keydown:KEY`` and ``<tic>:keyup:KEY``, one on a line, tics never falling."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re

from cloudboot_base.storage import read_file

from .errors import ScriptError
from .keys import ALIASES, BY_NAME, Key

#: Bytes of the longest script.
_LARGEST = 1 << 20
_LINE = re.compile(r"(\d{1,9}):(keydown|keyup):(\S+)", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class KeyEvent:
    """A key that goes down or up at a tic."""

    tic: int
    down: bool
    key: Key


@dataclasses.dataclass(frozen=True, slots=True)
class Script:
    """The events in order; ``sha256`` is that of the text, of nothing for an empty script."""

    events: tuple[KeyEvent, ...] = ()
    sha256: str = hashlib.sha256(b"").hexdigest()

    def at(self, tic: int) -> list[KeyEvent]:
        """The events of one tic."""
        return [event for event in self.events if event.tic == tic]


def parse_script(text: str) -> Script:
    """Read a script; empty lines and those that begin with ``#`` say nothing.

    Raises:
        ScriptError: a line is not an event, names an unknown key, or goes back in time; a key goes down twice.
    """
    events: list[KeyEvent] = []
    held: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        found = _LINE.fullmatch(content)
        if found is None:
            raise ScriptError(f"not <tic>:keydown:KEY or <tic>:keyup:KEY: {content[:40]!r}", where={"line": number})
        tic, verb, name = int(found[1]), found[2], found[3].lower()
        key = BY_NAME.get(ALIASES.get(name, name))
        if key is None:
            raise ScriptError(
                f"there is no key {name[:40]!r}", where={"line": number}, hint=f"keys: {' '.join(BY_NAME)}"
            )
        if events and tic < events[-1].tic:
            raise ScriptError(f"tic {tic} follows tic {events[-1].tic}", where={"line": number})
        down = verb == "keydown"
        if down == (key.qcode in held):
            raise ScriptError(f"{name} is {'down already' if down else 'not down'}", where={"line": number})
        (held.add if down else held.discard)(key.qcode)
        events.append(KeyEvent(tic, down, key))
    return Script(tuple(events), hashlib.sha256(text.encode()).hexdigest())


def read_script(path: str | os.PathLike[str]) -> Script:
    """Read a script from a file; its errors name the file.

    Raises:
        ScriptError: the file is not UTF-8 text, or as :func:`parse_script` says.
        BudgetError: the file is longer than 1 MiB.
        OSError: the file cannot be read, or is not an ordinary file.
    """
    name, data = os.fspath(path), read_file(path, _LARGEST)
    try:
        return parse_script(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ScriptError(f"not UTF-8 text: {error.reason} at byte {error.start}", path=name) from None
    except ScriptError as error:
        error.path = name
        raise
