"""Fuzz the reading of ISO images: ``python fuzz_iso.py -max_total_time=60``.

Only errors of this project may come out, whatever pycdlib makes of the bytes. The input overwrites the descriptors and
directories of a small good image, which is made here by pycdlib.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pycdlib", "cloudboot_probes.media"]):
    import pycdlib

    from cloudboot_probes.media.iso import IsoTree

from cloudboot_base import Error, MemoryStorage
from cloudboot_uefi_host.drivers.el_torito import is_iso9660, read_catalogue

_FIRST = 16 * 2048


def _seed() -> bytes:
    made = pycdlib.PyCdlib()
    made.new(interchange_level=3, rock_ridge="1.09", joliet=3)
    made.add_directory("/BOOT", rr_name="boot", joliet_path="/boot")
    for name in ("LOADER", "KERNEL"):
        content = name.encode() * 300
        made.add_fp(
            io.BytesIO(content), len(content), f"/BOOT/{name}.;1", rr_name=name.lower(),
            joliet_path=f"/boot/{name.lower()}",
        )  # fmt: skip
    made.add_symlink("/LINK.;1", rr_symlink_name="link", rr_path="boot/kernel")
    made.add_eltorito("/BOOT/LOADER.;1", efi=True)
    target = io.BytesIO()
    made.write_fp(target)
    return target.getvalue()


_SEED = _seed()


def one_input(raw: bytes) -> None:
    """Read what the input makes of an image."""
    provider = atheris.FuzzedDataProvider(raw)
    data = bytearray(_SEED)
    while provider.remaining_bytes() > 1:
        at = _FIRST + provider.ConsumeIntInRange(0, min(len(data) - _FIRST, 40 << 11) - 1)
        patch = provider.ConsumeBytes(provider.ConsumeIntInRange(1, 8))
        data[at : at + len(patch)] = patch
    storage = MemoryStorage(data)
    if not is_iso9660(storage):
        return
    with contextlib.suppress(Error):
        read_catalogue(storage)
    with contextlib.suppress(Error):
        tree = IsoTree(storage)
        tree.locate("/boot/loader")
        with tempfile.TemporaryDirectory() as folder:
            tree.write_tar(Path(folder) / "root.tar")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
