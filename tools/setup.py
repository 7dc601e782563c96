"""Set this checkout up: a virtual environment with pinned packages, and the system programs the live part needs.

Only the standard library and Python 3.11 are assumed. Everything that gets installed is printed; what is there already
is left alone, so a second run installs nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import system
from system import say

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PINS = ROOT / "requirements" / "dev.txt"
UV_PIN = re.compile(r"^uv==\S+", re.MULTILINE)


def fingerprint() -> str:
    """Changes when the environment has to be made again: interpreter, pins, or any package's metadata."""
    digest = hashlib.sha256(sys.version.encode())
    for path in [PINS, *sorted(ROOT.glob("packages/*/pyproject.toml"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def set_up_python() -> None:
    """``.venv`` with the pinned tools and every package of the workspace, editable."""
    stamp = VENV / "cloudboot-setup"
    wanted = fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        say("Python environment: up to date")
        return
    stamp.unlink(missing_ok=True)
    python = VENV / "bin" / "python"
    if not usable(python):
        say(f"creating {VENV.name} with Python {sys.version.split()[0]}")
        create_environment()
    pin = UV_PIN.search(PINS.read_text())
    if pin is None:
        raise SystemExit(f"setup: error: {PINS.name} does not pin uv; run make pins")
    system.install_compiler()
    say(f"installing {pin.group()}, the packages pinned in {PINS.relative_to(ROOT)}, and packages/* (editable)")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pin.group())
    projects = sorted(ROOT.glob("packages/*/pyproject.toml"))
    members = [word for path in projects for word in ("--editable", path.parent)]
    run(VENV / "bin" / "uv", "pip", "install", "--quiet", "--python", python, "--requirement", PINS, *members)
    stamp.write_text(wanted)


def usable(python: Path) -> bool:
    """Whether the environment is this interpreter's and whole; one of another Python, or half made, is made again."""
    if not python.exists():
        return False
    code = "import pip, sys; print(sys.version)"
    done = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() == sys.version.strip()


def run(*command: str | Path) -> None:
    """Run a command in the checkout."""
    subprocess.run(command, cwd=ROOT, check=True)


def create_environment() -> None:
    """A virtual environment; Debian keeps the module that makes one in a package of its own."""
    command = [sys.executable, "-m", "venv", "--clear", os.fspath(VENV)]
    if subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        system.refresh()
        system.install(["python3-venv"])
    subprocess.run(command, check=True)


def main() -> int:
    """Set up what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what",
        choices=["python", "system", "probe", "test"],
        help="python: no system programs; system: those of the tests alone; probe: what boots; test: judges too",
    )
    options = parser.parse_args()
    if sys.version_info < (3, 11):
        raise SystemExit("setup: error: Python 3.11 or later is needed")
    try:
        if options.what != "python":
            system.set_up(judges=options.what != "probe")
        if options.what != "system":
            set_up_python()
    except subprocess.CalledProcessError as error:
        say(f"error: exit code {error.returncode}: {' '.join(map(str, error.cmd))}")
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
