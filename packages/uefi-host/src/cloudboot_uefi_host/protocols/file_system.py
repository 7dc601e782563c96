"""EFI_SIMPLE_FILE_SYSTEM_PROTOCOL over a volume, read-only (UEFI 2.10 sections 13.4, 13.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cloudboot_base import Error
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_FILE_INFO, EFI_FILE_SYSTEM_INFO
from cloudboot_uefi_abi.protocols.files import EFI_FILE_PROTOCOL, EFI_SIMPLE_FILE_SYSTEM_PROTOCOL
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host.core.access import Access
from cloudboot_uefi_host.core.runtime import efi_time
from cloudboot_uefi_host.errors import GuestPointerError, HostError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudboot_base import Storage
    from cloudboot_uefi_host.core.host import Host
    from cloudboot_uefi_host.volumes import Volume, VolumeEntry

FILE_SYSTEM: Final = GUIDS["EFI_SIMPLE_FILE_SYSTEM_PROTOCOL"].bytes_le
_FILE_INFO: Final = GUIDS["EFI_FILE_INFO"].bytes_le
_SYSTEM_INFO: Final = GUIDS["EFI_FILE_SYSTEM_INFO"].bytes_le
_LABEL: Final = GUIDS["EFI_FILE_SYSTEM_VOLUME_LABEL"].bytes_le
_REVISION1: Final = 0x00010000
"""The revision without OpenEx and the other functions that take tokens."""
_END_OF_FILE: Final = (1 << 64) - 1
_MODE_READ: Final = 1
_MODES: Final = frozenset({_MODE_READ, 3, 1 << 63 | 3})
"""Read, read and write, create: no other combination (section 13.5.2)."""
_MAX_PATH: Final = 4096
_LABEL_OFFSET: Final = 36


@dataclass(slots=True, eq=False)
class _Open:
    path: str
    entry: VolumeEntry
    position: int = 0
    content: Storage | None = None
    children: Sequence[VolumeEntry] | None = None


def resolve(base: str, name: str) -> str:
    """The path that ``name`` means from the directory ``base``: backslashes and slashes part names, ``..`` goes up."""
    parts = [] if name.startswith(("\\", "/")) else [part for part in base.split("/") if part]
    for part in name.replace("\\", "/").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


class FileSystemPublisher:
    """The functions of one published volume."""

    def __init__(self, core: Host, volume: Volume) -> None:
        self._core, self._memory, self._volume = core, core.memory, volume
        self._files: dict[int, _Open] = {}
        self._services: dict[str, Callable[..., int]] = {
            "Open": self._open,
            "Close": self._close,
            "Delete": self._delete,
            "Read": self._read,
            "Write": lambda _this, _size, _buffer: Status.WRITE_PROTECTED,
            "GetPosition": self._get_position,
            "SetPosition": self._set_position,
            "GetInfo": self._get_info,
            "SetInfo": lambda _this, _type, _size, _buffer: Status.WRITE_PROTECTED,
            "Flush": lambda _this: Status.SUCCESS,
        }
        self.interface = core.publisher.publish(
            EFI_SIMPLE_FILE_SYSTEM_PROTOCOL, {"OpenVolume": self._open_volume}, {"Revision": _REVISION1}
        )

    def _log(self, action: str, path: str, size: int = 0, *, found: bool = True) -> None:
        self._core.accesses.append(Access(self._core.machine.caller, action, path, size, found))

    def _new(self, path: str, entry: VolumeEntry) -> int:
        address = self._core.publisher.publish(EFI_FILE_PROTOCOL, self._services, {"Revision": _REVISION1})
        self._files[address] = _Open(path, entry)
        return address

    def _open_volume(self, _this: int, root: int) -> int:
        if not root:
            return Status.INVALID_PARAMETER
        try:
            entry = self._volume.entry("/")
        except (Error, OSError) as error:
            return self._damaged("/", error)
        self._memory.put64(root, self._new("/", entry))
        return Status.SUCCESS

    def _damaged(self, path: str, error: Exception) -> int:
        self._core.problems.append(f"{path}: {error}")
        if isinstance(error, ServiceError):
            return error.status
        return Status.VOLUME_CORRUPTED if isinstance(error, Error) else Status.DEVICE_ERROR

    def _open(self, this: int, out: int, name: int, mode: int, _attributes: int) -> int:
        file = self._files.get(this)
        if file is None or not out or not name or mode not in _MODES:
            return Status.INVALID_PARAMETER
        base = file.path if file.entry.is_directory else file.path.rpartition("/")[0]
        path = resolve(base, self._memory.text(name, _MAX_PATH))
        try:
            entry = self._volume.entry(path)
        except (FileNotFoundError, NotADirectoryError):
            self._log("open", path, found=False)
            return Status.NOT_FOUND if mode == _MODE_READ else Status.WRITE_PROTECTED
        except (Error, OSError) as error:
            return self._damaged(path, error)
        if mode != _MODE_READ:
            return Status.WRITE_PROTECTED
        self._log("open", path)
        self._memory.put64(out, self._new(path, entry))
        return Status.SUCCESS

    def _close(self, this: int) -> int:
        if self._files.pop(this, None) is None:
            return Status.INVALID_PARAMETER
        self._core.allocator.pool.free(this)
        return Status.SUCCESS

    def _delete(self, this: int) -> int:
        status = self._close(this)
        return Status.WARN_DELETE_FAILURE if status == Status.SUCCESS else status

    def _read(self, this: int, size: int, buffer: int) -> int:
        file = self._files.get(this)
        if file is None or not size:
            return Status.INVALID_PARAMETER
        try:
            if file.entry.is_directory:
                return self._read_directory(file, size, buffer)
            return self._read_file(file, size, buffer)
        except GuestPointerError:
            raise
        except (Error, OSError) as error:
            return self._damaged(file.path, error)

    def _read_file(self, file: _Open, size: int, buffer: int) -> int:
        if file.content is None:
            file.content = self._volume.content(file.path)
        if file.position > file.content.size:
            return Status.DEVICE_ERROR
        count = min(self._memory.u64(size), file.content.size - file.position)
        if count:
            file.content.readinto_at(file.position, self._memory.window(buffer, count))
            file.position += count
            self._log("read", file.path, count)
        self._memory.put64(size, count)
        return Status.SUCCESS

    def _read_directory(self, file: _Open, size: int, buffer: int) -> int:
        if file.children is None:
            file.children = self._list(file)
        if file.position >= len(file.children):
            self._memory.put64(size, 0)
            return Status.SUCCESS
        status = self._answer(self._info(file.children[file.position]), size, buffer)
        if status == Status.SUCCESS:
            file.position += 1
        return status

    def _list(self, file: _Open) -> Sequence[VolumeEntry]:
        """What a directory holds, with ``.`` and ``..`` below the root: EDK2's FAT driver shows them too."""
        if file.path == "/":
            return self._volume.entries("/")
        parent = file.path.rpartition("/")[0]
        above = replace(self._volume.entry(parent), name="..") if parent else replace(file.entry, name="..", size=0)
        return [replace(file.entry, name="."), above, *self._volume.entries(file.path)]

    def _answer(self, data: bytes, size: int, buffer: int) -> int:
        room = self._memory.u64(size)
        self._memory.put64(size, len(data))
        if room < len(data):
            return Status.BUFFER_TOO_SMALL
        if not buffer:
            return Status.INVALID_PARAMETER
        self._memory.write(buffer, data)
        return Status.SUCCESS

    def _get_position(self, this: int, position: int) -> int:
        file = self._files.get(this)
        if file is None or not position:
            return Status.INVALID_PARAMETER
        if file.entry.is_directory:
            return Status.UNSUPPORTED
        self._memory.put64(position, file.position)
        return Status.SUCCESS

    def _set_position(self, this: int, position: int) -> int:
        file = self._files.get(this)
        if file is None:
            return Status.INVALID_PARAMETER
        if file.entry.is_directory:
            if position:
                return Status.UNSUPPORTED
            file.position = 0
            return Status.SUCCESS
        file.position = file.entry.size if position == _END_OF_FILE else position
        return Status.SUCCESS

    def _info(self, entry: VolumeEntry) -> bytes:
        name = ("" if entry.name == "/" else entry.name).encode("utf-16-le", "surrogatepass") + b"\0\0"
        block = self._volume.block_size
        head = EFI_FILE_INFO.unpack_from(
            b"".join(
                (
                    (EFI_FILE_INFO.SIZE + len(name)).to_bytes(8, "little"),
                    entry.size.to_bytes(8, "little"),
                    (-(-entry.size // block) * block).to_bytes(8, "little"),
                    efi_time(entry.created),
                    efi_time(entry.accessed),
                    efi_time(entry.modified),
                    entry.attributes.to_bytes(8, "little"),
                )
            )
        )
        return head.pack() + name

    def _get_info(self, this: int, kind: int, size: int, buffer: int) -> int:
        file = self._files.get(this)
        if file is None or not kind or not size:
            return Status.INVALID_PARAMETER
        guid = self._memory.read(kind, 16)
        try:
            label = self._volume.label.encode("utf-16-le", "surrogatepass") + b"\0\0"
            free = self._volume.free if guid == _SYSTEM_INFO else 0
        except (Error, OSError) as error:
            return self._damaged(file.path, error)
        if guid == _FILE_INFO:
            data = self._info(file.entry)
        elif guid == _SYSTEM_INFO:
            record = EFI_FILE_SYSTEM_INFO(
                Size=_LABEL_OFFSET + len(label),
                ReadOnly=1,
                VolumeSize=self._volume.size,
                FreeSpace=free,
                BlockSize=self._volume.block_size,
            )
            data = record.pack()[:_LABEL_OFFSET] + label
        elif guid == _LABEL:
            data = label
        else:
            return Status.UNSUPPORTED
        return self._answer(data, size, buffer)


def publish_file_system(core: Host, handle: int, volume: Volume) -> FileSystemPublisher:
    """Give a handle a Simple File System over ``volume``.

    Raises:
        HostError: the handle has one already, or memory is used up.
    """
    published = FileSystemPublisher(core, volume)
    if core.handles.install(handle, FILE_SYSTEM, published.interface) is None:
        raise HostError("the handle has a file system already")
    return published
