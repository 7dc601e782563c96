"""Volumes for tests, and the programs that judge them."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base.testing import judge, run
from cloudboot_ntfs.builder.source import Directory, File, HardLink, Reparse, Symlink
from cloudboot_ntfs.editor.volume import WritableNTFS
from cloudboot_ntfs.layout import fixup
from cloudboot_ntfs.layout.constants import FileAttribute
from cloudboot_ntfs.reader.reparse import junction_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_ntfs.builder.source import Member


class SystemEditor(WritableNTFS):
    """An editor that changes the files of the volume itself, too: to make volumes as Windows leaves them."""

    def _require_users(self, number: int, flags: int, path: str) -> None:
        """Refuse nothing."""


def pattern(size: int, seed: int = 1) -> bytes:
    """``size`` bytes that do not repeat soon, the same for the same seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311 -- content of test files


def sample_tree(host: Path | None = None) -> dict[str, Member]:
    """A tree with one of everything; with a folder of the host, a file with holes among it."""
    tree: dict[str, Member] = {
        "/Windows/System32/winload.efi": pattern(70_000),
        "/Windows/System32/config/SYSTEM": pattern(8192, 2),
        "/a.txt": b"hello",
        "/empty": b"",
        "/empty folder": Directory(attributes=FileAttribute.HIDDEN),
        "/deep/er/and/deeper/file.bin": pattern(300_000, 3),
        "/link": Symlink("a.txt"),
        "/deep/link to folder": Symlink("er/and", is_directory=True),
        "/from the root": Symlink("/Windows/System32"),
        "/junction": Reparse(junction_data("C:\\Windows"), is_directory=True),
        "/streams.txt": File(b"main", streams={"Zone.Identifier": b"[ZoneTransfer]", "large": pattern(20_000, 4)}),
        "/names/original": pattern(3000, 5),
        "/secret.txt": File(b"s", security="O:SYG:SYD:(A;;FA;;;SY)"),
        "/\u00fcn\u00ef\u0416\U0001f600": b"unicode",
        "/" + "n" * 255: b"long",
        "/" + "m" * 255: pattern(690, 6),
        "/CON": b"a device to DOS",
        "/full stop.": b"a name that only POSIX has",
    }
    tree |= {f"/names/{number:03}": HardLink("/names/original") for number in range(60)}
    tree |= {f"/many/a file with a longer name {number:04}.txt": b"%d" % number for number in range(600)}
    if host is not None:
        tree["/holes"] = sparse_file(host / "holes", 200)
    return tree


def sparse_file(path: Path, pieces: int) -> Path:
    """A file of the host with ``pieces`` pieces of data and holes between them."""
    with path.open("wb") as file:
        file.truncate(pieces * 131072 + 1000)
        for number in range(pieces):
            file.seek(number * 131072)
            file.write(b"%d" % number * 100)
    return path


def contents(tree: dict[str, Member]) -> dict[str, bytes]:
    """The bytes of the files in a tree, by path."""
    found = {}
    for path, member in tree.items():
        data = member.data if isinstance(member, File) else member
        if isinstance(data, bytes):
            found[path] = data
        elif isinstance(data, os.PathLike):
            found[path] = Path(data).read_bytes()
    return found


@contextlib.contextmanager
def mounted(image: str | os.PathLike[str], *options: str) -> Iterator[Path]:
    """The volume mounted by ntfs-3g over FUSE, at a folder of its own."""
    program, unmount = judge("ntfs-3g", "ntfs-3g"), judge("fusermount3", "fuse3")
    with tempfile.TemporaryDirectory() as folder:
        run(program, "-o", ",".join(["streams_interface=windows", *options]), image, folder)
        try:
            yield Path(folder)
        finally:
            run(unmount, "-u", folder)


def ntfsfix(image: str | os.PathLike[str]) -> str:
    """What ``ntfsfix -n`` says of a volume: it compares $MFTMirr, $UpCase and the backup boot sector."""
    return run(judge("ntfsfix", "ntfs-3g"), "-n", image)


def ntfs3g_volume(path: Path, size: int, *options: str) -> Path:
    """An empty volume made by mkntfs."""
    with path.open("wb") as file:
        file.truncate(size)
    run(judge("mkntfs", "ntfs-3g"), "-Q", "-F", *options, path)
    return path


def wof_member(chunks: list[bytes], size: int, algorithm: int) -> Reparse:
    """A file as Windows compresses it: its chunks in the stream WofCompressedData."""
    ends, total = [], 0
    for chunk in chunks[:-1]:
        total += len(chunk)
        ends.append(total)
    data = struct.pack(f"<{len(ends)}I", *ends) + b"".join(chunks)
    head = struct.pack("<IHHIIII", 0x80000017, 16, 0, 1, 2, 1, algorithm)
    return Reparse(head, size, streams={"WofCompressedData": data})


def wim_chunks(data: bytes, compression: str, folder: Path, chunk_size: int = 32768) -> list[bytes]:
    """``data`` in chunks that wimlib compressed, by ``LZX`` or ``XPRESS``; ``chunk_size`` is in bytes."""
    (folder / "tree").mkdir()
    (folder / "tree" / "file").write_bytes(data)
    archive = folder / "a.wim"
    program = judge("wimcapture", "wimtools")
    subprocess.run(
        [program, folder / "tree", archive, f"--compress={compression}:50", f"--chunk-size={chunk_size}"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return _chunks_of(archive.read_bytes(), len(data), chunk_size)


def _chunks_of(wim: bytes, size: int, chunk_size: int) -> list[bytes]:
    """The chunks of the resource of ``size`` bytes in a WIM file (its header at 0x30 says where the table is)."""
    head, table, _ = struct.unpack_from("<QQQ", wim, 0x30)
    for index in range((head & (1 << 56) - 1) // 50):
        stored, offset, original = struct.unpack_from("<QQQ", wim, table + 50 * index)
        if original == size:
            break
    else:
        raise AssertionError("the WIM has no such resource")
    count = -(-size // chunk_size)
    ends = [*struct.unpack_from(f"<{count - 1}I", wim, offset), (stored & (1 << 56) - 1) - 4 * (count - 1)]
    base = offset + 4 * (count - 1)
    return [wim[base + start : base + end] for start, end in zip([0, *ends], ends, strict=False)]


def restart_pages(log_size: int, *, is_clean: bool, version: tuple[int, int] = (1, 1), lsn: int = 0) -> bytes:
    """The two restart pages of a $LogFile of ``log_size`` bytes with one client, as Windows 2000 and later has them."""
    client = struct.pack("<qqHHH6xI", 0, 0, 0xFFFF, 0xFFFF, 0, 8) + "NTFS".encode("utf-16-le").ljust(128, b"\0")
    area = struct.pack(
        "<qHHHHIHHqIHHII", lsn, 1, 0xFFFF, 0, 2 if is_clean else 0, 67 - log_size.bit_length(), 48 + len(client), 48,
        log_size, 0, 48, 64, 1, 0,
    )  # fmt: skip
    head = struct.pack("<4sHHqIIHhh", b"RSTR", 30, 9, 0, 4096, 4096, 48, version[1], version[0])
    page = bytearray((head.ljust(48, b"\0") + area + client).ljust(4096, b"\0"))
    fixup.protect(page, 1)
    return bytes(page) * 2
