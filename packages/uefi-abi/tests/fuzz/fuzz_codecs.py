"""Fuzz every codec: ``python fuzz_codecs.py -max_total_time=60`` (needs atheris).

The first byte of an input chooses the codec, the rest are its bytes (or text in UTF-8). Only errors derived from
``cloudboot_base.FormatError`` may come out, and what was read has to pack into what it was read from.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import tempfile
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING
from uuid import UUID

from cloudboot_base import FormatError
from cloudboot_uefi_abi.device_path import DevicePath, is_strict_prefix
from cloudboot_uefi_abi.eventlog import EventLog, check, describe_event, replay
from cloudboot_uefi_abi.load_option import KeyOption, LoadOption
from cloudboot_uefi_abi.pe import PEImage, authenticode_digest, certificates, image_from_elf, sbat
from cloudboot_uefi_abi.variables import (
    AuthenticatedUpdate,
    EnhancedUpdate,
    EnhancedValue,
    Variable,
    VariableStore,
    boot_entries,
    describe,
    format_store,
    pack_signature_lists,
    parse_signature_lists,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def path_bytes(data: bytes) -> None:
    """A device path, and its texts."""
    path = DevicePath.parse(data)
    assert path.pack() == data
    again = DevicePath.from_text(str(path))
    assert again.instances == path.instances
    path.text(display=True, shortcuts=True)
    assert not is_strict_prefix(data, data)


def path_text(data: bytes) -> None:
    """The text of a device path."""
    path = DevicePath.from_text(data.decode("utf-8", "replace"))
    assert DevicePath.parse(path.pack()) == path


def load_option(data: bytes) -> None:
    """A load option, a key option, and entries made of them."""
    with contextlib.suppress(FormatError):
        assert KeyOption.parse(data).pack() == data
    from cloudboot_uefi_abi.guids import GUIDS

    boot_entries([Variable("Boot0000", GUIDS["EFI_GLOBAL_VARIABLE"], data)])
    assert LoadOption.parse(data).pack() == data


def signature_lists(data: bytes) -> None:
    """Signature lists, and authenticated writes."""
    with contextlib.suppress(FormatError):
        assert AuthenticatedUpdate.parse(data).data in data
    for kind in (EnhancedUpdate, EnhancedValue):
        with contextlib.suppress(FormatError):
            assert kind.parse(data).data in data
    assert pack_signature_lists(parse_signature_lists(data)) == data


def store(data: bytes) -> None:
    """A variable store."""
    found = VariableStore.parse(data)
    for variable in found.variables:
        describe(variable)
    assert VariableStore.parse(found.replace(found.variables)).variables == found.variables


def image(data: bytes) -> None:
    """A PE32+ image."""
    parsed = PEImage.parse(data)
    with contextlib.suppress(FormatError):
        authenticode_digest(parsed)
    with contextlib.suppress(FormatError):
        certificates(parsed)
    with contextlib.suppress(FormatError):
        sbat(parsed)
    parsed.load(0x40000000, limit=1 << 22)


def elf(data: bytes) -> None:
    """An ELF program."""
    PEImage.parse(image_from_elf(data))


def event_log(data: bytes) -> None:
    """An event log."""
    log = EventLog.parse(data, padded=bool(data[-1:] == b"\0"))
    replay(log)
    check(log)
    for event in log.events:
        describe_event(event)


CODECS: tuple[Callable[[bytes], None], ...] = (
    path_bytes, path_text, load_option, signature_lists, store, image, elf, event_log,
)  # fmt: skip


def one_input(data: bytes) -> None:
    """One codec on one input."""
    if not data:
        return
    with contextlib.suppress(FormatError):
        CODECS[data[0] % len(CODECS)](data[1:])


def seeds() -> list[bytes]:
    """An input of each codec that it accepts."""
    data = Path(__file__).parents[1] / "data"
    path = DevicePath.from_text(r"PciRoot(0x0)/Pci(0x1,0x0),/MAC(525400123456,0x1)/IPv4(10.0.2.2:67)/Uri(http://x/y)")
    small = VariableStore.parse(format_store(0x1000, 0x400, block_size=0x400)[:0x400])
    flash = small.replace([Variable("a", UUID(int=1), b"x"), Variable("b", UUID(int=1), b"y")])
    lists = bytes.fromhex("2616c4c14c509240aca941f9369343284c0000000000000030000000") + bytes(48)
    return [
        b"\0" + path.pack(),
        b"\1" + str(path).encode(),
        b"\2" + LoadOption("a", (path,), b"data").pack(),
        b"\3" + lists,
        b"\4" + flash,
        b"\5" + (data / "measured.efi").read_bytes()[:4096],
        b"\7" + (data / "eventlog-plain-sha1.bin").read_bytes(),
        b"\7" + (data / "eventlog-plain-agile.bin").read_bytes()[:2000],
    ]


def main() -> None:
    """Run atheris on :func:`seeds` and what it makes of them."""
    import atheris

    # The package is imported already, so that its tests can use this module without atheris; instrument what is there.
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and (each.__module__ or "").startswith("cloudboot_uefi_abi"):
            atheris.instrument_func(each)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds()):
            (Path(folder) / f"seed-{number:02}").write_bytes(seed)
        atheris.Setup([*sys.argv, folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
