"""The arguments of every command. Values are checked here as far as that needs no file to be read."""

from __future__ import annotations

import argparse
import math
import os
import stat
from typing import TYPE_CHECKING

from cloudboot_base.command import parse_size
from cloudboot_base.inputs import kind_of

if TYPE_CHECKING:
    from pathlib import Path

    from .parser import Parser

MAX_MEMORY = 1 << 40
_REFERENCE = "HOST[:PORT]/REPOSITORY[:TAG][@DIGEST], or oci:FOLDER[:TAG]"
_FIRST, _LAST = -(1 << 63), (1 << 63) - 1


def common(parser: Parser) -> None:
    """What every command takes."""
    parser.add_argument("--json", action="store_true", help="print results and errors as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error")


def size(text: str) -> int:
    """A size, in bytes."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def memory(text: str) -> int:
    """The memory of a machine, in bytes."""
    count = size(text)
    if not 1 << 20 <= count <= MAX_MEMORY or count % (1 << 20):
        raise argparse.ArgumentTypeError(f"a machine's memory is 1M to 1T in whole mebibytes, not {text}")
    return count


def seconds(text: str) -> float:
    """A time limit, in seconds."""
    try:
        value = float(text) if text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not 0 < value <= 10 * 365 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def whole(text: str) -> int:
    """A whole number in ASCII digits."""
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19 or not _FIRST <= int(text) <= _LAST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


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
        raise argparse.ArgumentTypeError(f"{text} is not there")
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
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return path  # for whoever opens it to report, with the reason that file has for being there
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    if not (stat.S_ISREG(mode) or (folders and stat.S_ISDIR(mode))):
        raise argparse.ArgumentTypeError(f"{text} is {kind_of(mode)}, not a file")
    return path


def assignment(text: str) -> tuple[str, Path]:
    """``/PATH=FILE``."""
    path, equals, file = text.partition("=")
    if not equals or not path.startswith("/") or not file:
        raise argparse.ArgumentTypeError(f"{text!r} is not /PATH=FILE")
    return path, input_file(file)


def _reference(parser: Parser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=_REFERENCE)


def _access(parser: Parser) -> None:
    group = parser.add_argument_group("registry")
    group.add_argument("--insecure", action="store_true", help="plain HTTP to a registry that is not on this machine")
    group.add_argument("--ca-file", type=input_file, metavar="FILE", help="certificate authorities to trust (PEM)")
    group.add_argument(
        "--auth-file", type=input_file, metavar="FILE", help="credentials instead of docker's and podman's"
    )


def _platform(parser: Parser) -> None:
    parser.add_argument("--platform", metavar="OS/ARCH", help="which entry of an index (default: the only one)")


def _policy(parser: Parser) -> None:
    parser.add_argument(
        "--policy", type=input_file, metavar="FILE", help="verify signatures by this policy before anything is fetched"
    )


def _output(parser: Parser) -> None:
    parser.add_argument(
        "-o", "--output", type=path_of, default="disk.img", metavar="IMAGE",
        help="the image to write (default: disk.img)",
    )  # fmt: skip
    parser.add_argument("-f", "--force", action="store_true", help="replace the output if it exists")


def probe(parser: Parser) -> None:
    """``cloudboot probe``."""
    from cloudboot_probes.systems import names

    parser.add_argument("system", metavar="SYSTEM", help=f"one of: {', '.join(names())}")
    _reference(parser)
    parser.add_argument(
        "--firmware", metavar="NAME",
        help="what boots the image: qemu (real UEFI firmware in a QEMU machine); by default what suits the system",
    )  # fmt: skip
    reports = parser.add_argument_group("reports")
    reports.add_argument("--report", type=path_of, metavar="FILE", help="one self-contained HTML page")
    reports.add_argument("--junit", type=path_of, metavar="FILE", help="the gates as JUnit XML")
    reports.add_argument("--console", type=path_of, metavar="FILE", help="what the serial line said")
    reports.add_argument("--record", type=path_of, metavar="FILE", help="the run as one JSON document")
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--accelerator", choices=("tcg", "kvm", "auto"), default="tcg",
        help="tcg emulates; auto takes KVM where it runs guest code (default: tcg)",
    )  # fmt: skip
    machine.add_argument("--memory", type=memory, default=1 << 30, metavar="SIZE", help="its memory (default: 1G)")
    machine.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="SECONDS",
        help="from power-on to the last gate (default: 300)",
    )  # fmt: skip
    _policy(parser)
    _access(parser)


def build(parser: Parser) -> None:
    """``cloudboot image build``."""
    from cloudboot_probes.recipe import builtin_names

    parser.add_argument(
        "recipe", metavar="RECIPE", nargs="?", default="linux",
        help=f"a TOML file, or one of: {', '.join(builtin_names())} (default: linux)",
    )  # fmt: skip
    _output(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be written; write nothing")
    content = parser.add_argument_group("content")
    content.add_argument(
        "--loader", type=input_file, metavar="FILE", help="EFI program, put where the firmware looks for one"
    )
    content.add_argument("--root", type=input_tree, metavar="TREE|TAR", help="what the UFS2 root holds")
    content.add_argument(
        "--esp-file", type=assignment, action="append", metavar="/PATH=FILE", help="a file of the ESP; can be repeated"
    )
    content.add_argument(
        "--root-file",
        type=assignment,
        action="append",
        metavar="/PATH=FILE",
        help="a file of the root; can be repeated",
    )
    shape = parser.add_argument_group("shape")
    shape.add_argument("--esp-size", type=size, metavar="SIZE", help="size of the ESP")
    shape.add_argument("--root-size", type=size, metavar="SIZE", help="size of the root (default: what it needs)")
    shape.add_argument(
        "--root-free", type=percentage, metavar="PERCENT",
        help="room left in a root of default size, of what its content takes (default: 5)",
    )  # fmt: skip
    shape.add_argument("--block-size", type=size, metavar="SIZE", help="UFS2 block size, 4096 to 65536")
    shape.add_argument("--fragment-size", type=size, metavar="SIZE", help="UFS2 fragment size")
    shape.add_argument("--density", type=whole, metavar="BYTES", help="UFS2 bytes per inode")
    shape.add_argument("--label", metavar="TEXT", help="UFS2 label")
    shape.add_argument("--sector-size", type=whole, metavar="BYTES", help="logical sector size: 512 or 4096")
    shape.add_argument("--timestamp", type=whole, metavar="SECONDS", help="time of all that is made here, since 1970")
    shape.add_argument("--seed", metavar="TEXT", help="derive the GUIDs from this, not from the content")
    linux = parser.add_argument_group("linux")
    linux.add_argument("--kernel", type=input_file, metavar="FILE", help="kernel instead of Debian's")
    linux.add_argument("--initrd", type=input_file, metavar="FILE", help="initial RAM disk instead of ours")
    linux.add_argument(
        "--grub-modules", type=input_folder, metavar="FOLDER", help="GRUB's x86_64-efi folder instead of Debian's"
    )
    linux.add_argument("--arguments", metavar="TEXT", help="kernel arguments")


def percentage(text: str) -> int:
    """0 to 10,000 percent."""
    value = whole(text.removesuffix("%"))
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 10000 percent")
    return value


def image_inspect(parser: Parser) -> None:
    """``cloudboot image inspect``."""
    parser.add_argument("image", metavar="IMAGE|REFERENCE", help="a disk image, or one in a registry")
    parser.add_argument(
        "--check", action=argparse.BooleanOptionalAction, default=True, help="recompute every invariant"
    )
    _access(parser)


def push(parser: Parser) -> None:
    """``cloudboot push``."""
    parser.add_argument("image", type=existing_file, metavar="IMAGE", help="the disk image")
    _reference(parser)
    parser.add_argument("--sign", type=input_file, metavar="KEY", help="sign it with this private key (PEM)")
    _signature(parser)
    _access(parser)


def _signature(parser: Parser) -> None:
    parser.add_argument(
        "--key-password-file", type=input_file, metavar="FILE", help="the file that holds the private key's password"
    )
    parser.add_argument(
        "--format", choices=("bundle", "cosign", "both"), default="bundle",
        help="an artifact that refers to the image, cosign's tag for it, or both (default: bundle)",
    )  # fmt: skip


def pull(parser: Parser) -> None:
    """``cloudboot pull``."""
    _reference(parser)
    _output(parser)
    _policy(parser)
    _platform(parser)
    _access(parser)


def copy(parser: Parser) -> None:
    """``cloudboot copy``."""
    _reference(parser)
    parser.add_argument("target", metavar="TARGET", help="the new place, written like a reference")
    _platform(parser)
    parser.add_argument("--referrers", action="store_true", help="copy signatures and whatever else refers to it, too")
    _access(parser)


def inspect(parser: Parser) -> None:
    """``cloudboot inspect``."""
    _reference(parser)
    _platform(parser)
    _access(parser)


def verify(parser: Parser) -> None:
    """``cloudboot verify``."""
    _reference(parser)
    _policy(parser)
    parser.add_argument(
        "--key", type=input_file, action="append", metavar="FILE", help="a public key that will do; can be repeated"
    )
    parser.add_argument("--identity", metavar="SUBJECT", help="e-mail address or URI of a certificate that will do")
    parser.add_argument("--issuer", metavar="URL", help="who vouches for that identity")
    parser.add_argument(
        "--trust-root", type=input_file, metavar="FILE", help="trusted root to prove it with (default: Sigstore's own)"
    )
    _access(parser)


def sign(parser: Parser) -> None:
    """``cloudboot sign``."""
    _reference(parser)
    parser.add_argument("--key", type=input_file, metavar="FILE", help="sign with this private key (PEM)")
    parser.add_argument(
        "--identity-token", type=input_file, metavar="FILE", help="sign as the subject of this OpenID Connect token"
    )
    parser.add_argument(
        "--ambient-identity", action="store_true", help="sign as the identity that this machine's environment has"
    )
    parser.add_argument(
        "--trust-config", type=input_file, metavar="FILE", help="services to sign with (default: Sigstore's own)"
    )
    _signature(parser)
    parser.add_argument("--name", metavar="TEXT", help="the repository the signature names (default: the image's own)")
    _access(parser)


def completion(parser: Parser) -> None:
    """``cloudboot completion``."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell the script is for")
