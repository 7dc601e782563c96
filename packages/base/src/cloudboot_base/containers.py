"""Forms of disk images that no machine boots from as they are, told by how their files begin."""

from __future__ import annotations

__all__ = ["HEAD", "container_problem"]

HEAD = 8
"""Bytes that are enough to tell."""

_FORMS = {
    b"QFI\xfb": "is a qcow2 image, not a raw one",
    b"KDMV": "is a VMDK image, not a raw one",
    b"vhdxfile": "is a VHDX image, not a raw one",
    b"conectix": "is a VHD image, not a raw one",
    b"\x1f\x8b": "is compressed with gzip",
    b"\xfd7zXZ\0": "is compressed with xz",
    b"BZh": "is compressed with bzip2",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd",
}


def container_problem(head: bytes) -> str | None:
    """What a file that begins with ``head`` is instead of a raw disk image, as the end of a sentence, or ``None``."""
    return next((problem for magic, problem in _FORMS.items() if head.startswith(magic)), None)
