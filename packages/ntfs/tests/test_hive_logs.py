"""Hives and their transaction logs in every state that an interrupted write leaves them in.

What is applied follows the notes on log entries of the specification, and its section "Multiple transaction log files".
"""

from __future__ import annotations

import struct

import pytest

from cloudboot_ntfs import errors
from cloudboot_ntfs.registry import Hive, HiveOptions, Key, Value, build
from cloudboot_ntfs.registry.cells import checksum
from cloudboot_ntfs.registry.logs import marvin32, replay
from cloudboot_ntfs.registry.records import BaseBlock, DirtyPage, LogEntry
from cloudboot_ntfs.testing.hives import new_log, old_log

FIRST = 5


def stage(number: int) -> bytes:
    """A hive as it was after ``number`` writes: the value says so; each write changes one page."""
    root = Key("R", [Value.number("stage", number), Value.binary("space", bytes(9000))])
    return build(root, HiveOptions(modified=1000, sequence=FIRST))


def changed(hive: bytes, **fields: int) -> bytes:
    """A hive or a log with other numbers in its base block."""
    head = BaseBlock.unpack_from(hive)
    for name, value in fields.items():
        setattr(head, name, value)
    head.checksum = checksum(head.pack())
    return head.pack() + hive[BaseBlock.SIZE :]


DIRTY = changed(stage(0), primary_sequence=FIRST + 1)


def entry(number: int, *, sequence: int | None = None, flags: int = 0) -> bytes:
    """The entry of the write ``number``: the page with the value."""
    body = DirtyPage(0, 4096).pack() + stage(number)[4096:8192]
    size = -(-(LogEntry.SIZE + len(body)) // 512) * 512
    body = body.ljust(size - LogEntry.SIZE, b"\0")
    bins = BaseBlock.unpack_from(stage(number)).hive_bins_size
    sequence = FIRST + number if sequence is None else sequence
    made = LogEntry(b"HvLE", size, flags, sequence, bins, 1, marvin32(body), 0)
    made.hash_2 = marvin32(made.pack()[:32])
    return made.pack() + body


def log(*entries: bytes, sequence: int | None = None) -> bytes:
    """A log of entries; its base block has the number of the first, if no other is given."""
    first = struct.unpack_from("<I", entries[0], 12)[0] if sequence is None else sequence
    return changed(DIRTY, primary_sequence=first, secondary_sequence=first, file_type=6)[:512] + b"".join(entries)


def torn(entries: bytes) -> bytes:
    """An entry whose end is that of another, older one."""
    return entries[:-1024] + b"\xff" * 1024


NOTHING = "no log continues it"
STATES: dict[str, tuple[list[bytes], int | str]] = {
    "one entry": ([log(entry(1))], 1),
    "three entries": ([log(entry(1), entry(2), entry(3))], 3),
    "the second of three is torn": ([log(entry(1), torn(entry(2)), entry(3))], 1),
    "the first is torn": ([log(torn(entry(1)), entry(2))], NOTHING),
    "a gap": ([log(entry(1), entry(3))], 1),
    "older entries behind the new ones": ([log(entry(3, sequence=FIRST + 1), entry(2, sequence=FIRST - 2))], 3),
    "two logs": ([log(entry(1), entry(2)), log(entry(3))], 3),
    "two logs, the second with the earlier entries": ([log(entry(3)), log(entry(1), entry(2))], 3),
    "two logs with a gap between them": ([log(entry(1)), log(entry(3))], 1),
    "two logs, the earlier ends torn": ([log(entry(1), torn(entry(2))), log(entry(3))], 1),
    "two logs, the earlier torn in its last entry and the later beginning with it": (
        [log(entry(1), torn(entry(2))), log(entry(2), entry(3))], 3,
    ),
    "the other log is older than the hive": ([log(entry(7, sequence=FIRST - 3)), log(entry(1))], 1),
    "only a log that is older than the hive": ([log(entry(7, sequence=FIRST - 3))], NOTHING),
    "a first entry that is not the one of the log": ([log(entry(1), sequence=FIRST + 2)], NOTHING),
    "an empty second log": ([log(entry(1)), b""], 1),
    "a second log of zeros": ([bytes(65536), log(entry(1))], 1),
    "a second log with a wrong checksum": ([log(entry(1)), log(entry(2))[:508] + bytes(4) + entry(2)], 1),
    "only an empty log": ([b""], NOTHING),
    "a log without entries": ([log(entry(1))[:512]], NOTHING),
    "a log of the old format from before an upgrade": (
        [changed(old_log(stage(0), stage(9))[1], last_written=999), log(entry(1))], 1,
    ),
    "an entry with another size of the hive": (
        [log(entry(1)[:16] + b"\1\0\0\0" + entry(1)[20:])], NOTHING,
    ),
    "no logs": ([bytes(0), bytes(0)], NOTHING),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_states_of_new_logs(name: str) -> None:
    logs, expected = STATES[name]
    if isinstance(expected, str):
        with pytest.raises(errors.HiveDirtyError, match=expected):
            replay(DIRTY, logs)
        return
    found = Hive(DIRTY, logs=logs)
    assert found.root.value("stage").decoded == expected
    assert not found.is_dirty
    assert found.cells.base.primary_sequence == FIRST + (1 if "older entries behind" in name else expected)


def test_sequence_numbers_go_round() -> None:
    last = 0xFFFFFFFF
    dirty = changed(DIRTY, primary_sequence=last, secondary_sequence=last - 1)
    logs = [log(entry(2, sequence=0), entry(3, sequence=1)), log(entry(1, sequence=last))]
    found = Hive(dirty, logs=logs)
    assert (found.root.value("stage").decoded, found.cells.base.primary_sequence) == (3, 1)


def test_of_the_flags_only_one_is_in_a_log() -> None:
    dirty = changed(DIRTY, flags=6)
    assert Hive(dirty, logs=[log(entry(1, flags=1))]).cells.base.flags == 7
    assert Hive(changed(DIRTY, flags=7), logs=[log(entry(1, flags=0))]).cells.base.flags == 6


def test_without_a_base_block_only_the_latest_log_is_taken() -> None:
    broken = bytes([DIRTY[0] ^ 1]) + DIRTY[1:]
    found = Hive(broken, logs=[log(entry(1), entry(2)), log(entry(3))])
    assert found.root.value("stage").decoded == 3
    with pytest.raises(errors.HiveDirtyError, match=NOTHING):
        replay(broken, [log(torn(entry(1)))])
    with pytest.raises(errors.HiveError, match="not a registry hive"):
        replay(broken, [b""])


def test_a_clean_hive_ignores_its_logs() -> None:
    assert replay(stage(0), [log(entry(1))]) == stage(0)


@pytest.mark.parametrize(
    ("fields", "applied"),
    [
        ({}, True),
        ({"last_written": 1001}, True),  # the second log after a failed write
        ({"last_written": 999}, False),  # of an earlier write
        ({"secondary_sequence": FIRST}, False),  # not written whole
        ({"file_type": 2}, True),  # Windows 2000
    ],
)
def test_old_logs(fields: dict[str, int], applied: bool) -> None:
    dirty, whole = old_log(stage(0), stage(1))
    changed_log = changed(whole, **fields)
    if applied:
        assert Hive(dirty, logs=[changed_log]).root.value("stage").decoded == 1
    else:
        with pytest.raises(errors.HiveDirtyError, match=NOTHING):
            replay(dirty, [changed_log])


def test_of_two_old_logs_the_later_is_taken() -> None:
    dirty, first = old_log(stage(0), stage(1))
    second = changed(old_log(stage(0), stage(2))[1], last_written=1001)
    assert Hive(dirty, logs=[first, second]).root.value("stage").decoded == 2
    assert Hive(dirty, logs=[second, first]).root.value("stage").decoded == 2
    broken = bytes([dirty[0] ^ 1]) + dirty[1:]
    assert Hive(broken, logs=[first]).root.value("stage").decoded == 1
    with pytest.raises(errors.HiveDirtyError, match=NOTHING):
        replay(broken, [changed(first, last_written=999)])


def test_an_old_log_that_is_cut_off_is_an_error() -> None:
    dirty, whole = old_log(stage(0), stage(1))
    with pytest.raises(errors.HiveError, match="ends before its last page"):
        replay(dirty, [whole[:-512]])
    with pytest.raises(errors.HiveError, match="no dirty vector"):
        replay(dirty, [whole[:512] + b"DIRX" + whole[516:]])


def test_the_error_says_what_is_wrong_with_the_logs() -> None:
    with pytest.raises(errors.HiveDirtyError) as caught:
        replay(DIRTY, [b"", bytes(512)])
    assert caught.value.hint is not None
    assert "too short" in caught.value.hint
    assert "not a registry hive" in caught.value.hint


def test_a_hive_is_not_a_log() -> None:
    with pytest.raises(errors.HiveError, match="not a transaction log"):
        replay(DIRTY, [stage(0)])


def test_the_helper_for_others_makes_what_is_applied() -> None:
    dirty, whole = new_log(stage(0), stage(4))
    assert Hive(dirty, logs=[whole]).root.value("stage").decoded == 4


@pytest.mark.parametrize("form", ["new", "old"])
def test_a_log_does_not_make_a_hive_of_gigabytes(form: str) -> None:
    """A few bytes with right hashes, which state a size of 2 GiB."""
    size = 1 << 31
    if form == "new":
        body = DirtyPage(0, 4096).pack() + stage(1)[4096:8192]
        whole = -(-(LogEntry.SIZE + len(body)) // 512) * 512
        body = body.ljust(whole - LogEntry.SIZE, b"\0")
        made = LogEntry(b"HvLE", whole, 0, FIRST + 1, size, 1, marvin32(body), 0)
        made.hash_2 = marvin32(made.pack()[:32])
        hostile = log(made.pack() + body)
    else:
        head = changed(
            DIRTY, primary_sequence=FIRST + 1, secondary_sequence=FIRST + 1, file_type=1, hive_bins_size=size
        )
        hostile = head[:512] + b"DIRT" + bytes(size // 512 // 8)
    with pytest.raises(errors.HiveError, match="larger than what it holds"):
        Hive(DIRTY, logs=[hostile])


def test_an_old_log_of_a_hive_that_has_no_whole_bins() -> None:
    """Its last bits would be in a byte of the dirty vector that is not there (found by fuzzing)."""
    head = changed(
        DIRTY, primary_sequence=FIRST + 1, secondary_sequence=FIRST + 1, file_type=1, hive_bins_size=4096 + 512
    )
    with pytest.raises(errors.HiveError, match="the size of the hive bins"):
        Hive(DIRTY, logs=[head[:512] + b"DIRT" + bytes(508) + bytes(8192)])
