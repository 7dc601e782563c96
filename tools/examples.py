"""Renew the example reports and their pictures in ``docs/_static``: a probe that passes and one that fails, both real.

The failing image is the passing one with one letter of the kernel's name changed in GRUB's configuration. The pictures
are taken by Chromium, where it is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cloudboot_gpt as gpt
import cloudboot_ufs2 as ufs2
from cloudboot_base import MemoryStorage

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "docs" / "_static"
HOST = "Linux x86_64, 2 processors, Python 3.11"
"""What the example reports say of the host: a run elsewhere gives the same text."""
RUN = f"""import sys
from cloudboot_probes.probe import record
record.host_description = lambda: {HOST!r}
from cloudboot_probes.cli import main
main(sys.argv[1:])"""
CONFIGURATION = "/boot/grub/grub.cfg"


def cloudboot(folder: Path, *arguments: str) -> int:
    """Run the command in ``folder`` and give its exit code."""
    print("$ cloudboot " + " ".join(arguments), flush=True)
    return subprocess.run([sys.executable, "-c", RUN, *arguments], cwd=folder, check=False).returncode


def misspelt(image: bytes) -> bytes:
    """``image`` whose GRUB configuration asks for /boot/vmlinux instead of /boot/vmlinuz."""
    disk = MemoryStorage(bytearray(image))
    root = gpt.find_ufs_partition(gpt.read(disk)).window(disk)
    with ufs2.UFS2(root) as volume:
        start, length = volume.extents(CONFIGURATION)[0]
    text = root.read_at(start, length)
    root.write_at(start, text.replace(b"/boot/vmlinuz", b"/boot/vmlinux"))
    return bytes(disk.view)


def picture(page: Path, target: Path, *, dark: bool) -> None:
    """The upper part of a page at 1400 pixels."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("examples: chromium is not installed; the pictures are as they were")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                f"--user-data-dir={profile}", "--window-size=1400,1000", f"--screenshot={target}",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}", page.as_uri(),
            ],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def main() -> int:
    """Build, push, probe twice, and take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if cloudboot(folder, "image", "build", "linux", "--output", "linux.img"):
            return 1
        (folder / "misspelt.img").write_bytes(misspelt((folder / "linux.img").read_bytes()))
        for image, report, code in (("linux", "report.html", 0), ("misspelt", "failed.html", 1)):
            cloudboot(folder, "push", f"{image}.img", f"oci:store:{image}")
            if cloudboot(folder, "probe", "linux", f"oci:store:{image}", "--report", report) != code:
                return 1
            shutil.copy(folder / report, STATIC / report)
    for page in ("report", "failed"):
        for suffix, dark in (("", False), ("-dark", True)):
            picture(STATIC / f"{page}.html", STATIC / f"{page}{suffix}.png", dark=dark)
    return 0


if __name__ == "__main__":
    sys.exit(main())
