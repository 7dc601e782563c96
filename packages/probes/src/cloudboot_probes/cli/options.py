"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloudboot_base.command import parse_size
from cloudboot_oci_stream import Access


def size(text: str) -> int:
    """A size on the command line, in bytes."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def assignment(text: str) -> tuple[str, Path]:
    """``/PATH=FILE`` on the command line."""
    path, equals, file = text.partition("=")
    if not equals or not path.startswith("/") or not file:
        raise typer.BadParameter(f"{text!r} is not /PATH=FILE")
    return path, Path(file)


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the output if it exists.")]
Reference = Annotated[
    str, typer.Argument(metavar="REFERENCE", help="HOST[:PORT]/REPOSITORY[:TAG][@DIGEST], or oci:FOLDER[:TAG].")
]
Platform = Annotated[
    str | None, typer.Option("--platform", metavar="OS/ARCH", help="Which entry of an index (default: the only one).")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Plain HTTP to a registry that is not on this machine.")]
CaFile = Annotated[
    Path | None, typer.Option("--ca-file", metavar="FILE", help="Certificate authorities to trust (PEM).")
]
AuthFile = Annotated[
    Path | None, typer.Option("--auth-file", metavar="FILE", help="Credentials instead of docker's and podman's.")
]


PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="Verify signatures by this policy before anything is fetched."),
]


def access(insecure: bool, ca_file: Path | None, auth_file: Path | None) -> Access:
    """How to reach a registry, from the options above."""
    return Access(insecure=True if insecure else None, ca_file=ca_file, auth_file=auth_file)
