"""The passes over directories: their records, the tree they form, and the links they give to inodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import Ufs2Error
from cloudboot_ufs2.layout.constants import DT_DIR, DT_UNKNOWN, UFS_ROOTINO
from cloudboot_ufs2.layout.directory import PIECE, Problem, Record, scan
from cloudboot_ufs2.layout.ufs1 import UFS2
from cloudboot_ufs2.reader.file import UFS2File

if TYPE_CHECKING:
    from .survey import Survey

_MOST_PROBLEMS = 1000  # of one directory; a hole in it is one for every 512 bytes


def check_directories(survey: Survey) -> None:
    """Read every directory, then follow the tree from the root and count links."""
    if survey.kinds[UFS_ROOTINO] != DT_DIR:
        mode = survey.read_inode(UFS_ROOTINO).di_mode if survey.kinds[UFS_ROOTINO] else 0
        survey.add_inode("root-missing", UFS_ROOTINO, "the root is not a directory", "di_mode", actual=mode)
    numbers = [
        number for first, kinds in survey.kinds.groups() for number, kind in enumerate(kinds, first) if kind == DT_DIR
    ]
    contents = survey.contents
    # No block belongs to two directories, so together they hold less than the volume.
    room = survey.geometry.size * survey.geometry.fragment_size
    for number in numbers:
        contents[number], size = _read(survey, number, room)
        room -= size
    children = _join(survey, contents)
    for number, records in contents.items():
        _check_records(survey, number, records)
    _check_connected(survey, numbers, children)
    _check_links(survey)


def _read(survey: Survey, number: int, limit: int) -> tuple[list[Record | Problem], int]:
    """The records of a directory, what is wrong with those that are, and the bytes it took, ``limit`` at most."""
    offset = survey.geometry.inode_offset(number)
    data = survey.storage.read_at(offset, survey.geometry.inode_size)
    inode = survey.dialect.read_inode(data, 0, survey.byteorder, base=offset)
    if inode.di_size == 0 or inode.di_size > limit:
        return [Problem("directory-size", "di_size", 0, "an impossible size", f"512 to {limit}", inode.di_size)], 0
    file = UFS2File(survey.storage, survey.geometry, survey.blocks, inode, number)
    found: list[Record | Problem] = []
    problems = 0
    for start in range(0, inode.di_size, PIECE):
        try:
            data = file.read_at(start, PIECE)
        except Ufs2Error:
            return [], start  # the pass over inodes has reported the pointer
        for each in scan(data, survey.byteorder, start):
            found.append(each)
            problems += isinstance(each, Problem)
        if problems > _MOST_PROBLEMS:
            return found, start
    return found, inode.di_size


def _join(survey: Survey, contents: dict[int, list[Record | Problem]]) -> dict[int, list[int]]:
    """The parent of each directory; a directory with two parents is reported."""
    children: dict[int, list[int]] = {}
    for number, records in contents.items():
        below = children[number] = []
        for record in records:
            if isinstance(record, Problem) or record.name in (b".", b"..") or record.inode not in contents:
                continue
            if record.inode in survey.names or record.inode == UFS_ROOTINO:
                survey.add_inode("directory-linked-twice", record.inode, "a directory under two names", "di_nlink")
                continue
            survey.names[record.inode] = number, record.name
            below.append(record.inode)
    return children


def _check_records(survey: Survey, number: int, records: list[Record | Problem]) -> None:
    def found(record: Record, kind: str, message: str, expected: object, actual: object) -> None:
        text = f"{record.name.decode('utf-8', 'backslashreplace')}: {message}"
        _report(survey, number, Problem(kind, "d_ino", record.offset, text, expected, actual))

    seen: set[bytes] = set()
    parent = UFS_ROOTINO if number == UFS_ROOTINO else survey.names.get(number, (None, b""))[0]
    for position, record in enumerate(records):
        if isinstance(record, Problem):
            _report(survey, number, record)
            continue
        if record.name in seen:
            found(record, "directory-duplicate-name", "the name is there twice", None, None)
        seen.add(record.name)
        if not UFS_ROOTINO <= record.inode < survey.kinds.count:
            found(record, "directory-entry-range", "no such inode", f"2 to {survey.kinds.count - 1}", record.inode)
            continue
        kind = survey.kinds[record.inode]
        if kind:
            survey.references.add(record.inode)
        if not kind:
            found(record, "directory-entry-unused", "an inode not in use", None, record.inode)
        elif record.kind != kind and (record.kind != DT_UNKNOWN or survey.dialect is UFS2):
            found(record, "directory-entry-type", "not the type of the inode", kind, record.kind)
        if position == 0 and (record.name != b"." or record.inode != number):
            found(record, "directory-dot", "the first record is not '.'", number, record.inode)
        if position == 1 and (record.name != b".." or (parent is not None and record.inode != parent)):
            found(record, "directory-dotdot", "the second record is not '..' of the parent", parent, record.inode)
    if len(records) < 2:
        survey.add_inode("directory-dotdot", number, "'.' or '..' is missing", "di_size")


def _report(survey: Survey, number: int, problem: Problem) -> None:
    survey.add_inode(
        problem.kind,
        number,
        f"at byte {problem.offset} of the directory: {problem.message}",
        problem.field,
        expected=problem.expected,
        actual=problem.actual,
    )


def _check_connected(survey: Survey, numbers: list[int], children: dict[int, list[int]]) -> None:
    """Directories that cannot be reached from the root: those under no name, and those in a circle."""
    reached: set[int] = set()
    pending = [UFS_ROOTINO]
    while pending:
        number = pending.pop()
        if number not in reached:
            reached.add(number)
            pending.extend(children.get(number, ()))
    for number in numbers:
        if number in reached:
            continue
        if number not in survey.names:
            survey.add_inode("directory-orphan", number, "a directory under no name", "di_nlink")
        elif _in_circle(survey, number):
            survey.add_inode("directory-cycle", number, "a directory inside itself", "di_nlink")


def _in_circle(survey: Survey, number: int) -> bool:
    """Whether the parents of ``number`` lead back to it."""
    seen: set[int] = set()
    current = number
    while current in survey.names and current not in seen:
        seen.add(current)
        current = survey.names[current][0]
        if current == number:
            return True
    return False


def _check_links(survey: Survey) -> None:
    for first, kinds in survey.kinds.groups():
        group, count = first // survey.geometry.group_inodes, len(kinds)
        if kinds.tobytes().count(0) == count:
            continue
        names, links = survey.references.group(group, count), survey.links.group(group, count)
        for number, (kind, named, linked) in enumerate(zip(kinds, names, links, strict=True), first):
            if named == linked and (named or not kind):
                continue
            if not named and kind != DT_DIR:
                survey.add_inode("inode-unreferenced", number, "in use, but under no name", "di_nlink")
            elif named:
                survey.add_inode(
                    "inode-links", number, "not the number of its names", "di_nlink", expected=named, actual=linked
                )
        if max(links) > survey.link_max:
            for number, linked in enumerate(links, first):
                if linked > survey.link_max:
                    survey.add_inode(
                        "inode-too-many-links", number, "more links than FreeBSD counts", "di_nlink",
                        expected=f"at most {survey.link_max}", actual=linked,
                    )  # fmt: skip
