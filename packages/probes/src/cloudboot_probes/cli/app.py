"""The command's root: what it is called, and what hangs below it."""

from __future__ import annotations

import importlib.metadata
import io
import sys
from typing import Annotated

import typer

from . import image, probe, signatures, transfer
from .manners import EXIT_CODES

_EPILOG = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."

app = typer.Typer(
    name="cloudboot",
    help="Boot any operating system from an OCI artifact, and prove every step.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(image.app, name="image")
app.command("push")(transfer.push)
app.command("pull")(transfer.pull)
app.command("copy")(transfer.copy)
app.command("inspect")(transfer.inspect)
app.command("verify")(signatures.verify)
app.command("sign")(signatures.sign)
app.command("probe")(probe.probe)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"cloudboot {importlib.metadata.version('cloudboot-probes')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Boot any operating system from an OCI artifact, and prove every step."""


def main() -> None:
    """The entry point of the ``cloudboot`` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be text
    app()
