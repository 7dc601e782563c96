"""What a partition holds where it is no NTFS volume that can be read, by what is in its first sectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cloudboot_base import Storage

_BOOT_SECTOR: Final = 512
_LOOKED_AT: Final = 4096


class VolumeKind(NamedTuple):
    """A kind of volume: its name, a phrase for a message, and what to do next.

    ``is_bootable`` says that the boot manager reads it, although nothing here does.
    """

    name: str
    text: str
    hint: str | None
    is_bootable: bool = False


_SOURCE: Final = "cloudboot image build windows --from PATH makes an NTFS volume of Windows' files"
_KINDS: Final = (
    (3, b"-FVE-FS-", VolumeKind(
        "BitLocker", "a volume that BitLocker has encrypted",
        "the boot manager needs the key of this machine's TPM, or the recovery key; to have it examined, decrypt it in"
        " Windows: manage-bde -off C:",
        is_bootable=True,
    )),
    (3, b"ReFS\0", VolumeKind("ReFS", "a ReFS volume", f"ReFS is not read here; {_SOURCE}", is_bootable=True)),
    (3, b"EXFAT   ", VolumeKind("exFAT", "an exFAT volume", _SOURCE)),
    (82, b"FAT32   ", VolumeKind("FAT32", "a FAT32 volume", f"the store may name the ESP for it; {_SOURCE}")),
    (54, b"FAT1", VolumeKind("FAT", "a FAT volume", _SOURCE)),
    (1080, b"\x53\xef", VolumeKind("ext4", "a Linux file system (ext2, ext3 or ext4)", _SOURCE)),
    (0, b"LUKS", VolumeKind("LUKS", "a volume that LUKS has encrypted", _SOURCE)),
    (3, b"NTFS    ", VolumeKind("NTFS", "an NTFS volume", None)),
)  # fmt: skip


def identify(storage: Storage) -> VolumeKind | None:
    """What a partition holds, or ``None`` where nothing here says."""
    head = storage.read_at(0, min(_LOOKED_AT, storage.size))
    for offset, mark, kind in _KINDS:
        if head[offset : offset + len(mark)] == mark:
            return kind
    if any(head):
        return None
    last = storage.read_at(storage.size - _BOOT_SECTOR, _BOOT_SECTOR) if storage.size >= _BOOT_SECTOR else b""
    if last[3:11] == b"NTFS    ":
        text = "an NTFS volume without its boot sector, whose copy in the last sector is there"
        return VolumeKind("damaged NTFS", text, "copy the last sector of the partition over its first")
    return VolumeKind("nothing", "nothing: its first sectors are zeros", _SOURCE)
