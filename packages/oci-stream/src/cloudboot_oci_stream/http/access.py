"""How a registry is reached, and which parties may see what the user proves an identity with."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import ssl
import urllib.parse
from typing import TYPE_CHECKING, Self

from cloudboot_oci_stream.errors import CredentialError, OciError, ProtocolError
from cloudboot_oci_stream.inputs import file_of, read_input
from cloudboot_oci_stream.spec.reference import canonical_host, split_host

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cloudboot_oci_stream.deadline import Deadline

_LARGEST_PEM = 16 << 20
_DER = b"\x30\x82"  # a SEQUENCE of more than 255 bytes (X.690 sections 8.1.3.5 and 8.9)
_DEFAULT_PORTS = {"http": 80, "https": 443}

TOKEN_HOSTS = {
    "docker.io": ("auth.docker.io",),
    "registry.gitlab.com": ("gitlab.com",),
    "docker.elastic.co": ("docker-auth.elastic.co",),
    "registry.digitalocean.com": ("api.digitalocean.com",),
    "registry.connect.redhat.com": ("sso.redhat.com",),
}
"""Public registries whose token service has another host. All others are expected to give tokens on their own."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a registry is reached.

    ``insecure`` is plain HTTP: ``None`` uses it for this machine's own registries only (unless TLS material is
    given), true for any, false for none. ``username`` and ``password`` go before what the docker and podman
    configuration holds; ``auth_file`` replaces where that is looked for.

    Credentials and the client certificate are shown to the registry's own origin only, and to the token services
    named in ``token_hosts`` (``HOST`` or ``HOST:PORT``) or known for that registry (:data:`TOKEN_HOSTS`). ``ca_file``
    adds to the system's certificate authorities.

    ``stall`` is in seconds without a byte in either direction, and the limit for each attempt to connect;
    ``answer`` is in seconds that a registry may take to answer once all of an upload was sent; ``minimum_rate`` is in
    bytes a second over ``stall`` seconds. ``login_command`` is the command that hints name; the host follows it.
    """

    insecure: bool | None = None
    username: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    auth_file: str | os.PathLike[str] | None = None
    ca_file: str | os.PathLike[str] | None = None
    client_certificate: str | os.PathLike[str] | None = None
    client_key: str | os.PathLike[str] | None = None
    token_hosts: Collection[str] = ()
    stall: float = 30.0
    answer: float = 600.0
    minimum_rate: float = 1024.0
    login_command: str = "cloudboot-oci-stream login"

    def login_hint(self, host: str) -> str:
        """How a person gives the registry ``host`` a password."""
        return f"log in with '{self.login_command} {host}'"

    @property
    def has_tls_material(self) -> bool:
        """Whether a certificate authority or a client certificate is given."""
        return self.ca_file is not None or self.client_certificate is not None

    def tls_context(self, *, is_trusted: bool, deadline: Deadline | None = None) -> ssl.SSLContext:
        """A context that verifies peers against the system's authorities and the given ones.

        The client certificate is loaded only where the peer is one that may see it.

        Raises:
            CredentialError: a certificate or key cannot be read.
            TransferTimeoutError: one of the files is a pipe that nothing came out of.
        """
        read = functools.partial(_read_pem, deadline=deadline, stall=self.stall)
        context = ssl.create_default_context()
        if self.ca_file is not None:
            # Bundles have names of authorities in other letters between the certificates.
            data = read(self.ca_file)
            try:
                context.load_verify_locations(cadata=data.decode("ascii", "ignore"))
            except ssl.SSLError as error:
                raise _no_certificate(self.ca_file, data) from error
        if self.client_certificate is not None and is_trusted:
            certificate = read(self.client_certificate)
            key = read(self.client_key) if self.client_key else None
            with contextlib.ExitStack() as files:
                name = files.enter_context(file_of(certificate))
                key_name = None if key is None else files.enter_context(file_of(key))
                try:
                    # Without a function for the password OpenSSL would ask for it on the terminal and wait forever.
                    context.load_cert_chain(name, key_name, password=lambda: b"")
                except ssl.SSLError as error:
                    raise self._unusable_pair(certificate, key, error) from error
        return context

    def _unusable_pair(self, certificate: bytes, key: bytes | None, error: ssl.SSLError) -> CredentialError:
        """What is wrong with a client certificate and its key that OpenSSL does not take."""
        where, private = self.client_certificate or "", certificate if key is None else key
        holder = self.client_key or where
        if b"CERTIFICATE-----" not in certificate:
            return _no_certificate(where, certificate)
        if b"PRIVATE KEY-----" not in private:
            hint = None if self.client_key else "name the file of the key with client_key (--client-key)"
            return _unusable(holder, "it holds no private key in PEM form", hint)
        if b"ENCRYPTED" in private:
            return _unusable(holder, "its private key is encrypted", "openssl pkey writes it without a password")
        if error.reason == "KEY_VALUES_MISMATCH":
            return _unusable(holder, "its private key belongs to another certificate")
        return _unusable(holder, "it is damaged")


def _read_pem(path: str | os.PathLike[str], *, deadline: Deadline | None, stall: float) -> bytes:
    try:
        return read_input(path, _LARGEST_PEM, deadline, stall)
    except OciError:
        raise
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from error


def _unusable(path: str | os.PathLike[str], reason: str, hint: str | None = None) -> CredentialError:
    return CredentialError(f"the certificate or key {os.fsdecode(path)} cannot be used: {reason}", hint=hint)


def _no_certificate(path: str | os.PathLike[str], data: bytes) -> CredentialError:
    hint = f"openssl x509 -inform der -in {os.fsdecode(path)} prints one" if data.startswith(_DER) else None
    return _unusable(path, "it holds no certificate in PEM form", hint)


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: credentials never leave the one they were made for."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """The origin of ``url``.

        Raises:
            ProtocolError: it has none. The message does not quote the URL, which may hold a password.
        """
        try:
            parts = urllib.parse.urlsplit(url)
            scheme = parts.scheme.lower()
            port = _DEFAULT_PORTS.get(scheme, 0) if parts.port is None else parts.port
        except ValueError:
            raise ProtocolError("a URL whose host or port is malformed") from None
        if not parts.hostname:
            raise ProtocolError("a URL without a host")
        # RFC 3986 has no others; a name with other letters is written in its ASCII form (xn--).
        if port == 0 or not parts.hostname.isascii() or re.search("[\\s%]", parts.hostname.partition("%25")[0]):
            raise ProtocolError("a URL whose host or port is malformed")
        return cls(scheme, parts.hostname.lower().rstrip("."), port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def is_token_host(realm: Origin, registry: Origin, registry_name: str, allowed: Collection[str]) -> bool:
    """Whether the token service ``realm`` may be given credentials that are for ``registry``.

    Its own origin may, and so may the hosts in ``allowed`` and those known for the registry ``registry_name``; none of
    them over plain HTTP where the registry itself has TLS.

    Raises:
        InvalidReferenceError: an entry of ``allowed`` is not a host.
    """
    if realm == registry:
        return True
    if realm.scheme != "https" and registry.scheme == "https":
        return False
    known = TOKEN_HOSTS.get(canonical_host(registry_name), ())
    if realm.scheme == "https" and realm.port == _DEFAULT_PORTS["https"] and realm.host in known:
        return True
    for text in allowed:
        name, port = split_host(text)
        if (name.lower().rstrip("."), port or _DEFAULT_PORTS[realm.scheme]) == (realm.host, realm.port):
            return True
    return False


def with_query(url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """``url`` with more parameters behind those it has, and without its fragment, which is not sent."""
    whole = url.partition("#")[0].rstrip("?&")
    more = urllib.parse.urlencode(list(parameters))
    return f"{whole}{'&' if '?' in whole else '?'}{more}" if more else whole
