"""``pe``: headers, sections, digests, certificates and SBAT of PE32+ images."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from cloudboot_base import Error, in_file, read_file
from cloudboot_base.command import OK, print_findings, print_json, printable
from cloudboot_uefi_abi.pe import PEImage, authenticode_digest, check, checksum, sbat
from cloudboot_uefi_abi.pe.certificates import read_certificates

from .source import LIMIT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from cloudboot_base.program import Program
    from cloudboot_uefi_abi.pe import Certificate, SbatEntry

__all__ = ["add"]

Value = TypeVar("Value")


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command("pe", run, "Print the headers, sections, digest, certificates and SBAT of an image.")
    parser.add_argument("image", metavar="IMAGE", help="PE32+ file.")
    parser.add_argument("--check", action="store_true", help="Print what is wrong with the image.")


class _Parts:
    """The parts of an image that may be malformed one by one; ``problems`` are the errors of those that are."""

    def __init__(self, image: PEImage) -> None:
        self.problems: list[Error] = []
        self.sha256 = self._part(lambda: authenticode_digest(image).hex())
        self.sha1 = self._part(lambda: authenticode_digest(image, "sha1").hex()) if self.sha256 else None
        self.relocations = self._part(lambda: len(image.relocations()))
        self.certificates: tuple[Certificate, ...]
        self.certificates, problem = read_certificates(image)
        self.problems += [problem] if problem is not None else []
        self.sbat: tuple[SbatEntry, ...] = self._part(lambda: sbat(image) or ()) or ()

    def _part(self, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except Error as error:
            self.problems.append(error)
            return None


def run(options: argparse.Namespace) -> int:
    """Print the image's facts; a part that is malformed is the error of the command, after all others were printed."""
    with in_file(options.image):
        image = PEImage.parse(read_file(options.image, LIMIT))
        if options.check:
            return print_findings(options.image, check(image), as_json=options.json)
        parts = _Parts(image)
        if options.json:
            print_json(_facts(image, parts))
            return parts.problems[0].exit_code if parts.problems else OK
        _print(image, parts)
        if parts.problems:
            raise parts.problems[0]
    return OK


def _print(image: PEImage, parts: _Parts) -> None:
    facts = _facts(image, parts)
    for name in ("machine", "subsystem", "entry_point", "image_base", "size_of_image", "relocations", "sha256"):
        if facts[name] is not None:
            print(f"{name.replace('_', ' ') + ':':15} {facts[name]}")
    if not facts["checksum_correct"]:
        print(f"{'checksum:':15} {facts['checksum']}, which is not the file's")
    for section in image.sections:
        header = section.header
        print(
            printable(f"section {section.name}:").ljust(18)
            + f"address {header.VirtualAddress:#x} size {section.extent:#x} file {header.PointerToRawData:#x}"
        )
    for number, entry in enumerate(parts.certificates):
        print(f"certificate {number}:  {entry.type.name} {len(entry.data)} bytes")
    for each in parts.sbat:
        print(
            printable(f"sbat:           {each.component},{each.generation},{each.vendor},{each.package},{each.version}")
        )
    for error in parts.problems[1:]:
        print(printable(f"problem:        {error}"))


def _facts(image: PEImage, parts: _Parts) -> dict[str, object]:
    stated = image.optional.CheckSum
    return {
        "machine": image.machine.name,
        "subsystem": image.subsystem.name,
        "entry_point": f"{image.entry_point:#x}",
        "image_base": f"{image.optional.ImageBase:#x}",
        "size_of_image": image.size_of_image,
        "relocations": parts.relocations,
        "checksum": f"{stated:#x}",
        "checksum_correct": stated in {0, checksum(image)},
        "sha256": parts.sha256,
        "sha1": parts.sha1,
        "sections": [
            {
                "name": section.name,
                "address": section.header.VirtualAddress,
                "size": section.extent,
                "file_offset": section.header.PointerToRawData,
                "file_size": section.header.SizeOfRawData,
                "flags": section.header.Characteristics,
            }
            for section in image.sections
        ],
        "certificates": [{"type": entry.type.name, "data": entry.data} for entry in parts.certificates],
        "sbat": [
            {"component": each.component, "generation": each.generation, "vendor": each.vendor, "package": each.package}
            for each in parts.sbat
        ],
        "problems": [str(error) for error in parts.problems],
    }
