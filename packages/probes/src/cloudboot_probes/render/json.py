"""A run as one JSON document, for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudboot_probes.probe.record import Record


def document(record: Record) -> bytes:
    """The record; ASCII, because names of files need not be text."""
    return (json.dumps(record.as_dict(), indent=1) + "\n").encode("ascii")
