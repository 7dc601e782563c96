"""TCG event logs: reading both formats, replay to PCRs, what can be verified, and writing (TCG PFP 1.05 chapter 10)."""

from __future__ import annotations

from .builder import EventLogBuilder
from .check import check
from .description import describe_event
from .log import Event, EventLog, SpecId
from .replay import replay

__all__ = ["Event", "EventLog", "EventLogBuilder", "SpecId", "check", "describe_event", "replay"]
