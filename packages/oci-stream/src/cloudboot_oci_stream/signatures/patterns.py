"""Patterns for the names of images: brought into the one form that names have, or refused where they can match nothing.

``HOST/REPOSITORY`` or ``oci:FOLDER``; ``*`` stands for anything without a slash, ``**`` for anything. What is written
in full is normalised as references are: the case of a host, a default port, the names of Docker Hub and of this
machine, the spelling of an address, ``library/``, the symbolic links on the way to a folder. A slash at the end stands
for everything below.
"""

from __future__ import annotations

import dataclasses
import os
import re
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import InvalidReferenceError, PolicyError
from cloudboot_oci_stream.spec.reference import (
    HUB,
    HUB_NAMES,
    HUB_NAMESPACE,
    RegistryReference,
    canonical_host,
    is_loopback,
    looks_like_host,
    parse_reference,
    split_host,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_oci_stream.spec.reference import Reference

FOLDER = "oci:"
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_LONGEST_REPOSITORY = 255


@dataclasses.dataclass(frozen=True, slots=True)
class ImagePattern:
    """One pattern. ``real`` are its normalised forms; ``written`` are those of a folder before links are followed.

    A link may be changed after the policy was read. The written form lets a rule that demands something apply all the
    same; a rule that accepts goes by the real path alone.
    """

    text: str
    real: tuple[str, ...]
    written: tuple[str, ...] = ()

    @classmethod
    def compile(cls, text: str, folder: str = ".") -> ImagePattern:
        """The pattern in ``text``; a relative path in it is below ``folder``.

        Raises:
            PolicyError: it is malformed, or no image can have a name that it matches.
        """
        if text.startswith(FOLDER):
            return _folder_pattern(text, folder)
        forms = _registry_forms(text)
        if not any(map(can_match, forms)):
            raise PolicyError("a pattern that matches no image", expected="HOST/REPOSITORY or oci:FOLDER", actual=text)
        return cls(text, forms)

    def covers(self, names: ImageNames, *, is_strict: bool) -> bool:
        """Whether the pattern is for an image; by its real name alone if ``is_strict``."""
        patterns = self.real if is_strict else self.real + self.written
        subjects = names.real if is_strict else names.real + names.written
        return any(matches(pattern, name) for pattern in patterns for name in subjects)


@dataclasses.dataclass(frozen=True, slots=True)
class ImageNames:
    """What an image is called: all spellings of its registry, or its folder's real path and the one that was given."""

    real: tuple[str, ...]
    written: tuple[str, ...] = ()

    @classmethod
    def of(cls, reference: Reference, folder: str | None = None) -> ImageNames:
        """The names of an image; ``folder`` is the real path of its folder, where that is open already."""
        if isinstance(reference, RegistryReference):
            return cls(tuple(f"{host}/{reference.repository}" for host in _spellings(reference.host)))
        real = os.path.realpath(reference.folder) if folder is None else folder
        return cls((f"{FOLDER}{real}",), (f"{FOLDER}{os.path.abspath(reference.folder)}",))


def image_name(reference: Reference) -> str:
    """The canonical name of an image: ``HOST/REPOSITORY``, or ``oci:`` and the folder's real path."""
    return ImageNames.of(reference).real[0]


def signing_name(reference: RegistryReference) -> str:
    """The repository that a signature names: the canonical one, or as it is written on this machine."""
    if is_loopback(split_host(reference.host)[0]):
        return f"{reference.host.lower()}/{reference.repository}"
    return image_name(reference)


def stated_names(name: str) -> tuple[str, ...]:
    """The names that a signature means when it says ``name``; tag and digest are left out."""
    try:
        reference = parse_reference(name)
    except InvalidReferenceError:
        return (name,)
    return ImageNames.of(reference).real if isinstance(reference, RegistryReference) else (name,)


def stated_patterns(text: str) -> tuple[str, ...]:
    """The forms of a pattern for the name in a signature, which is a repository or any other text.

    Raises:
        PolicyError: a repository that no image has.
    """
    host = text.partition("/")[0]
    return ImagePattern.compile(text).real if "/" in text and looks_like_host(host) else (text,)


def _spellings(host: str) -> list[str]:
    """All ways to write a registry's host, for patterns with a star in it; the canonical one first."""
    name, port = split_host(host)
    found = [canonical_host(host)]
    if is_loopback(name):
        ports = ["", ":80", ":443"] if port in {None, 80, 443} else [f":{port}"]
        shown = f"[{name}]" if ":" in name else name.lower().rstrip(".")
        found += [f"{local}{number}" for local in (*_LOCAL_NAMES, shown) for number in ports]
    elif port in {None, 443}:
        names = sorted(HUB_NAMES) if found[0] == HUB else found
        found += [f"{each}{number}" for each in names for number in ("", ":443")]
    return list(dict.fromkeys(found))


def _registry_forms(text: str) -> tuple[str, ...]:
    hint = "write HOST/REPOSITORY, with * for anything without a slash and ** for anything"
    if not text or text.startswith("/") or "://" in text:
        raise PolicyError("not a pattern for images", expected="HOST/REPOSITORY or oci:FOLDER", actual=text, hint=hint)
    host, slash, repository = text.partition("/")
    if not slash:
        if "**" not in host:
            raise PolicyError("a pattern without a repository", actual=text, hint=f"write {text}/** for all of them")
        return (host.lower(),)
    if "@" in repository or ":" in repository:
        raise PolicyError("a pattern is for repositories, without tag and digest", actual=text)
    if repository != repository.lower():
        raise PolicyError("repositories have no upper case", actual=text)
    if "*" in host:
        host = host.lower()
    else:
        if not looks_like_host(host):
            raise PolicyError("no registry is named", actual=text, hint=hint)
        try:
            host = canonical_host(host)
        except InvalidReferenceError as error:
            raise PolicyError(f"{error.message} in a pattern", expected=error.expected, actual=text) from None
    if repository.endswith("/") or not repository:
        repository += "**"
    if host == HUB and "/" not in repository:
        official = f"{host}/{HUB_NAMESPACE}/{repository}"
        return (f"{host}/{repository}", official) if "**" in repository else (official,)
    return (f"{host}/{repository}",)


def _folder_pattern(text: str, folder: str) -> ImagePattern:
    path = text.removeprefix(FOLDER)
    if path == "**":
        return ImagePattern(text, (text,))
    if not path or path.startswith("//"):
        raise PolicyError("not a pattern for folders", expected="oci:FOLDER", actual=text)
    whole = os.path.join(os.path.abspath(folder), path)
    last = whole.rstrip("/").rpartition("/")[2]
    if ":" in last and not os.path.isdir(whole):
        raise PolicyError("a pattern is for folders, without tag and digest", actual=text)
    below = whole.endswith("/") and "*" not in last
    fixed, star, rest = whole.partition("*")
    if not star:
        bases = {os.path.realpath(whole): os.path.normpath(whole)}
    else:
        stem, slash, begun = fixed.rpartition("/")
        tail = f"{slash}{begun}{star}{rest}"
        bases = {os.path.realpath(stem or "/").rstrip("/") + tail: os.path.normpath(stem or "/").rstrip("/") + tail}
    real = [f"{FOLDER}{base}" for base in bases]
    written = [f"{FOLDER}{base}" for base in bases.values()]
    if below:
        real += [f"{pattern}/**" for pattern in real]
        written += [f"{pattern}/**" for pattern in written]
    return ImagePattern(text, tuple(real), tuple(written))


def matches(pattern: str, text: str) -> bool:
    """Whether all of ``text`` fits ``pattern``, in time that grows with their product only, whatever the stars."""
    tokens = _tokens(pattern)
    # The numbers of tokens that the text so far can have used up.
    states = _skipped({0}, tokens)
    for character in text:
        following = set()
        for state in states:
            token = tokens[state] if state < len(tokens) else ""
            if token == character and token != "*":
                following.add(state + 1)
            elif token.startswith("**") or (token == "*" and character != "/"):
                following.add(state)
        states = _skipped(following, tokens)
        if not states:
            return False
    return len(tokens) in states


_START, _HOST, _COMPONENT, _WORD, _DOT, _LINE, _LINES, _DASH = range(8)
# What may follow what in HOST/REPOSITORY (distribution, "reference"): from each state, by kind of character. The
# characters of a host are not looked at closely; a host without a star was checked as a whole.
_FOLLOWS: dict[int, dict[str, int]] = {
    _START: dict.fromkeys("a.-:[]", _HOST),
    _HOST: {**dict.fromkeys("a.-:[]", _HOST), "/": _COMPONENT},
    _COMPONENT: {"a": _WORD},
    _WORD: {"a": _WORD, ".": _DOT, "_": _LINE, "-": _DASH, "/": _COMPONENT},
    _DOT: {"a": _WORD},
    _LINE: {"a": _WORD, "_": _LINES},
    _LINES: {"a": _WORD},
    _DASH: {"a": _WORD, "-": _DASH},
}


def can_match(pattern: str) -> bool:
    """Whether there is a name ``HOST/REPOSITORY`` that ``pattern`` matches."""
    tokens = _tokens(pattern)
    repository = pattern.partition("/")[2]
    if len(repository.replace("*", "")) > _LONGEST_REPOSITORY:
        return False
    pending, seen = [(0, _START)], {(0, _START)}
    while pending:
        at, state = pending.pop()
        if at == len(tokens):
            if state == _WORD:
                return True
            continue
        token = tokens[at]
        if token[0] == "*":
            following = [(at, step) for kind, step in _FOLLOWS[state].items() if kind != "/" or len(token) > 1]
            following.append((at + 1, state))
        else:
            kind = "a" if re.fullmatch("[a-z0-9]", token) else token
            following = [(at + 1, _FOLLOWS[state][kind])] if kind in _FOLLOWS[state] else []
        for step in following:
            if step not in seen:
                seen.add(step)
                pending.append(step)
    return False


def _tokens(pattern: str) -> list[str]:
    return re.findall(r"\*+|[^*]", pattern)


def _skipped(states: set[int], tokens: Sequence[str]) -> set[int]:
    """``states`` and those that follow because a star stands for nothing, too."""
    found = set(states)
    for state in states:
        while state < len(tokens) and tokens[state][0] == "*":
            state += 1  # noqa: PLW2901 - walks on from where it starts
            found.add(state)
    return found
