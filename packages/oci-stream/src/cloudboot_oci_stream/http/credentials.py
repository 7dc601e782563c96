"""Credentials as docker, podman, skopeo and oras leave them: which file, under which name, in which form.

Sources: the configuration file of the docker command, containers-auth.json(5), and what their readers take besides.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_oci_stream.errors import CredentialError, OciError
from cloudboot_oci_stream.http.helpers import Helper
from cloudboot_oci_stream.inputs import read_input
from cloudboot_oci_stream.spec.reference import HUB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.spec.reference import RegistryReference

_LARGEST_FILE = 1 << 22
_LEGACY = ".dockercfg"
_TOKEN = re.compile(r"[\x21-\x7e]+")
_KEY = re.compile(r"(?:https?://)?(?P<host>[^/]+)(?P<path>/.*)?", re.IGNORECASE)
HUB_KEY = "https://index.docker.io/v1/"
"""The name under which the docker command files what is for Docker Hub."""
_TOKEN_USER = "<token>"


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """What one place has for a registry. ``source`` names that place.

    ``identity_token`` is an OAuth2 refresh token, ``registry_token`` goes to the registry as it is.
    """

    source: str
    user: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    identity_token: str | None = dataclasses.field(default=None, repr=False)
    registry_token: str | None = dataclasses.field(default=None, repr=False)

    @property
    def basic(self) -> str | None:
        """The base64 of ``user:password``, if there is a password."""
        if self.user is None or not self.password:
            return None
        return base64.b64encode(f"{self.user}:{self.password}".encode("utf-8", "surrogateescape")).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything in it that must not be shown."""
        found = (self.password, self.basic, self.identity_token, self.registry_token)
        return tuple(secret for secret in found if secret)


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigFile:
    """One configuration, as it is."""

    source: str
    auths: Mapping[str, object]
    helpers: Mapping[str, object]
    store: str | None
    path: Path | None = None
    """The file; ``None`` for a variable of the environment, and for a form that is not written any more."""

    is_legacy: bool = False
    """Whether it is ``~/.dockercfg``, the last one that is looked at."""

    @classmethod
    def parse(cls, data: bytes, source: str, path: Path | None = None) -> ConfigFile:
        """The configuration in ``data``; the legacy form of ``~/.dockercfg`` has the names at the top.

        Raises:
            CredentialError: it is not one. The message quotes nothing of it.
        """
        hint = f"look at {source}"
        value = _object(data, source)
        is_legacy = path is not None and path.name == _LEGACY
        if is_legacy:
            value, path = {"auths": value}, None
        auths, helpers = (value.get(name) or {} for name in ("auths", "credHelpers"))
        store = value.get("credsStore")
        if not isinstance(auths, dict) or not isinstance(helpers, dict) or not isinstance(store, str | None):
            raise CredentialError("the registry credentials have a member of another kind", hint=hint)
        return cls(source, auths, helpers, store or None, path, is_legacy)


class Finder:
    """Looks for the credentials of one registry. Each helper is told apart by its name and asked until it fails."""

    def __init__(self, reference: RegistryReference, access: Access) -> None:
        self._reference, self._access = reference, access
        self._helpers: dict[str, Helper] = {}

    @property
    def problems(self) -> list[str]:
        """What kept helpers from answering."""
        return [f"{helper.program} {helper.problem}" for helper in self._helpers.values() if helper.problem]

    def find(self, deadline: Deadline) -> Credential | None:
        """The first credentials there are, the most specific name first in each file.

        Raises:
            CredentialError: a file that is named does not exist, or one cannot be read.
            TransferTimeoutError: the deadline passed while a helper or a pipe was waited for.
        """
        for config in config_files(self._access, deadline):
            if (found := self._in_file(config, deadline)) is not None:
                return found
        return None

    def keeper(self, deadline: Deadline) -> Helper | None:
        """The helper that the configuration has for keeping the registry's password, if that is installed."""
        names = config_names(self._reference)[-1:]
        for config in config_files(self._access, deadline):
            chosen = [config.helpers[key] for key in ranked(config.helpers, names)] or [config.store]
            if isinstance(chosen[0], str) and chosen[0]:
                helper = Helper(chosen[0])
                return helper if helper.is_installed else None
        return None

    def _in_file(self, config: ConfigFile, deadline: Deadline) -> Credential | None:
        names = config_names(self._reference)
        for key in ranked(config.helpers, names):
            name = config.helpers[key]
            if isinstance(name, str) and name:
                found = self._from_helper(name, [key], config.source, deadline)
                if found is not None:
                    return found
        empty = []
        for key in ranked(config.auths, names):
            found = credential_of(config.auths[key], config.source)
            if found is not None:
                return found
            empty.append(key)
        if config.store is None:
            return None
        host = self._reference.host
        servers = [*empty, host, *([HUB_KEY] if normalised_key(host) == (HUB, "") else [])]
        return self._from_helper(config.store, list(dict.fromkeys(servers)), config.source, deadline)

    def _from_helper(self, name: str, servers: list[str], source: str, deadline: Deadline) -> Credential | None:
        helper = self._helpers.setdefault(name, Helper(name))
        for server in servers:
            found = helper.get(server, deadline)
            if found is not None:
                user, secret = found
                where = f"{helper.program} ({source})"
                if user == _TOKEN_USER:
                    return Credential(where, identity_token=secret)
                return Credential(where, user=user, password=secret)
        return None


def config_files(access: Access, deadline: Deadline) -> Iterator[ConfigFile]:
    """The configurations in the order in which they count; an access with an ``auth_file`` has only that.

    Raises:
        CredentialError: a file named by the caller or by ``REGISTRY_AUTH_FILE`` is missing, or one cannot be read.
    """
    environment = os.environ
    for path, is_needed in _paths(access):
        if path is None:
            text = environment["DOCKER_AUTH_CONFIG"]
            yield ConfigFile.parse(text.encode("utf-8", "surrogateescape"), "DOCKER_AUTH_CONFIG")
            continue
        try:
            data = read_input(path, _LARGEST_FILE, deadline, access.stall)
        except (FileNotFoundError, NotADirectoryError) as error:
            if is_needed:
                raise CredentialError("no such credentials file", actual=os.fspath(path)) from None
            named = environment.get("DOCKER_CONFIG")
            if named and isinstance(error, NotADirectoryError) and path == docker_file():
                hint = "it names the folder that config.json is in"
                raise CredentialError("DOCKER_CONFIG does not name a folder", actual=named, hint=hint) from None
            continue
        except OciError:
            raise
        except OSError as error:
            raise CredentialError(f"the credentials file cannot be read: {error.strerror}", actual=path) from error
        if len(data) > _LARGEST_FILE:
            raise CredentialError("too large for a credentials file", expected=f"at most {_LARGEST_FILE}", actual=path)
        yield ConfigFile.parse(data, os.fspath(path), path)


def read_config(path: Path) -> dict[str, dict[str, object]]:
    """The members of a configuration file as they are; none where there is no such file.

    Raises:
        CredentialError: it is not the JSON of one.
    """
    try:
        value = _object(read_input(path, _LARGEST_FILE), os.fspath(path))
    except FileNotFoundError:
        return {}
    ConfigFile.parse(json.dumps(value).encode(), os.fspath(path))
    return value


def _object(data: bytes, source: str) -> dict[str, Any]:
    hint = f"look at {source}"
    if not data.strip():
        return {}
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise CredentialError("the registry credentials are not JSON", hint=hint) from None
    if not isinstance(value, dict):
        raise CredentialError("the registry credentials are not a JSON object", hint=hint)
    return value


def _paths(access: Access) -> Iterator[tuple[Path | None, bool]]:
    """Files, and whether each must exist; ``None`` stands for the variable ``DOCKER_AUTH_CONFIG``."""
    environment = os.environ
    if access.auth_file is not None:
        yield Path(access.auth_file), True
        return
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named), True
    runtime = environment.get("XDG_RUNTIME_DIR")
    yield (Path(runtime, "containers") if runtime else Path("/run/containers", str(os.getuid()))) / "auth.json", False
    yield user_file(), False
    if environment.get("DOCKER_AUTH_CONFIG"):
        yield None, False
    yield docker_file(), False
    yield Path.home() / _LEGACY, False


def user_file() -> Path:
    """Podman's file in the home directory."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "containers" / "auth.json"


def docker_file() -> Path:
    """The docker command's file."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json")


def normalised_key(key: str) -> tuple[str, str]:
    """Host and path that a name in a configuration stands for: ``https://HOST/v1/`` is HOST, ``HOST/a/b`` is below it.

    Addresses are not made one here, as policies do: a password is for the name that it was filed under.
    """
    found = _KEY.fullmatch(key.strip())
    if found is None:
        return "", ""
    host = found["host"].lower().removesuffix(":443")
    if host in {"index.docker.io", "registry-1.docker.io"}:
        host = HUB
    path = (found["path"] or "").strip("/")
    return host, "" if path in {"v1", "v2"} else path


def config_names(reference: RegistryReference) -> list[tuple[str, str]]:
    """The names that a configuration may file the image under, the most specific first."""
    host = normalised_key(reference.host)[0]
    parts = reference.repository.split("/")
    return [(host, "/".join(parts[:count])) for count in range(len(parts), -1, -1)]


def ranked(table: Mapping[str, object], names: list[tuple[str, str]]) -> list[str]:
    """The keys of ``table`` that stand for one of ``names``, in the order of those, plain keys before URLs."""
    places = {name: place for place, name in enumerate(names)}
    keys = [key for key in table if isinstance(key, str) and normalised_key(key) in places]
    return sorted(keys, key=lambda key: (places[normalised_key(key)], "://" in key, key))


def credential_of(entry: object, source: str) -> Credential | None:
    """What an entry of ``auths`` holds; ``None`` if that is nothing, as where a helper has the password.

    Raises:
        CredentialError: it is malformed. The message quotes nothing of it.
    """
    hint = f"look at {source}"
    if entry is None or entry == {}:
        return None
    if not isinstance(entry, dict):
        raise CredentialError("an entry of the registry credentials is not an object", hint=hint)
    auth, user, password, identity, registry = (
        entry.get(name) or None for name in ("auth", "username", "password", "identitytoken", "registrytoken")
    )
    for value in (auth, user, password, identity, registry):
        if not isinstance(value, str | None):
            raise CredentialError("an entry of the registry credentials has a member that is not text", hint=hint)
    for token in (identity, registry):
        if token is not None and _TOKEN.fullmatch(token) is None:
            raise CredentialError("a token in the registry credentials has spaces or control characters", hint=hint)
    if auth is not None:
        user, password = _split(auth, hint)
    if user == _TOKEN_USER and password:
        identity, user, password = identity or password, None, None
    if not password and identity is None and registry is None:
        return None
    return Credential(source, user, password, identity, registry)


def _split(auth: str, hint: str) -> tuple[str, str]:
    """User name and password in the base64 of an ``auth`` member."""
    user = colon = password = ""
    try:
        text = "".join(auth.split())
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        # A password may have been made of other bytes than UTF-8's: they are sent as they are.
        user, colon, password = data.decode("utf-8", "surrogateescape").partition(":")
    except (binascii.Error, ValueError):
        pass
    if not colon:
        raise CredentialError("not the base64 of a name and a password", hint=hint)
    return user, password.rstrip("\0")
