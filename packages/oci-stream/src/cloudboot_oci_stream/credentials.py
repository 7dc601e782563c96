"""Credentials: found, and turned into tokens, by oras; kept to the origin they are for by us.

oras knows the docker configuration, credential helpers and the token protocol. It leaves three things open, which are
closed here: its requests have no time limit and follow redirects with what they carry, a realm may be any URL, and a
Basic challenge is taken for a Bearer one.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import oras.auth
import oras.auth.utils
import requests
import requests.adapters

from .errors import CredentialError, InsecureError, OciError, TransferTimeoutError, TransportError
from .transport import Access, Origin, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .reference import RegistryReference

_LARGEST_TOKEN = 1 << 20
_CHALLENGE = re.compile(r"(?:^|,)\s*(basic|bearer)\s+(?=[a-z]+\s*=)", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]+")
_DOCKER_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}


class _BoundedAdapter(requests.adapters.HTTPAdapter):
    """Token requests that end: a time limit, a size limit, no redirect, no plain HTTP to other machines."""

    def __init__(self, transport: Transport, registry: Origin, timeout: float) -> None:
        super().__init__()
        self._guard, self._registry, self._timeout = transport, registry, timeout

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a token request and take its whole, bounded answer."""
        realm = Origin.of(request.url or "")
        self._guard.check_allowed(realm)
        if self._registry.scheme == "https" and realm.scheme != "https":
            raise InsecureError("the registry sends its users to a token service without TLS", actual=str(realm))
        kwargs |= {"stream": True, "timeout": self._timeout}
        response = super().send(request, *args, **kwargs)
        data = response.raw.read(_LARGEST_TOKEN + 1, decode_content=True)
        response.close()
        if response.is_redirect or response.is_permanent_redirect:
            raise CredentialError("the token service redirects, which is not followed", actual=response.status_code)
        if len(data) > _LARGEST_TOKEN:
            raise CredentialError("the token service's answer is too large", expected=f"at most {_LARGEST_TOKEN}")
        response.raw = io.BytesIO(data)
        return response


class _Backend(oras.auth.TokenAuth):  # type: ignore[misc]  # oras has no type information
    """oras's own token client, with a say in which file its credentials come from."""

    @property
    def basic(self) -> str | None:
        """The base64 of ``user:password``, if there is one."""
        value: str | None = getattr(self, "_basic_auth", None)
        return value

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
        session = requests.Session()
        session.trust_env = False
        for scheme in ("https://", "http://"):
            session.mount(scheme, _BoundedAdapter(transport, origin, access.stall))
        if access.client_certificate is not None:
            certificate = os.fspath(access.client_certificate)
            session.cert = (certificate, os.fspath(access.client_key)) if access.client_key else certificate
        self._backend = _Backend()
        self._backend.session = session
        self._backend.prefix = origin.scheme
        # The name oras gives it; its own factory sets it from outside as well.
        self._backend._tls_verify = os.fspath(access.ca_file) if access.ca_file else True  # noqa: SLF001
        self._reference = reference
        self._loaded = False

    @property
    def header(self) -> str | None:
        """The value to send, if a challenge has been answered before."""
        return self._header

    def answer(self, challenges: Iterable[str], rejected: str | None) -> bool:
        """Prepare for another try after a 401 to a request that carried ``rejected``; false if there is nothing to try.

        Raises:
            CredentialError: the credentials cannot be read, or the token service refuses.
            TransportError: the token service cannot be reached.
        """
        with self._lock:
            if self._header != rejected:
                return True  # another thread was faster
            self._load()
            offers = _offers(challenges)
            if "bearer" in offers:
                self._header = f"Bearer {self._token(offers['bearer'])}"
                return True
            if "basic" in offers and self._backend.basic and rejected is None:
                self._header = f"Basic {self._backend.basic}"
                return True
            return False

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        access = self._access
        if access.username is not None:
            self._backend.set_basic_auth(access.username, access.password or "")
            return
        names = _config_names(self._reference)
        for path in _config_files(access):
            try:
                found = self._backend.load_file(path, names)
            except (ValueError, TypeError, AttributeError, KeyError, OSError) as error:
                # oras takes the configuration's shape for granted.
                raise CredentialError(
                    f"the registry credentials on this machine cannot be read: {type(error).__name__}",
                    hint=f"look at {path}",
                ) from error
            if found:
                if _is_identity_token(self._backend.basic or ""):
                    raise CredentialError("an identity token instead of a password", hint="log in with a password")
                return

    def _token(self, challenge: str) -> str:
        parsed = oras.auth.utils.parse_auth_header(challenge)
        realm = parsed.realm or ""
        if not realm.lower().startswith(("http://", "https://")):
            raise CredentialError("a Bearer challenge without a usable realm", expected="a URL", actual=realm)
        try:
            request = self._backend.request_token if self._backend.basic else self._backend.request_anonymous_token
            token = request(parsed)
        except OciError:
            raise
        except requests.Timeout:
            raise TransferTimeoutError("the token service does not answer") from None
        except (requests.RequestException, OSError) as error:
            raise TransportError(f"the token service {Origin.of(realm)}: {type(error).__name__}") from error
        except (ValueError, AttributeError, TypeError) as error:
            raise CredentialError("the token service's answer is not a token") from error
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
