"""The pass over inodes: their fields, their check-hashes, and the map that says which are in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ufs2.layout.bits import gather, ones
from cloudboot_ufs2.layout.constants import (
    CK_INODE,
    DT_BLK,
    DT_CHR,
    DT_DIR,
    DT_FIFO,
    DT_LNK,
    DT_REG,
    DT_SOCK,
    SF_SNAPSHOT,
    UFS_NDADDR,
    UFS_NIADDR,
    UFS_ROOTINO,
)
from cloudboot_ufs2.layout.hashes import hashes_of
from cloudboot_ufs2.layout.records import Ufs2Dinode
from cloudboot_ufs2.layout.superblock import has_hash
from cloudboot_ufs2.layout.ufs1 import UFS2

from .check_pointers import Contents, PointerCheck

if TYPE_CHECKING:
    from .survey import Survey

_BATCH = 4096
_CKHASH = Ufs2Dinode.LAYOUT.offsets["di_ckhash"]
_KINDS = frozenset({DT_FIFO, DT_CHR, DT_DIR, DT_BLK, DT_REG, DT_LNK, DT_SOCK})
_SECOND = 1_000_000_000
_USED = bytes(kind != 0 for kind in range(256))


def check_inodes(survey: Survey) -> None:
    """Read every initialised inode once."""
    geometry = survey.geometry
    size = geometry.inode_size
    for group, facts in enumerate(survey.groups):
        first = group * geometry.group_inodes
        initialised = geometry.group_inodes if facts is None else facts.initialised
        offset = geometry.inode_offset(first)
        readable = max(0, min(initialised, (survey.storage.size - offset) // size))
        survey.kinds.reserve(group, readable)
        survey.links.reserve(group, readable)
        for start in range(0, readable, _BATCH):
            count = min(_BATCH, readable - start)
            data = survey.storage.read_at(offset + start * size, count * size)
            _check_batch(survey, data, first + start)
        _check_map(survey, group)


def _check_batch(survey: Survey, data: bytes, first: int) -> None:
    """Check consecutive inodes of one group."""
    geometry, dialect, add = survey.geometry, survey.dialect, survey.add_inode
    size, bsize, fsize, limit = geometry.inode_size, geometry.block_size, geometry.fragment_size, geometry.max_file_size
    sectors = fsize // 512
    group, start = divmod(first, geometry.group_inodes)
    end = start + len(data) // size
    kinds, links = survey.kinds.reserve(group, end), survey.links.reserve(group, end)
    pointers = PointerCheck(survey, data, first)
    claims = pointers.claims
    low, high = dialect.shortlink, dialect.shortlink + (UFS_NDADDR + UFS_NIADDR) * dialect.pointer_size
    second, attributes = low + dialect.pointer_size, Ufs2Dinode.LAYOUT.offsets["di_extb"] if dialect is UFS2 else low
    no_pointers, no_others, no_attributes = bytes(high - low), bytes(high - second), bytes(low - attributes)
    used: list[tuple[int, int]] = []
    facts = dialect.check_facts(data, survey.byteorder)
    # The least that tells is looked at in every inode: this is where a check spends its time.
    for number, at, (mode, linked, length, blocks, mtime, atime, ctime, birth, flags, extsize, address, stored) in zip(
        range(first, first + end - start), range(0, len(data), size), facts, strict=True
    ):
        if number < UFS_ROOTINO:
            continue
        kind = mode >> 12
        if not kind:
            if mode or length or data[at + low : at + high] != no_pointers:
                add("inode-not-clear", number, "not in use, but not empty", "di_mode", actual=mode)
            continue
        used.append((at, stored))
        if kind not in _KINDS:
            add("inode-mode", number, "an unknown type of file", "di_mode", actual=mode)
            continue
        kinds[number - first + start], links[number - first + start] = kind, linked
        if not (0 <= mtime < _SECOND and 0 <= atime < _SECOND and 0 <= ctime < _SECOND and 0 <= birth < _SECOND):
            _report_times(survey, number, mtime, atime, ctime, birth)
        if length > limit:
            add("inode-size", number, "larger than any file", "di_size", expected=f"at most {limit}", actual=length)
            continue
        if (
            (kind in (DT_REG, DT_DIR) and address and 0 < length <= bsize)
            and data[at + second : at + high] == no_others
            and not (extsize or flags & SF_SNAPSHOT or data[at + attributes : at + low] != no_attributes)
        ):  # most files have one block or less, and nothing else to look at
            count = -(-length // fsize)
            claims.append((address, count, number, 0))
            if blocks != count * sectors:
                pointers.report_held(number, count, blocks)
        else:
            pointers.check(Contents(number, at, kind, length, blocks, extsize, bool(flags & SF_SNAPSHOT)))
    _check_hashes(survey, data, first, used)
    pointers.finish()


def _report_times(survey: Survey, number: int, *times: int) -> None:
    for field, value in zip(("di_mtimensec", "di_atimensec", "di_ctimensec", "di_birthnsec"), times, strict=True):
        if not 0 <= value < _SECOND:
            survey.add_inode("inode-time", number, "not nanoseconds", field, actual=value)


def _check_hashes(survey: Survey, data: bytes, first: int, used: list[tuple[int, int]]) -> None:
    """The check-hashes of the inodes in use, each given by where it stands in ``data`` and the one it carries."""
    if survey.dialect is not UFS2 or not has_hash(survey.fs, CK_INODE) or not used:
        return
    size = survey.geometry.inode_size
    blank = bytearray(data if len(used) * size == len(data) else b"".join(data[at : at + size] for at, _ in used))
    for octet in range(_CKHASH, _CKHASH + 4):
        blank[octet::size] = bytes(len(used))
    for (at, stored), expected in zip(used, hashes_of(bytes(blank), size), strict=True):
        if stored != expected:
            survey.add_inode(
                "inode-hash", first + at // size, "the check-hash is not that of the bytes", "di_ckhash",
                expected=expected, actual=stored,
            )  # fmt: skip


def used_inodes(survey: Survey, group: int) -> bytes:
    """An octet for each inode of a group, 1 if it is in use; those that are reserved are."""
    found = survey.kinds.group(group, survey.geometry.group_inodes).tobytes().translate(_USED)
    return b"\1" * UFS_ROOTINO + found[UFS_ROOTINO:] if group == 0 else found


def _check_map(survey: Survey, group: int) -> None:
    """Which inodes are in use, against the map of the group."""
    facts = survey.groups[group]
    if facts is None:
        return
    first = group * survey.geometry.group_inodes
    used = gather(used_inodes(survey, group))
    _, marked, _ = survey.maps(facts)
    beyond = marked >> facts.initialised << facts.initialised
    for kind, wrong, message in (
        ("inode-beyond-initialised", beyond, "marked in use beyond the initialised inodes"),
        ("inode-marked-free", used & ~marked, "in use but marked free"),
        ("inode-marked-used", marked & ~used & ~beyond, "not in use but marked so"),
    ):
        for place in ones(wrong):
            survey.add_inode(kind, first + place, message, "cg_inosused")
