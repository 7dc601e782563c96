"""Where a device's virtio structures are: the vendor-specific PCI capabilities (virtio 1.2, 4.1.4)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_virtio.errors import TransportError
from cloudboot_virtio.layout.records import virtio_pci_cap, virtio_pci_common_cfg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .bars import Bar
    from .config import ConfigSpace

_POINTER: Final = 0x34
_VENDOR_SPECIFIC: Final = 0x09
_FIRST, _END = 0x40, 0x100


class CfgType(enum.IntEnum):
    """``cfg_type`` of the structures used here."""

    COMMON = 1
    NOTIFY = 2
    ISR = 3
    DEVICE = 4


#: Bytes of a structure that every driver uses: to the end of queue_device, and one doorbell.
_SHORTEST: Final = {CfgType.COMMON: virtio_pci_common_cfg.LAYOUT.offsets["queue_device"] + 8, CfgType.NOTIFY: 2}


@dataclass(frozen=True, slots=True)
class Structure:
    """A virtio structure in a BAR. ``multiplier`` is that of NOTIFY: bytes between two doorbells."""

    address: int
    length: int
    multiplier: int = 0


def find_structures(config: ConfigSpace, function: int, bars: Mapping[int, Bar]) -> dict[CfgType, Structure]:
    """The first usable structure of each type; unknown types and BARs that were not placed are passed over.

    Raises:
        TransportError: the list of capabilities has a loop, or leaves the configuration space; a structure reaches
            outside of its BAR, or is too short; a structure that every device needs is missing.
    """
    found: dict[CfgType, Structure] = {}
    seen: set[int] = set()
    at = config.read(function, _POINTER, 1) & 0xFC
    while at:
        if at in seen or not _FIRST <= at < _END:
            raise TransportError(f"capability {at:#x} of function {function:#x} repeats or lies outside")
        seen.add(at)
        first = config.read(function, at, 4)
        known = first & 0xFF == _VENDOR_SPECIFIC and first >> 24 in set(CfgType)  # cfg_type is its last byte
        if known and at + virtio_pci_cap.SIZE <= _END:
            kind, structure = _structure(config, function, at, first, bars)
            if kind is not None and structure is not None:
                found.setdefault(kind, structure)
        at = first >> 8 & 0xFC
    missing = [kind.name for kind in (CfgType.COMMON, CfgType.NOTIFY) if kind not in found]
    if missing:
        homeless = [f"BAR {index} of {bar.size:#x} bytes" for index, bar in bars.items() if bar.address is None]
        if homeless:
            raise TransportError(
                f"function {function:#x} has no {' and '.join(missing)} structure within the BARs that found room; "
                f"there is none for {', '.join(homeless)}"
            )
        raise TransportError(f"function {function:#x} has no {' and '.join(missing)} structure: not modern virtio-pci")
    return found


def _structure(
    config: ConfigSpace, function: int, at: int, first: int, bars: Mapping[int, Bar]
) -> tuple[CfgType | None, Structure | None]:
    words = (first, *(config.read(function, at + offset, 4) for offset in (4, 8, 12)))
    record = virtio_pci_cap.unpack_from(b"".join(word.to_bytes(4, "little") for word in words))
    shortest = virtio_pci_cap.SIZE + (4 if record.cfg_type == CfgType.NOTIFY else 0)  # with the multiplier (4.1.4.4)
    if record.cfg_type not in set(CfgType) or record.bar not in bars or record.cap_len < shortest:
        return None, None
    bar = bars[record.bar]
    if record.offset + record.length > bar.size:
        raise TransportError(
            f"capability {at:#x} of function {function:#x}: bytes {record.offset:#x} to "
            f"{record.offset + record.length:#x} of a BAR of {bar.size:#x}"
        )
    if bar.address is None:
        return None, None
    kind = CfgType(record.cfg_type)
    if record.length < _SHORTEST.get(kind, 0):
        raise TransportError(
            f"capability {at:#x} of function {function:#x}: the {kind.name} structure has {record.length} bytes, "
            f"at least {_SHORTEST[kind]} are needed"
        )
    multiplier = config.read(function, at + virtio_pci_cap.SIZE, 4) if kind is CfgType.NOTIFY else 0
    return kind, Structure(bar.address + record.offset, record.length, multiplier)
