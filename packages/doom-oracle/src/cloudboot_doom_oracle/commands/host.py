"""``--max-waited`` and the words about the host in the tolerant gates' output."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from cloudboot_doom_oracle.gates.host import MOST_WAITED, TIMING

from .options import ratio_argument

if TYPE_CHECKING:
    import argparse

    from cloudboot_doom_oracle.gates.host import HostTime

HOST_BUSY: Final = 34
"""The exit code of a comparison without a verdict."""


def add_host_option(parser: argparse.ArgumentParser) -> None:
    """``--max-waited``."""
    parser.add_argument(
        "--max-waited", type=ratio_argument, default=MOST_WAITED, metavar="SHARE",
        help="Give no verdict if a machine waited for a processor of the host for more than this share of the time it "
        f"asked for, as the {TIMING} beside the captures says (default: {MOST_WAITED}).",
    )  # fmt: skip


def too_busy(host: HostTime | None, options: argparse.Namespace) -> bool:
    """Whether the measurement is above ``--max-waited``; without one there is nothing to say."""
    return host is not None and host.share > options.max_waited


def host_facts(host: HostTime | None) -> dict[str, float] | None:
    """The measurement for JSON, with its share."""
    return None if host is None else {**dataclasses.asdict(host), "share": host.share}


def print_host(host: HostTime | None) -> None:
    """A line about the host, where it was measured."""
    if host is not None:
        print(f"host waited={host.share:.1%} of {host.ran + host.waited:.0f} s asked for, latest={host.latest:.2f} s")
