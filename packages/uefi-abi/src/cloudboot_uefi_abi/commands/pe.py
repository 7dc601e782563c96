"""``pe``: headers, sections, digests, certificates and SBAT of PE32+ images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import in_file, read_file
from cloudboot_base.command import OK, print_json, printable
from cloudboot_uefi_abi.pe import PEImage, authenticode_digest, certificates, sbat

from .source import LIMIT

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program

__all__ = ["add"]


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command("pe", run, "Print the headers, sections, digest, certificates and SBAT of an image.")
    parser.add_argument("image", metavar="IMAGE", help="PE32+ file.")


def run(options: argparse.Namespace) -> int:
    """Print the image's facts."""
    with in_file(options.image):
        image = PEImage.parse(read_file(options.image, LIMIT))
        facts = _facts(image)
    if options.json:
        print_json(facts)
        return OK
    for name in ("machine", "subsystem", "entry_point", "image_base", "size_of_image", "relocations", "sha256"):
        print(f"{name.replace('_', ' ') + ':':15} {facts[name]}")
    for section in image.sections:
        header = section.header
        print(
            printable(f"section {section.name}:").ljust(18)
            + f"address {header.VirtualAddress:#x} size {section.extent:#x} file {header.PointerToRawData:#x}"
        )
    for number, entry in enumerate(certificates(image)):
        print(f"certificate {number}:  {entry.type.name} {len(entry.data)} bytes")
    for each in sbat(image) or ():
        print(
            printable(f"sbat:           {each.component},{each.generation},{each.vendor},{each.package},{each.version}")
        )
    return OK


def _facts(image: PEImage) -> dict[str, object]:
    return {
        "machine": image.machine.name,
        "subsystem": image.subsystem.name,
        "entry_point": f"{image.entry_point:#x}",
        "image_base": f"{image.optional.ImageBase:#x}",
        "size_of_image": image.size_of_image,
        "relocations": len(image.relocations()),
        "sha256": authenticode_digest(image).hex(),
        "sha1": authenticode_digest(image, "sha1").hex(),
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
        "certificates": [{"type": entry.type.name, "data": entry.data} for entry in certificates(image)],
        "sbat": [
            {"component": each.component, "generation": each.generation, "vendor": each.vendor, "package": each.package}
            for each in sbat(image) or ()
        ],
    }
