"""The ``Authorization`` of one registry: from the challenges it sends, by Basic or by a token service.

Specification: distribution, "Token Authentication Specification" and "OAuth2 Token Authentication".
"""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import CredentialError, InsecureError, TokenServiceError
from cloudboot_oci_stream.http.access import Access, Origin, is_token_host, with_query
from cloudboot_oci_stream.http.challenge import read_challenges
from cloudboot_oci_stream.http.credentials import Credential, Finder
from cloudboot_oci_stream.http.refusal import read_refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.http.transport import Transport
    from cloudboot_oci_stream.spec.reference import RegistryReference

_CLIENT = "cloudboot-oci-stream"
_LARGEST_TOKEN = 1 << 20
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Authenticator:
    """The ``Authorization`` of one registry. Safe to share between threads."""

    def __init__(self, reference: RegistryReference, origin: Origin, transport: Transport, access: Access) -> None:
        self._reference, self._origin, self._access = reference, origin, access
        self._transport = transport
        self._lock = threading.Lock()
        self._header: str | None = None
        self._finder = Finder(reference, access)
        self._credential: Credential | None = None
        self._is_looked_up = False

    @property
    def header(self) -> str | None:
        """The value to send, if a challenge has been answered before."""
        return self._header

    @property
    def found(self) -> str | None:
        """Where the credentials are from, if there are any."""
        return self._credential.source if self._credential else None

    @property
    def problems(self) -> str:
        """What kept credential helpers from answering; empty if nothing did."""
        return "; ".join(self._finder.problems)

    def answer(
        self, challenges: Iterable[str], rejected: str | None, deadline: Deadline, *, is_reading: bool = True
    ) -> bool:
        """Prepare for another try after a 401 to a request that carried ``rejected``; false if there is nothing to try.

        Raises:
            CredentialError: the credentials cannot be read, must not be sent, or the token service refuses them.
            TransportError: the token service cannot be reached.
        """
        with self._lock:
            if self._header != rejected:
                return True  # another thread was faster
            if not self._is_looked_up:
                self._credential = self._look_up(deadline)
                self._is_looked_up = True
                if self._credential is not None:
                    self._transport.conceal(*self._credential.secrets)
            offers = read_challenges(challenges)
            header = self._answered(offers, rejected, deadline, is_reading=is_reading)
            if header is None:
                return False
            self._header = header
            self._transport.conceal(header.partition(" ")[2])
            return True

    def _look_up(self, deadline: Deadline) -> Credential | None:
        access = self._access
        if access.username is not None:
            return Credential("the given user name", access.username, access.password or "")
        return self._finder.find(deadline)

    def _answered(
        self, offers: Mapping[str, Mapping[str, str]], rejected: str | None, deadline: Deadline, *, is_reading: bool
    ) -> str | None:
        credential = self._credential
        if "bearer" in offers and (offers["bearer"].get("realm") or "basic" not in offers):
            if not offers["bearer"]:
                return None
            if credential is not None and credential.registry_token is not None:
                header = f"Bearer {credential.registry_token}"
                return None if rejected == header else header
            return f"Bearer {self._token(offers['bearer'], deadline, is_reading=is_reading)}"
        if "basic" in offers and credential is not None and rejected is None:
            if credential.basic is not None:
                return f"Basic {credential.basic}"
            if credential.identity_token is not None:
                raise CredentialError(
                    "there is an identity token for the registry, which wants a password",
                    hint=self._access.login_hint(self._reference.host),
                )
        return None

    def _token(self, challenge: Mapping[str, str], deadline: Deadline, *, is_reading: bool) -> str:
        realm = challenge.get("realm", "")
        if not realm.lower().startswith(("http://", "https://")):
            raise CredentialError("a Bearer challenge without a usable realm", expected="a URL", actual=realm)
        self._check_realm(Origin.of(realm))
        credential = self._credential
        actions = "pull" if is_reading else "pull,push"
        scopes = challenge.get("scope", "").split() or [f"repository:{self._reference.repository}:{actions}"]
        service = challenge.get("service", "")
        if credential is not None and credential.identity_token is not None:
            form = {
                "grant_type": "refresh_token",
                "service": service or self._reference.host,
                "client_id": _CLIENT,
                "scope": " ".join(scopes),
                "refresh_token": credential.identity_token,
            }
            answer = self._ask("POST", realm, {}, urllib.parse.urlencode(form).encode(), deadline)
        else:
            query = ([("service", service)] if service else []) + [("scope", scope) for scope in scopes]
            headers = {}
            if credential is not None and credential.basic is not None:
                query.append(("account", credential.user or ""))
                headers["Authorization"] = f"Basic {credential.basic}"
            answer = self._ask("GET", with_query(realm, query), headers, None, deadline)
        # The Go clients take names in any case.
        fields = {name.lower(): value for name, value in answer.items()} | answer
        for name in ("token", "access_token"):
            token = fields.get(name)
            if isinstance(token, str) and _TOKEN.fullmatch(token):
                return token
        raise CredentialError("the token service gave no token", hint=self._advice())

    def _check_realm(self, realm: Origin) -> None:
        """Refuse to show credentials to a token service that is not the registry's.

        Raises:
            InsecureError: the registry has TLS and the token service does not.
            CredentialError: the token service is on another server, and is not on the list of those allowed.
        """
        if self._origin.scheme == "https" and realm.scheme != "https":
            raise InsecureError("the registry sends its users to a token service without TLS", actual=str(realm))
        if self._credential is None:
            return
        if not self._is_trusted(realm):
            where = realm.host if realm.port in {80, 443} else f"{realm.host}:{realm.port}"
            where = f"[{realm.host}]:{realm.port}" if ":" in realm.host else where
            raise CredentialError(
                "the registry wants the credentials to be sent to another server",
                expected=str(self._origin),
                actual=str(realm),
                hint=f"if that server is the registry's token service, allow it with --token-host {where}",
            )

    def _is_trusted(self, realm: Origin) -> bool:
        return is_token_host(realm, self._origin, self._reference.host, self._access.token_hosts)

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], form: bytes | None, deadline: Deadline
    ) -> dict[str, object]:
        """The object that the token service answers with. Redirects are not followed."""
        extra = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        with self._transport.exchange(
            method,
            url,
            headers={**headers, **extra, "Accept": "application/json"},
            body=_Form(form) if form is not None else None,
            deadline=deadline,
            is_trusted=self._is_trusted(Origin.of(url)),
        ) as response:
            status = response.status
            if 300 <= status < 400:
                raise CredentialError("the token service redirects, which is not followed", actual=status)
            if not 200 <= status < 300:
                said = read_refusal(response).message
                text = f"the token service refuses: {said}" if said else "the token service refuses"
                raise TokenServiceError(text, actual=status, hint=self._advice() if 400 <= status < 500 else None)
            data = response.read_document(_LARGEST_TOKEN)
        if len(data) > _LARGEST_TOKEN:
            raise CredentialError("the token service's answer is too large", expected=f"at most {_LARGEST_TOKEN}")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise CredentialError("the token service's answer is not JSON") from None
        if not isinstance(value, dict):
            raise CredentialError("the token service's answer is not an object", actual=type(value).__name__)
        return value

    def _advice(self) -> str:
        if self._credential is not None:
            return f"check user name and password; they are from {self._credential.source}"
        advice = self._access.login_hint(self._reference.host)
        return f"{advice} ({self.problems})" if self.problems else advice


class _Form:
    """A short body that is sent at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pieces(self) -> Iterator[memoryview]:
        yield memoryview(self._data)
