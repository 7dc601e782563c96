"""Everything that needs no extra, by command: ``python smoke.py FOLDER`` leaves an image there, always the same."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

from cloudboot_ufs2.__main__ import main
from cloudboot_ufs2.testing import Editor, pattern


def smoke(folder: Path) -> Path:
    """Build, read, change, check and repair."""

    def command(*words: str | Path, code: int = 0) -> None:
        found = main([str(word) for word in words])
        assert found == code, (words, found)

    tree, image, moment = folder / "tree", folder / "image", ("--timestamp", "1700000000")
    tree.mkdir()
    for name, size in (("short", 100), ("gone", 9_000), ("long", 3_000_000)):
        (tree / name).write_bytes(pattern(size))
        (tree / name).chmod(0o644)
        os.utime(tree / name, (1_600_000_000, 1_600_000_000))
    tree.chmod(0o755)
    os.utime(tree, (1_600_000_000, 1_600_000_000))
    command("build", image, tree, "--size", "16M", "--owner", "0:0", *moment)
    command("ls", image)
    command("cat", image, "/short")
    (folder / "packed.gz").write_bytes(gzip.compress(image.read_bytes(), 1))
    command("ls", folder / "packed.gz")
    command("export", image, folder / "all.tar")
    command("put", image, tree / "long", "/added", *moment)
    command("mv", image, "/added", "/moved", *moment)
    command("rm", image, "/gone", *moment)
    command("check", image)
    editor = Editor(image.read_bytes())
    editor.change_inode(editor.find("/moved"), di_blocks=8000)
    image.write_bytes(editor.data)
    command("check", image, code=1)
    command("repair", image)
    command("check", image)
    return image


if __name__ == "__main__":
    smoke(Path(sys.argv[1]))
