"""What the command ``cloudboot`` brings along before it knows which command is asked for."""

import importlib.metadata
import subprocess
import sys

import pytest

from cloudboot_base.testing import loaded_modules

RUN = """
import contextlib, io, sys
from cloudboot_probes.cli import main
printed = io.StringIO()
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(printed):
    main(sys.argv[1:])
assert printed.getvalue()
"""
HEAVY = {
    "asyncio", "cloudboot_fleet.campaign", "cloudboot_fleet.matrix", "cloudboot_fleet.results", "cloudboot_oci_stream",
    "cloudboot_uefi_host", "dask", "distributed", "hashlib", "ssl", "subprocess", "tomllib",
}  # fmt: skip


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["--completion", "bash"], ["fleet", "--help"], ["fleet", "run", "--help"]]
)
def test_help_and_completion_import_nothing_that_only_runs_need(words: list[str]) -> None:
    assert not HEAVY & loaded_modules(RUN, *words)


def test_completing_a_word_imports_nothing_that_only_runs_need() -> None:
    assert not HEAVY & loaded_modules(RUN, "fl", environment={"_CLOUDBOOT_COMPLETE": "1"})


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["run"], ["--bogus"]])
def test_the_script_of_the_group_is_called_by_its_own_name(words: list[str]) -> None:
    command = [sys.executable, "-m", "cloudboot_fleet", *words]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    printed = told.stdout + told.stderr
    assert "cloudboot-fleet" in printed
    assert "cloudboot fleet" not in printed
    assert told.returncode == (0 if "--help" in words else 2)


def test_the_script_of_the_group_has_a_version() -> None:
    done = subprocess.run([sys.executable, "-m", "cloudboot_fleet", "--version"], capture_output=True, check=True)
    assert done.stdout.split() == [b"cloudboot-fleet", importlib.metadata.version("cloudboot-fleet").encode()]
