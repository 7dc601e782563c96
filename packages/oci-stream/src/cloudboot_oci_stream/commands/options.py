"""Options that several commands have, and what they mean."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING, Self

from cloudboot_base.command import Progress, count_argument, print_json, seconds_argument
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.http.access import Access
from cloudboot_oci_stream.inputs import read_line
from cloudboot_oci_stream.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_access_options(parser: argparse.ArgumentParser) -> None:
    """How a registry is reached, and for how long it is tried."""
    access = parser.add_argument_group("access")
    access.add_argument("--insecure", action="store_true", help="Use plain HTTP for registries on other machines.")
    access.add_argument("--username", metavar="NAME", help="The user name (default: that of the stored credentials).")
    access.add_argument("--password-stdin", action="store_true", help="Read the password from stdin.")
    access.add_argument(
        "--auth-file", metavar="FILE", help="Read credentials from this file instead of the files of docker and podman."
    )
    access.add_argument(
        "--token-host",
        metavar="HOST",
        action="append",
        default=[],
        help="A token service on another host that may receive the credentials. Can be repeated.",
    )
    access.add_argument(
        "--ca-file", metavar="FILE", help="Certificate authorities to trust in addition to the system's (PEM)."
    )
    access.add_argument("--client-certificate", metavar="FILE", help="The client certificate (PEM).")
    access.add_argument(
        "--client-key", metavar="FILE", help="The key of the client certificate (default: in the same file)."
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--timeout", type=seconds_argument, metavar="SECONDS", help="Limit of the whole command (default: none)."
    )
    limits.add_argument(
        "--stall",
        type=seconds_argument,
        metavar="SECONDS",
        help="How long a connection may be idle (default: 30).",
    )
    limits.add_argument(
        "--retries",
        type=count_argument,
        metavar="N",
        help="How often in a row a transfer may fail without progress (default: 8).",
    )


def access_of(options: argparse.Namespace, limit: Deadline, password: str | None = None) -> Access:
    """The access that the options describe; the password is read from stdin if they say so."""
    if password is None and options.password_stdin:
        password = read_line(sys.stdin.fileno(), limit)
    access = Access(
        insecure=True if options.insecure else None,
        username=options.username,
        password=password,
        auth_file=options.auth_file,
        ca_file=options.ca_file,
        client_certificate=options.client_certificate,
        client_key=options.client_key,
        token_hosts=options.token_host,
    )
    return dataclasses.replace(access, stall=options.stall) if options.stall else access


def limit_of(options: argparse.Namespace) -> Deadline:
    """The deadline of the command, from now on."""
    return Deadline(options.timeout)


def retry_of(options: argparse.Namespace) -> RetryPolicy:
    """How often a transfer may break."""
    return RetryPolicy() if options.retries is None else RetryPolicy(attempts=options.retries)


class Meter:
    """Shows how far a transfer is, on a terminal."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._line: Progress | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` bytes are there."""
        if self._line is None:
            self._line = Progress(self._label, total)
        self._line(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.close()


def show(options: argparse.Namespace, facts: Mapping[str, object], text: str) -> int:
    """Print the result; the exit code."""
    if options.json:
        print_json(facts)
    else:
        print(text)
    return 0


def positive(text: str) -> int:
    """A whole number from 1 on."""
    number = count_argument(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number
