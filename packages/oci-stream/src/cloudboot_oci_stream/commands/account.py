"""``login`` and ``logout``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_oci_stream.commands.options import access_of, add_access_options, limit_of, show

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program


def add_commands(program: Program) -> None:
    """Add the commands of this module."""
    enter = program.command("login", _login, "Try a user name and a password at a registry, and keep them.")
    leave = program.command("logout", _logout, "Forget the password that is kept for a registry.")
    for parser in (enter, leave):
        parser.add_argument("host", metavar="HOST", help="The registry: HOST[:PORT].")
        add_access_options(parser)


def _login(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.http.accounts import login
    from cloudboot_oci_stream.inputs import read_line

    limit = limit_of(options)
    username, password = options.username, None
    if options.password_stdin:
        password = read_line(sys.stdin.fileno(), limit)
    elif sys.stdin.isatty():
        import getpass

        username = username or input("user name: ")
        password = getpass.getpass("password: ")
    if not username or not password:
        raise UsageError("there is no user name or no password", hint="give --username NAME and --password-stdin")
    place = login(options.host, username, password, access=access_of(options, limit, password), deadline=limit)
    facts = {"host": options.host, "username": username, "kept_in": place}
    return show(options, facts, f"logged in to {options.host}; the password is kept in {place}")


def _logout(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.http.accounts import logout

    limit = limit_of(options)
    places = logout(options.host, access=access_of(options, limit), deadline=limit)
    return show(
        options, {"host": options.host, "removed_from": places}, f"logged out; removed from {', '.join(places)}"
    )
