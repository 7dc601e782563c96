"""The arguments of every command. Values are checked here as far as that needs no file to be read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cloudboot_base.command import count_argument, seconds_argument, size_argument, whole_argument
from cloudboot_probes.inputs import check_file

if TYPE_CHECKING:
    from pathlib import Path

    from cloudboot_base.parser import CommandParser

MAX_MEMORY = 1 << 40
_REFERENCE = "The image: HOST[:PORT]/REPOSITORY[:TAG][@DIGEST], or oci:FOLDER[:TAG]"


def memory(text: str) -> int:
    """The memory of a machine, in bytes."""
    count = size_argument(text)
    if not 1 << 20 <= count <= MAX_MEMORY or count % (1 << 20):
        raise argparse.ArgumentTypeError(f"a machine's memory is 1M to 1T in whole mebibytes, not {text}")
    return count


def path_of(text: str) -> Path:
    """A path, of whatever will be there."""
    from pathlib import Path  # 17 ms, and --help needs none

    return Path(text)


def input_file(text: str) -> Path:
    """A regular file to read. A pipe or a device would stop the command, or never end."""
    return _input(text, folders=False)


def existing_file(text: str) -> Path:
    """A regular file that is there."""
    path = input_file(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return path


def input_tree(text: str) -> Path:
    """A folder, or a regular file, to read."""
    return _input(text, folders=True)


def input_folder(text: str) -> Path:
    """A folder to read."""
    path = _input(text, folders=True)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return path


def _input(text: str, *, folders: bool) -> Path:
    path = path_of(text)
    try:
        if not (folders and path.is_dir()):
            check_file(path)
    except FileNotFoundError:
        return path  # opening it reports the reason
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise argparse.ArgumentTypeError(reason if text in reason else f"{text}: {reason}") from None
    return path


def assignment(text: str) -> tuple[str, Path]:
    """``/PATH=FILE``."""
    path, equals, file = text.partition("=")
    if not equals or not path.startswith("/") or not file:
        raise argparse.ArgumentTypeError(f"{text!r} is not /PATH=FILE")
    return path, input_file(file)


def _reference(parser: CommandParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=f"{_REFERENCE}.")


def _access(parser: argparse.ArgumentParser, timeout: str = "--timeout") -> None:
    """How a registry is reached; ``timeout`` is the option that limits how long it is tried."""
    group = parser.add_argument_group("registry")
    group.add_argument("--insecure", action="store_true", help="Use plain HTTP for registries on other machines.")
    group.add_argument(
        "--ca-file",
        type=input_file,
        metavar="FILE",
        help="Certificate authorities to trust in addition to the system's (PEM).",
    )
    _auth_file(group)
    group.add_argument(
        "--token-host", action="append", default=[], metavar="HOST",
        help="A token service on another host that may receive the credentials. Can be repeated.",
    )  # fmt: skip
    group.add_argument(
        timeout, dest="registry_timeout", type=seconds_argument, metavar="SECONDS",
        help="Time limit of the transfer (default: none).",
    )  # fmt: skip
    group.add_argument(
        "--stall", type=seconds_argument, metavar="SECONDS",
        help="How long a connection may be idle (default: 30).",
    )  # fmt: skip
    group.add_argument(
        "--retries", type=count_argument, metavar="N",
        help="How often in a row a transfer may fail without progress (default: 8).",
    )  # fmt: skip


def _auth_file(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--auth-file",
        type=input_file,
        metavar="FILE",
        help="Read credentials from this file instead of the files of docker and podman.",
    )


def _access_defaults() -> dict[str, object]:
    """What the options of :func:`_access` are where none is given."""
    parser = argparse.ArgumentParser(add_help=False)
    _access(parser)
    return vars(parser.parse_args([]))


def _platform(parser: CommandParser) -> None:
    parser.add_argument("--platform", metavar="OS/ARCH", help="The entry of an index (default: the only one).")


def _policy(parser: CommandParser) -> None:
    parser.add_argument(
        "--policy",
        type=input_file,
        metavar="FILE",
        help="Verify signatures by this policy before the image is fetched.",
    )


def _output(parser: CommandParser) -> None:
    parser.add_argument(
        "-o", "--output", type=path_of, default="disk.img", metavar="IMAGE",
        help="The image to write (default: disk.img).",
    )  # fmt: skip
    parser.add_argument("-f", "--force", action="store_true", help="Replace the output if it exists.")


def probe(parser: CommandParser) -> None:
    """``cloudboot probe``."""
    from cloudboot_probes.systems import names

    parser.add_argument("system", metavar="SYSTEM", help=f"The operating system: {', '.join(names())}.")
    parser.add_argument("reference", metavar="REFERENCE|IMAGE", help=f"{_REFERENCE}, or a disk image's path.")
    parser.add_argument(
        "--firmware", metavar="NAME",
        help="The firmware that boots the image: hosted (a UEFI in this process), ovmf (OVMF in a QEMU machine, with "
        "its boot services called from this process) or qemu (a QEMU machine with its UEFI firmware). Several names "
        "with commas between them are compared (default: qemu for linux, hosted for the other systems).",
    )  # fmt: skip
    _architecture(parser)
    _reports(parser)
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--accelerator", choices=("tcg", "kvm", "auto"), default="tcg",
        help="Emulate the processor (tcg), use KVM (kvm), or use KVM where it runs guest code (auto; default: tcg).",
    )  # fmt: skip
    machine.add_argument(
        "--memory", type=memory, default=1 << 30, metavar="SIZE",
        help="Memory of the machine: 1M to 1T in whole MiB (default: 1G).",
    )  # fmt: skip
    machine.add_argument(
        "--timeout", type=seconds_argument, metavar="SECONDS",
        help="Time limit from power-on to the last gate (default: 300, and 0.02 for each entry of the manifest).",
    )  # fmt: skip
    machine.add_argument(
        "--variables", type=path_of, metavar="DUMP",
        help="Variables that the hosted firmware has before the boot: a flash image, JSON, or a folder of efivarfs "
        "files. With a platform key (PK) among them Secure Boot is on.",
    )  # fmt: skip
    _policy(parser)
    _access(parser, "--fetch-timeout")


def demo(parser: CommandParser) -> None:
    """``cloudboot demo``."""
    _architecture(parser)
    _reports(parser)
    parser.set_defaults(
        system="demo", firmware="hosted", accelerator="tcg", memory=256 << 20, timeout=60.0, policy=None,
        variables=None, **_access_defaults(),
    )  # fmt: skip


def _architecture(
    parser: argparse._ActionsContainer,
    default: str | None = "amd64",
    help_text: str = "Architecture of the machine (default: amd64).",
) -> None:
    parser.add_argument("--architecture", choices=("amd64", "arm64", "riscv64"), default=default, help=help_text)


def _reports(parser: CommandParser) -> None:
    reports = parser.add_argument_group("reports")
    reports.add_argument("--report", type=path_of, metavar="FILE", help="Write a self-contained HTML page.")
    reports.add_argument("--junit", type=path_of, metavar="FILE", help="Write the gates as JUnit XML.")
    reports.add_argument("--console", type=path_of, metavar="FILE", help="Write the text of the serial console.")
    reports.add_argument("--record", type=path_of, metavar="FILE", help="Write the run as one JSON document.")
    reports.add_argument(
        "--keep", type=path_of, metavar="DIR",
        help="Write record, report, console, serial log, traces and screenshot to a subfolder for each firmware.",
    )  # fmt: skip


def build(parser: CommandParser) -> None:
    """``cloudboot image build``."""
    from cloudboot_probes.recipe import builtin_names

    parser.add_argument(
        "recipe", metavar="RECIPE", nargs="?", default="linux",
        help=f"A TOML file, or one of: {', '.join(builtin_names())} (default: linux).",
    )  # fmt: skip
    _output(parser)
    parser.add_argument("--dry-run", action="store_true", help="Print what would be written; write nothing.")
    _content(parser)
    _shape(parser)
    _linux(parser)
    _windows(parser)


def _content(parser: CommandParser) -> None:
    content = parser.add_argument_group("content")
    medium(content)
    content.add_argument(
        "--loader",
        type=input_file,
        metavar="FILE",
        help="The EFI program for the default path, such as /EFI/BOOT/BOOTX64.EFI.",
    )
    content.add_argument("--root", type=input_tree, metavar="TREE|TAR", help="The content of the UFS2 root.")
    content.add_argument(
        "--esp-file",
        type=assignment,
        action="append",
        metavar="/PATH=FILE",
        help="A file for the ESP. Can be repeated.",
    )
    content.add_argument(
        "--root-file",
        type=assignment,
        action="append",
        metavar="/PATH=FILE",
        help="A file for the root. Can be repeated.",
    )
    content.add_argument(
        "--esp-only", action="store_true", default=None, help="Make a disk with an ESP and without a root."
    )


def _shape(parser: CommandParser) -> None:
    shape = parser.add_argument_group("shape")
    _architecture(shape, None, "Architecture of the loader (default: amd64).")
    shape.add_argument(
        "--esp-size", type=size_argument, metavar="SIZE", help="Size of the ESP (default: 16M; windows: 100M)."
    )
    shape.add_argument(
        "--root-size", type=size_argument, metavar="SIZE", help="Size of the root (default: what its content needs)."
    )
    shape.add_argument(
        "--root-free", type=percentage, metavar="PERCENT",
        help="Free space of a root without --root-size, in percent of its content (default: 5).",
    )  # fmt: skip
    shape.add_argument(
        "--block-size", type=size_argument, metavar="SIZE", help="Block size of UFS2: 4K to 64K (default: 32K)."
    )
    shape.add_argument(
        "--fragment-size", type=size_argument, metavar="SIZE", help="Fragment size of UFS2 (default: 4K)."
    )
    shape.add_argument(
        "--density", type=whole_argument, metavar="BYTES", help="Bytes per inode of UFS2 (default: as needed)."
    )
    shape.add_argument("--label", metavar="TEXT", help="Label of the root (default: cloudboot).")
    shape.add_argument(
        "--sector-size", type=whole_argument, metavar="BYTES", help="Logical sector size: 512 or 4096 (default: 512)."
    )
    shape.add_argument(
        "--timestamp", type=whole_argument, metavar="SECONDS",
        help="Time of generated files, since 1970 (default: SOURCE_DATE_EPOCH if that is set, or else 1980-01-01).",
    )  # fmt: skip
    shape.add_argument("--seed", metavar="TEXT", help="Derive the GUIDs from this text, not from the content.")


def _linux(parser: CommandParser) -> None:
    linux = parser.add_argument_group("linux")
    linux.add_argument("--kernel", type=input_file, metavar="FILE", help="A kernel to use instead of Debian's.")
    linux.add_argument(
        "--initrd", type=input_file, metavar="FILE", help="An initial RAM disk to use instead of the generated one."
    )
    linux.add_argument(
        "--grub-modules",
        type=input_folder,
        metavar="FOLDER",
        help="GRUB's folder x86_64-efi (default: that of Debian's package).",
    )
    linux.add_argument("--arguments", metavar="TEXT", help="The kernel command line.")


def _windows(parser: CommandParser) -> None:
    group = parser.add_argument_group("windows")
    group.add_argument(
        "--index", type=whole_argument, metavar="NUMBER", help="Number of the image in the WIM (default: 1)."
    )
    group.add_argument(
        "--bcd", type=input_file, metavar="FILE", help="A boot configuration to use instead of a new one."
    )
    group.add_argument(
        "--locale", metavar="NAME", help="Language of the boot menu (default: that of the source, or en-US)."
    )
    group.add_argument(
        "--stand-in", action="store_true",
        help="Use cloudboot's stand-in if the source has no boot manager; without --from make a demonstration.",
    )  # fmt: skip


def medium(group: argparse._ArgumentGroup) -> None:
    """Where the system's own files come from."""
    group.add_argument(
        "--from", dest="medium", metavar="PATH|URL",
        help="The medium with the system's files: an ISO image, a disk image, a folder or a tar archive; for windows "
        "also a WIM (this and an ISO image need wimlib's programs).",
    )  # fmt: skip
    group.add_argument("--sha256", type=digest, metavar="HEX", help="SHA-256 of the medium; required for a URL.")


def digest(text: str) -> str:
    """A SHA-256 in hexadecimal digits."""
    value = text.strip().lower().removeprefix("sha256:")
    if len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a SHA-256 in 64 hexadecimal digits")
    return value


def percentage(text: str) -> int:
    """0 to 10,000 percent."""
    value = whole_argument(text.removesuffix("%"))
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 10000 percent")
    return value


def image_inspect(parser: CommandParser) -> None:
    """``cloudboot image inspect``."""
    parser.add_argument("image", metavar="IMAGE|REFERENCE", help="A disk image, or a reference of one.")
    parser.add_argument(
        "--check", action=argparse.BooleanOptionalAction, default=True, help="Run every checker (default: yes)."
    )
    _access(parser)


def image_boot_entries(parser: CommandParser) -> None:
    """``cloudboot image boot-entries``."""
    parser.add_argument("image", metavar="IMAGE|REFERENCE", help="A disk image, or a reference of one.")
    parser.add_argument(
        "--variables", required=True, type=path_of, metavar="DUMP",
        help="The firmware's variables: a flash image, JSON, or a folder of efivarfs files.",
    )  # fmt: skip
    _architecture(parser)
    _access(parser)


def login(parser: CommandParser) -> None:
    """``cloudboot login``."""
    _host(parser)
    parser.add_argument("--username", metavar="NAME", help="The user name (default: read from the terminal).")
    parser.add_argument("--password-stdin", action="store_true", help="Read the password from stdin.")
    _access(parser)


def logout(parser: CommandParser) -> None:
    """``cloudboot logout``; no registry is asked."""
    _host(parser)
    parser.set_defaults(**_access_defaults())
    _auth_file(parser)


def _host(parser: CommandParser) -> None:
    parser.add_argument("host", metavar="HOST", help="The registry: HOST[:PORT].")


def push(parser: CommandParser) -> None:
    """``cloudboot push``."""
    parser.add_argument(
        "image", type=existing_file, metavar="IMAGE", nargs="?", help="The disk image; omitted with --kernel."
    )
    _reference(parser)
    kernel = parser.add_argument_group("kernel, instead of a disk image")
    kernel.add_argument("--kernel", type=existing_file, metavar="FILE", help="A kernel that is an EFI program.")
    kernel.add_argument("--initrd", type=existing_file, metavar="FILE", help="The initial RAM disk of the kernel.")
    kernel.add_argument("--cmdline", metavar="TEXT", help="The kernel command line.")
    _architecture(kernel, None, "Architecture of the kernel (default: that of its PE header).")
    parser.add_argument("--sign", type=input_file, metavar="KEY", help="Sign the image with this private key (PEM).")
    _signature(parser)
    _access(parser)


def _signature(parser: CommandParser) -> None:
    parser.add_argument(
        "--key-password-file", type=input_file, metavar="FILE", help="The file that holds the private key's password."
    )
    parser.add_argument(
        "--format", choices=("bundle", "cosign", "both"), default="bundle",
        help="Write an artifact that refers to the image (bundle), cosign's tag sha256-<digest>.sig (cosign), or both "
        "(default: bundle).",
    )  # fmt: skip


def pull(parser: CommandParser) -> None:
    """``cloudboot pull``."""
    _reference(parser)
    _output(parser)
    _policy(parser)
    _platform(parser)
    _access(parser)


def copy(parser: CommandParser) -> None:
    """``cloudboot copy``."""
    _reference(parser)
    parser.add_argument("target", metavar="TARGET", help="The new reference.")
    _platform(parser)
    parser.add_argument(
        "--referrers", action="store_true", help="Also copy signatures and other artifacts that refer to the image."
    )
    _access(parser)


def inspect(parser: CommandParser) -> None:
    """``cloudboot inspect``."""
    _reference(parser)
    _platform(parser)
    _access(parser)


def verify(parser: CommandParser) -> None:
    """``cloudboot verify``."""
    _reference(parser)
    _policy(parser)
    parser.add_argument(
        "--key", type=input_file, action="append", metavar="FILE", help="An accepted public key (PEM). Can be repeated."
    )
    parser.add_argument("--identity", metavar="SUBJECT", help="The e-mail address or URI of an accepted certificate.")
    parser.add_argument("--issuer", metavar="URL", help="The OpenID Connect issuer of that identity.")
    parser.add_argument(
        "--trust-root",
        type=input_file,
        metavar="FILE",
        help="The trusted root for certificates (default: that of Sigstore).",
    )
    _access(parser)


def sign(parser: CommandParser) -> None:
    """``cloudboot sign``."""
    _reference(parser)
    parser.add_argument("--key", type=input_file, metavar="FILE", help="Sign with this private key (PEM).")
    parser.add_argument(
        "--identity-token", type=input_file, metavar="FILE", help="Sign as the subject of this OpenID Connect token."
    )
    parser.add_argument(
        "--ambient-identity", action="store_true", help="Sign as the identity that this machine's environment provides."
    )
    parser.add_argument(
        "--trust-config",
        type=input_file,
        metavar="FILE",
        help="The services for signing with an identity (default: those of Sigstore).",
    )
    _signature(parser)
    parser.add_argument(
        "--name", metavar="TEXT", help="The repository that the signature names (default: the image's)."
    )
    _access(parser)


def virtio(parser: CommandParser) -> None:
    """``cloudboot virtio devices`` and ``cloudboot virtio bench``."""
    parser.add_argument(
        "--architecture", choices=("amd64", "arm64", "riscv64", "loong64"), default="amd64",
        help="Architecture of the machine (default: amd64).",
    )  # fmt: skip
    parser.add_argument(
        "--ring", choices=("split", "packed"), default="packed", help="Format of the rings (default: packed)."
    )


def virtio_record(parser: CommandParser) -> None:
    """``cloudboot virtio record``."""
    parser.add_argument(
        "device", choices=("blk", "console", "gpu", "input", "net", "rng", "sound"), help="The device to record."
    )
    parser.add_argument("--output", "-o", required=True, type=path_of, metavar="FILE", help="The file to write.")
    parser.add_argument("--force", action="store_true", help="Replace an existing file.")
    virtio(parser)


def doom_guest(parser: CommandParser) -> None:
    """``cloudboot doom guest``."""
    parser.add_argument(
        "--output", "-o", type=path_of, required=True, metavar="FOLDER", help="The folder to write captures to."
    )
    parser.add_argument("--wad", type=existing_file, metavar="FILE", help="An IWAD (default: an installed one).")
    parser.add_argument(
        "--oracle",
        type=input_folder,
        metavar="FOLDER",
        help="Also capture the checkpoints of this oracle, at 35 tics per second.",
    )
    parser.add_argument(
        "--seconds", type=seconds_list, default=[15, 16, 30, 45, 60], metavar="LIST",
        help="Seconds at which the screen is captured (default: 15,16,30,45,60).",
    )  # fmt: skip
    parser.add_argument("--keys", action="store_true", help="Press ret, esc, down, ret after the first capture.")
    parser.add_argument(
        "--accelerator",
        choices=("tcg", "kvm", "auto"),
        default="auto",
        help="Emulate the processor (tcg), use KVM (kvm), or use KVM where it runs guest code (auto; default: auto).",
    )


def seconds_list(text: str) -> list[int]:
    """``"15,16,30"`` for argparse: whole seconds of at most an hour, in order."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and int(part[:9]) <= 3600 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of seconds like 15,16,30")
    return sorted({int(part) for part in parts})


def tics_list(text: str) -> list[int]:
    """``"1,35,70"`` for argparse: tics, in order."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of tics like 1,35,70")
    return sorted({int(part) for part in parts})


def doom_probe(parser: CommandParser) -> None:
    """``cloudboot doom probe``."""
    parser.add_argument("--wad", type=existing_file, metavar="FILE", help="An IWAD (default: an installed one).")
    parser.add_argument(
        "--script",
        type=existing_file,
        metavar="FILE",
        help="Keys to press: lines of TIC:keydown:KEY and TIC:keyup:KEY (default: none).",
    )
    parser.add_argument(
        "--oracle", type=input_folder, metavar="FOLDER", help="An oracle to compare with (default: a new one)."
    )
    parser.add_argument(
        "--seed", type=whole_argument, metavar="N", help="Start index of the new oracle's random tables (default: 0)."
    )
    parser.add_argument(
        "--checkpoints", type=tics_list, metavar="TICS",
        help="Tics of the new oracle's checkpoints, with commas between them (default: 1,35,70,140,350,1050).",
    )  # fmt: skip
    parser.add_argument(
        "--no-pin",
        action="store_true",
        help="Keep address space randomisation, and take each frame from two of three runs.",
    )
    parser.add_argument(
        "--sample-every", type=count_argument, default=0, metavar="N",
        help="Also compare a screendump of every N-th frame (default: 0, which compares checkpoints only).",
    )  # fmt: skip
    parser.add_argument("--report", type=path_of, metavar="FILE", help="Write a self-contained HTML page.")
    parser.add_argument(
        "--architecture", choices=("amd64", "arm64", "riscv64", "loong64"), default="amd64",
        help="Architecture of the machine (default: amd64).",
    )  # fmt: skip
    parser.add_argument(
        "--ring", choices=("split", "packed"), default="split", help="Layout of the virtqueues (default: split)."
    )
