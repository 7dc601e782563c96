"""Changes of content that is not stored plainly: compressed by LZNT1 or WOF, in pieces from a file, with holes."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_ntfs import errors
from cloudboot_ntfs.layout.constants import AttributeFlag, Type
from cloudboot_ntfs.testing import mounted, ntfs3g_volume, ntfsfix, pattern, wim_chunks, wof_member

MOMENT = 1_700_000_000_000_000_000
COMPRESSED = 0x800
TEXT = b"".join(b"line %d of a text that can be compressed\n" % number for number in range(9000))


def test_a_file_that_ntfs3g_compressed_is_changed(tmp_path: Path) -> None:
    """LZNT1: a part is changed, appended to, cut off; what is beside it stays."""
    image = ntfs3g_volume(tmp_path / "image", 24 << 20)
    with mounted(image, "compression") as folder:
        (folder / "packed").mkdir()
        os.setxattr(folder / "packed", "system.ntfs_attrib", struct.pack("<I", COMPRESSED))
        for name in ("written", "appended", "cut", "kept"):
            (folder / "packed" / name).write_bytes(TEXT)
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        for name in ("written", "appended", "cut", "kept"):
            record = volume.mft.file(volume.find(f"/packed/{name}"))
            assert any(each.flags & AttributeFlag.COMPRESSED for each in record.attributes if each.type == Type.DATA)
        volume.write_at("/packed/written", 100_001, b"changed")
        volume.append("/packed/appended", b"the end")
        volume.truncate("/packed/cut", 70_001)
        assert not volume.stat("/packed/cut").st_flags & COMPRESSED
        assert volume.stat("/packed/kept").st_flags & COMPRESSED
    expected = {
        "written": TEXT[:100_001] + b"changed" + TEXT[100_008:], "appended": TEXT + b"the end", "cut": TEXT[:70_001],
        "kept": TEXT,
    }  # fmt: skip
    assert ntfs.check(image) == []
    assert "processed successfully" in ntfsfix(image)
    with mounted(image, "ro") as folder:
        assert {path.name: path.read_bytes() for path in (folder / "packed").iterdir()} == expected


@pytest.mark.parametrize(("compression", "algorithm"), [("XPRESS", 2), ("LZX", 1)])
def test_a_file_that_windows_compressed_is_changed(compression: str, algorithm: int, tmp_path: Path) -> None:
    """WOF: the first change stores it plainly, for ntfs-3g, which does not read such files, to read."""
    chunk_size = {"XPRESS": 8192, "LZX": 32768}[compression]
    chunks = wim_chunks(TEXT, compression, tmp_path, chunk_size)
    image = tmp_path / "image"
    ntfs.build(image, {"/file": wof_member(chunks, len(TEXT), algorithm)}, size=16 << 20)
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        assert volume.read_file("/file") == TEXT
        volume.write_at("/file", 100_001, b"changed")
        assert volume.reparse_point("/file") is None
        assert [each.name for each in volume.streams("/file")] == [""]
        with pytest.raises(errors.StreamNotFoundError):
            volume.remove_stream("/file", "WofCompressedData")
    assert ntfs.check(image) == []
    with mounted(image, "ro") as folder:
        assert (folder / "file").read_bytes() == TEXT[:100_001] + b"changed" + TEXT[100_008:]


@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
@pytest.mark.parametrize("sparse", [False, True])
def test_content_from_a_file_in_pieces(cluster_size: int, sparse: bool, tmp_path: Path) -> None:
    """More than a piece of 1 MiB; what is zeros for sixteen clusters is a hole, over the bounds of pieces too."""
    image = tmp_path / "image"
    ntfs.format(image, ntfs.Options(cluster_size=cluster_size), size=32 << 20)
    data = pattern(700_001) + bytes(2_600_000) + pattern(900_003, 3) + bytes(3)
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        assert volume.write_file("/file", io.BytesIO(data), sparse=sparse) == len(data)
        stored = sum(extent.length for extent in volume.extents("/file"))
        assert (stored < len(data)) is sparse
        volume.write_at("/file", 2_000_000, b"in the hole")
    expected = data[:2_000_000] + b"in the hole" + data[2_000_011:]
    assert ntfs.check(image) == []
    assert "processed successfully" in ntfsfix(image)
    with mounted(image, "ro") as folder:
        assert (folder / "file").read_bytes() == expected
