"""The programs this project runs that pip cannot install: Debian packages, found by what they bring, installed as root.

Debian 12 lacks some of them, or has them too old. Those come from its backports suite, or from Debian 13, read from the
mirror that apt uses already and pinned so low that nothing else is ever taken from there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Debian package -> what proves that it is there: a program, or a file.
PROBE = {
    "docker-registry": "docker-registry",
    "grub-common": "grub-mkimage",
    "ovmf": "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "util-linux": "setpriv",
}
JUDGES = {
    "apache2-utils": "htpasswd",
    "cpio": "cpio",
    "chromium": "chromium",
    "dosfstools": "fsck.fat",
    "fdisk": "sfdisk",
    "gdisk": "sgdisk",
    "grub-efi-amd64-bin": "/usr/lib/grub/x86_64-efi/ufs2.mod",
    "libarchive-tools": "bsdtar",
    "makefs": "makefs",
    "mtools": "mcopy",
    "netpbm": "pngtopnm",
    "openssl": "openssl",
    "parted": "parted",
    "qemu-efi-aarch64": "/usr/share/AAVMF/AAVMF_CODE.fd",
    "qemu-utils": "qemu-img",
    "skopeo": "skopeo",
    "sleuthkit": "fls",
    "tar": "tar",
}
BACKPORTS_PROBE = {"qemu-system-x86": "qemu-system-x86_64"}
BACKPORTS_JUDGES = {
    "qemu-system-arm": "qemu-system-aarch64",
    "qemu-system-misc": "qemu-system-loongarch64",
    "qemu-system-riscv": "qemu-system-riscv64",
}
TRIXIE_JUDGES = {
    "cosign": "cosign",
    "oras": "oras",
    "qemu-efi-loongarch64": "/usr/share/qemu-efi-loongarch64/QEMU_EFI.fd",
    "qemu-efi-riscv64": "/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd",
}
QEMU_AT_LEAST = 10
BACKPORTS, TRIXIE = "bookworm-backports", "trixie"


def say(text: str) -> None:
    """Progress goes to stderr, like every story this project tells."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def run(*command: str | Path) -> None:
    """Run a command; its output is shown only if it fails."""
    words = [os.fspath(word) for word in command]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        words, check=False, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise subprocess.CalledProcessError(done.returncode, words)


def present(proof: str) -> bool:
    """Whether a program is on the path (the administrator's included), or a file is there; QEMU must be recent too."""
    if proof.startswith("/"):
        return Path(proof).exists()
    program = shutil.which(proof, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if program is None or not proof.startswith("qemu-system-"):
        return program is not None
    text = subprocess.run([program, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"version (\d+)", text)
    return found is not None and int(found.group(1)) >= QEMU_AT_LEAST


def missing(packages: dict[str, str]) -> list[str]:
    """Those of ``packages`` that are not there."""
    return [package for package, proof in packages.items() if not present(proof)]


def set_up(*, judges: bool) -> None:
    """Install what a probe needs, and with ``judges`` what the tests need too.

    Raises:
        SystemExit: something is missing, and this is not root on a machine with apt.
        subprocess.CalledProcessError: apt failed.
    """
    wanted = {
        None: missing(PROBE | (JUDGES if judges else {})),
        BACKPORTS: missing(BACKPORTS_PROBE | (BACKPORTS_JUDGES if judges else {})),
        TRIXIE: missing(TRIXIE_JUDGES if judges else {}),
    }
    names = [name for group in wanted.values() for name in group]
    if not names:
        know_packages()
        say("system programs: up to date")
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        who = "this is not root" if shutil.which("apt-get") else "there is no apt here"
        say(f"{who}; please install {', '.join(names)} (QEMU {QEMU_AT_LEAST} or later)")
        raise SystemExit(2)
    is_bookworm = os_release() == ("debian", "bookworm")
    for suite, group in wanted.items():
        if group:
            install(group, suite if is_bookworm else None)


def know_packages() -> None:
    """Let apt read its index where it has none (a container image without lists): images are built from packages."""
    if not shutil.which("apt-cache") or os.geteuid() != 0:
        return
    known = subprocess.run(["apt-cache", "show", "linux-image-amd64"], check=False, capture_output=True).stdout
    if not known:
        say("reading the package index")
        run("apt-get", "update")


def install(packages: list[str], suite: str | None = None) -> None:
    """Install Debian packages, with fresh lists; from ``suite`` where it is given.

    QEMU's parts have to come from one suite together. Firmware stands alone; as a target, Debian 13 would bring
    its own version of what is there already.
    """
    say("installing Debian packages: " + " ".join(packages) + (f" from {suite}" if suite else ""))
    if suite is not None:
        add_suite(suite)
    run("apt-get", "update")
    target = ["--target-release", suite] if suite == BACKPORTS else []
    names = [f"{name}/{suite}" for name in packages] if suite == TRIXIE else packages
    run("apt-get", "install", "--yes", "--no-install-recommends", *target, *names)


def os_release() -> tuple[str, str]:
    """The distribution's ID and code name, empty where there is no os-release."""
    path = Path("/etc/os-release")
    text = path.read_text() if path.exists() else ""
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    return fields.get("ID", ""), fields.get("VERSION_CODENAME", "")


def add_suite(suite: str) -> None:
    """Make another suite known to apt, from the mirror it uses for this release, at a priority below what is installed.

    Raises:
        SystemExit: apt uses no mirror of this release.
    """
    policy = subprocess.run(["apt-cache", "policy"], check=True, stdout=subprocess.PIPE, text=True).stdout
    if re.search(rf"\bn={suite}\b", policy):
        return
    mirror = re.search(r"^\s*-?\d+ (\S+) bookworm/main ", policy, re.MULTILINE)
    if mirror is None:
        say(f"apt knows no mirror of bookworm; please add {suite} to its sources")
        raise SystemExit(2)
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    signed = f"Signed-By: {keyring}\n" if keyring.exists() else ""
    source = f"Types: deb\nURIs: {mirror.group(1)}\nSuites: {suite}\nComponents: main\n{signed}"
    # 1 to 99: taken when it is asked for by name, never as an upgrade.
    pin = f"Package: *\nPin: release n={suite}\nPin-Priority: 50\n"
    say(f"adding {suite} to apt's sources, pinned below everything else")
    write(Path("/etc/apt/preferences.d") / f"cloudboot-{suite}", pin)
    write(Path("/etc/apt/sources.list.d") / f"cloudboot-{suite}.sources", source)


def write(path: Path, text: str) -> None:
    """Write a file in one step."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).rename(path)
