"""Content descriptors and digests.

OCI Image Format Specification 1.1, "OCI Content Descriptors".
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import re
from collections.abc import Mapping
from typing import Self

from cloudboot_oci_stream.errors import DescriptorError

DIGEST_LENGTHS = {"sha256": 64, "sha512": 128}
"""Hexadecimal digits of each registered algorithm."""

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}

LARGEST_SIZE = (1 << 63) - 1
"""``size`` is an int64."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_DIGEST = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)")
_RESTRICTED_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(f"{_RESTRICTED_NAME}/{_RESTRICTED_NAME}")


def check_digest(digest: object) -> str:
    """``digest`` if it is ``sha256:`` or ``sha512:`` and as many lower-case hexadecimal digits as that takes.

    Raises:
        DescriptorError: it is anything else.
    """
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) and len(digest) <= 256 else None
    if found is None:
        raise DescriptorError("not a digest", expected="sha256:<64 hexadecimal digits>", actual=digest)
    algorithm, encoded = found.groups()
    length = DIGEST_LENGTHS.get(algorithm)
    if length is None:
        raise DescriptorError("an unknown digest algorithm", expected=" or ".join(DIGEST_LENGTHS), actual=algorithm)
    if len(encoded) != length or re.fullmatch("[0-9a-f]+", encoded) is None:
        raise DescriptorError(f"not a {algorithm} digest", expected=f"{length} lower-case digits", actual=digest)
    return found.group()


def algorithm_of(digest: str) -> str:
    """``"sha256"`` of ``"sha256:..."``."""
    return digest.partition(":")[0]


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """The digest of ``data`` in the notation of the specification."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def check_time(text: str) -> str:
    """``text`` if it is a moment in the form of RFC 3339 section 5.6.

    Raises:
        DescriptorError: it is not.
    """
    try:
        if _TIME.fullmatch(text):
            datetime.datetime.fromisoformat(text.upper())
            return text
    except ValueError:
        pass
    raise DescriptorError("not a time in the form of RFC 3339", expected="2026-01-31T12:00:00Z", actual=text)


def check_media_type(media_type: object) -> str:
    """``media_type`` if RFC 6838 section 4.2 allows it.

    Raises:
        DescriptorError: it does not.
    """
    if not isinstance(media_type, str) or _MEDIA_TYPE.fullmatch(media_type) is None:
        raise DescriptorError("not a media type", expected="type/subtype", actual=media_type)
    return media_type


@dataclasses.dataclass(frozen=True, slots=True)
class Platform:
    """What an entry of an index runs on."""

    os: str
    architecture: str
    variant: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``"linux/arm64/v8"``.

        Raises:
            DescriptorError: not two or three parts.
        """
        parts = text.split("/")
        if not 2 <= len(parts) <= 3 or not all(parts):
            raise DescriptorError("not a platform", expected="os/architecture[/variant]", actual=text)
        return cls(*parts)

    def matches(self, wanted: Platform) -> bool:
        """Whether this is ``wanted``, by whichever of its names; a wanted platform without a variant takes any."""
        mine, theirs = self._names(), wanted._names()
        return mine[:2] == theirs[:2] and theirs[2] in {"", mine[2]}

    def _names(self) -> tuple[str, str, str]:
        """Go's names for it, as containerd normalises them: ``aarch64`` is ``arm64``, whose only variant is ``v8``."""
        architecture, variant = _ARCHITECTURES.get(self.architecture.lower(), (self.architecture.lower(), ""))
        variant = (self.variant or variant).lower()
        return self.os.lower(), architecture, "" if (architecture, variant) == ("arm64", "v8") else variant


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Content by type, digest and size in bytes.

    Raises:
        DescriptorError: a malformed digest or media type, an unknown algorithm, a size that is no int64 from 0 on.
    """

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    artifact_type: str | None = None
    platform: Platform | None = None

    def __post_init__(self) -> None:
        check_media_type(self.media_type)
        check_digest(self.digest)
        if isinstance(self.size, bool) or not isinstance(self.size, int) or not 0 <= self.size <= LARGEST_SIZE:
            raise DescriptorError("not a size", digest=self.digest, expected="0 to 2^63-1", actual=self.size)
        if self.artifact_type is not None:
            check_media_type(self.artifact_type)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The descriptor that a parsed JSON object holds; members this package has no use for are passed over.

        Raises:
            DescriptorError: a member is missing or of the wrong kind.
        """
        if not isinstance(value, Mapping):
            raise DescriptorError("not a descriptor", expected="an object", actual=type(value).__name__)
        for name in ("mediaType", "digest", "size"):
            if name not in value:
                raise DescriptorError("a descriptor lacks a member", expected=name)
        return cls(
            media_type=value["mediaType"],
            digest=value["digest"],
            size=value["size"],
            annotations=read_annotations(value.get("annotations")),
            artifact_type=value.get("artifactType") or None,
            platform=_platform(value.get("platform")),
        )

    def as_json(self) -> dict[str, object]:
        """The descriptor as a JSON object."""
        value: dict[str, object] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type is not None:
            value["artifactType"] = self.artifact_type
        if self.annotations:
            value["annotations"] = dict(sorted(self.annotations.items()))
        if self.platform is not None:
            platform = {"architecture": self.platform.architecture, "os": self.platform.os}
            value["platform"] = platform | ({"variant": self.platform.variant} if self.platform.variant else {})
        return value


def read_annotations(value: object) -> dict[str, str]:
    """Annotations of a document that was read: as :func:`check_annotations`; null is an empty string, as in Go."""
    if isinstance(value, Mapping):
        value = {name: "" if text is None else text for name, text in value.items()}
    return check_annotations(value)


def check_annotations(value: object) -> dict[str, str]:
    """``value`` as annotations, a map of strings to strings; ``None`` is an empty one.

    Raises:
        DescriptorError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DescriptorError("annotations that are no object", actual=type(value).__name__)
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise DescriptorError("an annotation that is no string", expected=f"a string for {name}", actual=text)
    return dict(value)


def own_annotations(value: Mapping[str, str] | None) -> dict[str, str]:
    """Annotations to be written, which every reader can read.

    Raises:
        DescriptorError: not a map of strings to strings, or one that UTF-8 cannot hold.
    """
    checked = check_annotations(value)
    for name, text in checked.items():
        try:
            f"{name}{text}".encode()
        except UnicodeEncodeError:
            raise DescriptorError(
                "an annotation that is not UTF-8", expected="UTF-8", actual=f"{name}={text}"
            ) from None
    return checked


def _platform(value: object) -> Platform | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise DescriptorError("a platform that is no object", actual=type(value).__name__)
    # What is missing or null is an empty string, as in Go.
    members = [value.get(name) or "" for name in ("os", "architecture", "variant")]
    if not all(isinstance(member, str) for member in members):
        raise DescriptorError("not a platform", expected="os and architecture as strings", actual=dict(value))
    system, architecture, variant = members
    return Platform(system, architecture, variant or None) if any(members) else None
