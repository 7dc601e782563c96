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

The first rule with a pattern for the image decides, and no other is looked at. Patterns are those of :mod:`.patterns`;
one that can match no image is an error. File names are relative to the policy's own folder.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Self, cast

from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import PolicyError, RefusedByPolicyError
from cloudboot_oci_stream.inputs import read_input
from cloudboot_oci_stream.signatures.extra import require_extra
from cloudboot_oci_stream.signatures.patterns import (
    FOLDER,
    ImageNames,
    ImagePattern,
    image_name,
    matches,
    stated_names,
    stated_patterns,
)
from cloudboot_oci_stream.signatures.payloads import SIGN_PREDICATE
from cloudboot_oci_stream.spec.reference import LayoutReference

if TYPE_CHECKING:
    from cloudboot_oci_stream.signatures.keys import PublicKey
    from cloudboot_oci_stream.spec.reference import Reference

Action = Literal["verify", "accept", "refuse"]

LARGEST_POLICY = 1 << 18


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The root of trust that certificates and logs are held against.

    Either ``file``, a trusted root (or a client's trust configuration) in Sigstore's JSON, or ``tuf``: ``production``,
    ``staging``, or the URL of a TUF repository whose first root metadata is ``root``. ``offline`` takes what an earlier
    update left, without a connection.

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
    _patterns: tuple[ImagePattern, ...] = dataclasses.field(init=False, repr=False, compare=False, default=())
    _stated: tuple[str, ...] = dataclasses.field(init=False, repr=False, compare=False, default=())

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
        object.__setattr__(self, "_patterns", tuple(self._compiled(text) for text in self.images))
        object.__setattr__(self, "_stated", tuple(form for text in self.signed_as for form in stated_patterns(text)))
        if self.action == "verify" and not 1 <= self.threshold <= (signers if not self.identities else 100):
            raise PolicyError(f"{self.name}: a threshold that cannot be met", actual=self.threshold)

    def _compiled(self, text: str) -> ImagePattern:
        try:
            return ImagePattern.compile(text)
        except PolicyError as error:
            error.message = f"{self.name}: {error.message}"
            raise

    def covers(self, reference: Reference, folder: str | None = None) -> bool:
        """Whether the rule is for the image; ``folder`` is the real path of its folder, where that is open already.

        A rule that accepts goes by real paths alone.
        """
        names = ImageNames.of(reference, folder)
        return any(pattern.covers(names, is_strict=self.action == "accept") for pattern in self._patterns)

    def accepts_name(self, reference: Reference, name: str | None) -> bool:
        """Whether a signature of the image may name ``name`` as its repository."""
        if self.signed_as:
            return bool(name) and any(
                matches(pattern, stated) for pattern in self._stated for stated in stated_names(name or "")
            )
        return not name or isinstance(reference, LayoutReference) or stated_names(name)[0] == image_name(reference)


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """Rules in order, and what happens to images that none is for."""

    rules: Sequence[Rule]
    default: Literal["accept", "refuse"] = "refuse"

    def __post_init__(self) -> None:
        if self.default not in {"accept", "refuse"}:
            raise PolicyError("no such default", expected="accept or refuse", actual=self.default)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, deadline: float | Deadline | None = None) -> Self:
        """The policy in a file or pipe, with the keys it names.

        Raises:
            PolicyError: it cannot be used.
            TransferTimeoutError: nothing came out of a pipe for half a minute, or until the deadline.
            OSError: it, or a key it names, cannot be read.
        """
        limit = Deadline.of(deadline)
        data = read_input(path, LARGEST_POLICY, limit)
        try:
            return cls.parse(data, os.path.dirname(os.fspath(path)) or ".", deadline=limit)
        except PolicyError as error:
            error.reference = error.reference or os.fspath(path)
            raise

    @classmethod
    def parse(
        cls, data: bytes, folder: str | os.PathLike[str] = ".", *, deadline: float | Deadline | None = None
    ) -> Self:
        """The policy in TOML text; file names in it are relative to ``folder``.

        Raises:
            PolicyError: it cannot be used.
            MissingExtraError: the extra ``sign`` is not installed.
            OSError: a key it names cannot be read.
        """
        require_extra()
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
        limit = Deadline.of(deadline)
        rules = [_rule(f"rule {number}", entry, trusts, where, limit) for number, entry in enumerate(entries, 1)]
        return cls(tuple(rules), cast("Literal['accept', 'refuse']", default))

    @classmethod
    def of_one_rule(
        cls,
        *,
        keys: Sequence[str | os.PathLike[str]] = (),
        subject: str | None = None,
        issuer: str | None = None,
        trust_root: str | os.PathLike[str] | None = None,
        deadline: float | Deadline | None = None,
    ) -> Self:
        """The policy that one of the ``keys`` (files), or ``subject`` as ``issuer`` vouches, signed every image.

        Without ``trust_root`` (a file), certificates are proved by Sigstore's public instance.

        Raises:
            PolicyError: neither a key nor an identity is given, half an identity is, or a key cannot be used.
            OSError: a key cannot be read.
        """
        require_extra()
        from cloudboot_oci_stream.signatures.keys import PublicKey

        identities = []
        if subject or issuer or trust_root:
            trust = Trust(file=trust_root) if trust_root else Trust(tuf="production")
            identities = [Identity(issuer=issuer or "", subject=subject or "", trust=trust)]
        limit = Deadline.of(deadline)
        rule = Rule(keys=[PublicKey.load(path, limit) for path in keys], identities=identities, name="the only rule")
        return cls([rule])

    def rule_for(self, reference: Reference, folder: str | None = None) -> Rule:
        """The first rule that is for the image; ``folder`` is the real path of its folder, where that is open already.

        Raises:
            RefusedByPolicyError: the rule refuses the image, or no rule is for it and the default refuses.
        """
        rule = next((rule for rule in self.rules if rule.covers(reference, folder)), None)
        if rule is None and self.default == "accept":
            return Rule(action="accept", name="default")
        if rule is None or rule.action == "refuse":
            raise RefusedByPolicyError(
                "no rule of the policy is for this image" if rule is None else f"{rule.name} refuses this image",
                actual=ImageNames.of(reference, folder).real[0],
            )
        return rule


def _toml(data: bytes) -> dict[str, object]:
    import tomllib

    if len(data) > LARGEST_POLICY:
        raise PolicyError("too large for a policy", expected=f"at most {LARGEST_POLICY}")
    try:
        return tomllib.loads(data.decode())
    except ValueError as error:
        is_json = data.lstrip()[:1] == b"{"
        raise PolicyError(
            f"the policy is not TOML: {error}",
            hint="it is JSON, perhaps a policy.json of skopeo and podman, which has other rules" if is_json else None,
        ) from None
    except RecursionError:
        raise PolicyError("the policy nests too deeply") from None


def _rule(name: str, value: object, trusts: Mapping[str, Trust], folder: str, deadline: Deadline) -> Rule:
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
        keys=[_key(text, folder, deadline) for text in _strings(name, table.pop("keys", []))],
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


def _key(text: str, folder: str, deadline: Deadline) -> PublicKey:
    from cloudboot_oci_stream.signatures.keys import PublicKey, check_key_name

    if text.lstrip().startswith("-----BEGIN"):
        return PublicKey.from_pem(text.encode(), "a key in the policy")
    check_key_name(text)
    return PublicKey.load(os.path.join(folder, text), deadline)


def _image_pattern(rule: str, text: str, folder: str) -> str:
    """A pattern for a rule; folders are made absolute."""
    if not text.startswith(FOLDER) or text == f"{FOLDER}**":
        return text
    path = text.removeprefix(FOLDER)
    if not path:
        raise PolicyError(f"{rule}: not a pattern for images", expected="HOST/REPOSITORY or oci:FOLDER", actual=text)
    return f"{FOLDER}{os.path.join(os.path.abspath(folder), path)}"


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
