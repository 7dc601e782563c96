"""How a command reaches a registry, and ``cloudboot login`` and ``logout``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from cloudboot_base.command import OK, printable
from cloudboot_oci_stream import Access, RetryPolicy
from cloudboot_oci_stream import login as log_in
from cloudboot_oci_stream import logout as log_out
from cloudboot_oci_stream.commands.account import asked_for
from cloudboot_oci_stream.deadline import Deadline

if TYPE_CHECKING:
    import argparse

    from .console import Console


class Reach(NamedTuple):
    """What every operation of a registry is given."""

    access: Access
    deadline: Deadline
    retry: RetryPolicy


def reach(options: argparse.Namespace) -> Reach:
    """What the options of the group ``registry`` say; its time limit starts now."""
    access = Access(
        insecure=options.insecure or None,
        ca_file=options.ca_file,
        auth_file=options.auth_file,
        token_hosts=options.token_host,
        login_command="cloudboot login",
    )
    if options.stall is not None:
        access = dataclasses.replace(access, stall=options.stall)
    retry = RetryPolicy() if options.retries is None else RetryPolicy(attempts=options.retries)
    return Reach(access, Deadline(options.registry_timeout), retry)


def login(options: argparse.Namespace, console: Console) -> int:
    """Try a user name and a password, and keep them."""
    access, deadline, retry = reach(options)
    username, password = asked_for(options.username, password_stdin=options.password_stdin, deadline=deadline)
    place = log_in(options.host, username, password, access=access, deadline=deadline, retry=retry)
    if console.json:
        console.result({"host": options.host, "username": username, "kept_in": place})
    else:
        console.print(printable(f"logged in to {options.host}; the password is kept in {place}"))
    return OK


def logout(options: argparse.Namespace, console: Console) -> int:
    """Forget what is kept."""
    access, deadline, _ = reach(options)
    places = log_out(options.host, access=access, deadline=deadline)
    if console.json:
        console.result({"host": options.host, "removed_from": places})
    else:
        console.print(printable(f"logged out; removed from {', '.join(places)}"))
    return OK
