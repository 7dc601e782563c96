"""Set this checkout up: a virtual environment with pinned packages, and the system programs the live part needs.

Only the standard library and Python 3.11 are assumed. Everything that gets installed is printed; what is there already
is left alone, so a second run installs nothing. System programs are Debian packages: as root on Debian they are
installed, elsewhere the command to install them is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PINS = ROOT / "requirements" / "dev.txt"
UV_PIN = re.compile(r"^uv==\S+", re.MULTILINE)

# Debian package -> what proves that it is there: a program, or a file.
SYSTEM_PACKAGES = {
    "apache2-utils": "htpasswd",
    "busybox-static": "/usr/share/doc/busybox-static",
    "cpio": "cpio",
    "docker-registry": "docker-registry",
    "dosfstools": "fsck.fat",
    "fdisk": "sfdisk",
    "gdisk": "sgdisk",
    "grub-common": "grub-mkimage",
    "grub-efi-amd64-bin": "/usr/lib/grub/x86_64-efi/ufs2.mod",
    "makefs": "makefs",
    "mtools": "mcopy",
    "ovmf": "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "parted": "parted",
    "skopeo": "skopeo",
    "sleuthkit": "fls",
    "util-linux": "setpriv",
}
# Taken from bookworm-backports on Debian 12, whose own QEMU is older than the one this project is tested with.
BACKPORTS = {"qemu-system-x86": "qemu-system-x86_64"}
QEMU_AT_LEAST = 10


def say(text: str) -> None:
    """Progress goes to stderr, like every story this project tells."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def run(*command: str | Path, quiet: bool = False) -> None:
    """Run a command; with ``quiet`` its output is shown only if it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    words = [os.fspath(word) for word in command]
    if not quiet:
        say("$ " + " ".join(words))
        subprocess.run(words, check=True, env=environment, cwd=ROOT)
        return
    done = subprocess.run(
        words, check=False, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise subprocess.CalledProcessError(done.returncode, words)


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
    if not python.exists():
        say(f"creating {VENV.name} with Python {sys.version.split()[0]}")
        create_environment()
    pin = UV_PIN.search(PINS.read_text())
    if pin is None:
        raise SystemExit(f"setup: error: {PINS.name} does not pin uv; run make pins")
    say(f"installing {pin.group()} and the packages in {PINS.relative_to(ROOT)}")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pin.group(), quiet=True)
    members = [word for path in sorted(ROOT.glob("packages/*")) for word in ("--editable", path.relative_to(ROOT))]
    uv, pins = Path(VENV.name) / "bin" / "uv", PINS.relative_to(ROOT)
    run(uv, "pip", "install", "--quiet", "--python", python, "--requirement", pins, *members)
    stamp.write_text(wanted)


def create_environment() -> None:
    """A virtual environment; Debian keeps the module that makes one in a package of its own."""
    command = [sys.executable, "-m", "venv", "--clear", os.fspath(VENV)]
    if subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        apt_install(["python3-venv"])
    subprocess.run(command, check=True)


def present(proof: str) -> bool:
    """Whether a program is on the path (the administrator's included), or a file is there."""
    if proof.startswith("/"):
        return Path(proof).exists()
    return shutil.which(proof, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin") is not None


def qemu_is_recent() -> bool:
    """Whether the QEMU on the path is one this project is tested with."""
    program = shutil.which("qemu-system-x86_64")
    if program is None:
        return False
    text = subprocess.run([program, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"version (\d+)", text)
    return found is not None and int(found.group(1)) >= QEMU_AT_LEAST


def set_up_system() -> None:
    """The programs of the live part and the judges of the tests."""
    missing = [package for package, proof in SYSTEM_PACKAGES.items() if not present(proof)]
    newer = [] if qemu_is_recent() else list(BACKPORTS)
    if not missing and not newer:
        know_packages()
        say("system programs: up to date")
        return
    wanted = " ".join([*missing, *newer])
    if not shutil.which("apt-get"):
        say(f"please install the programs of these Debian packages: {wanted}")
        raise SystemExit(2)
    if os.geteuid() != 0:
        say(f"not root; please run: apt-get install {wanted} (QEMU {QEMU_AT_LEAST} or later)")
        raise SystemExit(2)
    if missing:
        apt_install(missing)
    if newer:
        suite = debian_backports()
        apt_install(newer, suite=suite)


def know_packages() -> None:
    """Let apt read its index where it has none (a container image without lists): images are built from packages."""
    if not shutil.which("apt-cache") or os.geteuid() != 0:
        return
    known = subprocess.run(["apt-cache", "show", "linux-image-amd64"], check=False, capture_output=True).stdout
    if not known:
        say("reading the package index")
        run("apt-get", "update", quiet=True)


def apt_install(packages: list[str], suite: str | None = None) -> None:
    """Install Debian packages, with fresh lists."""
    say("installing Debian packages: " + " ".join(packages) + (f" from {suite}" if suite else ""))
    run("apt-get", "update", quiet=True)
    target = ["--target-release", suite] if suite else []
    run("apt-get", "install", "--yes", "--no-install-recommends", *target, *packages, quiet=True)


def debian_backports() -> str | None:
    """Make the backports suite of this Debian release known to apt, from the mirror apt uses already."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    codename = release.get("VERSION_CODENAME", "").strip('"')
    if release.get("ID", "").strip('"') != "debian" or codename != "bookworm":
        return None
    suite = f"{codename}-backports"
    policy = subprocess.run(["apt-cache", "policy"], check=True, stdout=subprocess.PIPE, text=True).stdout
    if f"n={suite}" in policy:
        return suite
    entry = next((found for found in re.finditer(r"^\s*-?\d+ (\S+) bookworm/main ", policy, re.MULTILINE)), None)
    if entry is None:
        say("apt knows no mirror of bookworm; add bookworm-backports yourself")
        raise SystemExit(2)
    target = Path("/etc/apt/sources.list.d") / f"cloudboot-{suite}.sources"
    text = f"Types: deb\nURIs: {entry.group(1)}\nSuites: {suite}\nComponents: main\n"
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if keyring.exists():
        text += f"Signed-By: {keyring}\n"
    say(f"adding {target} (nothing is upgraded to it by itself)")
    with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).rename(target)
    return suite


def main() -> int:
    """Set up what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python-only", action="store_true", help="leave system programs alone")
    options = parser.parse_args()
    if sys.version_info < (3, 11):
        raise SystemExit("setup: error: Python 3.11 or later is needed")
    try:
        if not options.python_only:
            set_up_system()
        set_up_python()
    except subprocess.CalledProcessError as error:
        say(f"error: exit code {error.returncode}: {' '.join(map(str, error.cmd))}")
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
