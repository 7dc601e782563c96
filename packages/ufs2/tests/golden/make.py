"""Make the images of this folder again: ``python make.py`` as root, with makefs installed. See README.md."""

from __future__ import annotations

import lzma
import subprocess
import tempfile
from pathlib import Path

from cloudboot_ufs2.testing import small_tree, write_tree

HERE = Path(__file__).parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree, image = Path(folder) / "tree", Path(folder) / "image"
        write_tree(small_tree(), tree, owners=True)
        for version in (1, 2):
            for byteorder in ("little", "big"):
                options = f"version={version},bsize=4096,fsize=512,minfree=0,density=4096"
                command = ["makefs", "-t", "ffs", "-B", byteorder, "-s", "300k", "-o", options]
                subprocess.run([*command, image, tree], check=True, stdout=subprocess.DEVNULL)
                packed = lzma.compress(image.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
                (HERE / f"makefs-ufs{version}-{byteorder}.xz").write_bytes(packed)


if __name__ == "__main__":
    main()
