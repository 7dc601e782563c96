"""``python -m cloudboot_fleet`` is ``cloudboot fleet``."""

from __future__ import annotations

import sys

from cloudboot_probes.cli import main as cloudboot


def main() -> None:
    """The ``cloudboot-fleet`` script."""
    cloudboot(["fleet", *sys.argv[1:]])


if __name__ == "__main__":
    main()
