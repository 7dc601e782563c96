"""The main job on real input: boot a disk and GRUB in this process, Debian's kernel in a machine; prove every step.

Debian's docker-registry serves on a free loopback port for as long as this runs. Everything else is the ``cloudboot``
command, shown as a person would type it. The image and the reports stay in ``build/``.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from cloudboot_oci_stream.testing import docker_registry

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


def cloudboot(*arguments: str) -> None:
    """Run the command as it is installed beside this interpreter."""
    print("\n$ " + shlex.join(("cloudboot", *arguments)), flush=True)
    subprocess.run([Path(sys.executable).with_name("cloudboot"), *arguments], cwd=ROOT, check=True)


def main() -> int:
    """Build, push, probe."""
    BUILD.mkdir(exist_ok=True)
    try:
        cloudboot("demo", "--report", "build/demo.html")
        with docker_registry() as server:
            reference = f"{server.host}/demo/linux:v1"
            cloudboot("image", "build", "linux", "--output", "build/linux.img", "--force")
            cloudboot("push", "build/linux.img", reference)
            cloudboot("probe", "linux", reference, "--firmware", "hosted", "--report", "build/grub.html")
            cloudboot("probe", "linux", reference, "--firmware", "qemu", "--report", "build/report.html")
    except subprocess.CalledProcessError as error:
        return error.returncode
    print("\nThe reports with their pictures: build/demo.html, build/grub.html and build/report.html", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
