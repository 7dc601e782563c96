"""Policies: whose signature an image needs, by the repository or folder it is in.

A policy is a TOML file::

    version = 1
    default = "refuse"                # images that no rule is for: "refuse" or "accept"

    [trust.public]                    # where identities are proved; a file, or a TUF repository
    tuf = "production"

    [[rule]]
    images = ["registry.example/os/**"]
    keys = ["release.pub"]
    identities = [{ issuer = "https://token.actions.githubusercontent.com",
                    subject = "https://github.com/example/os/.github/workflows/release.yml@refs/tags/*" }]

The first rule with a pattern for the image decides, and no other is looked at. In patterns ``*`` stands for anything
without a slash, ``**`` for anything. File names are relative to the policy's own folder.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Self, cast

from .errors import InvalidReferenceError, PolicyError, RefusedByPolicyError
from .reference import LayoutReference, RegistryReference, parse_reference, split_host
from .signatures.payloads import SIGN_PREDICATE

if TYPE_CHECKING:
    from .reference import Reference
    from .signatures.keys import PublicKey

Action = Literal["verify", "accept", "refuse"]

LARGEST_POLICY = 1 << 18

_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The root of trust that certificates and logs are held against.

    Either ``file``, a trusted root (or a client's trust configuration) in Sigstore's JSON, or ``tuf``: ``production``,
    ``staging``, or the URL of a TUF repository whose first root metadata is ``root``. ``offline`` takes what an earlier
    update left, and asks nobody.

    Raises:
        PolicyError: not exactly one of the two, or ``root`` where it has no meaning.
    """

    file: str | os.PathLike[str] | None = None
    tuf: str | None = None
    root: str | os.PathLike[str] | None = None
    offline: bool = False

    def __post_init__(self) -> None:
        if (self.file is None) == (self.tuf is None):
            raise PolicyError("a trust root is either a file or a TUF repository")
        if self.tuf in {"production", "staging"} or self.file is not None:
            if self.root is not None:
                raise PolicyError("root is for TUF repositories of your own", actual=self.tuf or self.file)
        elif self.tuf is not None and not self.tuf.startswith(("https://", "http://")):
            raise PolicyError("not a TUF repository", expected="production, staging or a URL", actual=self.tuf)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a certificate has to be for: ``subject`` (an e-mail address or URI; a pattern) as ``issuer`` vouches.

    Raises:
        PolicyError: a subject or issuer that is empty.
    """

    issuer: str
    subject: str
    trust: Trust

    def __post_init__(self) -> None:
        if not self.issuer or not self.subject:
            raise PolicyError("an identity needs both an issuer and a subject", actual=self.subject or self.issuer)

    def matches(self, issuer: str, subject: str) -> bool:
        """Whether a certificate's issuer and subject are the wanted ones."""
        return issuer == self.issuer and matches(self.subject, subject)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What images matching ``images`` need.

    ``action`` ``verify`` wants signatures of ``threshold`` different signers among ``keys`` and ``identities``;
    ``accept`` and ``refuse`` want nothing. ``signed_as`` are patterns for the repository a signature has to name;
    without any, a signature that names one has to name the image's own, and one that names none will do (folders have
    no name of their own: there any will do). ``predicates`` are the types of in-toto statements that count.

    Raises:
        PolicyError: a rule that cannot be kept, or that means nothing.
    """

    images: Sequence[str] = ("**", "oci:**")
    action: Action = "verify"
    keys: Sequence[PublicKey] = ()
    identities: Sequence[Identity] = ()
    threshold: int = 1
    signed_as: Sequence[str] = ()
    predicates: Sequence[str] = (SIGN_PREDICATE,)
    name: str = "rule"

    def __post_init__(self) -> None:
        if not self.images:
            raise PolicyError(f"{self.name}: no images")
        if self.action not in {"verify", "accept", "refuse"}:
            raise PolicyError(f"{self.name}: no such action", expected="verify, accept or refuse", actual=self.action)
        signers = len(self.keys) + len(self.identities)
        if self.action != "verify" and signers:
            raise PolicyError(f"{self.name}: keys and identities with an action that looks at none", actual=self.action)
        if self.action == "verify" and not signers:
            raise PolicyError(f"{self.name}: neither keys nor identities")
        if len({key.spki for key in self.keys}) != len(self.keys):
            raise PolicyError(f"{self.name}: the same key twice")
        if self.action == "verify" and not 1 <= self.threshold <= (signers if not self.identities else 100):
            raise PolicyError(f"{self.name}: a threshold that cannot be met", actual=self.threshold)

    def covers(self, reference: Reference) -> bool:
        """Whether the rule is for the image."""
        name = image_name(reference)
        return any(matches(pattern, name) for pattern in self.images)

    def accepts_name(self, reference: Reference, name: str | None) -> bool:
        """Whether a signature of the image may name ``name`` as its repository."""
        if self.signed_as:
            return bool(name) and any(matches(pattern, _stated_name(name or "")) for pattern in self.signed_as)
        return not name or isinstance(reference, LayoutReference) or _stated_name(name) == image_name(reference)


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """Rules in order, and what happens to images that none is for."""

    rules: Sequence[Rule]
    default: Literal["accept", "refuse"] = "refuse"

    def __post_init__(self) -> None:
        if self.default not in {"accept", "refuse"}:
            raise PolicyError("no such default", expected="accept or refuse", actual=self.default)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The policy in a file, with the keys it names.

        Raises:
            PolicyError: it cannot be used.
            OSError: it, or a key it names, cannot be read.
        """
        with open(path, "rb") as file:
            data = file.read(LARGEST_POLICY + 1)
        return cls.parse(data, os.path.dirname(os.fspath(path)) or ".")

    @classmethod
    def parse(cls, data: bytes, folder: str | os.PathLike[str] = ".") -> Self:
        """The policy in TOML text; file names in it are relative to ``folder``.

        Raises:
            PolicyError: it cannot be used.
            OSError: a key it names cannot be read.
        """
        table = _toml(data)
        if (version := table.pop("version", None)) != 1 or isinstance(version, bool):
            raise PolicyError("an unknown version of policy", expected="version = 1")
        if "default" not in table:
            raise PolicyError("the policy does not say what happens to images without a rule", expected="default")
        default = _string("default", table.pop("default"))
        where = os.fspath(folder)
        trusts = {
            name: _trust(f"trust.{name}", entry, where)
            for name, entry in _table("trust", table.pop("trust", {})).items()
        }
        entries = table.pop("rule", [])
        if not isinstance(entries, list):
            raise PolicyError("rule is no array of tables", expected="[[rule]]")
        _nothing_left("the policy", table)
        rules = [_rule(f"rule {number}", entry, trusts, where) for number, entry in enumerate(entries, 1)]
        return cls(tuple(rules), cast("Literal['accept', 'refuse']", default))

    @classmethod
    def of_one_rule(
        cls,
        *,
        keys: Sequence[str | os.PathLike[str]] = (),
        subject: str | None = None,
        issuer: str | None = None,
        trust_root: str | os.PathLike[str] | None = None,
    ) -> Self:
        """The policy that one of the ``keys`` (files), or ``subject`` as ``issuer`` vouches, signed every image.

        Without ``trust_root`` (a file), certificates are proved by Sigstore's public instance.

        Raises:
            PolicyError: nobody is named, half an identity, or a key that cannot be used.
            OSError: a key cannot be read.
        """
        from .signatures.keys import PublicKey

        identities = []
        if subject or issuer or trust_root:
            trust = Trust(file=trust_root) if trust_root else Trust(tuf="production")
            identities = [Identity(issuer=issuer or "", subject=subject or "", trust=trust)]
        rule = Rule(keys=[PublicKey.load(path) for path in keys], identities=identities, name="the only rule")
        return cls([rule])

    def rule_for(self, reference: Reference) -> Rule:
        """The first rule that is for the image.

        Raises:
            RefusedByPolicyError: it refuses the image, or there is none and the default refuses.
        """
        rule = next((rule for rule in self.rules if rule.covers(reference)), None)
        if rule is None and self.default == "accept":
            return Rule(action="accept", name="default")
        if rule is None or rule.action == "refuse":
            raise RefusedByPolicyError(
                "no rule of the policy is for this image" if rule is None else f"{rule.name} refuses this image",
                actual=image_name(reference),
            )
        return rule


def image_name(reference: Reference) -> str:
    """The name that patterns are compared with: ``HOST/REPOSITORY``, or ``oci:`` and the folder's real path.

    Ways to write the same are one: upper case and the port 443 in a host, the names of Docker Hub, symbolic links.
    """
    if isinstance(reference, RegistryReference):
        host, port = split_host(reference.host)
        host = "docker.io" if host.lower() in _HUB else host.lower()
        shown = f"[{host}]" if ":" in host else host
        return f"{shown}{'' if port in {None, 443} else f':{port}'}/{reference.repository}"
    return f"oci:{os.path.realpath(reference.folder)}"


def _stated_name(name: str) -> str:
    """The name in a signature in the same form, without tag and digest."""
    try:
        reference = parse_reference(name)
    except InvalidReferenceError:
        return name
    return image_name(reference) if isinstance(reference, RegistryReference) else name


def matches(pattern: str, text: str) -> bool:
    """Whether all of ``text`` fits ``pattern``, in time that grows with their product only, whatever the stars."""
    tokens = re.findall(r"\*+|[^*]", pattern)
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


def _skipped(states: set[int], tokens: Sequence[str]) -> set[int]:
    """``states`` and those that follow because a star stands for nothing, too."""
    found = set(states)
    for state in states:
        while state < len(tokens) and tokens[state][0] == "*":
            state += 1  # noqa: PLW2901 - walks on from where it starts
            found.add(state)
    return found


def _toml(data: bytes) -> dict[str, object]:
    import tomllib

    if len(data) > LARGEST_POLICY:
        raise PolicyError("too large for a policy", expected=f"at most {LARGEST_POLICY}")
    try:
        return tomllib.loads(data.decode())
    except ValueError as error:
        raise PolicyError(f"the policy is not TOML: {error}") from None
    except RecursionError:
        raise PolicyError("the policy nests too deeply") from None


def _rule(name: str, value: object, trusts: Mapping[str, Trust], folder: str) -> Rule:
    table = _table(name, value)
    name = _string(name, table.pop("name", name))
    action = _string(name, table.pop("action", "verify"))
    threshold = table.pop("threshold", 1)
    if not isinstance(threshold, int) or isinstance(threshold, bool):
        raise PolicyError(f"{name}: the threshold is no number", actual=threshold)
    identities = table.pop("identities", [])
    if not isinstance(identities, list):
        raise PolicyError(f"{name}: identities are no array", expected="[{ issuer = ..., subject = ... }]")
    rule = Rule(
        name=name,
        images=[_image_pattern(name, text, folder) for text in _strings(name, table.pop("images", []))],
        action=cast("Action", action),
        keys=[_key(text, folder) for text in _strings(name, table.pop("keys", []))],
        identities=[_identity(name, entry, trusts) for entry in identities],
        threshold=threshold,
        signed_as=_strings(name, table.pop("signed_as", [])),
        predicates=_strings(name, table.pop("predicates", [SIGN_PREDICATE])),
    )
    _nothing_left(name, table)
    return rule


def _identity(rule: str, value: object, trusts: Mapping[str, Trust]) -> Identity:
    table = _table(f"{rule}: an identity", value)
    named = table.pop("trust", None)
    if named is None and len(trusts) != 1:
        raise PolicyError(f"{rule}: an identity does not say which trust root proves it", expected="trust = NAME")
    trust = next(iter(trusts.values())) if named is None else trusts.get(_string(rule, named))
    if trust is None:
        raise PolicyError(f"{rule}: no such trust root", expected=", ".join(trusts) or "[trust.NAME]", actual=named)
    identity = Identity(
        issuer=_string(rule, table.pop("issuer", "")), subject=_string(rule, table.pop("subject", "")), trust=trust
    )
    _nothing_left(f"{rule}: an identity", table)
    return identity


def _trust(name: str, value: object, folder: str) -> Trust:
    table = _table(name, value)
    file, tuf, root = (table.pop(key, None) for key in ("file", "tuf", "root"))
    offline = table.pop("offline", False)
    if not isinstance(offline, bool):
        raise PolicyError(f"{name}: offline is neither true nor false", actual=offline)
    _nothing_left(name, table)
    return Trust(
        file=None if file is None else os.path.join(folder, _string(name, file)),
        tuf=None if tuf is None else _string(name, tuf),
        root=None if root is None else os.path.join(folder, _string(name, root)),
        offline=offline,
    )


def _key(text: str, folder: str) -> PublicKey:
    from .signatures.keys import PublicKey

    if text.lstrip().startswith("-----BEGIN"):
        return PublicKey.from_pem(text.encode(), "a key in the policy")
    return PublicKey.load(os.path.join(folder, text))


def _image_pattern(rule: str, text: str, folder: str) -> str:
    """A pattern for :func:`image_name`: folders are made absolute, and their symbolic links followed up to a star."""
    if not text.startswith("oci:"):
        if not text or text.startswith("/") or "://" in text or "@" in text:
            raise PolicyError(
                f"{rule}: not a pattern for images", expected="HOST/REPOSITORY or oci:FOLDER", actual=text
            )
        return text
    path = text.removeprefix("oci:")
    if path == "**":
        return text
    whole = os.path.join(os.path.abspath(folder), path)
    fixed, _, rest = whole.partition("*")
    stem, slash, begun = fixed.rpartition("/")
    if not rest and "*" not in whole:
        return f"oci:{os.path.realpath(whole)}"
    return f"oci:{os.path.realpath(stem or '/').rstrip('/')}{slash}{begun}{whole[len(fixed) :]}"


def _table(name: str, value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise PolicyError(f"{name} is no table", actual=type(value).__name__)
    return dict(value)


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise PolicyError(f"{name}: not a text", actual=value)
    return value


def _strings(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise PolicyError(f"{name}: not an array of texts", actual=value)
    return value


def _nothing_left(name: str, table: Mapping[str, object]) -> None:
    if table:
        raise PolicyError(f"{name}: unknown names", actual=", ".join(sorted(table)))
