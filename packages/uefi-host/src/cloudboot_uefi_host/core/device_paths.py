"""Device paths in guest memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.errors import DevicePathError

if TYPE_CHECKING:
    from cloudboot_uefi_host.memory import GuestMemory

END: Final = bytes.fromhex("7fff0400")
_END_TYPE, _END_ENTIRE = 0x7F, 0xFF
#: The longest device path that is read, in bytes; EDK2's loaders pass some hundreds.
MAX_SIZE: Final = 65536


def read_path(memory: GuestMemory, address: int) -> bytes:
    """The device path at ``address``, with its end node.

    Raises:
        DevicePathError: it has no end within 64 KiB, or a node is shorter than its header.
        GuestPointerError: it leaves memory.
    """
    size = 0
    while size < MAX_SIZE:
        head = memory.read(address + size, 4)
        length = head[2] | head[3] << 8
        if length < 4:
            raise DevicePathError(
                "a node is shorter than its header",
                structure="EFI_DEVICE_PATH_PROTOCOL", field="Length", offset=size, expected="4 or more", actual=length,
            )  # fmt: skip
        size += length
        if head[0] == _END_TYPE and head[1] == _END_ENTIRE:
            return memory.read(address, size)
    raise DevicePathError(
        "the device path has no end", structure="EFI_DEVICE_PATH_PROTOCOL", expected=f"at most {MAX_SIZE} bytes"
    )


def nodes(path: bytes) -> list[bytes]:
    """The nodes of a path before its end node. The path is one that :func:`read_path` accepts."""
    found, at = [], 0
    while path[at] != _END_TYPE:
        length = path[at + 2] | path[at + 3] << 8
        found.append(path[at : at + length])
        at += length
    return found


def body(path: bytes) -> bytes:
    """A path without its end node."""
    return b"".join(nodes(path))


def file_name(path: list[bytes]) -> str | None:
    """The file that the remaining nodes of a path name, ``None`` if a node is no File Path node.

    Several nodes are one name (UEFI 2.10 section 10.3.5.4).
    """
    parts = []
    for node in path:
        if node[:2] != b"\x04\x04":
            return None
        parts.append(node[4:].decode("utf-16-le", "surrogatepass").split("\0")[0])
    joined = "\\".join(parts)
    while "\\\\" in joined:
        joined = joined.replace("\\\\", "\\")
    return joined
