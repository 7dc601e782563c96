"""``cloudboot-fleet`` and ``python -m cloudboot_fleet`` are ``cloudboot fleet``."""

from __future__ import annotations

from cloudboot_probes.cli import main as cloudboot


def main() -> None:
    """The ``cloudboot-fleet`` script."""
    cloudboot(program="cloudboot-fleet", within="fleet")


if __name__ == "__main__":
    main()
