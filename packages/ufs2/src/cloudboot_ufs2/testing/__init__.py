"""For tests, of this package and of others: a small file system with one of everything, and ways to damage it.

Each :class:`Mutation` breaks one invariant and keeps the check-hashes right, so that only a check of that very
invariant can notice; the mutations of hashes themselves are the exception.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cloudboot_base import MemoryStorage
from cloudboot_base.lightdata import dataclass, replace
from cloudboot_base.testing import Journal as Journal
from cloudboot_ufs2.builder.builder import build
from cloudboot_ufs2.builder.members import Directory, File, HardLink, Member, Symlink
from cloudboot_ufs2.checker.check import check
from cloudboot_ufs2.layout.bits import group_hash
from cloudboot_ufs2.layout.constants import CK_CYLGRP, CK_INODE, DIRBLKSIZ, DT_LNK, FS_SUJ, SBLOCK_UFS2, SUJ_FILE
from cloudboot_ufs2.layout.directory import header, record_size
from cloudboot_ufs2.layout.directory import records as directory_records
from cloudboot_ufs2.layout.inode import SIZE as INODE_SIZE
from cloudboot_ufs2.layout.inode import inode_hash
from cloudboot_ufs2.layout.mapoffsets import map_offsets
from cloudboot_ufs2.layout.options import Options
from cloudboot_ufs2.layout.records import Cg, Csum, Fs, Ufs2Dinode
from cloudboot_ufs2.layout.superblock import FSRECOVERY_OFFSET, has_hash, pack_superblock
from cloudboot_ufs2.reader.reader import UFS2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


MEBIBYTE = 1 << 20


def sample_tree() -> dict[str, Member]:
    """One of everything, at any block size: tails, indirect blocks, both kinds of symbolic link, hard links."""
    day = 86_400_000_000_000
    return {
        "empty": b"",
        "short": File(b"short\n", 0o600, uid=1001, gid=1002, mtime_ns=day + 123_456_789),
        "boot": Directory(0o755, mtime_ns=2 * day),
        "boot/loader.conf": b'autoboot_delay="3"\n',
        "boot/kernel/kernel": pattern(3 * MEBIBYTE + 12345, seed=1),
        "boot/kernel/module.ko": pattern(70_000, seed=2),
        "block": pattern(65536, seed=3),
        "tail": pattern(40_000, seed=4),
        "etc/deep/er/still": b"x",
        "etc/inline": Symlink("../boot/loader.conf"),
        "etc/inline-119": Symlink("i" * 119),
        "etc/block-120": Symlink("b" * 120),
        "etc/hard": HardLink("boot/loader.conf"),
        "many": Directory(0o1777),
        **{f"many/file-{number:04}": b"%d" % number for number in range(600)},
        "n" * 255: b"a long name",
        "caf\u00e9 \N{SNOWMAN}": b"not ASCII",
    }


def small_tree() -> dict[str, Member]:
    """One of everything in little space: a tail, an indirect block of 4 KiB blocks, both kinds of link, a directory."""
    day = 86_400_000_000_000
    return {
        "a": File(pattern(3000), 0o640, uid=1001, gid=1002, mtime_ns=day),
        "indirect": File(pattern(60_000, seed=1), 0o400, mtime_ns=2 * day),
        "d": Directory(0o1777, mtime_ns=3 * day),
        "d/e": Directory(0o700, uid=70_000, mtime_ns=4 * day),
        "d/e/f": HardLink("a"),
        "d/link": Symlink("../a"),
        "d/far": Symlink("x" * 200),
        "many": Directory(),
        **{f"many/{number:02}": b"%d" % number for number in range(20)},
    }


def write_tree(tree: Mapping[str, Member], folder: Path, *, owners: bool = False) -> None:
    """Make ``tree`` a new folder of the host, modes and times included; ``owners``, too, takes the superuser."""
    folder.mkdir()
    for name, member in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match member:
            case bytes():
                path.write_bytes(member)
            case File(data=bytes(data)):
                path.write_bytes(data)
            case Directory():
                path.mkdir(exist_ok=True)
            case Symlink():
                path.symlink_to(os.fsdecode(member.target))
            case HardLink():
                path.hardlink_to(folder / os.fsdecode(member.path))
    # What is put into a folder changes its time, so folders come last.
    for name, member in reversed(list(tree.items())):
        if isinstance(member, File | Directory | Symlink):
            if owners:
                os.chown(folder / name, member.uid, member.gid, follow_symlinks=False)
            if not isinstance(member, Symlink):
                (folder / name).chmod(member.mode)
            os.utime(folder / name, ns=(member.mtime_ns, member.mtime_ns), follow_symlinks=False)


def pattern(size: int, seed: int = 0) -> bytes:
    """``size`` bytes in which every 16 differ from all others, so that no block can replace another."""
    return b"".join(b"%07d/%07d\n" % (seed, number) for number in range(-(-size // 16)))[:size]


def sample_image(options: Options | None = None) -> bytes:
    """An image with :func:`sample_tree` in it, of four groups or more, large enough that not every inode is in use."""
    options = options or Options()
    return image_of(sample_tree(), options, size=max(16 * MEBIBYTE, 1024 * options.block_size))


def image_of(tree: Mapping[str, Member], options: Options | None = None, *, size: int = 16 * MEBIBYTE) -> bytes:
    """An image of ``size`` bytes with ``tree`` in it."""
    buffer = bytearray(size)
    build(MemoryStorage(buffer), tree, options)
    return bytes(buffer)


def editable_image(
    tree: Mapping[str, Member] | None = None, options: Options | None = None, *, size: int = 8 * MEBIBYTE
) -> bytearray:
    """An image to write to, by default of small blocks, so that every tier of pointers is near."""
    return bytearray(image_of(tree or {}, options or Options(block_size=4096, fragment_size=512), size=size))


def totals(volume: UFS2) -> tuple[int, int, int, int]:
    """Directories, free blocks, free inodes and free fragments: the same before and after if nothing leaks."""
    total = volume.superblock.fs_cstotal
    return total.cs_ndir, total.cs_nbfree, total.cs_nifree, total.cs_nffree


def assert_clean(image: bytes | bytearray | Path) -> None:
    """Fail with what :func:`check` finds.

    Raises:
        AssertionError: anything at all.
    """
    found = check(image)
    if found:
        raise AssertionError("\n".join(str(finding) for finding in found))


class Editor:
    """An image whose structures can be changed by field; the check-hash of what is changed follows."""

    def __init__(self, image: bytes) -> None:
        self.data = bytearray(image)
        with UFS2.open(image) as volume:
            self.superblock, self.geometry, self.byteorder = volume.superblock, volume.geometry, volume.byteorder
        self._image = image

    def volume(self) -> UFS2:
        """The image as it was before any change."""
        return UFS2.open(self._image)

    def find(self, path: str) -> int:
        """The inode of ``path``, links not followed, as it was before any change."""
        return self.volume().find(path, follow_symlinks=False)

    def change_superblock(self, **fields: object) -> None:
        """Change fields of the main superblock."""
        self.superblock = replace(self.superblock, **fields)  # type: ignore[arg-type] # by name
        data = self.superblock.pack(self.byteorder)
        if 0 < self.superblock.fs_sbsize <= 8192:
            data = pack_superblock(self.superblock, self.byteorder, self.superblock.fs_sblockactualloc)
        self.data[SBLOCK_UFS2 : SBLOCK_UFS2 + len(data)] = data

    def group_offset(self, group: int) -> int:
        """Byte offset of a group's block."""
        return (self.geometry.group_start(group) + self.geometry.cblkno) * self.geometry.fragment_size

    def change_group(self, group: int, **fields: object) -> None:
        """Change fields of a group's head."""
        at = self.group_offset(group)
        head = Cg.unpack_from(self.data, at, self.byteorder)
        self.data[at : at + Cg.SIZE] = replace(head, **fields).pack(self.byteorder)  # type: ignore[arg-type] # by name
        self._hash_group(group)

    def group_head(self, group: int) -> Cg:
        """A group's head."""
        return Cg.unpack_from(self.data, self.group_offset(group), self.byteorder)

    def flip_group_bit(self, group: int, map_offset: int, bit: int) -> None:
        """Invert one bit of a group's map."""
        self.data[self.group_offset(group) + map_offset + bit // 8] ^= 1 << bit % 8
        self._hash_group(group)

    def _hash_group(self, group: int) -> None:
        if has_hash(self.superblock, CK_CYLGRP):
            at, size = self.group_offset(group), self.geometry.cgsize
            value = group_hash(bytes(self.data[at : at + size]))
            where = at + Cg.LAYOUT.offsets["cg_ckhash"]
            self.data[where : where + 4] = value.to_bytes(4, self.byteorder)

    def inode(self, number: int) -> Ufs2Dinode:
        """An inode."""
        return Ufs2Dinode.unpack_from(self.data, self.geometry.inode_offset(number), self.byteorder)

    def change_inode(self, number: int, **fields: object) -> None:
        """Change fields of an inode."""
        at = self.geometry.inode_offset(number)
        changed = replace(self.inode(number), **fields)  # type: ignore[arg-type] # by name
        self.data[at : at + INODE_SIZE] = changed.pack(self.byteorder)
        if has_hash(self.superblock, CK_INODE) and changed.di_mode:
            value = inode_hash(bytes(self.data[at : at + INODE_SIZE]))
            where = at + Ufs2Dinode.LAYOUT.offsets["di_ckhash"]
            self.data[where : where + 4] = value.to_bytes(4, self.byteorder)

    def change_pointer(self, number: int, index: int, address: int) -> None:
        """Change a direct pointer."""
        pointers = list(self.inode(number).di_db)
        pointers[index] = address
        self.change_inode(number, di_db=tuple(pointers))

    def change_summary(self, group: int, **fields: int) -> None:
        """Change a group's counters in the summary area."""
        at = self.geometry.summary_address * self.geometry.fragment_size + group * Csum.SIZE
        counters = replace(Csum.unpack_from(self.data, at, self.byteorder), **fields)
        self.data[at : at + Csum.SIZE] = counters.pack(self.byteorder)

    def record_offset(self, directory: str, name: str) -> int:
        """Byte offset of a directory record in the image."""
        volume = self.volume()
        number = volume.find(directory)
        file = volume.open_inode(number)
        data = file.read_at(0, file.size)
        record = next(found for found in directory_records(data, self.byteorder) if found.name == name.encode())
        for offset, length in volume.extents(directory):
            if record.offset < length:
                return offset + record.offset
            record = record._replace(offset=record.offset - length)
        raise AssertionError("a record lies inside its directory")

    def change_record(
        self,
        directory: str,
        name: str,
        *,
        inode: int | None = None,
        length: int | None = None,
        kind: int | None = None,
        name_length: int | None = None,
        new_name: bytes | None = None,
    ) -> None:
        """Change a directory record."""
        at = self.record_offset(directory, name)
        form = header(self.byteorder)
        old = form.unpack_from(self.data, at)
        new = (inode, length, kind, name_length)
        form.pack_into(
            self.data, at, *(value if value is not None else kept for kept, value in zip(old, new, strict=True))
        )
        if new_name is not None:
            self.data[at + 8 : at + 8 + len(new_name)] = new_name


@dataclass(frozen=True, slots=True)
class Mutation:
    """One broken invariant: the kind of finding it must cause, and how it is done."""

    name: str
    kind: str
    apply: Callable[[Editor], None]


def _superblock(field: str, value: Callable[[Fs], object]) -> Mutation:
    def apply(editor: Editor) -> None:
        editor.change_superblock(**{field: value(editor.superblock)})

    return Mutation(f"{field} wrong", f"superblock-{field.removeprefix('fs_').replace('_', '-')}", apply)


def _total(field: str, kind: str, change: int) -> Mutation:
    def apply(editor: Editor) -> None:
        total = editor.superblock.fs_cstotal
        changed = replace(total, **{field: getattr(total, field) + change})
        editor.change_superblock(fs_cstotal=changed)

    return Mutation(f"superblock {field} off by {change}", f"superblock-{kind}", apply)


def _group(kind: str, field: str, value: Callable[[Cg], object], group: int = 1) -> Mutation:
    def apply(editor: Editor) -> None:
        editor.change_group(group, **{field: value(editor.group_head(group))})

    return Mutation(f"{field} wrong", kind, apply)


def _counter(field: str, kind: str) -> list[Mutation]:
    def in_group(editor: Editor) -> None:
        counters = editor.group_head(1).cg_cs
        changed = replace(counters, **{field: getattr(counters, field) + 1})
        editor.change_group(1, cg_cs=changed)

    def in_summary(editor: Editor) -> None:
        editor.change_summary(2, **{field: getattr(editor.group_head(2).cg_cs, field) + 1})

    return [
        Mutation(f"group {field} off by one", f"group-{kind}", in_group),
        Mutation(f"summary {field} wrong", f"summary-{kind}", in_summary),
        _total(field, kind, -1 if field == "cs_nifree" else 1),
    ]


def _inode(kind: str, path: str, **fields: Callable[[Ufs2Dinode], object] | int) -> Mutation:
    def apply(editor: Editor) -> None:
        number = editor.find(path)
        old = editor.inode(number)
        editor.change_inode(
            number, **{name: value(old) if callable(value) else value for name, value in fields.items()}
        )

    return Mutation(f"{path}: {', '.join(fields)} wrong", kind, apply)


def _pointer(kind: str, path: str, address: Callable[[Editor], int], index: int = 0) -> Mutation:
    def apply(editor: Editor) -> None:
        editor.change_pointer(editor.find(path), index, address(editor))

    return Mutation(f"{path}: pointer {index} wrong ({kind})", kind, apply)


def _bit(kind: str, place: Callable[[Editor], tuple[int, int, int]]) -> Mutation:
    def apply(editor: Editor) -> None:
        editor.flip_group_bit(*place(editor))

    return Mutation(f"a bit inverted ({kind})", kind, apply)


def _record(kind: str, directory: str, name: str, /, **fields: Callable[[Editor], object] | object) -> Mutation:
    def apply(editor: Editor) -> None:
        values = {field: value(editor) if callable(value) else value for field, value in fields.items()}
        editor.change_record(directory, name, **values)  # type: ignore[arg-type] # by name

    return Mutation(f"{directory} {name}: {', '.join(fields)} wrong ({kind})", kind, apply)


def _byte(kind: str, offset: Callable[[Editor], int]) -> Mutation:
    def apply(editor: Editor) -> None:
        editor.data[offset(editor)] ^= 0xFF

    return Mutation(f"a byte inverted ({kind})", kind, apply)


def _inode_bit(editor: Editor, number: int) -> tuple[int, int, int]:
    group, index = divmod(number, editor.geometry.group_inodes)
    return group, map_offsets(editor.geometry).iusedoff, index


def _fragment_bit(editor: Editor, address: int) -> tuple[int, int, int]:
    group, index = divmod(address, editor.geometry.group_fragments)
    return group, map_offsets(editor.geometry).freeoff, index


def _behind(editor: Editor, map_offset: int, unit: int) -> tuple[int, int, int]:
    """The bit behind the last fragment or block of the last group, which is shorter than the others."""
    group = editor.geometry.group_count - 1
    return group, map_offset, editor.geometry.group_length(group) // unit


def _first_address(editor: Editor, path: str) -> int:
    return editor.inode(editor.find(path)).di_db[0]


def _last_free(editor: Editor) -> int:
    """A fragment of the last group that nothing uses."""
    return editor.geometry.size - 1


def _swap_directories(editor: Editor) -> None:
    """Move a directory below its own child: the two of them form a circle."""
    outer, inner = editor.find("/etc/deep"), editor.find("/etc/deep/er")
    editor.change_record("/etc", "deep", inode=0)
    editor.change_record("/etc/deep/er", "still", inode=outer, kind=4)
    editor.change_record("/etc/deep", "..", inode=inner)


def _gap(editor: Editor) -> None:
    """A hole where the last block of a file should be."""
    number = editor.find("/tail")
    pointers = list(editor.inode(number).di_db)
    last = max(index for index, address in enumerate(pointers) if address)
    editor.change_pointer(number, last, 0)


def _short_rest(editor: Editor) -> None:
    """Let the last record of a directory end 4 bytes before it does, where no record can begin."""
    editor.change_record("/etc/deep/er", "still", length=DIRBLKSIZ - 2 * record_size(2) - 4)


def _unlinked_inode(editor: Editor) -> None:
    editor.change_record("/", "empty", inode=0)


def _empty_attributes(editor: Editor) -> None:
    """Point the attributes of a file at zeros."""
    number = editor.find("/short")
    held = editor.inode(number).di_blocks + editor.geometry.fragment_size // 512
    editor.change_inode(number, di_extsize=64, di_extb=(_last_free(editor), 0), di_blocks=held)


def mutations() -> list[Mutation]:
    """All of them; made for :func:`sample_image`, at any block size and in either byte order."""
    return [*_superblock_mutations(), *_group_mutations(), *_inode_mutations(), *_directory_mutations()]


def _superblock_mutations() -> list[Mutation]:
    return [
        _superblock("fs_magic", lambda _: 0),
        _superblock("fs_bsize", lambda fs: fs.fs_bsize * 32),
        _superblock("fs_fsize", lambda fs: fs.fs_fsize + 1),
        _superblock("fs_frag", lambda fs: fs.fs_frag * 2),
        _superblock("fs_nindir", lambda fs: fs.fs_nindir + 1),
        _superblock("fs_inopb", lambda fs: fs.fs_inopb * 2),
        _superblock("fs_fpg", lambda fs: 2 * fs.fs_frag),
        _superblock("fs_ncg", lambda _: 0),
        _superblock("fs_ipg", lambda fs: fs.fs_ipg + 1),
        _superblock("fs_sblkno", lambda fs: fs.fs_sblkno + fs.fs_frag),
        _superblock("fs_cblkno", lambda fs: fs.fs_cblkno + fs.fs_frag),
        _superblock("fs_iblkno", lambda fs: fs.fs_iblkno + fs.fs_frag),
        _superblock("fs_dblkno", lambda fs: fs.fs_dblkno + fs.fs_frag),
        _superblock("fs_size", lambda fs: fs.fs_size + fs.fs_fpg),
        _superblock("fs_csaddr", lambda fs: fs.fs_dblkno - 1),
        _superblock("fs_cssize", lambda fs: fs.fs_cssize + fs.fs_fsize),
        _superblock("fs_cgsize", lambda fs: fs.fs_cgsize + 1),
        _superblock("fs_sbsize", lambda _: Fs.SIZE),
        _superblock("fs_contigsumsize", lambda _: 17),
        _superblock("fs_maxcontig", lambda _: -1),
        _superblock("fs_maxsymlinklen", lambda _: 60),
        _superblock("fs_bmask", lambda fs: fs.fs_bmask + 1),
        _superblock("fs_fmask", lambda fs: fs.fs_fmask + 1),
        _superblock("fs_qbmask", lambda fs: fs.fs_qbmask + 1),
        _superblock("fs_qfmask", lambda fs: fs.fs_qfmask + 1),
        _superblock("fs_bshift", lambda fs: fs.fs_bshift + 1),
        _superblock("fs_fshift", lambda fs: fs.fs_fshift + 1),
        _superblock("fs_fragshift", lambda fs: fs.fs_fragshift + 1),
        _superblock("fs_fsbtodb", lambda fs: fs.fs_fsbtodb + 1),
        _superblock("fs_maxbsize", lambda fs: fs.fs_bsize * 32),
        _superblock("fs_maxfilesize", lambda fs: fs.fs_maxfilesize + 1),
        _superblock("fs_metaspace", lambda fs: fs.fs_fpg),
        _superblock("fs_minfree", lambda _: 100),
        _superblock("fs_sblockactualloc", lambda _: 8192),
        _superblock("fs_old_cgoffset", lambda _: -1),
        Mutation("fs_cstotal.cs_nifree below 0", "superblock-nifree", _total("cs_nifree", "", -(1 << 40)).apply),
        Mutation("fs_cstotal.cs_ndir below 0", "superblock-ndir", _total("cs_ndir", "", -(1 << 40)).apply),
        _total("cs_numclusters", "numclusters", 1),
        Mutation(
            "fs_cstotal.cs_spare not zero",
            "superblock-spare",
            lambda editor: editor.change_superblock(
                fs_cstotal=replace(editor.superblock.fs_cstotal, cs_spare=(0, 1, 0))
            ),
        ),
        _superblock("fs_optim", lambda _: 7),
        _superblock("fs_dsize", lambda fs: fs.fs_dsize - 1),
        Mutation(
            "fs_pendingblocks not zero",
            "superblock-pending",
            lambda editor: editor.change_superblock(fs_pendingblocks=8),
        ),
        Mutation("fs_clean 0", "unclean", lambda editor: editor.change_superblock(fs_clean=0)),
        Mutation("a journal that is not there", "journal-missing", lambda editor: _flag(editor, FS_SUJ)),
        Mutation("a journal of another name", "journal-missing", _renamed_journal),
        Mutation("a journal that is small", "journal-size", _small_journal),
        Mutation("a snapshot that is a file", "snapshot-list", _no_snapshot),
        _byte("superblock-hash", lambda _: SBLOCK_UFS2 + Fs.LAYOUT.offsets["fs_ckhash"]),
        _byte("recovery-record", lambda _: FSRECOVERY_OFFSET + 12),
        _byte("backup-superblock", lambda editor: _backup(editor) + Fs.LAYOUT.offsets["fs_fpg"]),
        _byte("backup-superblock-hash", lambda editor: _backup(editor) + Fs.LAYOUT.offsets["fs_ckhash"]),
    ]


def _flag(editor: Editor, flag: int) -> None:
    editor.change_superblock(fs_flags=editor.superblock.fs_flags | flag)


def _renamed_journal(editor: Editor) -> None:
    _flag(editor, FS_SUJ)
    editor.change_record("/", "tail", name_length=4, new_name=b".suj")


def _small_journal(editor: Editor) -> None:
    """The file with the long name becomes the journal."""
    _flag(editor, FS_SUJ)
    editor.change_record("/", "n" * 255, name_length=len(SUJ_FILE), new_name=SUJ_FILE + b"\0")


def _no_snapshot(editor: Editor) -> None:
    editor.change_superblock(fs_snapinum=(editor.find("/short"), *(0,) * 19))


def _backup(editor: Editor) -> int:
    geometry = editor.geometry
    return (geometry.group_start(1) + geometry.sblkno) * geometry.fragment_size


def _group_mutations() -> list[Mutation]:
    return [
        _group("group-magic", "cg_magic", lambda _: 0x90256),
        _group("group-number", "cg_cgx", lambda _: 0),
        _group("group-size", "cg_niblk", lambda head: head.cg_niblk + 1),
        _group("group-size", "cg_ndblk", lambda head: head.cg_ndblk - 1),
        _group("group-clusters", "cg_nclusterblks", lambda head: head.cg_nclusterblks + 1),
        _group("group-map-offset", "cg_iusedoff", lambda head: head.cg_iusedoff + 4),
        _group("group-map-offset", "cg_freeoff", lambda head: head.cg_freeoff + 1),
        _group("group-map-offset", "cg_nextfreeoff", lambda head: head.cg_nextfreeoff + 1),
        _group("group-map-offset", "cg_clusteroff", lambda head: head.cg_clusteroff + 1),
        _group("group-rotor", "cg_rotor", lambda head: head.cg_ndblk),
        _group("group-rotor", "cg_frotor", lambda head: head.cg_ndblk),
        _group("group-rotor", "cg_irotor", lambda head: head.cg_niblk),
        _group("group-initialised", "cg_initediblk", lambda head: head.cg_niblk + 1),
        *(
            _group("group-unused", f"cg_{name}", lambda _: 1)
            for name in ("firstfield", "old_ncyl", "old_niblk", "old_boff")
        ),
        _group("group-unused", "cg_sparecon32", lambda _: (1,)),
        _group("group-unused", "cg_sparecon64", lambda _: (0, 0, 1)),
        _group("group-frsum", "cg_frsum", lambda head: (head.cg_frsum[0], head.cg_frsum[1] + 1, *head.cg_frsum[2:])),
        *_counter("cs_ndir", "directories"),
        *_counter("cs_nbfree", "free-blocks"),
        *_counter("cs_nifree", "free-inodes"),
        *_counter("cs_nffree", "free-fragments"),
        _bit("group-cluster-sum", lambda editor: (1, map_offsets(editor.geometry).clustersumoff + 4, 0)),
        _bit("group-cluster-map", lambda editor: (1, map_offsets(editor.geometry).clusteroff, 0)),
        _bit("block-marked-free", lambda editor: _fragment_bit(editor, _first_address(editor, "/block"))),
        _bit("block-marked-used", lambda editor: _fragment_bit(editor, _last_free(editor))),
        _bit("inode-marked-free", lambda editor: _inode_bit(editor, editor.find("/short"))),
        _bit("inode-marked-used", lambda editor: _inode_bit(editor, editor.group_head(0).cg_initediblk - 1)),
        _bit("inode-beyond-initialised", lambda editor: _inode_bit(editor, editor.geometry.group_inodes - 1)),
        _bit("group-map-padding", lambda editor: _behind(editor, map_offsets(editor.geometry).freeoff, 1)),
        _bit("group-map-padding", lambda editor: _behind(editor, map_offsets(editor.geometry).clusteroff, 8)),
        _byte("group-hash", lambda editor: editor.group_offset(1) + Cg.LAYOUT.offsets["cg_ckhash"]),
    ]


def _inode_mutations() -> list[Mutation]:
    return [
        _pointer("block-out-of-range", "/short", lambda editor: editor.geometry.size),
        _pointer("block-out-of-range", "/tail", lambda _: -(1 << 62)),
        _pointer("block-in-metadata", "/short", lambda editor: editor.geometry.iblkno),
        _pointer("block-claimed-twice", "/short", lambda editor: _first_address(editor, "/block")),
        _pointer("inode-blocks-beyond-size", "/short", _last_free, 3),
        _inode("inode-mode", "/short", di_mode=0o030644),
        _inode("inode-not-clear", "/short", di_mode=0o644),
        _inode("inode-links", "/short", di_nlink=2),
        _inode("inode-links", "/boot/loader.conf", di_nlink=1),
        _inode("inode-blocks", "/tail", di_blocks=lambda inode: inode.di_blocks + 1),
        _inode("inode-blocks", "/boot/kernel/kernel", di_blocks=lambda inode: inode.di_blocks - 8),
        _inode("inode-size", "/short", di_size=1 << 63),
        _inode("inode-trailing-hole", "/short", di_size=lambda inode: inode.di_size + (1 << 17)),
        _inode("inode-trailing-hole", "/boot/kernel/kernel", di_size=lambda inode: inode.di_size + (1 << 30)),
        Mutation("/tail: its last block missing", "inode-trailing-hole", _gap),
        _inode("inode-partial-truncation", "/boot/kernel/kernel", di_size=lambda inode: inode.di_size - (1 << 17)),
        _inode("inode-blocks-beyond-size", "/boot/kernel/kernel", di_size=8192),
        _inode("inode-extsize", "/short", di_extsize=100),
        Mutation("attributes that are none", "inode-attributes", _empty_attributes),
        _inode("inode-time", "/short", di_mtimensec=1_000_000_000),
        _inode("inode-link-padding", "/etc/inline", di_size=5),
        _inode("inode-link-target", "/etc/inline", di_size=30),
        _inode("inode-too-many-links", "/short", di_nlink=40_000),
        Mutation("a file without a name", "inode-unreferenced", _unlinked_inode),
        _byte("inode-hash", lambda editor: editor.geometry.inode_offset(editor.find("/short")) + 244),
        _inode("directory-size", "/many", di_size=lambda inode: inode.di_size - 100),
        _inode("root-missing", "/", di_mode=stat.S_IFREG | 0o755),
    ]


def _directory_mutations() -> list[Mutation]:
    return [
        _record("directory-record-length", "/", "short", length=0),
        _record("directory-record-length", "/", "short", length=record_size(5) + 2),
        _record("directory-record-length", "/", "short", length=516),
        Mutation("4 bytes left in the last chunk", "directory-record-length", _short_rest),
        _record("directory-name-length", "/", "short", name_length=0),
        _record("directory-name-length", "/", "short", name_length=200),
        _record("directory-name", "/", "short", new_name=b"sh/rt"),
        _record("directory-name", "/", "short", new_name=b"sh\0rt"),
        _record("directory-name-end", "/", "short", new_name=b"shortX"),
        _record("directory-dot", "/etc", ".", inode=lambda editor: editor.find("/boot")),
        _record("directory-dot", "/etc", ".", new_name=b"x"),
        _record("directory-dotdot", "/etc/deep", "..", inode=2),
        _record("directory-dotdot", "/etc/deep", "..", new_name=b"xy"),
        _record("directory-entry-type", "/", "short", kind=0),
        _record("directory-entry-type", "/etc", ".", kind=0),
        _record("directory-entry-type", "/etc", "..", kind=0),
        _record("directory-entry-unused", "/", "short", inode=lambda editor: editor.group_head(0).cg_initediblk - 1),
        _record("directory-entry-range", "/", "short", inode=0xFFFFFFF0),
        _record("directory-entry-type", "/", "short", kind=DT_LNK),
        _record("directory-linked-twice", "/", "short", inode=lambda editor: editor.find("/etc"), kind=4),
        _record("directory-orphan", "/", "etc", inode=0),
        _record("directory-duplicate-name", "/", "short", new_name=b"block"),
        Mutation("two directories inside each other", "directory-cycle", _swap_directories),
    ]


#: What a cut within an operation may leave, by kind of finding: space or inodes marked in use that are not, counters
#: that lag behind, links counted that are not there (yet, or any more), blocks beyond the end of a file.
AFTER_A_CUT = frozenset({
    "block-marked-used", "inode-marked-used", "inode-unreferenced", "directory-orphan", "inode-links", "inode-blocks",
    "inode-blocks-beyond-size", "inode-partial-truncation",
    "group-directories", "group-free-blocks", "group-free-inodes", "group-free-fragments",
    "group-frsum", "group-cluster-sum", "group-cluster-map",
    "unclean", "summary-directories", "summary-free-blocks", "summary-free-inodes", "summary-free-fragments",
    "superblock-directories", "superblock-free-blocks", "superblock-free-inodes", "superblock-free-fragments",
})  # fmt: skip
#: While a directory moves it has its old and its new name, and ``..`` is right for one of them only.
AFTER_A_CUT_IN_A_MOVE = AFTER_A_CUT | {"directory-linked-twice", "directory-dotdot"}
