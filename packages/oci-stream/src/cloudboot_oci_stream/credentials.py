"""Credentials: found, and turned into tokens, by oras; kept to the origin they are for by us.

oras knows the docker configuration's shape, credential helpers and the token protocol. Its requests have no limit of
time or size, follow redirects with what they carry, and go to any URL a registry names; so it is given a session whose
requests are ours. It also takes a Basic challenge for a Bearer one, so the two are told apart before it is asked.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import oras.auth
import oras.auth.utils

from .errors import CredentialError, InsecureError
from .transport import Access, Origin, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .reference import RegistryReference
    from .timing import Deadline

_LARGEST_TOKEN = 1 << 20
_LONGEST_CHALLENGE = 1 << 12
"""oras takes time that grows with the square of the length."""

_CHALLENGE = re.compile(r"(?:^|,)\s*(basic|bearer)\s+(?=[a-z]+\s*=)", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]+")
_DOCKER_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}


class _Answer:
    """What oras looks at in an answer of a token service."""

    def __init__(self, status: int, data: bytes) -> None:
        self.status_code = status
        self.text = f"{len(data)} bytes"
        """oras writes the text to its log; a token has no place there."""
        self._data = data

    def json(self) -> dict[str, object]:
        """The object in the body."""
        value = json.loads(self._data)
        if not isinstance(value, dict):
            raise CredentialError("the token service's answer is no object", actual=type(value).__name__)
        return value


class _TokenSession:
    """The requests oras makes, under the limits and rules of all others."""

    def __init__(self, transport: Transport, registry: Origin, deadline: Deadline) -> None:
        self._transport, self._registry, self._deadline = transport, registry, deadline

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        verify: object = None,
    ) -> _Answer:
        """Ask for a token. Certificates are always verified, whatever ``verify`` says."""
        return self.request("GET", url, headers=headers, params=params, verify=verify)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        verify: object = None,
    ) -> _Answer:
        """As :meth:`get`, for any method."""
        del verify
        realm = Origin.of(url)
        if self._registry.scheme == "https" and realm.scheme != "https":
            raise InsecureError("the registry sends its users to a token service without TLS", actual=str(realm))
        if params:
            url += ("&" if urllib.parse.urlsplit(url).query else "?") + urllib.parse.urlencode(params)
        with self._transport.exchange(method, url, headers=headers or {}, deadline=self._deadline) as response:
            if 300 <= response.status < 400:
                raise CredentialError("the token service redirects, which is not followed", actual=response.status)
            data = response.read_bounded(_LARGEST_TOKEN)
        if len(data) > _LARGEST_TOKEN:
            raise CredentialError("the token service's answer is too large", expected=f"at most {_LARGEST_TOKEN}")
        return _Answer(response.status, data)


class _Backend(oras.auth.TokenAuth):  # type: ignore[misc]  # oras has no type information
    """oras's own token client, with a say in which file its credentials come from."""

    @property
    def basic(self) -> str | None:
        """The base64 of ``user:password``, if there is one."""
        value: str | None = getattr(self, "_basic_auth", None)
        return value

    def limits(self, session: _TokenSession) -> None:
        """Make requests through ``session`` from now on, without an opinion of oras's own on certificates."""
        self.session, self._tls_verify = session, True

    def load_file(self, path: Path, names: Iterable[str]) -> bool:
        """Take the credentials that ``path`` has for the first of ``names`` it knows.

        oras's own ``load_configs`` reads several files at once and lets chance decide between them.
        """
        config = json.loads(path.read_bytes())
        helpers = config.get("credHelpers", {})
        self._auth_config = {
            "auths": config.get("auths", {}),
            "credsStore": config.get("credsStore"),
            "credHelpers": helpers,
        }
        return any(self._load_auth(name) for name in names)


class Authenticator:
    """The ``Authorization`` of one registry, from the challenges it sends. Safe to share between threads."""

    def __init__(self, reference: RegistryReference, origin: Origin, transport: Transport, access: Access) -> None:
        self._origin, self._access = origin, access
        self._lock = threading.Lock()
        self._header: str | None = None
        self._transport = transport
        self._backend = _Backend()
        self._reference = reference
        self._loaded = False

    @property
    def header(self) -> str | None:
        """The value to send, if a challenge has been answered before."""
        return self._header

    def answer(self, challenges: Iterable[str], rejected: str | None, deadline: Deadline) -> bool:
        """Prepare for another try after a 401 to a request that carried ``rejected``; false if there is nothing to try.

        Raises:
            CredentialError: the credentials cannot be read, or the token service refuses.
            TransportError: the token service cannot be reached.
        """
        with self._lock:
            if self._header != rejected:
                return True  # another thread was faster
            if not self._loaded:
                self._load()
                self._loaded = True
            offers = _offers(challenges)
            if "bearer" in offers:
                self._header = f"Bearer {self._token(offers['bearer'], deadline)}"
                return True
            if "basic" in offers and self._backend.basic and rejected is None:
                self._header = f"Basic {self._backend.basic}"
                return True
            return False

    def _load(self) -> None:
        access = self._access
        if access.username is not None:
            self._backend.set_basic_auth(access.username, access.password or "")
            return
        names = _config_names(self._reference)
        for path in _config_files(access):
            try:
                found = self._backend.load_file(path, names)
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError, OSError) as error:
                # oras takes the configuration's shape for granted.
                raise CredentialError(
                    f"the registry credentials on this machine cannot be read: {type(error).__name__}",
                    hint=f"look at {path}",
                ) from error
            if found:
                if _TOKEN.fullmatch(self._backend.basic or "") is None:
                    raise CredentialError("not the base64 of a name and a password", hint=f"look at {path}")
                if _is_identity_token(self._backend.basic or ""):
                    raise CredentialError("an identity token instead of a password", hint="log in with a password")
                return

    def _token(self, challenge: str, deadline: Deadline) -> str:
        if len(challenge) > _LONGEST_CHALLENGE:
            raise CredentialError(
                "a Bearer challenge too long", expected=f"at most {_LONGEST_CHALLENGE}", actual=len(challenge)
            )
        parsed = oras.auth.utils.parse_auth_header(challenge)
        realm = parsed.realm or ""
        if not realm.lower().startswith(("http://", "https://")):
            raise CredentialError("a Bearer challenge without a usable realm", expected="a URL", actual=realm)
        backend = self._backend
        backend.limits(_TokenSession(self._transport, self._origin, deadline))
        try:
            token = backend.request_token(parsed) if backend.basic else backend.request_anonymous_token(parsed)
        except (ValueError, RecursionError):
            raise CredentialError("the token service's answer is not JSON") from None
        if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            raise CredentialError(
                "the token service gave no token",
                hint="log in to the registry" if not self._backend.basic else "check user name and password",
            )
        return token


def _is_identity_token(basic: str) -> bool:
    """Whether a credential helper gave an OAuth refresh token (its user name is then ``<token>``)."""
    try:
        return base64.b64decode(basic).startswith(b"<token>:")
    except ValueError:
        return False


def _offers(challenges: Iterable[str]) -> dict[str, str]:
    """The first challenge of each scheme; one header may hold several (RFC 9110 section 11.6.1)."""
    found: dict[str, str] = {}
    for header in challenges:
        marks = list(_CHALLENGE.finditer(header))
        ends = [mark.start() for mark in marks[1:]] + [len(header)]
        for mark, end in zip(marks, ends, strict=False):
            found.setdefault(mark[1].lower(), header[mark.end() : end])
    if not found and any(header.strip().lower() == "basic" for header in challenges):
        found["basic"] = ""
    return found


def _config_names(reference: RegistryReference) -> list[str]:
    """The names a configuration may file the registry under: podman's per-repository ones first, docker's URLs last."""
    parts = f"{reference.host}/{reference.repository}".split("/")
    names = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    names += [f"https://{reference.host}", f"https://{reference.host}/v1/", f"https://{reference.host}/v2/"]
    if reference.host in _DOCKER_HUB:
        names += ["https://index.docker.io/v1/", "index.docker.io", "docker.io"]
    return names


def _config_files(access: Access) -> list[Path]:
    """Where credentials are looked for: the given file, or podman's and docker's in this order."""
    if access.auth_file is not None:
        path = Path(access.auth_file)
        if not path.is_file():
            raise CredentialError("no such credentials file", actual=os.fspath(path))
        return [path]
    environment = os.environ
    candidates = []
    if "REGISTRY_AUTH_FILE" in environment:
        candidates.append(Path(environment["REGISTRY_AUTH_FILE"]))
    if "XDG_RUNTIME_DIR" in environment:
        candidates.append(Path(environment["XDG_RUNTIME_DIR"], "containers", "auth.json"))
    candidates.append(Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json"))
    return [path for path in candidates if path.is_file()]
