"""``eventlog``: events, the PCRs that follow from them, and what can be verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import in_file, read_file
from cloudboot_base.command import OK, print_findings, print_json, printable
from cloudboot_uefi_abi.errors import EventLogError
from cloudboot_uefi_abi.eventlog import EventLog, check, describe_event, replay

from .source import LIMIT

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program
    from cloudboot_uefi_abi.eventlog import Event

__all__ = ["add"]


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command("eventlog", run, "Print a TCG event log and the PCRs that follow from it.")
    parser.add_argument("log", metavar="LOG", help="Event log, as in binary_bios_measurements.")
    parser.add_argument("--padded", action="store_true", help="Erased memory follows the log.")
    parser.add_argument("--check", action="store_true", help="Compare digests with the data that events carry.")


def run(options: argparse.Namespace) -> int:
    """Print the log, or what is wrong with it."""
    with in_file(options.log):
        log = EventLog.parse(read_file(options.log, LIMIT), padded=options.padded)
        if not log.events:
            raise EventLogError(
                "the log is empty", structure="TCG_PCR_EVENT", offset=0, expected="at least one event", actual=0,
                hint="firmware without a TPM writes no log; Linux shows it to root only",
            )  # fmt: skip
    if options.check:
        return print_findings(options.log, check(log), as_json=options.json)
    banks = replay(log)
    if options.json:
        print_json(
            {
                "events": [_facts(event) for event in log.events],
                "pcrs": {algorithm.name.lower(): bank for algorithm, bank in banks.items()},
            }
        )
        return OK
    for event in log.events:
        print(printable(f"{event.pcr:3} {event.type.tcg_name} {describe_event(event)}"))
    for algorithm, bank in banks.items():
        print(f"{algorithm.name.lower()}:")
        for pcr, digest in sorted(bank.items()):
            print(f"{pcr:3} {digest.hex()}")
    return OK


def _facts(event: Event) -> dict[str, object]:
    return {
        "pcr": event.pcr,
        "type": event.type.tcg_name,
        "offset": event.offset,
        "digests": {algorithm.name.lower(): digest for algorithm, digest in event.digests.items()},
        "text": describe_event(event),
        "data": event.data,
    }
