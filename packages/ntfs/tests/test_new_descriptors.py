"""Security descriptors that a volume gets: in $Secure, found by ntfs-3g, the Sleuth Kit and dissect.ntfs.

libfsntfs is not asked: it finds no descriptor where $SII has index blocks, in volumes that ntfs-3g wrote neither.
"""

from __future__ import annotations

import io
import os
import re
import struct
from pathlib import Path

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import Journal, judge, run
from cloudboot_ntfs import errors
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.layout.records import SdsEntry
from cloudboot_ntfs.layout.secure import BLOCK, place_after
from cloudboot_ntfs.reader.index import Index
from cloudboot_ntfs.reader.secure import Secure, standard_information
from cloudboot_ntfs.security import from_sddl
from cloudboot_ntfs.testing import mounted, ntfs3g_volume, pattern
from cloudboot_ntfs.testing.damage import Patient

MOMENT = 1_700_000_000_000_000_000


def sddl(number: int, more: int = 0) -> str:
    """A descriptor that no other number has; ``more`` entries make it larger by 24 bytes each."""
    return f"O:SYG:BAD:P(A;OICI;FA;;;S-1-5-21-{number}-{number * number}-7-1001)" + "(A;;FR;;;BU)" * more


def audited(image: Path) -> None:
    """Let ntfs-3g compare $SDS with its copy, $SII and $SDH.

    Behind the last entry of the copy it takes for a length what it has not read, in volumes of its own too. That line
    says nothing if as many entries are valid there as in the first copy.
    """
    said = run(judge("ntfssecaudit", "ntfs-3g"), "-a", image, codes=(0, 1))
    assert "All keys are present in all lists" in said, said
    valid = re.findall(r"^(\d+) valid .*entries in \$(?:SDS-1|SDS-2|SII|SDH)$", said, re.MULTILINE)
    assert len(valid) == 4, said
    assert len(set(valid)) == 1, said
    wrong = re.findall(r"^\*\* (?!\d+ errors? )(.*)$", said, re.MULTILINE)
    assert all(line.startswith("Security attribute is too long") for line in wrong), said
    assert len(wrong) <= 1, said


def told_by_ntfs3g(image: Path, paths: list[str]) -> dict[str, bytes]:
    """The descriptors as ntfs-3g gives them."""
    getfattr = judge("getfattr", "attr")
    with mounted(image, "ro") as folder:
        files = [folder / path[1:] for path in paths]
        said = run(getfattr, "--absolute-names", "-e", "hex", "-n", "system.ntfs_acl", *files)
    found = re.findall(r"^system\.ntfs_acl=0x([0-9a-f]*)$", said, re.MULTILINE)
    return dict(zip(paths, map(bytes.fromhex, found), strict=True))


def ids(image: Path, paths: list[str]) -> dict[str, int]:
    """The ids in the records of files, none of which has a descriptor of its own."""
    with ntfs.NTFS(image) as volume:
        found = {}
        for path in paths:
            record = volume.mft.file(volume.find(path))
            assert all(each.type != Type.SECURITY_DESCRIPTOR for each in record.attributes)
            found[path] = standard_information(volume.mft, record).security_id
        return found


@pytest.fixture(params=["mkntfs", "512", "4096", "65536"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An empty volume, of ours or of mkntfs, whose root has a descriptor of its own."""
    if request.param == "mkntfs":
        return ntfs3g_volume(tmp_path / "image", 48 << 20)
    ntfs.format(tmp_path / "image", ntfs.Options(cluster_size=int(request.param)), size=48 << 20)
    return tmp_path / "image"


def test_a_new_descriptor_is_in_secure(image: Path) -> None:
    paths = [f"/file {number}" for number in range(60)]
    texts = {path: sddl(number % 40, number % 40 * 9) for number, path in enumerate(paths)}
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        for path, text in texts.items():
            volume.write_file(path, path.encode())
            volume.set_sddl(path, text)
            assert volume.sddl(path) == text
        volume.set_sddl("/", sddl(1000))
        volume.mkdir("/inherits")
        volume.write_file("/inherits/too", b"")
    texts |= {"/inherits": sddl(1000), "/inherits/too": sddl(1000)}
    assert ntfs.check(image) == []
    given = ids(image, list(texts))
    assert len(set(given.values())) == 41
    assert all(given[paths[number]] == given[paths[number + 40]] for number in range(20))
    audited(image)
    expected = {path: from_sddl(text) for path, text in texts.items()}
    assert told_by_ntfs3g(image, list(texts)) == expected
    with ntfs.NTFS(image) as volume:
        numbers = {path: volume.find(path) for path in texts}
        # The Sleuth Kit finds none in index blocks that are smaller than a cluster, of ntfs-3g's either.
        is_small = volume.geometry.cluster_size <= volume.geometry.index_size
    for path in [*paths[:3], "/inherits"] if is_small else []:
        said = run(judge("istat", "sleuthkit"), "-f", "ntfs", image, str(numbers[path]))
        assert re.search(rf"Security ID: {given[path]}  \(S-1-5-18\)", said), said
    secure = pytest.importorskip("dissect.ntfs").NTFS(io.BytesIO(image.read_bytes())).secure
    for path, text in texts.items():
        looked_up = secure.lookup(given[path])
        assert str(looked_up.owner) == "S-1-5-18"
        assert len(looked_up.dacl.ace) == text.count("(")


def test_ntfs3g_and_we_add_to_one_another(image: Path) -> None:
    """What each of us adds has the next id, and the other finds it."""
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        for number in range(6):
            volume.write_file(f"/{number}", b"")
        volume.set_sddl("/0", sddl(0))
    with mounted(image) as folder:
        for number in (1, 2):
            os.setxattr(folder / str(number), "system.ntfs_acl", from_sddl(sddl(number)))
    assert ntfs.check(image) == []
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        volume.set_sddl("/3", sddl(2))
        volume.set_sddl("/4", sddl(4))
    with mounted(image) as folder:
        os.setxattr(folder / "5", "system.ntfs_acl", from_sddl(sddl(4)))
    assert ntfs.check(image) == []
    audited(image)
    given = ids(image, [f"/{number}" for number in range(6)])
    assert given["/3"] == given["/2"]
    assert given["/5"] == given["/4"] == given["/2"] + 1 == given["/1"] + 2 == given["/0"] + 3
    paths = {"/0": 0, "/1": 1, "/2": 2, "/3": 2, "/4": 4, "/5": 4}
    assert told_by_ntfs3g(image, list(paths)) == {path: from_sddl(sddl(number)) for path, number in paths.items()}


def test_descriptors_fill_one_block_after_the_other(image: Path) -> None:
    """An entry does not cross the end of a block of 256 KiB, and none stands where a copy does."""
    paths = [f"/{number}" for number in range(12)]
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        for number, path in enumerate(paths):
            volume.write_file(path, b"")
            volume.set_sddl(path, sddl(number, 2600))  # 62 KiB each
    assert ntfs.check(image) == []
    audited(image)
    with ntfs.NTFS(image) as volume:
        places = [_place(volume, number) for number in ids(image, paths).values()]
    assert {place.offset // BLOCK for place in places} == {0, 2, 4}
    assert all(place.offset % BLOCK + place.size <= BLOCK for place in places)
    assert told_by_ntfs3g(image, paths) == {path: from_sddl(sddl(number, 2600)) for number, path in enumerate(paths)}


def _place(volume: ntfs.NTFS, number: int) -> SdsEntry:
    entries = Index(volume.mft, volume.mft.file(Number.SECURE), "$SII").entries()
    return next(SdsEntry.unpack_from(each.data) for each in entries if each.key == struct.pack("<I", number))


def sized(number: int, size: int) -> str:
    """A descriptor of exactly ``size`` bytes in $SDS."""
    # A condition may have any number of bytes; see MS-DTYP 2.4.4.17.
    base = len(from_sddl(sddl(number) + "(XA;;FR;;;WD;#)")) + SdsEntry.SIZE
    assert (size - base) % 4 == 0
    return sddl(number) + f"(XA;;FR;;;WD;#{'00' * (size - base)})"


@pytest.mark.parametrize("spare", [0, 16, 32])
def test_a_block_that_is_exactly_full(spare: int, tmp_path: Path) -> None:
    """The next entry goes to the next block, not to where the copy of the full one is: of the builder's, and added."""
    built, changed = tmp_path / "built", tmp_path / "changed"
    tree = {f"/{number}": ntfs.File(b"") for number in range(7)}
    ntfs.build(changed, tree, size=16 << 20)
    with ntfs.NTFS(changed) as volume:
        places = [_place(volume, number) for number in Secure(volume.mft).ids()]
        end = max(place.offset + place.size for place in places)
    sizes = [60_000, 60_000, 60_000, 60_000]
    sizes.append(BLOCK - spare - place_after(end, 100) - sum(sizes))
    texts = [sized(number, size) for number, size in enumerate(sizes)] + [sddl(90), sddl(91)]
    with ntfs.WritableNTFS(changed, timestamp_ns=MOMENT) as writable:
        for number, text in enumerate(texts):
            writable.set_sddl(f"/{number}", text)
    tree = {f"/{number}": ntfs.File(b"", security=text) for number, text in enumerate(texts)}
    ntfs.build(built, tree, size=16 << 20)
    for path in (built, changed):
        assert ntfs.check(path) == []
        audited(path)
        paths = [f"/{number}" for number in range(7)]
        assert told_by_ntfs3g(path, paths) == {f"/{number}": from_sddl(text) for number, text in enumerate(texts)}
        with ntfs.NTFS(path) as found:
            last, following = (_place(found, each) for each in list(ids(path, paths).values())[4:6])
        assert last.offset + last.size == BLOCK - spare
        assert following.offset == 2 * BLOCK


def test_thousands_of_descriptors(tmp_path: Path) -> None:
    """Both indexes grow to several levels beside one another in one record."""
    image = tmp_path / "image"
    ntfs.format(image, ntfs.Options(cluster_size=4096), size=48 << 20)
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume, volume.transaction():
        volume.write_file("/a", b"")
        for number in range(4000):
            volume.set_sddl("/a", sddl(number))
        volume.write_file("/b", b"")
        volume.set_sddl("/b", sddl(17))
    assert ntfs.check(image) == []
    audited(image)
    with ntfs.NTFS(image) as found:
        assert found.mft.record(Number.SECURE).base == 0
        assert all(each.type != Type.ATTRIBUTE_LIST for each in found.mft.record(Number.SECURE).attributes)
        assert len(Secure(found.mft).ids()) == 4003
    expected = {"/a": from_sddl(sddl(3999)), "/b": from_sddl(sddl(17))}
    assert told_by_ntfs3g(image, ["/a", "/b"]) == expected


def test_the_same_changes_give_the_same_bytes() -> None:
    def made() -> bytearray:
        data = bytearray(8 << 20)
        ntfs.build(MemoryStorage(data), {"/a": b"1", "/b": b"2"})
        with ntfs.WritableNTFS(MemoryStorage(data), timestamp_ns=MOMENT) as volume:
            for number in range(50):
                volume.set_sddl("/a", sddl(number))
        return data

    assert made() == made()


def test_what_was_rolled_back_leaves_no_descriptor() -> None:
    data = bytearray(8 << 20)
    ntfs.build(MemoryStorage(data), {"/a": b"1", "/b": b"2"})
    before = bytes(data)
    with ntfs.WritableNTFS(MemoryStorage(data), timestamp_ns=MOMENT) as volume:
        with pytest.raises(errors.FileNotFoundError):
            volume.set_sddl("/none", sddl(1))
        with ntfs.NTFS(bytes(data)) as found:
            assert found.security_id(from_sddl(sddl(1))) is None
        volume.set_sddl("/a", sddl(2))
        assert volume.security_id(from_sddl(sddl(2))) == 0x103
    assert ntfs.check(bytes(data)) == []
    assert data != before


def test_a_volume_without_room_for_a_descriptor() -> None:
    data = bytearray(4 << 20)
    ntfs.build(MemoryStorage(data), {"/a": b"1"}, ntfs.Options(cluster_size=512))
    with ntfs.WritableNTFS(MemoryStorage(data), timestamp_ns=MOMENT) as volume:
        free = 64 << 10
        volume.write_file("/full", b"")
        while free >= 512:
            try:
                volume.append("/full", pattern(free))
            except errors.NoSpaceError:
                free //= 2
        with pytest.raises(errors.NoSpaceError):
            volume.set_sddl("/a", sddl(1, 800))
        assert volume.sddl("/a") == ntfs.Options().security
        assert ntfs.check(bytes(data)) == []
        volume.unlink("/full")
        volume.set_sddl("/a", sddl(1, 800))
        assert volume.sddl("/a") == sddl(1, 800)
    assert ntfs.check(bytes(data)) == []


def test_a_descriptor_that_no_volume_holds() -> None:
    text = "O:SYG:SY" + "".join(f"{letter}:(A;;FA;;;SY)" + "(A;;FR;;;BU)" * 1500 for letter in "DS")
    data = bytearray(8 << 20)
    ntfs.build(MemoryStorage(data), {"/a": b"1"})
    before = bytes(data)
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume, pytest.raises(errors.DescriptorError, match="too large"):
        volume.set_sddl("/a", text)
    assert data == before
    with pytest.raises(errors.DescriptorError, match="too large"):
        ntfs.build(MemoryStorage(bytearray(8 << 20)), {"/a": ntfs.File(b"", security=text)})


def test_entries_that_no_index_has_are_not_written_over() -> None:
    """A file may have their ids: the entry stays, and the new one comes after it with the id that follows."""
    data = bytearray(8 << 20)
    ntfs.build(MemoryStorage(data), {"/a": b"1", "/b": b"2"})
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume:
        volume.set_sddl("/a", sddl(1))
        place = _place(volume, 0x103)
    with Forgetful(MemoryStorage(data)) as forgetful:
        forgetful.forget(place)
    assert {each.kind for each in ntfs.check(bytes(data))} == {"sii-missing", "sdh-missing"}
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume:
        volume.set_sddl("/b", sddl(2))
        assert volume.security_id(from_sddl(sddl(2))) == 0x104
    ntfs.repair(data)
    assert ntfs.check(bytes(data)) == []
    with ntfs.NTFS(bytes(data)) as found:
        assert (found.sddl("/a"), found.sddl("/b")) == (sddl(1), sddl(2))


class Forgetful(ntfs.WritableNTFS):
    """An editor that loses what the indexes say of a descriptor."""

    def forget(self, place: SdsEntry) -> None:
        with self._operation():
            self._table.index(Number.SECURE, "$SII").remove(struct.pack("<I", place.security_id))
            self._table.index(Number.SECURE, "$SDH").remove(struct.pack("<II", place.hash, place.security_id))


@pytest.mark.parametrize(("cluster_size", "more", "rounds"), [(512, 0, 3), (4096, 40, 3), (4096, 2600, 1)])
def test_a_cut_after_any_write_is_repaired(cluster_size: int, more: int, rounds: int, tmp_path: Path) -> None:
    """Files keep the descriptor that they had, or have the new one; ntfs-3g finds nothing wrong after a repair.

    With 2,600 entries each, five descriptors are more than a block of $SDS.
    """
    image = bytearray(6 << 20)
    tree = {f"/{number}": b"%d" % number for number in range(5 if rounds == 1 else 12)}
    ntfs.build(MemoryStorage(image), tree, ntfs.Options(cluster_size=cluster_size, fresh=True))
    journal = Journal(image)
    volume = ntfs.WritableNTFS(journal, timestamp_ns=MOMENT)
    cuts = repaired = 0
    old = {path: ntfs.Options().security for path in tree}
    for round_ in range(rounds):
        before = bytearray(image)
        journal.writes.clear()
        new = {path: sddl(20 * round_ + number, more) for number, path in enumerate(tree)}
        with volume.transaction():
            for path, text in new.items():
                volume.set_sddl(path, text)
        step = max(1, len(journal.writes) // 20)
        for count, (offset, data) in enumerate(journal.writes):
            before[offset : offset + len(data)] = data
            if count % step:
                continue
            cut = bytearray(before)
            found = {each.kind for each in ntfs.check(bytes(cut))}
            assert not found or "volume-dirty" in found, (round_, count)
            repaired += bool(found - {"volume-dirty"})
            ntfs.repair(cut)
            assert ntfs.check(bytes(cut)) == []
            cuts += 1
            with ntfs.NTFS(bytes(cut)) as left:
                assert all(left.sddl(path) in (old[path], new[path]) for path in tree)
            if count % (step * 10) == 0:
                (tmp_path / "image").write_bytes(cut)
                audited(tmp_path / "image")
        assert before == image
        old = new
    assert cuts >= 20 * rounds
    assert repaired >= 5 * rounds
    assert ntfs.check(bytes(image)) == []


@pytest.mark.parametrize("copy", [0, 1])
def test_one_copy_of_a_descriptor_is_enough(copy: int, tmp_path: Path) -> None:
    data = bytearray(8 << 20)
    ntfs.build(MemoryStorage(data), {"/a": b"1"})
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume:
        volume.set_sddl("/a", sddl(1))
    patient = Patient(bytes(data))
    start = patient.stream_offset(Number.SECURE, Type.DATA, "$SDS")
    with ntfs.NTFS(bytes(data)) as found:
        place = _place(found, 0x103)
    patient.data[start + place.offset + copy * BLOCK + 40] ^= 1
    kinds = {each.kind for each in ntfs.check(bytes(patient.data))}
    assert kinds == ({"sds-mirror"} if copy else {"sds-mirror", "sds-hash"})
    ntfs.repair(patient.data)
    for at in (start + place.offset, start + place.offset + BLOCK):
        assert patient.data[at : at + place.size] == data[at : at + place.size]
    (tmp_path / "image").write_bytes(patient.data)
    audited(tmp_path / "image")
    # With neither copy whole the file would lose its security, so that is refused.
    for each in (0, 1):
        patient.data[start + place.offset + each * BLOCK + 40] = 0xEE
    with pytest.raises(errors.RepairRefusedError):
        ntfs.repair(patient.data)
