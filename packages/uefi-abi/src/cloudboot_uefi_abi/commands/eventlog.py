"""``eventlog``: events, the PCRs that follow from them, and what can be verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import in_file, read_file
from cloudboot_base.command import OK, print_findings, print_json, printable
from cloudboot_uefi_abi.errors import EventLogError
from cloudboot_uefi_abi.eventlog import EventLog, check, describe_event, replay
from cloudboot_uefi_abi.eventlog.log import NO_PCR

from .source import LIMIT

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program
    from cloudboot_uefi_abi.constants import HashAlgorithm
    from cloudboot_uefi_abi.eventlog import Event

__all__ = ["add"]


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command("eventlog", run, "Print a TCG event log and the PCRs that follow from it.")
    parser.add_argument("log", metavar="LOG", help="Event log, as in binary_bios_measurements.")
    parser.add_argument(
        "--padded", action="store_true", help="Erased memory follows the log, and other data follow that."
    )
    parser.add_argument("--check", action="store_true", help="Compare digests with the data that events carry.")


def run(options: argparse.Namespace) -> int:
    """Print the log, or what is wrong with it."""
    with in_file(options.log):
        log, problem = EventLog.parse_prefix(read_file(options.log, LIMIT), padded=options.padded)
        if problem is not None and (options.check or not log.events):
            raise problem
        if not log.events:
            raise EventLogError(
                "the log is empty", structure="TCG_PCR_EVENT", offset=0, expected="at least one event", actual=0,
                hint="firmware without a TPM writes no log; Linux shows it to root only",
            )  # fmt: skip
    if options.check:
        return print_findings(options.log, check(log), as_json=options.json)
    banks = replay(log) if problem is None else {}  # PCRs of a part of the log were never in a TPM
    if options.json:
        print_json(
            {
                "events": [_facts(event) for event in log.events],
                "pcrs": {algorithm.name.lower(): bank for algorithm, bank in banks.items()},
                "problem": problem and str(problem),
            }
        )
        return problem.exit_code if problem else OK
    _print(log, banks)
    if problem is not None:
        with in_file(options.log):
            raise problem
    return OK


def _print(log: EventLog, banks: dict[HashAlgorithm, dict[int, bytes]]) -> None:
    for event in log.events:
        pcr = "-" if event.pcr == NO_PCR else event.pcr
        print(printable(f"{pcr:>3} {event.type.tcg_name} {describe_event(event)}"))
    for algorithm, bank in banks.items():
        print(f"{algorithm.name.lower()}:")
        for pcr, digest in sorted(bank.items()):
            print(f"{pcr:3} {digest.hex()}")


def _facts(event: Event) -> dict[str, object]:
    return {
        "pcr": event.pcr,
        "type": event.type.tcg_name,
        "offset": event.offset,
        "digests": {algorithm.name.lower(): digest for algorithm, digest in event.digests.items()},
        "text": describe_event(event),
        "data": event.data,
    }
