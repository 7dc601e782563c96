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
    Finder,
    config_files,
    docker_file,
    normalised_key,
    read_config,
    user_file,
)
from cloudboot_oci_stream.http.session import Session
from cloudboot_oci_stream.spec.reference import HUB, RegistryReference, canonical_host, split_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_oci_stream.http.helpers import Helper

_PROBE = "cloudboot/login"
"""A repository's name; only that of the host has a meaning here."""


def login(
    host: str, username: str, password: str, *, access: Access | None = None, deadline: float | Deadline | None = None
) -> str:
    """Try ``username`` and ``password`` at the registry ``host`` and keep them; the place where they are kept.

    That is the credential helper that the docker configuration names for the registry, else the file that ``access``
    or ``REGISTRY_AUTH_FILE`` names, the docker command's where there is one already, or podman's in the home directory.

    Raises:
        InvalidReferenceError: ``host`` is not a registry's host.
        UnauthorizedError, CredentialError: the registry refuses them, or they cannot be kept.
        OciError: the registry does not answer.
    """
    limit = Deadline.of(deadline)
    reference = _reference(host)
    given = dataclasses.replace(access or Access(), username=username, password=password)
    session = Session(reference, given)
    session.request("GET", session.url(""), deadline=limit).close()
    if (helper := _helper(reference, given, limit)) is not None:
        helper.store(_key(host), username, password, limit)
        return helper.program
    path = _file(given)
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    with _changed(path) as value:
        auths = value.setdefault("auths", {})
        for key in [key for key in auths if normalised_key(key) == normalised_key(host)]:
            del auths[key]
        auths[_key(host)] = {"auth": auth}
    return os.fspath(path)


def logout(host: str, *, access: Access | None = None, deadline: float | Deadline | None = None) -> list[str]:
    """Forget what is kept for the registry ``host``; the places where something was.

    Raises:
        InvalidReferenceError: ``host`` is not a registry's host.
        CredentialError: there was nothing, or a place cannot be changed.
    """
    limit = Deadline.of(deadline)
    reference, given = _reference(host), access or Access()
    places = []
    wanted = normalised_key(host)
    for config in list(config_files(given, limit)):
        if not any(normalised_key(key) == wanted for key in config.auths):
            continue
        if config.path is None:
            raise CredentialError(f"the credentials are in {config.source}, which is not changed here")
        with _changed(config.path) as value:
            auths = value["auths"]
            for key in [key for key in auths if normalised_key(key) == wanted]:
                del auths[key]
        places.append(config.source)
    helper = _helper(reference, given, limit)
    if helper is not None and helper.get(_key(host), limit) is not None:
        helper.erase(_key(host), limit)
        places.append(helper.program)
    if not places:
        raise CredentialError(f"nothing is kept for {host}")
    return places


def _reference(host: str) -> RegistryReference:
    if "/" in host:
        raise InvalidReferenceError("not a registry's host", expected="HOST[:PORT]", actual=host)
    split_host(host)
    return RegistryReference(host, _PROBE)


def _key(host: str) -> str:
    """The name under which the docker command files the credentials of a registry."""
    return HUB_KEY if canonical_host(host) == HUB else host


def _helper(reference: RegistryReference, access: Access, deadline: Deadline) -> Helper | None:
    """The helper that keeps the registry's passwords, where the configuration has one that is installed."""
    if access.auth_file is not None:
        return None
    return Finder(reference, access).keeper(deadline)


def _file(access: Access) -> Path:
    if access.auth_file is not None:
        return Path(access.auth_file)
    if named := os.environ.get("REGISTRY_AUTH_FILE"):
        return Path(named)
    docker = docker_file()
    return docker if docker.exists() or os.environ.get("DOCKER_CONFIG") else user_file()


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
