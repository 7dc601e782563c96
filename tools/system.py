"""The programs this project runs that pip cannot install: Debian packages, found by what they bring, installed as root.

Debian 12 lacks some of them, or has them too old. Those come from its backports suite, or from Debian 13, read from the
mirror that apt uses already and pinned so low that nothing else is ever taken from there.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

# Debian package -> what proves that it is there: a program, or a file.
PROBE = {
    "gcc": "gcc",
    "docker-registry": "docker-registry",
    "grub-common": "grub-mkimage",
    "ovmf": "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "util-linux": "setpriv",
}
JUDGES = {
    "acpica-tools": "iasl",
    "apache2-utils": "htpasswd",
    "attr": "setfattr",
    "binutils": "objdump",
    "chocolate-doom": "/usr/games/chocolate-doom",
    "cpio": "cpio",
    "chromium": "chromium",
    "clang-19": "clang-19",  # for loong64, which Debian 12 has no gcc for
    "dmidecode": "dmidecode",
    "dosfstools": "fsck.fat",
    "e2fsprogs": "mkfs.ext2",
    "efibootmgr": "efibootmgr",
    "efitools": "sign-efi-sig-list",
    "efivar": "efivar",
    "fdisk": "sfdisk",
    "gcc-aarch64-linux-gnu": "aarch64-linux-gnu-gcc",
    "gcc-riscv64-linux-gnu": "riscv64-linux-gnu-gcc",
    "fish": "fish",
    "fuse3": "fusermount3",
    "gdisk": "sgdisk",
    "genisoimage": "genisoimage",
    "gnu-efi": "/usr/include/efi/efi.h",
    "grub-efi-amd64-bin": "/usr/lib/grub/x86_64-efi/ufs2.mod",
    "libarchive-tools": "bsdtar",
    "libhivex-bin": "hivexsh",
    "libwin-hivex-perl": "hivexregedit",
    "lld-19": "ld.lld-19",
    "linux-libc-dev": "/usr/include/linux/virtio_snd.h",
    "makefs": "makefs",
    "mandoc": "mandoc",
    "mtools": "mcopy",
    "netpbm": "pngtopnm",
    "ntfs-3g": "ntfs-3g",
    "openssl": "openssl",
    "osslsigncode": "osslsigncode",
    "parted": "parted",
    "pesign": "pesign",
    "qemu-efi-aarch64": "/usr/share/AAVMF/AAVMF_CODE.fd",
    "qemu-utils": "qemu-img",
    "sbsigntool": "sbverify",
    "skopeo": "skopeo",
    "sleuthkit": "fls",
    "tar": "tar",
    "tinyproxy": "tinyproxy",
    "tpm2-tools": "tpm2_eventlog",
    "wimtools": "wimcapture",
    "xorriso": "xorriso",
    "zsh": "zsh",
    "xz-utils": "xz",
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
# Packages whose files are read and not run here (of other architectures, or EFI programs; ukify is a script that any
# Python runs): unpacked into FOREIGN, unknown to dpkg. Package -> (architecture, what proves it).
FOREIGN = Path("/usr/local/lib/cloudboot-foreign")
FOREIGN_JUDGES = {
    "grub-efi-arm64-bin": ("arm64", FOREIGN / "usr/lib/grub/arm64-efi/ufs2.mod"),
    "grub-efi-riscv64-bin": ("riscv64", FOREIGN / "usr/lib/grub/riscv64-efi/ufs2.mod"),
    "efi-shell-x64": ("amd64", FOREIGN / "usr/share/efi-shell-x64/shellx64.efi"),
    "efi-shell-aa64": ("amd64", FOREIGN / "usr/share/efi-shell-aa64/shellaa64.efi"),
    "efi-shell-riscv64": ("amd64", FOREIGN / "usr/share/efi-shell-riscv64/shellriscv64.efi"),
    "efi-shell-loongarch64": ("amd64", FOREIGN / "usr/share/efi-shell-loongarch64/shellloongarch64.efi"),
    "memtest86+": ("amd64", FOREIGN / "boot/memtest86+x64.efi"),
    "systemd-boot-efi": ("amd64", FOREIGN / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"),
    "systemd-ukify": ("amd64", FOREIGN / "usr/bin/ukify"),
    "python3-pefile": ("amd64", FOREIGN / "usr/lib/python3/dist-packages/pefile.py"),  # which ukify imports
    "ipxe": ("amd64", FOREIGN / "usr/lib/ipxe/ipxe-arm64.efi"),  # it has the programs for every processor
    "refind": ("amd64", FOREIGN / "usr/share/refind/refind/refind_x64.efi"),
    "shim-signed": ("amd64", FOREIGN / "usr/lib/shim/shimx64.efi.signed"),
    "shim-helpers-amd64-signed": ("amd64", FOREIGN / "usr/lib/shim/mmx64.efi.signed"),
    "grub-efi-amd64-signed": ("amd64", FOREIGN / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"),
    "linux-image-cloud-amd64": ("amd64", FOREIGN / "boot/modules-cloud-amd64/ntfs3.ko.xz"),
    "linux-image-cloud-arm64": ("arm64", FOREIGN / "boot/vmlinuz-cloud-arm64"),
    "syslinux-common": ("amd64", FOREIGN / "usr/lib/syslinux/modules/efi64/ldlinux.e64"),
    "syslinux-efi": ("amd64", FOREIGN / "usr/lib/SYSLINUX.EFI/efi64/syslinux.efi"),
    "xen-hypervisor-4.20-amd64": ("amd64", FOREIGN / "boot/xen-4.20-amd64.efi"),
}
#: Modules of a kernel that tests load.
KERNEL_MODULES = re.compile(r"(virtio_blk|nls_utf8|ntfs3)\.ko\.xz")
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


def refresh() -> None:
    """Let apt read the lists of packages anew."""
    run("apt-get", "update")


def install_compiler() -> None:
    """Install a C compiler where there is none: one pinned Python package has no wheels.

    Raises:
        subprocess.CalledProcessError: apt failed.
    """
    if not present("gcc") and shutil.which("apt-get") and os.geteuid() == 0:
        refresh()
        install(["gcc"])


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
    foreign = {name: found for name, found in FOREIGN_JUDGES.items() if judges and not found[1].exists()}
    names += foreign
    if not names:
        know_packages()
        say("system programs: up to date")
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        who = "this is not root" if shutil.which("apt-get") else "there is no apt here"
        say(f"{who}; please install {', '.join(names)} (QEMU {QEMU_AT_LEAST} or later)")
        raise SystemExit(2)
    is_bookworm = os_release() == ("debian", "bookworm")
    groups = [(suite if is_bookworm else None, group) for suite, group in wanted.items() if group]
    for suite, _ in groups:
        if suite is not None:
            add_suite(suite)
    if groups:
        refresh()
    for suite, group in groups:
        install(group, suite)
    if is_bookworm:  # elsewhere the tests that need them say so
        for architecture in sorted({found[0] for found in foreign.values()}):
            unpack_foreign(architecture, [name for name, found in foreign.items() if found[0] == architecture])


def unpack_foreign(architecture: str, packages: list[str]) -> None:
    """Unpack packages of Debian 13 for an architecture into FOREIGN, through an apt with its own root.

    dpkg's database and apt's lists stay as they are.
    """
    say(f"unpacking {', '.join(packages)} for {architecture} into {FOREIGN}")
    with tempfile.TemporaryDirectory(prefix="cloudboot-apt-") as name:
        root = Path(name)
        for folder in ("lists/partial", "cache/archives/partial", "etc/preferences.d", "debs"):
            (root / folder).mkdir(parents=True)
        write(root / "etc/foreign.sources", source_text(mirror(TRIXIE), TRIXIE))
        options = {
            "APT::Architecture": architecture, "APT::Architectures": architecture, "Dir::State": root,
            "Dir::State::lists": root / "lists", "Dir::State::status": "/dev/null", "Dir::Cache": root / "cache",
            "Dir::Etc::sourcelist": root / "etc/foreign.sources", "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferencesparts": root / "etc/preferences.d", "APT::Sandbox::User": "root",
        }  # fmt: skip
        apt = ["apt-get", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
        run(*apt, "update")
        kernels = {name: newest_kernel(name, apt[1:]) for name in packages if name.startswith("linux-image-")}
        wanted = [kernels.get(name, name) for name in packages]
        subprocess.run([*apt, "download", *wanted], cwd=root / "debs", check=True, stdout=subprocess.DEVNULL)
        FOREIGN.mkdir(parents=True, exist_ok=True)
        for archive in (root / "debs").iterdir():
            if archive.name.startswith("linux-image-"):
                unpack_kernel(archive)
            else:
                run("dpkg-deb", "--extract", archive, FOREIGN)


def newest_kernel(name: str, options: list[str]) -> str:
    """The package that a kernel's meta-package depends on."""
    text = subprocess.run(
        ["apt-cache", *options, "depends", name], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    found = re.search(r"Depends: (linux-image-\S+)", text)
    if found is None:
        say(f"{name} depends on no kernel")
        raise SystemExit(2)
    return found.group(1)


def unpack_kernel(archive: Path) -> None:
    """Take the kernel and a few modules out of its package, under names that state no version."""
    content = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as members:
        files = [member for member in members if member.isfile()]
        kernel = next(member for member in files if member.name.startswith("./boot/vmlinuz-"))
        name = f"cloud-{kernel.name.partition('-cloud-')[2]}"
        modules = FOREIGN / "boot" / f"modules-{name}"
        modules.mkdir(parents=True, exist_ok=True)
        wanted = {member: modules / Path(member.name).name for member in files}
        wanted = {member: path for member, path in wanted.items() if KERNEL_MODULES.fullmatch(path.name)}
        for member, path in (wanted | {kernel: FOREIGN / "boot" / f"vmlinuz-{name}"}).items():
            data = members.extractfile(member)
            assert data is not None  # it is a file
            path.write_bytes(data.read())


def know_packages() -> None:
    """Let apt read its index where it has none (a container image without lists): images are built from packages."""
    if not shutil.which("apt-cache") or os.geteuid() != 0:
        return
    known = subprocess.run(["apt-cache", "show", "linux-image-amd64"], check=False, capture_output=True).stdout
    if not known:
        say("reading the package index")
        refresh()


def install(packages: list[str], suite: str | None = None) -> None:
    """Install Debian packages; from ``suite`` where it is given. The lists of packages are those that apt has.

    QEMU's parts have to come from one suite together. Firmware stands alone; as a target, Debian 13 would bring
    its own version of what is there already.
    """
    say("installing Debian packages: " + " ".join(packages) + (f" from {suite}" if suite else ""))
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
    source = source_text(mirror(suite), suite)
    # 1 to 99: taken when it is asked for by name, never as an upgrade.
    pin = f"Package: *\nPin: release n={suite}\nPin-Priority: 50\n"
    say(f"adding {suite} to apt's sources, pinned below everything else")
    write(Path("/etc/apt/preferences.d") / f"cloudboot-{suite}", pin)
    write(Path("/etc/apt/sources.list.d") / f"cloudboot-{suite}.sources", source)


def mirror(suite: str) -> str:
    """The address of the Debian mirror that apt uses for this release.

    Raises:
        SystemExit: apt uses no mirror of this release.
    """
    policy = subprocess.run(["apt-cache", "policy"], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"^\s*-?\d+ (\S+) bookworm/main ", policy, re.MULTILINE)
    if found is None:
        say(f"apt knows no mirror of bookworm; please add {suite} to its sources")
        raise SystemExit(2)
    return found.group(1)


def source_text(address: str, suite: str) -> str:
    """An entry of apt's sources."""
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    signed = f"Signed-By: {keyring}\n" if keyring.exists() else ""
    return f"Types: deb\nURIs: {address}\nSuites: {suite}\nComponents: main\n{signed}"


def write(path: Path, text: str) -> None:
    """Write a file in one step."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).rename(path)
