"""Operations of every kind, one after another, for tests that cut them off after any of their writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ufs2.testing import pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_ufs2.editor.edit import WritableUFS2

BIG = 4096 * 600 + 77  #: bytes, into the double indirect blocks of blocks of 4096


def write(path: str, offset: int, data: bytes) -> Callable[[WritableUFS2], None]:
    """Write into a file that is there."""

    def operation(volume: WritableUFS2) -> None:
        with volume.open_file(path, "r+b") as file:
            file.write_at(offset, data)

    return operation


def create(path: str) -> Callable[[WritableUFS2], None]:
    """Make an empty file."""
    return lambda volume: volume.open_file(path, "xb").close()


#: what each is, and the operation; ``/empty/x`` must have been removed before
OPERATIONS: list[tuple[str, Callable[[WritableUFS2], None]]] = [
    ("create", create("/new")),
    ("first write", write("/new", 0, b"x" * 700)),
    ("a tail grows where it stands", write("/new", 700, b"y" * 700)),
    ("a tail moves", write("/tail", 600, b"z" * 3000)),
    ("a write into a hole", write("/new", 300_000, b"w" * 9000)),
    ("a large write", write("/new", 10_000, pattern(BIG))),
    ("an indirect block gains a pointer", write("/new", BIG + 50_000, b"v" * 10_000)),
    ("grow by truncate", lambda volume: volume.truncate("/tail", 5_000_000)),
    ("shrink within the double indirect blocks", lambda volume: volume.truncate("/new", BIG - 200_000)),
    ("shrink to a tail", lambda volume: volume.truncate("/new", 1300)),
    ("shrink into a hole", lambda volume: volume.truncate("/tail", 4_000_000)),
    ("mkdir", lambda volume: volume.mkdir("/dir/sub")),
    ("a directory grows", create("/dir/" + "g" * 255)),
    ("a directory grows again", create("/dir/" + "h" * 255)),
    ("a directory's fragments move", create("/dir/" + "i" * 255)),
    ("short symlink", lambda volume: volume.symlink("a", "/dir/short")),
    ("long symlink", lambda volume: volume.symlink("a" * 500, "/dir/long")),
    ("link", lambda volume: volume.link("/kept", "/dir/kept")),
    ("rename in one directory", lambda volume: volume.rename("/dir/short", "/dir/shorter")),
    ("rename in one directory to another chunk", lambda volume: volume.rename("/dir/long", "/dir/" + "l" * 250)),
    ("rename to another directory", lambda volume: volume.rename("/dir/shorter", "/short")),
    ("rename onto a file", lambda volume: volume.rename("/new", "/tail")),
    ("rename onto a link", lambda volume: volume.rename("/short", "/dir/kept")),
    ("a directory moves", lambda volume: volume.rename("/dir/sub", "/other/sub")),
    ("a directory replaces one", lambda volume: volume.rename("/dir", "/other/sub")),
    ("chmod", lambda volume: volume.chmod("/kept", 0o600)),
    ("unlink a long symlink", lambda volume: volume.unlink("/other/sub/" + "l" * 250)),
    ("a directory shrinks", lambda volume: volume.unlink("/other/sub/" + "i" * 255)),
    ("unlink a large file", lambda volume: volume.unlink("/large")),
    ("rmdir", lambda volume: volume.rmdir("/empty")),
]
