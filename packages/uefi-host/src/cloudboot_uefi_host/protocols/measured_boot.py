"""EFI_TCG2_PROTOCOL with PCRs in software and an event log (TCG EFI Protocol Specification 1.0).

Extending and logging are real; there is no TPM behind them: SubmitCommand answers EFI_UNSUPPORTED.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError
from cloudboot_uefi_abi.constants import EventType, HashAlgorithm, Subsystem
from cloudboot_uefi_abi.eventlog import EventLogBuilder
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_TCG2_BOOT_SERVICE_CAPABILITY as CAPABILITY
from cloudboot_uefi_abi.layout.records import EFI_TCG2_EVENT, UEFI_IMAGE_LOAD_EVENT
from cloudboot_uefi_abi.pe import PEImage
from cloudboot_uefi_abi.pe.authenticode import authenticode_digest
from cloudboot_uefi_abi.protocols.security import EFI_TCG2_PROTOCOL
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host.core.memory_map import PAGE, MemoryType

if TYPE_CHECKING:
    from cloudboot_uefi_host.core.core import Core
    from cloudboot_uefi_host.core.images import Image

_TCG2: Final = GUIDS["EFI_TCG2_PROTOCOL"].bytes_le
_FINAL_EVENTS: Final = GUIDS["EFI_TCG2_FINAL_EVENTS_TABLE"].bytes_le
_FINAL_HEAD: Final = 16
_LOG_SIZE: Final = 128 << 10
_FORMAT_TCG2: Final = 2
_EXTEND_ONLY, _PE_IMAGE = 0x1, 0x10
_BANK_SHA256: Final = 0x2
_PCRS: Final = 24
_SIZE: Final = 32
_MAX_EVENT: Final = 64 << 10
_CRTM: Final = "cloudboot UEFI\0".encode("utf-16-le")
#: PCRs 17 to 22 are all ones until a dynamic launch.
_DYNAMIC: Final = range(17, 23)
_BOOT_CODE: Final = 4


class MeasuredBoot:
    """The measurements of one machine. ``pcrs`` are the SHA-256 values by number.

    The firmware's own version goes to PCR 0 at once, each loaded application to PCR 4, and a separator to PCRs 0 to 7
    before the first application is measured.
    """

    def __init__(self, core: Core) -> None:
        self._core, self._memory = core, core.memory
        self.pcrs = {number: (b"\xff" if number in _DYNAMIC else b"\0") * _SIZE for number in range(_PCRS)}
        self._builder = EventLogBuilder((HashAlgorithm.SHA256,))
        self._log = core.allocator.pages(_LOG_SIZE // PAGE, MemoryType.BOOT_SERVICES_DATA)
        self._final = core.allocator.pages(_LOG_SIZE // PAGE, MemoryType.ACPI_NVS)
        self._memory.fill(self._final, _LOG_SIZE)
        self._memory.put64(self._final, 1)
        self._final_size, self._last, self._asked, self._full = _FINAL_HEAD, 0, False, False
        self._separated = False
        self._measure(0, EventType.S_CRTM_VERSION, hashlib.sha256(_CRTM).digest(), _CRTM)
        interface = core.publisher.publish(
            EFI_TCG2_PROTOCOL,
            {
                "GetCapability": self._get_capability,
                "GetEventLog": self._get_event_log,
                "HashLogExtendEvent": self._hash_log_extend_event,
                "GetActivePcrBanks": self._get_active_pcr_banks,
                "SetActivePcrBanks": self._set_active_pcr_banks,
                "GetResultOfSetActivePcrBanks": self._get_result,
            },
        )
        self.handle = core.handles.create()
        core.handles.install(self.handle, _TCG2, interface)
        core.images.on_load = self._image_loaded

    def log(self) -> bytes:
        """The event log, crypto-agile."""
        return self._builder.pack()

    # Measuring

    def extend(self, pcr: int, digest: bytes) -> None:
        """Extend a PCR by a SHA-256 digest."""
        self.pcrs[pcr] = hashlib.sha256(self.pcrs[pcr] + digest).digest()

    def _measure(self, pcr: int, kind: EventType, digest: bytes, data: bytes, *, log: bool = True) -> None:
        self.extend(pcr, digest)
        if not log:
            return
        before = len(self._builder.pack())
        if before + len(data) + 64 > _LOG_SIZE:
            self._full = True
            return
        self._builder.add(pcr, kind, {HashAlgorithm.SHA256: digest}, data)
        packed = self._builder.pack()
        self._last = before
        self._memory.write(self._log, packed)
        if self._asked:
            event = packed[before:]
            self._memory.write(self._final + self._final_size, event)
            self._final_size += len(event)
            self._memory.put64(self._final + 8, self._memory.u64(self._final + 8) + 1)

    def _image_loaded(self, image: Image, pe: PEImage) -> None:
        if image.subsystem is not Subsystem.EFI_APPLICATION:
            return
        if not self._separated:
            self._separated = True
            for pcr in range(8):
                self._measure(pcr, EventType.SEPARATOR, hashlib.sha256(bytes(4)).digest(), bytes(4))
        head = UEFI_IMAGE_LOAD_EVENT(
            ImageLocationInMemory=image.base,
            ImageLengthInMemory=image.size,
            ImageLinkTimeAddress=pe.optional.ImageBase,
            LengthOfDevicePath=len(image.path),
        )
        try:
            digest = authenticode_digest(pe)
        except FormatError:
            digest = hashlib.sha256(pe.data).digest()
        self._measure(_BOOT_CODE, EventType.EFI_BOOT_SERVICES_APPLICATION, digest, head.pack() + image.path)

    # Services

    def _get_capability(self, _this: int, capability: int) -> int:
        if not capability:
            return Status.INVALID_PARAMETER
        room = self._memory.u8(capability)
        record = CAPABILITY(
            Size=CAPABILITY.SIZE,
            StructureVersionMajor=1,
            StructureVersionMinor=1,
            ProtocolVersionMajor=1,
            ProtocolVersionMinor=1,
            HashAlgorithmBitmap=_BANK_SHA256,
            SupportedEventLogs=_FORMAT_TCG2,
            TPMPresentFlag=1,
            MaxCommandSize=4096,
            MaxResponseSize=4096,
            NumberOfPCRBanks=1,
            ActivePcrBanks=_BANK_SHA256,
        ).pack()
        if room < len(record):
            self._memory.write(capability, record[:room] if room else record[:1])
            return Status.BUFFER_TOO_SMALL
        self._memory.write(capability, record)
        return Status.SUCCESS

    def _get_event_log(self, _this: int, kind: int, location: int, last: int, truncated: int) -> int:
        if not location or not last or not truncated or kind != _FORMAT_TCG2:
            return Status.INVALID_PARAMETER
        if not self._asked:
            self._asked = True
            self._core.install_table(_FINAL_EVENTS, self._final)
        self._memory.put64(location, self._log)
        self._memory.put64(last, self._log + self._last)
        self._memory.put8(truncated, int(self._full))
        return Status.SUCCESS

    def _hash_log_extend_event(self, _this: int, flags: int, data: int, size: int, event: int) -> int:
        if not data or not event:
            return Status.INVALID_PARAMETER
        head = EFI_TCG2_EVENT.unpack_from(self._memory.read(event, EFI_TCG2_EVENT.SIZE))
        if not EFI_TCG2_EVENT.SIZE <= head.Size <= _MAX_EVENT or head.PCRIndex >= _PCRS:
            return Status.INVALID_PARAMETER
        described = self._memory.read(event + EFI_TCG2_EVENT.SIZE, head.Size - EFI_TCG2_EVENT.SIZE)
        content = self._memory.read(data, size)
        if flags & _PE_IMAGE:
            try:
                digest = authenticode_digest(PEImage.parse(content))
            except FormatError:
                return Status.UNSUPPORTED
        else:
            digest = hashlib.sha256(content).digest()
        self._measure(head.PCRIndex, EventType(head.EventType), digest, described, log=not flags & _EXTEND_ONLY)
        return Status.VOLUME_FULL if self._full else Status.SUCCESS

    def _get_active_pcr_banks(self, _this: int, banks: int) -> int:
        if not banks:
            return Status.INVALID_PARAMETER
        self._memory.put32(banks, _BANK_SHA256)
        return Status.SUCCESS

    def _set_active_pcr_banks(self, _this: int, banks: int) -> int:
        return Status.SUCCESS if banks == _BANK_SHA256 else Status.INVALID_PARAMETER

    def _get_result(self, _this: int, present: int, response: int) -> int:
        if not present or not response:
            return Status.INVALID_PARAMETER
        self._memory.write(present, struct.pack("<I", 0))
        self._memory.write(response, struct.pack("<I", 0))
        return Status.SUCCESS


def publish_measured_boot(core: Core) -> MeasuredBoot:
    """Measure what is loaded from now on, and publish EFI_TCG2_PROTOCOL."""
    return MeasuredBoot(core)
