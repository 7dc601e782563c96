"""``login`` and ``logout``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_oci_stream.commands.options import access_of, add_access_options, limit_of, retry_of, show
from cloudboot_oci_stream.inputs import read_line

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program
    from cloudboot_oci_stream.deadline import Deadline


def add_commands(program: Program) -> None:
    """Add the commands of this module."""
    enter = program.command("login", _login, "Try a user name and a password at a registry, and keep them.")
    leave = program.command("logout", _logout, "Forget the password that is kept for a registry.")
    for parser in (enter, leave):
        parser.add_argument("host", metavar="HOST", help="The registry: HOST[:PORT].")
        add_access_options(parser)


def asked_for(username: str | None, *, password_stdin: bool, deadline: Deadline) -> tuple[str, str]:
    """A user name and a password: from the command line and stdin, or asked for where stdin is a terminal.

    Raises:
        UsageError: one of them is missing.
        TransferTimeoutError: the deadline passed while stdin was read.
    """
    password = ""
    if password_stdin:
        password = read_line(sys.stdin.fileno(), deadline)
    elif sys.stdin.isatty():
        import getpass

        try:
            if not username:
                # Not input(): it would write the question to stdout, where the result goes.
                print("user name: ", end="", file=sys.stderr, flush=True)
                username = sys.stdin.readline().strip()
            password = getpass.getpass("password: ") if username else ""
        except EOFError:
            print(file=sys.stderr)
    if not username or not password:
        raise UsageError("there is no user name or no password", hint="give --username NAME and --password-stdin")
    return username, password


def _login(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.http.accounts import login

    limit = limit_of(options)
    username, password = asked_for(options.username, password_stdin=options.password_stdin, deadline=limit)
    access = access_of(options, limit, password)
    place = login(options.host, username, password, access=access, deadline=limit, retry=retry_of(options))
    facts = {"host": options.host, "username": username, "kept_in": place}
    return show(options, facts, f"logged in to {options.host}; the password is kept in {place}")


def _logout(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.http.accounts import logout

    limit = limit_of(options)
    places = logout(options.host, access=access_of(options, limit), deadline=limit)
    return show(
        options, {"host": options.host, "removed_from": places}, f"logged out; removed from {', '.join(places)}"
    )
