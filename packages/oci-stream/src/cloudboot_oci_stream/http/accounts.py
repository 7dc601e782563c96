"""Logging in and out: credentials tried at the registry, then kept where docker, podman and this package find them."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import new_file
from cloudboot_base.storage import write_all
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import CredentialError, InvalidReferenceError
from cloudboot_oci_stream.http.access import Access
from cloudboot_oci_stream.http.credentials import (
    HUB_KEY,
    ConfigFile,
    Finder,
    config_files,
    docker_file,
    normalised_key,
    read_config,
)
from cloudboot_oci_stream.http.session import Session
from cloudboot_oci_stream.retry import retrying
from cloudboot_oci_stream.spec.reference import HUB, RegistryReference, canonical_host, split_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_oci_stream.http.helpers import Helper
    from cloudboot_oci_stream.retry import RetryPolicy

_PROBE = "cloudboot/login"
"""A repository's name; only that of the host has a meaning here."""


def login(
    host: str,
    username: str,
    password: str,
    *,
    access: Access | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
) -> str:
    """Try ``username`` and ``password`` at the registry ``host`` and keep them; the place where they are kept.

    That is the file that ``access`` or ``REGISTRY_AUTH_FILE`` names, else the credential helper of the docker
    configuration, else the docker configuration itself: docker, podman, skopeo, oras and cosign all read it. Other
    files lose their entry for the registry where it would be found before the new one.

    Raises:
        InvalidReferenceError: ``host`` is not a registry's host.
        UnauthorizedError, CredentialError: the registry refuses them, or they cannot be kept.
        OciError: the registry does not answer.
    """
    limit = Deadline.of(deadline)
    reference = _reference(host)
    if ":" in username:
        # RFC 7617 section 2: the first colon is where the password begins.
        raise CredentialError("a user name has no colon in it")
    given = dataclasses.replace(access or Access(), username=username, password=password)
    session = Session(reference, given)
    retrying(lambda: session.request("GET", session.url(""), deadline=limit).close(), limit, retry)
    path, helper = _file(given), _helper(reference, given, limit)
    stale = _stale(host, given, path if helper is None else None, limit)
    if helper is not None:
        helper.store(_key(host), username, password, limit)
    else:
        auth = base64.b64encode(f"{username}:{password}".encode()).decode()
        with _changed(path) as value:
            _remove(value, host)
            value.setdefault("auths", {})[_key(host)] = {"auth": auth}
    for other in stale:
        with _changed(other) as value:
            _remove(value, host)
    return helper.program if helper is not None else os.fspath(path)


def logout(host: str, *, access: Access | None = None, deadline: float | Deadline | None = None) -> list[str]:
    """Forget what is kept for the registry ``host``; the places where something was.

    Raises:
        InvalidReferenceError: ``host`` is not a registry's host.
        CredentialError: there was nothing, or a place cannot be changed.
    """
    limit = Deadline.of(deadline)
    reference, given = _reference(host), access or Access()
    places = []
    for config in _holding(host, given, limit):
        with _changed(_changeable(config)) as value:
            _remove(value, host)
        places.append(config.source)
    helper = _helper(reference, given, limit)
    if helper is not None and helper.get(_key(host), limit) is not None:
        helper.erase(_key(host), limit)
        places.append(helper.program)
    if not places:
        raise CredentialError(f"nothing is kept for {host}")
    return places


def _reference(host: str) -> RegistryReference:
    name = host.partition("://")[2] if "://" in host else host
    name = name.partition("/")[0]
    if "@" in name:
        raise InvalidReferenceError("a registry's host has no user name or password before it", hint="give --username")
    if name != host:
        hint = f"passwords are kept for a whole registry: write {name}"
        raise InvalidReferenceError("not a registry's host", expected="HOST[:PORT]", actual=name, hint=hint)
    split_host(host)
    return RegistryReference(host, _PROBE)


def _holding(host: str, access: Access, deadline: Deadline) -> list[ConfigFile]:
    """The configurations that have an entry for the registry itself."""
    wanted = normalised_key(host)
    return [
        config
        for config in config_files(access, deadline)
        if any(normalised_key(key) == wanted for key in config.auths)
    ]


def _stale(host: str, access: Access, kept_in: Path | None, deadline: Deadline) -> list[Path]:
    """The files whose entry for the registry is found before that in ``kept_in``, or before that of a helper.

    Raises:
        CredentialError: an environment variable has one.
    """
    if access.auth_file is not None or os.environ.get("REGISTRY_AUTH_FILE"):
        return []
    found = []
    for config in _holding(host, access, deadline):
        if config.is_legacy or (kept_in is not None and config.path == kept_in):
            break  # those that follow count less
        found.append(_changeable(config))
    return found


def _changeable(config: ConfigFile) -> Path:
    if config.path is None:
        raise CredentialError(f"the credentials are in {config.source}, which is not changed here")
    return Path(config.path)


def _remove(value: dict[str, dict[str, object]], host: str) -> None:
    auths, wanted = value.get("auths", {}), normalised_key(host)
    for key in [key for key in auths if normalised_key(key) == wanted]:
        del auths[key]


def _key(host: str) -> str:
    """The name under which the docker command files the credentials of a registry."""
    return HUB_KEY if canonical_host(host) == HUB else host


def _helper(reference: RegistryReference, access: Access, deadline: Deadline) -> Helper | None:
    """The helper that keeps the registry's passwords, where the configuration has one that is installed."""
    if access.auth_file is not None or os.environ.get("REGISTRY_AUTH_FILE"):
        return None
    return Finder(reference, access).keeper(deadline)


def _file(access: Access) -> Path:
    if access.auth_file is not None:
        return Path(access.auth_file)
    if named := os.environ.get("REGISTRY_AUTH_FILE"):
        return Path(named)
    return docker_file()


@contextlib.contextmanager
def _changed(path: Path) -> Iterator[dict[str, dict[str, object]]]:
    """The JSON object in a file, to be changed; it is written back in one step, for its owner's eyes only."""
    real = Path(os.path.realpath(path))
    real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        value = read_config(real)
        yield value
        with new_file(real, force=True) as fd:
            os.fchmod(fd, 0o600)
            write_all(fd, memoryview(json.dumps(value, indent="\t").encode() + b"\n"), 0)
    finally:
        os.close(folder)
