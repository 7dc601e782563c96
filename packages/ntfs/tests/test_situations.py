"""Situations from bug reports about other programs that read and write NTFS: each with what a judge says of it."""

from __future__ import annotations

import dataclasses
import errno
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import Journal, judge
from cloudboot_ntfs import errors
from cloudboot_ntfs.editor.shared import open_shared
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.testing import (
    Patient,
    SystemEditor,
    mounted,
    ntfs3g_volume,
    ntfsfix,
    pattern,
    restart_pages,
)

MOMENT = 1_700_000_000_000_000_000
OFFLINE, RECALL_ON_DATA_ACCESS = 0x1000, 0x400000
DEDUP, SIS, HSM, CLOUD, PROJFS, APPEXECLINK, AF_UNIX = (
    0x80000013, 0x80000007, 0xC0000004, 0x9000701A, 0x9000001C, 0x8000001B, 0x80000023,
)  # fmt: skip


def volume_of(tree: dict[str, object], size: int = 8 << 20) -> bytearray:
    data = bytearray(size)
    ntfs.build(MemoryStorage(data), tree)  # type: ignore[arg-type]  # by value
    return data


def editor(data: bytearray) -> ntfs.WritableNTFS:
    return ntfs.WritableNTFS(MemoryStorage(data), timestamp_ns=MOMENT)


def reparse(tag: int) -> ntfs.Reparse:
    return ntfs.Reparse(struct.pack("<IHH", tag, 8, 0) + bytes(8), 100_000)


# Content that is not in $DATA (MS-FSCC 2.1.2.1; a reader that follows no tag returns zeros without a word)


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [(DEDUP, 0), (SIS, 0), (HSM, OFFLINE), (CLOUD, OFFLINE), (CLOUD, RECALL_ON_DATA_ACCESS), (PROJFS, OFFLINE)],
)
def test_content_that_is_somewhere_else_is_not_zeros(tag: int, attributes: int) -> None:
    patient = Patient(bytes(volume_of({"/a": reparse(tag)})))
    number = patient.find("/a")
    place = patient.value_offset(number, Type.STANDARD_INFORMATION)
    patient.patch(number, place + 32, struct.pack("<I", 0x620 | attributes))
    data = patient.data
    with editor(data) as volume:
        for action in (
            lambda: volume.read_file("/a"),
            lambda: volume.write_at("/a", 5, b"y"),
            lambda: volume.append("/a", b"y"),
            lambda: volume.truncate("/a", 50),
        ):
            with pytest.raises(errors.UnsupportedError, match="not on the volume"):
                action()
        assert volume.stat("/a").st_size == 100_000
        # New content replaces it, and nothing leads Windows to the old one.
        with volume.open_file("/a", "wb") as file:
            file.write(pattern(5000))
        assert volume.read_file("/a") == pattern(5000)
        assert volume.reparse_point("/a") is None
        assert not volume.stat("/a").st_flags & (0x400 | OFFLINE | RECALL_ON_DATA_ACCESS)
    assert ntfs.check(bytes(data)) == []


@pytest.mark.parametrize(("tag", "attributes"), [(CLOUD, 0), (APPEXECLINK, 0), (AF_UNIX, 0), (0x12345, 0)])
def test_content_beside_any_other_tag_is_read(tag: int, attributes: int) -> None:
    head = struct.pack("<IHH", tag, 8, 0) + (b"" if tag & 0x80000000 else bytes(16)) + bytes(8)
    data = volume_of({"/a": ntfs.Reparse(head, 5000, attributes=attributes)})
    with editor(data) as volume:
        assert volume.read_file("/a") == bytes(5000)
        volume.write_at("/a", 0, b"local")
        assert volume.read_file("/a", limit=5000)[:6] == b"local\0"
        found = volume.reparse_point("/a")
        assert found is not None
        assert found.tag == tag
    assert ntfs.check(bytes(data)) == []


# Encrypted files: Windows encrypts every stream of one; ntfs-3g refuses to read and to write without the key (EACCES)


@pytest.fixture
def encrypted(tmp_path: Path) -> Path:
    """Files that ntfs-3g restored from raw backups: ciphertext in whole sectors, then by how much it is too long."""
    image = ntfs3g_volume(tmp_path / "image", 16 << 20)
    information = struct.pack("<IIII", 0x300, 0, 2, 0) + bytes(0x2F0)  # $EFS begins with its length and a version
    with mounted(image, "efs_raw") as folder:
        for name, size in {"a": 5000, "small": 5, "empty": 0}.items():
            stored = -(-size // 512) * 512
            (folder / name).write_bytes(pattern(stored, size) + struct.pack("<H", stored - size) if size else b"")
            os.setxattr(folder / name, "system.ntfs_efsinfo", information)
    assert ntfs.check(image) == []
    return image


@pytest.mark.parametrize("name", ["a", "small", "empty"])
def test_the_content_of_an_encrypted_file_stays(name: str, encrypted: Path) -> None:
    path = f"/{name}"
    before = encrypted.read_bytes()
    with ntfs.WritableNTFS(encrypted) as volume:
        for action in (
            lambda: volume.write_file(path, b"plain"),
            lambda: volume.write_file(path, b"plain", stream="new"),
            lambda: volume.write_at(path, 0, b"plain"),
            lambda: volume.append(path, b"plain"),
            lambda: volume.truncate(path, 100),
            lambda: volume.truncate(path, 0),
        ):
            with pytest.raises(errors.EncryptedError) as caught:
                action()
            assert "remove the file" in (caught.value.hint or "")
            assert caught.value.errno == errno.EACCES
        if volume.stat(path).st_size:
            with pytest.raises(errors.EncryptedError):
                volume.read_file(path)
    assert encrypted.read_bytes() == before
    with mounted(encrypted) as folder, pytest.raises(PermissionError):  # as the judge has it
        (folder / name).write_bytes(b"plain")


def test_an_encrypted_file_is_moved_and_replaced(encrypted: Path) -> None:
    with mounted(encrypted, "efs_raw") as folder:
        raw = (folder / "a").read_bytes()
    with ntfs.WritableNTFS(encrypted) as volume:
        volume.rename("/a", "/moved")
        volume.utime("/moved", mtime_ns=MOMENT)
        volume.write_file("/plain", b"plain")
        with pytest.raises(errors.EncryptedError):
            volume.take_place("/plain", "/small")
        with pytest.raises(errors.EncryptedError):
            volume.take_place("/moved", "/plain")
        volume.rename("/plain", "/small")
        assert volume.read_file("/small") == b"plain"
        assert not volume.stat("/small").st_flags & 0x4000
        volume.unlink("/empty")
    assert ntfs.check(encrypted) == []
    with mounted(encrypted, "efs_raw") as folder:
        assert (folder / "moved").read_bytes() == raw
        assert os.getxattr(folder / "moved", "system.ntfs_efsinfo")[:4] == struct.pack("<I", 0x300)
        assert (folder / "small").read_bytes() == b"plain"


def test_what_cannot_take_a_place_leaves_nothing_behind(encrypted: Path) -> None:
    shared = open_shared(encrypted, writable=True)
    file = shared.open("/a", "wb")
    file.write(b"plain")
    with pytest.raises(errors.EncryptedError):
        file.close()
    assert sorted(shared.volume.listdir("/")) == ["a", "empty", "small"]
    shared.close()
    assert ntfs.check(encrypted) == []


def test_a_tree_has_no_encrypted_files() -> None:
    with pytest.raises(errors.SourceError, match="EFS"):
        volume_of({"/a": ntfs.File(b"x", attributes=0x4000)})


# Names of streams: Windows compares them in any case (Linux ntfs3: ntfs_cmp_names with upcase)


def test_streams_are_found_in_any_case() -> None:
    data = volume_of({"/a": ntfs.File(b"x", streams={"Zone.Identifier": b"old"})})
    with editor(data) as volume:
        assert volume.read_file("/a", stream="ZONE.IDENTIFIER") == b"old"
        volume.write_file("/a", b"new", stream="zone.identifier")
        volume.write_at("/a", 3, pattern(3000), stream="zone.IDENTIFIER")
        assert [each.name for each in volume.streams("/a")] == ["", "Zone.Identifier"]
        assert volume.read_file("/a", stream="Zone.Identifier") == b"new" + pattern(3000)
        assert volume.extents("/a", stream="zone.identifier") == volume.extents("/a", stream="Zone.Identifier") != []
        with volume.open_file("/a", "r+b", stream="ZONE.identifier") as file:
            file.truncate(2)
        assert volume.read_file("/a", stream="Zone.Identifier") == b"ne"
        volume.remove_stream("/a", "ZONE.IDENTIFIER")
        assert [each.name for each in volume.streams("/a")] == [""]
    assert ntfs.check(bytes(data)) == []
    with pytest.raises(errors.SourceError, match="two streams"):
        volume_of({"/a": ntfs.File(b"x", streams={"S": b"", "s": b""})})


@pytest.mark.parametrize(("name", "fits"), [("\U0001f600" * 127 + "x", True), ("\U0001f600" * 128, False)])
def test_names_of_streams_are_counted_in_utf_16(name: str, fits: bool) -> None:
    data = volume_of({"/a": b"x"})
    with editor(data) as volume:
        if fits:
            volume.write_file("/a", b"y", stream=name)
            assert volume.read_file("/a", stream=name) == b"y"
        else:
            with pytest.raises(errors.PathError):
                volume.write_file("/a", b"y", stream=name)
    assert ntfs.check(bytes(data)) == []


def test_the_root_has_streams(tmp_path: Path) -> None:
    image = tmp_path / "image"
    ntfs.format(image, size=8 << 20)
    with ntfs.WritableNTFS(image) as volume:
        volume.write_file("/", pattern(5000), stream="s")
        with pytest.raises(errors.IsADirectoryError):
            volume.write_file("/", b"")
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        assert Path(f"{folder}/.:s").read_bytes() == pattern(5000)


# Files of the volume itself


@pytest.mark.parametrize("path", ["/$MFT", "/$mft", "/$Extend", "/$Extend/x", "/$UPCASE"])
def test_a_tree_has_no_names_of_the_volume(path: str) -> None:
    with pytest.raises(errors.SourceError, match="volume itself"):
        volume_of({path: b"x"})
    with pytest.raises(errors.SourceError, match="volume itself"):
        ntfs.required_size({path: b"x"}, ntfs.Options(case_sensitive=True))
    data = volume_of({"/below" + path: b"x"})  # in a directory they are names as any other
    assert ntfs.NTFS(bytes(data)).read_file("/below" + path) == b"x"


@pytest.mark.parametrize("path", ["/$MFT", "/$Secure", "/$Extend/$Reparse", "/$Extend/$ObjId"])
def test_files_of_the_volume_stay(path: str) -> None:
    data = volume_of({"/a": b"x"})
    before = bytes(data)
    with editor(data) as volume:
        for action in (
            lambda: volume.unlink(path),
            lambda: volume.rename(path, "/b"),
            lambda: volume.rename("/a", path),
            lambda: volume.link(path, "/b"),
            lambda: volume.link("/a", "/$Extend/new"),
            lambda: volume.write_file(path, b"new"),
            lambda: volume.write_file(path, b"new", stream="s"),
            lambda: volume.truncate(path, 0),
            lambda: volume.mkdir("/$Extend/new"),
        ):
            with pytest.raises(errors.ReadOnlyError, match="volume itself"):
                action()
    assert data == before


# A system that has not let go of the volume: ntfs-3g mounts it to be read only


@pytest.mark.parametrize(
    ("content", "is_hibernated"),
    [(b"hibr".ljust(8192, b"\1"), True), (b"HIBR".ljust(8192), True), (b"short", True), (bytes(8192), False),
     (b"wake".ljust(8192), False)],
)  # fmt: skip
def test_hibernation(content: bytes, is_hibernated: bool, tmp_path: Path) -> None:
    image = tmp_path / "image"
    ntfs.build(image, {"/hiberfil.sys": content, "/a": b"x"}, size=8 << 20)
    with ntfs.NTFS(image) as volume:
        assert volume.is_hibernated == is_hibernated
    assert _ntfs_3g_writes(image) == (not is_hibernated)
    if not is_hibernated:
        with ntfs.WritableNTFS(image) as volume:
            volume.mkdir("/d")
        return
    with pytest.raises(errors.ReadOnlyError, match="hibernated"):
        ntfs.WritableNTFS(image)
    with ntfs.WritableNTFS(image, force=True) as volume:
        volume.unlink("/hiberfil.sys")
    with ntfs.WritableNTFS(image) as volume:
        volume.mkdir("/d")
    assert ntfs.check(image) == []


def _ntfs_3g_writes(image: Path) -> bool:
    """Whether ntfs-3g lets the volume be written to."""
    with mounted(image, "norecover") as folder:
        try:
            (folder / "by ntfs-3g").write_bytes(b"x")
        except OSError:
            return False
    return True


CLEAN = restart_pages(2 << 20, is_clean=True)
TORN = CLEAN[:510] + b"zz" + CLEAN[512:]


@pytest.mark.parametrize(
    ("pages", "state"),
    [
        (restart_pages(2 << 20, is_clean=True, version=(2, 0)), ntfs.LogState.CACHED),
        (restart_pages(2 << 20, is_clean=False, version=(2, 0)), ntfs.LogState.CACHED),
        # The first page was not written whole.
        (TORN, ntfs.LogState.DAMAGED),
        # The newer one counts.
        (restart_pages(2 << 20, is_clean=True)[:4096] + restart_pages(2 << 20, is_clean=False, lsn=9)[:4096],
         ntfs.LogState.REPLAY),
        (restart_pages(2 << 20, is_clean=False)[:4096] + restart_pages(2 << 20, is_clean=True, lsn=9)[:4096],
         ntfs.LogState.CLEAN),
    ],
)  # fmt: skip
def test_logs_as_ntfs_3g_judges_them(pages: bytes, state: ntfs.LogState, tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", 64 << 20)
    with ntfs.NTFS(image) as volume:
        place = next(volume.mft.stream(volume.mft.file(Number.LOG_FILE), Type.DATA).places())[1]
    with image.open("r+b") as file:
        file.seek(place)
        file.write(pages)
    with ntfs.NTFS(image) as volume:
        assert volume.log_state == state
    settled = state == ntfs.LogState.CLEAN
    assert [finding.kind for finding in ntfs.check(image)] == (
        [] if settled else ["log-file"] if state == ntfs.LogState.DAMAGED else ["log-file-dirty"]
    )
    if settled:
        ntfs.WritableNTFS(image).close()
    else:
        with pytest.raises(errors.ReadOnlyError, match="not unmounted"):
            ntfs.WritableNTFS(image)
    assert _ntfs_3g_writes(image) == settled


# Names in pairs


class _Renamer(SystemEditor):
    def give_kinds(self, path: str, kinds: dict[str, int]) -> None:
        """Let a file have these of its names only, of these kinds."""
        from cloudboot_ntfs.editor.draft import load

        with self._operation():
            draft = load(self.mft, self.find(path))
            names = draft.names()
            draft.remove(Type.FILE_NAME)
            for own in names:
                self._index(own.parent_record).remove(own.pack())
            for own in names:
                if own.name in kinds:
                    self._put_name(draft, dataclasses.replace(own, namespace=kinds[own.name]))
            self._table.store(draft)


@pytest.mark.parametrize(
    ("kinds", "messages", "listed"),
    [
        ({"A long name.txt": 1, "ALONGN~1.TXT": 2}, [], ["A long name.txt"]),
        ({"A long name.txt": 0}, [], ["A long name.txt"]),
        ({"ALONGN~1.TXT": 2}, ["no Win32 name"], []),
        ({"A long name.txt": 2, "ALONGN~1.TXT": 2}, ["two names", "no Win32 name", "no Win32 name"], []),
        ({"A long name.txt": 9}, ["kind that there is not"], ["A long name.txt"]),
    ],
)
def test_names_in_pairs(kinds: dict[str, int], messages: list[str], listed: list[str], tmp_path: Path) -> None:
    """A file without a name but for DOS is in no listing of ntfs-3g."""
    image = tmp_path / "image"
    ntfs.build(image, {"/A long name.txt": ntfs.File(b"x", short_name="ALONGN~1.TXT")}, size=8 << 20)
    with _Renamer(image) as volume:
        volume.give_kinds("/A long name.txt", kinds)
    findings = ntfs.check(image)
    assert {finding.kind for finding in findings} <= {"name-pair"}
    assert len(findings) == len(messages)
    assert all(message in str(finding) for message, finding in zip(messages, findings, strict=True))
    with mounted(image) as folder:
        assert os.listdir(folder) == listed


# The MFT


def test_records_that_were_never_written_do_not_count() -> None:
    """Windows and ntfs-3g let $MFT have more clusters than they have initialised."""
    patient = Patient(bytes(volume_of({"/a": b"x"})))
    patient.patch(0, patient.attribute(0, Type.DATA).offset + 56, (66 * 1024).to_bytes(8, "little"))
    data = patient.data
    assert ntfs.check(bytes(data)) == []
    with editor(data) as volume:
        assert volume.mft.count == 66
        for number in range(20):
            volume.write_file(f"/new {number}", pattern(2000, number))
    assert ntfs.check(bytes(data)) == []
    assert ntfs.NTFS(bytes(data)).read_file("/new 7") == pattern(2000, 7)


@pytest.mark.parametrize("maker", ["ntfs-3g", "us"])
def test_a_full_volume_in_pieces_stays_clean(maker: str, tmp_path: Path) -> None:
    """$MFT grows in single clusters; where it cannot, nothing has changed, and files can be removed."""
    image = ntfs3g_volume(tmp_path / "image", 6 << 20, "-c", "512", "-z", "1")
    names = [f"f{number}" for number in range(4000)]
    if maker == "ntfs-3g":
        with mounted(image) as folder:
            made = _until_full(lambda name: (folder / name).write_bytes(b"a" * 800), names)
            for name in made[::2]:
                (folder / name).unlink()
            _until_full(lambda name: (folder / f"g{name}").write_bytes(b""), names)
    else:
        with ntfs.WritableNTFS(image) as volume:
            made = _until_full(lambda name: volume.write_file(f"/{name}", b"a" * 800), names)
            for name in made[::2]:
                volume.unlink(f"/{name}")
            _until_full(lambda name: volume.write_file(f"/g{name}", b""), names)
    assert ntfs.check(image) == []
    with ntfs.WritableNTFS(image) as volume:
        assert len(volume.mft.data.runs) > 10
        _until_full(lambda name: volume.write_file(f"/h{name}", b""), names)
        assert ntfs.check(image) == []
        for name in made[1::2][:50]:
            volume.unlink(f"/{name}")
        assert ntfs.check(image) == []
        volume.write_file("/again", b"x" * 700)
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        assert (folder / "again").read_bytes() == b"x" * 700
        assert not (folder / made[1]).exists()


def _until_full(make: object, names: list[str]) -> list[str]:
    """The names that could be made before the volume was full."""
    made = []
    for name in names:
        try:
            make(name)  # type: ignore[operator]  # a function
        except OSError:
            break
        made.append(name)
    assert len(made) < len(names)
    return made


@pytest.mark.parametrize("cluster", ["131072", "524288"])
def test_clusters_of_more_than_64_kib(cluster: str, tmp_path: Path) -> None:
    """Windows 10 has them up to 2 MiB; sectors in a cluster are told as 0xF8 and the like in the boot sector."""
    image = ntfs3g_volume(tmp_path / "image", 120 << 20, "-c", cluster)
    with mounted(image) as folder:
        (folder / "a").write_bytes(pattern(3_000_000))
    assert ntfs.check(image) == []
    with ntfs.WritableNTFS(image) as volume:
        assert volume.geometry.cluster_size == int(cluster)
        assert volume.read_file("/a") == pattern(3_000_000)
        volume.mkdir("/d")
        for number in range(150):
            volume.write_file(f"/d/a name of some length {number}", b"%d" % number)
        volume.write_at("/a", 3_500_000, b"end")
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        assert len(os.listdir(folder / "d")) == 150
        assert (folder / "a").read_bytes() == pattern(3_000_000).ljust(3_500_000, b"\0") + b"end"
    assert "processed successfully" in ntfsfix(image)


# Bits of $Bitmap after the last cluster: ntfs-3g takes clusters there, and the backup boot sector is lost


def test_nothing_is_free_after_the_last_cluster(tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", (4 << 20) + 13 * 4096)
    assert ntfs.check(image) == []
    patient = Patient(image.read_bytes())
    clusters = patient.geometry.clusters
    place = patient.stream_offset(Number.BITMAP, Type.DATA)
    end = place + -(-clusters // 64) * 8
    first = patient.data[place + clusters // 8] & (1 << clusters % 8) - 1
    patient.data[place + clusters // 8 : end] = bytes([first]).ljust(end - place - clusters // 8, b"\0")
    image.write_bytes(patient.data)
    assert [(each.kind, each.actual) for each in ntfs.check(image)] == [("cluster-bitmap-end", "52 of them clear")]

    spoilt = tmp_path / "spoilt"
    spoilt.write_bytes(patient.data)
    with mounted(spoilt) as folder:
        _until_full(lambda name: (folder / name).write_bytes(bytes(65536)), [str(number) for number in range(100)])
    assert {"run-list", "backup-boot"} <= {each.kind for each in ntfs.check(spoilt)}

    ntfs.repair(image)
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        _until_full(lambda name: (folder / name).write_bytes(bytes(65536)), [str(number) for number in range(100)])
    assert ntfs.check(image) == []
    assert "processed successfully" in ntfsfix(image)


# Limits: 1,024 names of a file (CreateHardLinkW), which ntfs-3g does not keep, and 255 UTF-16 units of a name


def test_one_more_name_changes_the_records_that_it_needs(tmp_path: Path) -> None:
    """With many names, and after some of them went in any order, as many records are written as with few."""
    image = tmp_path / "image"
    names = [f"/a further name of the file {number:03}" for number in range(400)]
    data = volume_of({"/file": b"x", **{name: ntfs.HardLink("/file") for name in names}}, 16 << 20)
    journal = Journal(data)
    most = {}
    with ntfs.WritableNTFS(journal, timestamp_ns=MOMENT) as volume:
        volume.link("/file", "/with another time of change, which every name repeats")
        volume.unlink("/with another time of change, which every name repeats")
        changes: dict[str, Callable[[int], None]] = {
            "add": lambda number: volume.link("/file", f"/another name {number}"),
            "remove": lambda number: volume.unlink(names[number * 7 % 400]),
            "add again": lambda number: volume.link("/file", names[number * 7 % 400]),
        }
        for what, change in changes.items():
            counts = []
            for number in range(40):
                journal.writes.clear()
                change(number)
                records = {offset for offset, written in journal.writes if written[:4] == b"FILE"}
                counts.append(len(records))
            most[what] = max(counts)
        assert max(most.values()) <= 10, most  # the base record, one or two others and those freed, $Volume, the root
        left = {name[1:] for name in names} | {f"another name {number}" for number in range(40)} | {"file"}
        for number in range(0, 400, 2):
            volume.unlink(names[number])
            left.remove(names[number][1:])
    assert ntfs.check(bytes(data)) == []
    with ntfs.NTFS(bytes(data)) as found:
        record = found.mft.file(found.find("/file"))
        assert len(found.mft._with_extensions(found.mft.record(record.number), record.attributes[-1])[1]) < 90
    image.write_bytes(data)
    with mounted(image, "ro") as folder:
        assert {path.name for path in folder.iterdir()} == left
        assert (folder / "file").stat().st_nlink == len(left)


@pytest.mark.parametrize("short_names", [False, True])
def test_a_file_has_1024_names_at_most(short_names: bool, tmp_path: Path) -> None:
    image = tmp_path / "image"
    tree = {"/a file": b"x"} | {f"/b number {number:04}": ntfs.HardLink("/a file") for number in range(1021)}
    ntfs.build(image, {**tree, "/b number 9998": ntfs.HardLink("/a file")}, size=16 << 20)
    with ntfs.WritableNTFS(image, short_names=short_names) as volume:
        volume.link("/a file", "/the name number 1024")
        assert volume.stat("/a file").st_nlink == 1024
        before = image.read_bytes()
        with pytest.raises(errors.TooManyLinksError) as caught:
            volume.link("/a file", "/one more")
        assert caught.value.errno == errno.EMLINK
        assert image.read_bytes() == before
        volume.rename("/b number 0007", "/another name of some length")
        assert len(volume.names_of(volume.find("/a file"))) == 1024
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        assert (folder / "another name of some length").stat().st_nlink == 1024
        assert len(os.listdir(folder)) == 1024
    with pytest.raises(errors.SourceError, match="more names"):
        ntfs.build(
            MemoryStorage(bytearray(16 << 20)),
            {**tree, **{f"/c{number}": ntfs.HardLink("/a file") for number in range(3)}},
        )


NAMES = ["n" * 255, "n" * 256, "\U0001f600" * 127 + "x", "\U0001f600" * 127 + "xy", "\U0001f600" * 128, "\u00e9" * 255]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_have_as_many_units_as_ntfs_3g_allows(name: str, tmp_path: Path) -> None:
    image = tmp_path / "image"
    ntfs.build(image, {"/old": b"x"}, size=8 << 20)
    judged = tmp_path / "judged"
    judged.write_bytes(image.read_bytes())
    with mounted(judged) as folder:
        answer = 0
        try:
            (folder / name).write_bytes(b"y")
        except OSError as error:
            answer = error.errno or 0
    assert answer in (0, errno.ENAMETOOLONG)
    path = f"/{name}"
    with ntfs.WritableNTFS(image) as volume:
        if answer:
            before = image.read_bytes()
            for action in (
                lambda: volume.write_file(path, b"y"),
                lambda: volume.mkdir(path),
                lambda: volume.rename("/old", path),
                lambda: volume.link("/old", path),
                lambda: volume.symlink("old", path),
            ):
                with pytest.raises(errors.NameTooLongError) as caught:
                    action()
                assert caught.value.errno == errno.ENAMETOOLONG
            assert image.read_bytes() == before
            with pytest.raises(errors.NtfsError, match="too long"):
                volume_of({path: b"y"})
            return
        volume.write_file(path, b"y")
        volume.link("/old", f"/{name[:-1]}z")
    assert ntfs.check(image) == []
    assert ntfs.NTFS(bytes(volume_of({path: b"y"}))).read_file(path) == b"y"
    with mounted(image) as folder:
        assert sorted(os.listdir(folder)) == sorted(["old", name, f"{name[:-1]}z"])


# Streams by the hundred: a change of one writes one record more than the list


def test_a_change_of_one_stream_of_many_leaves_the_other_records(tmp_path: Path) -> None:
    image = tmp_path / "image"
    tree = {"/a": ntfs.File(b"x", streams={f"stream {number:03}": b"%d" % number for number in range(200)})}
    ntfs.build(image, tree, size=16 << 20)
    before = image.read_bytes()
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        volume.write_file("/a", b"changed", stream="stream 150")
        first = volume.mft.offset(64) or 0
        number = volume.mft.count
    after = image.read_bytes()
    changed = [
        place for place in range(first, first + (number - 64) * 1024, 1024)
        if before[place : place + 1024] != after[place : place + 1024]
    ]  # fmt: skip
    assert (
        len(changed) <= 5
    )  # the file's own; that with its names, and that with the stream, each replaced by a new one
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        assert (folder / "a:stream 150").read_bytes() == b"changed"
        assert (folder / "a:stream 199").read_bytes() == b"199"


# Clusters that a transaction takes and gives back: nothing on the disk refers to them, and they are taken again


def test_a_transaction_needs_no_more_room_than_its_results(tmp_path: Path) -> None:
    """A list of 400 streams is stored 400 times, and what another program sees is the last."""
    image = tmp_path / "image"
    ntfs.build(image, {"/ballast": bytes(5 << 20)}, size=8 << 20)
    with ntfs.WritableNTFS(image) as volume, volume.transaction():
        for number in range(50):
            volume.write_file("/again", pattern(500_000, number))
        volume.write_file("/a", b"x")
        for number in range(400):
            volume.write_file("/a", b"%d" % number, stream=f"stream {number:03}")
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        assert (folder / "again").read_bytes() == pattern(500_000, 49)
        assert [(folder / f"a:stream {number:03}").read_bytes() for number in (0, 200, 399)] == [b"0", b"200", b"399"]


def test_content_stands_where_a_directory_of_the_same_transaction_stood(tmp_path: Path) -> None:
    image = tmp_path / "image"
    ntfs.format(image, size=8 << 20)
    with ntfs.WritableNTFS(image) as volume, volume.transaction():
        volume.mkdir("/d")
        for number in range(200):
            volume.mkdir(f"/d/a name of some length {number}")
        blocks = {
            start
            for start, _, _ in volume.mft.stream(
                volume.mft.file(volume.find("/d")), Type.INDEX_ALLOCATION, "$I30"
            ).places()
        }
        for number in range(200):
            volume.rmdir(f"/d/a name of some length {number}")
        volume.rmdir("/d")
        made = []
        with pytest.raises(errors.NoSpaceError):
            for number in range(500):
                volume.write_file(f"/f{number}", pattern(65536, number))
                made.append(number)
        assert [volume.read_file(f"/f{number}") for number in made] == [pattern(65536, number) for number in made]
    assert blocks
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        for number in made:
            assert (folder / f"f{number}").read_bytes() == pattern(65536, number)


# Object ids: $ObjId:$O leads to the files that have them, and ntfs-3g refuses an id that is there already


OBJECT_ID = "system.ntfs_object_id"


def _object_id(number: int) -> bytes:
    return struct.pack(">I", number) * 4 + bytes(48)  # and three of where the file was made, as ntfs-3g has them


@pytest.mark.parametrize("count", [4, 200])
def test_object_ids_survive_edits(count: int, tmp_path: Path) -> None:
    """With 200 the index is in blocks."""
    image = ntfs3g_volume(tmp_path / "image", 32 << 20)
    with mounted(image) as folder:
        (folder / "d").mkdir()
        os.setxattr(folder / "d", OBJECT_ID, _object_id(1 << 20))
        for number in range(count):
            (folder / f"f{number}").write_bytes(b"x")
            os.setxattr(folder / f"f{number}", OBJECT_ID, _object_id(number))
    assert ntfs.check(image) == []
    with ntfs.WritableNTFS(image) as volume:
        quota = _attributes(volume, "/$Extend/$Quota")
        volume.rename("/d", "/e")
        volume.rename("/f0", "/e/moved")
        for number in range(60):  # the attributes go to several records
            volume.write_file("/f1", b"y" * 50, stream=f"s{number}")
        volume.write_file("/new", b"new")
        volume.take_place("/new", "/f1")
        for number in range(2, count, 2):
            volume.unlink(f"/f{number}")
        volume.write_file("/new", b"new")
        volume.rename("/new", "/f3")
        assert _attributes(volume, "/$Extend/$Quota") == quota != []
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        kept = {"e": 1 << 20, "e/moved": 0, "f1": 1} | {f"f{number}": number for number in range(5, count, 2)}
        assert {name: os.getxattr(folder / name, OBJECT_ID)[:16] for name in kept} == {
            name: _object_id(number)[:16] for name, number in kept.items()
        }
        with pytest.raises(OSError, match="No data"):
            os.getxattr(folder / "f3", OBJECT_ID)
        os.setxattr(folder / "f3", OBJECT_ID, _object_id(2))  # nobody has it any more
        (folder / "last").write_bytes(b"x")
        with pytest.raises(FileExistsError):
            os.setxattr(folder / "last", OBJECT_ID, _object_id(1))
    assert ntfs.check(image) == []
    assert "processed successfully" in ntfsfix(image)


def _attributes(volume: ntfs.NTFS, path: str) -> list[object]:
    return [(each.type, each.name, each.value, each.pairs) for each in volume.mft.file(volume.find(path)).attributes]


def test_an_object_id_of_a_former_file_is_found(tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", 16 << 20)
    with mounted(image) as folder:
        (folder / "a").write_bytes(b"x")
        os.setxattr(folder / "a", OBJECT_ID, _object_id(7))
    patient = Patient(image.read_bytes())
    number = patient.find("/$Extend/$ObjId")
    # The heads of the index, of the entry, and the key stand before the reference; its last two bytes are the sequence.
    place = patient.value_offset(number, Type.INDEX_ROOT, "$O") + 32 + 16 + 16
    start = patient.record_offset(number) + place
    assert patient.data[start : start + 8] == struct.pack("<IHH", patient.find("/a"), 0, 1)
    patient.patch(number, place + 6, b"\2\0")
    assert [each.kind for each in ntfs.check(bytes(patient.data))] == ["object-id-index"]


# Extended attributes: names repeat their size where a reparse tag would stand (Linux ntfs3: size_pack)


def test_the_size_of_extended_attributes_stays_in_names(tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", 16 << 20)
    setfattr = judge("setfattr", "attr")
    value = bytes.fromhex("00000000") + struct.pack("<BBH", 0, 6, 4) + b"$LXUID"[:6] + b"\0" + b"\1\0\0\0"
    value = struct.pack("<I", -(-len(value) // 4) * 4) + value[4:].ljust(-(-len(value) // 4) * 4 - 4, b"\0")
    with mounted(image) as folder:
        (folder / "a").write_bytes(b"x")
        subprocess.run([setfattr, "-n", "system.ntfs_ea", "-v", f"0x{value.hex()}", folder / "a"], check=True)
    with ntfs.WritableNTFS(image) as volume:
        number = volume.find("/a")
        record = volume.mft.file(number)
        packed = int.from_bytes(next(each.value for each in record.attributes if each.type == 0xD0)[:2], "little")
        assert packed
        volume.append("/a", b"y")
        assert [name.reparse_tag for name in volume.names_of(number)] == [packed]
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        assert os.getxattr(folder / "a", "system.ntfs_ea") == value
