"""A run as one JSON document, for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cloudboot_probes.probe.record import SCHEMA

if TYPE_CHECKING:
    from cloudboot_probes.probe.record import Record


def document(*records: Record) -> bytes:
    """The record, or a table with several; ASCII, because names of files need not be text."""
    facts = [record.as_dict() for record in records]
    whole: object = facts[0] if len(facts) == 1 else {"schema": SCHEMA, "runs": facts}
    return (json.dumps(whole, indent=1) + "\n").encode("ascii")
