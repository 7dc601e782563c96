"""Fuzz writing in place: ``python fuzz_edit.py -max_total_time=60`` (needs atheris).

The first octet of an input is the length of a script, which follows, one octet an operation; the rest are
``fuzzing.Patches``. Only errors derived from ``Ufs2Error`` may come out. What was clean stays clean, and where no two
files shared a block to begin with, what no operation named keeps its bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
from pathlib import Path

from cloudboot_ufs2 import UFS2, Ufs2Error, WritableUFS2, check
from cloudboot_ufs2.testing import pattern
from cloudboot_ufs2.testing.fuzzing import Patches, compressed_images, fuzz, read_corpus

PATCHES = Patches(compressed_images(Path(__file__).parents[1] / "golden"))
CORPUS = read_corpus(Path(__file__).parent / "corpus" / "fuzz_edit.txt")
SCRIPTS = (bytes(range(32)), bytes(range(31, -1, -1)), bytes((7 * step) % 256 for step in range(40)))
SEEDS = [bytes([len(SCRIPTS[n % 3])]) + SCRIPTS[n % 3] + seed for n, seed in enumerate(PATCHES.seeds())]
#: What makes a file part of another, or its space seem free, so that nobody who does not look everywhere can tell.
SHARING = {
    "block-claimed-twice", "block-in-metadata", "block-misaligned", "block-marked-free", "inode-marked-free",
    "directory-linked-twice", "directory-cycle", "inode-links", "inode-blocks-beyond-size", "inode-extsize",
    "inode-partial-truncation", "inode-not-clear",
}  # fmt: skip
_LIMIT = 64 << 10
_OURS = ("/a", "/d", "/many", "/new", "/moved")


def one_input(data: bytes) -> None:
    """Operations on a foreign image."""
    script, rest = data[1 : 1 + data[0]] if data else b"", data[1 + data[0] :] if data else b""
    image = PATCHES.apply(rest)
    findings = {finding.kind for finding in check(image)}
    try:
        with WritableUFS2.open(image, use_reserve=True) as volume:
            before = digests(volume)
            for step in script[:48]:
                with contextlib.suppress(Ufs2Error):
                    operate(volume, step)
    except Ufs2Error as error:
        error.as_dict()
        return
    if not findings:
        assert not (found := check(image)), found
    if findings.isdisjoint(SHARING):
        with UFS2.open(image) as reader:
            for number, expected in before.items():
                assert digest(reader, number) == expected, number


def digests(volume: UFS2) -> dict[int, str]:
    """What no operation names, as far as it can be read, by inode: the folder may be moved."""
    found: dict[int, str] = {}
    for path in ("/indirect", *(f"/many/{number:02}" for number in range(8))):
        with contextlib.suppress(Ufs2Error):
            status = volume.stat(path, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                found[status.st_ino] = digest(volume, status.st_ino)
    return found


def digest(volume: UFS2, number: int) -> str:
    return hashlib.sha256(volume.open_inode(number).read_at(0, _LIMIT)).hexdigest()


def operate(volume: WritableUFS2, step: int) -> None:
    """One of a few operations, on one of a few paths."""
    where = _OURS[step // 16 % len(_OURS)]
    match step % 16:
        case 0:
            volume.write_file(where, pattern(step * 50))
        case 1:
            with volume.open_file(where, "ab") as file:
                file.write(pattern(5000))
        case 2:
            with volume.open_file(where, "r+b") as file:
                file.write_at(49152 + step * 4096, b"far")
        case 3:
            volume.truncate(where, step * 100)
        case 4:
            volume.mkdir(f"{where}/directory")
        case 5:
            volume.rmdir(f"{where}/directory")
        case 6:
            volume.unlink(where)
        case 7:
            volume.rename(where, "/moved")
        case 8:
            volume.link("/a", f"{where}/hard")
        case 9:
            volume.symlink("t" * (step + 100), f"{where}/symbolic")
        case 10:
            volume.setxattr(where, "user.fuzz", pattern(step * 20))
        case 11:
            volume.removexattr(where, "user.comment")
        case 12:
            volume.chmod(where, step)
        case 13:
            for number in range(8, 20):
                volume.unlink(f"/many/{number:02}")
        case 14:
            for number in range(40):
                volume.open_file(f"{where}/{number:03}{'x' * step}", "xb").close()
        case _:
            volume.rename("/moved", f"{where}/back")


if __name__ == "__main__":
    fuzz(one_input, [*SEEDS, *CORPUS])
