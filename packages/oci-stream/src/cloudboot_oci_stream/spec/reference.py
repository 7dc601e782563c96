"""How an image is named: in a registry, or in a folder.

    registry.example:5000/team/disk:v1@sha256:...     a registry
    oci:folder/of/images:v1@sha256:...                an OCI image layout, as other tools write it too

Where both a tag and a digest are given, the digest decides.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import re
import socket

from cloudboot_oci_stream.errors import DescriptorError, InvalidReferenceError
from cloudboot_oci_stream.spec.descriptor import check_digest

DEFAULT_TAG = "latest"
HUB = "docker.io"
HUB_NAMESPACE = "library"
HUB_NAMES = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OCI_ARCHIVE = "unpack it (mkdir FOLDER && tar -xf FILE -C FOLDER) and write oci:FOLDER:TAG"
_COPY = "skopeo copy SOURCE oci:FOLDER:TAG makes a folder that is read as oci:FOLDER:TAG"
#: Transports of skopeo and podman that are not read here, and what to do with an image in one.
_TRANSPORTS = {"oci-archive:": _OCI_ARCHIVE} | dict.fromkeys(
    ("containers-storage:", "dir:", "docker-archive:", "docker-daemon:", "ostree:", "sif:"), _COPY
)
_TRANSPORT = re.compile("|".join(_TRANSPORTS))
_NUMBERS = re.compile(r"(?:0[xX][0-9A-Fa-f]+|[0-9]+)(?:\.(?:0[xX][0-9A-Fa-f]+|[0-9]+)){0,3}")

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LAYOUT_DIGEST = re.compile(r"@([a-z0-9]+:[0-9A-Za-z]+)\Z")
_REF_NAME = re.compile(r"[A-Za-z0-9]+(?:(?:[-._:@+/]|--)[A-Za-z0-9]+)*")
"""What the image specification lets a name in a folder be ("Pre-Defined Annotation Keys")."""
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?P<name>\[[0-9A-Fa-f:.]+\]|{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[0-9]{{1,5}}))?")
_LONGEST = 4096
_LONGEST_NAME = 512


@dataclasses.dataclass(frozen=True, slots=True)
class RegistryReference:
    """An image in a registry. ``host`` is a name or address with an optional port.

    In a repository of Docker Hub without a namespace, ``library`` is added: that is what the registry knows it by.
    """

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        _check_host(self.host)
        if "/" not in self.repository and canonical_host(self.host) == HUB:
            object.__setattr__(self, "repository", f"{HUB_NAMESPACE}/{self.repository}")
        if len(self.repository) > 255 or _REPOSITORY.fullmatch(self.repository) is None:
            lower = self.repository.lower()
            raise InvalidReferenceError(
                "not a repository name",
                expected="lower-case words joined by / . _ or -",
                actual=self.repository,
                hint=f"write {self.host}/{lower}" if len(lower) <= 255 and _REPOSITORY.fullmatch(lower) else None,
            )
        _check_target(self.tag, self.digest)

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}{_suffix(self.tag, self.digest)}"

    @property
    def target(self) -> str:
        """What to ask the registry for: the digest, else the tag, else ``latest``."""
        return self.digest or self.tag or DEFAULT_TAG

    @property
    def is_loopback(self) -> bool:
        """Whether the registry runs on this machine."""
        return is_loopback(split_host(self.host)[0])


@dataclasses.dataclass(frozen=True, slots=True)
class LayoutReference:
    """An image in an OCI image layout folder; without a tag and digest, the only one there.

    ``tag`` is the image's name there: a tag, or what else the image specification allows, such as ``disk:v1``.
    """

    folder: str
    tag: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if not self.folder or "\0" in self.folder:
            raise InvalidReferenceError("no folder is named", actual=self.folder, hint="write oci:FOLDER:TAG")
        if self.tag is None and ":" in self.folder.rpartition("/")[2]:
            # Written down, what follows the colon would be a tag.
            raise InvalidReferenceError("a folder with a colon in its name needs a tag", actual=self.folder)
        is_name = self.tag is not None and len(self.tag) <= _LONGEST_NAME and _REF_NAME.fullmatch(self.tag)
        _check_target(None if is_name else self.tag, self.digest)

    def __str__(self) -> str:
        return f"oci:{self.folder}{_suffix(self.tag, self.digest)}"


Reference = RegistryReference | LayoutReference


def parse_reference(text: str) -> Reference:
    """The image that ``text`` names.

    Raises:
        InvalidReferenceError: it names none.
    """
    if len(text) > _LONGEST:
        raise InvalidReferenceError("too long for a reference", expected=f"at most {_LONGEST}", actual=len(text))
    if found := _SCHEME.match(text):
        raise InvalidReferenceError("a reference has no scheme", actual=found[0], hint=_without_scheme(text))
    if text.startswith(("/", ".", "~")):
        raise InvalidReferenceError("a path is no reference", actual=text, hint=f"a folder of images is oci:{text}")
    if found := _TRANSPORT.match(text):
        raise InvalidReferenceError("images in this form are not read", actual=found[0], hint=_TRANSPORTS[found[0]])
    rest, at, digest = text.partition("@") if not text.startswith("oci:") else _split_layout_digest(text)
    if text.startswith("oci:"):
        folder, colon, tag = rest.removeprefix("oci:").rpartition(":")
        if colon and not tag:
            raise InvalidReferenceError("an empty tag", actual=text)
        if not colon or "/" in tag:
            folder, tag = rest.removeprefix("oci:"), ""
        return LayoutReference(folder, tag or None, digest if at else None)
    host, slash, path = rest.partition("/")
    if at and "/" in digest:
        # The text is not quoted: what is before the @ may be a password.
        raise InvalidReferenceError(
            "a reference has no user name or password before its host", hint="give --username and --password-stdin"
        )
    if not slash or not looks_like_host(host):
        raise InvalidReferenceError(
            "no registry is named", actual=text, hint="write HOST[:PORT]/REPOSITORY:TAG, or oci:FOLDER:TAG"
        )
    repository, colon, tag = path.partition(":")
    if colon and not tag:
        raise InvalidReferenceError("an empty tag", actual=text)
    return RegistryReference(host, repository, tag if colon else None, digest if at else None)


def split_layout(reference: LayoutReference) -> list[LayoutReference]:
    """The other folders and names that the text of ``reference`` can mean, the longest folder first.

    A colon may be part of either: ``oci:images:disk:v1`` is an image in ``images:disk``, or ``disk:v1`` in ``images``,
    as skopeo writes it.
    """
    text = reference.folder + (f":{reference.tag}" if reference.tag else "")
    found = []
    for place in range(len(reference.folder) - 1, 0, -1):
        if text[place] == ":" and _REF_NAME.fullmatch(text, place + 1):
            with contextlib.suppress(InvalidReferenceError):
                found.append(dataclasses.replace(reference, folder=text[:place], tag=text[place + 1 :]))
    return found


def is_tag(text: str) -> bool:
    """Whether ``text`` has the form of a tag (OCI Distribution Specification 1.1)."""
    return _TAG.fullmatch(text) is not None


def looks_like_host(text: str) -> bool:
    """Whether the first part of a reference is a registry: only then is it not the first part of a repository."""
    return text.lower() == "localhost" or bool(set(text) & set(".:"))


def split_host(host: str) -> tuple[str, int | None]:
    """``"name:port"`` or ``"[::1]:port"`` as name (without brackets) and port."""
    found = _HOST.fullmatch(host)
    if found is None:
        raise InvalidReferenceError("not a host", expected="NAME[:PORT]", actual=host)
    port = int(found["port"]) if found["port"] is not None else None
    if port is not None and not 0 < port < 65536:
        raise InvalidReferenceError("not a port", expected="1 to 65535", actual=port)
    return found["name"].strip("[]"), port


def is_loopback(name: str) -> bool:
    """Whether a host name or address, however it is spelled, means this machine.

    The unspecified addresses do, since Linux connects those to the machine itself.
    """
    address = address_of(name)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    name = name.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that ``name`` spells, as the C library reads it (``127.1`` and ``0x7f000001`` are addresses).

    An IPv4 address inside an IPv6 one counts as what it is. ``None`` for a name that has to be looked up.
    """
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        if _NUMBERS.fullmatch(name) is None:
            return None
        try:
            return ipaddress.IPv4Address(socket.inet_aton(name))
        except OSError:
            return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def canonical_host(host: str) -> str:
    """The one spelling of a registry's host: lower case, addresses in their shortest form, no default port.

    Docker Hub's names are one, and so are all names and addresses of this machine.
    """
    name, port = split_host(host)
    if is_loopback(name):
        # Which of the two an address without a port means depends on how the registry is reached.
        return "localhost" if port in {None, 80, 443} else f"localhost:{port}"
    address = address_of(name)
    name = str(address) if address is not None else name.lower().rstrip(".")
    if name in HUB_NAMES and port in {None, 443}:
        return HUB
    shown = f"[{name}]" if ":" in name else name
    return shown if port in {None, 443} else f"{shown}:{port}"


def _check_host(host: str) -> None:
    name, _ = split_host(host)
    if ":" in name:
        try:
            ipaddress.IPv6Address(name)
        except ValueError:
            raise InvalidReferenceError("not an IPv6 address", actual=host) from None


def _check_target(tag: str | None, digest: str | None) -> None:
    if tag is not None and _TAG.fullmatch(tag) is None:
        raise InvalidReferenceError("not a tag", expected="letters, digits, . _ - (at most 128)", actual=tag)
    if digest is not None:
        try:
            check_digest(digest)
        except DescriptorError as error:
            raise InvalidReferenceError(error.message, expected=error.expected, actual=error.actual) from None


def _split_layout_digest(text: str) -> tuple[str, str, str]:
    # A folder may well have an @ in its name; only what looks like a digest is one.
    found = _LAYOUT_DIGEST.search(text)
    return (text[: found.start()], "@", found[1]) if found else (text, "", "")


def _without_scheme(text: str) -> str:
    """What to write instead of a reference with a scheme."""
    scheme, _, rest = text.partition("://")
    rest = rest.strip("/")
    try:
        example = str(parse_reference(rest))
    except InvalidReferenceError:
        example = "HOST[:PORT]/REPOSITORY:TAG"
    if scheme == "oci":
        return f"write {example} for a registry, or oci:FOLDER:TAG (without two slashes) for a folder"
    return f"write {example}"


def _suffix(tag: str | None, digest: str | None) -> str:
    return (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
