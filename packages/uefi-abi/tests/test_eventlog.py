"""Event logs of a real firmware: tpm2-tools reads the same events and replays them to the same PCRs."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import RangeError, TruncatedError
from cloudboot_base.testing import flipped, judge, run, truncations
from cloudboot_uefi_abi.__main__ import main
from cloudboot_uefi_abi.constants import EventType, HashAlgorithm
from cloudboot_uefi_abi.device_path import FilePath
from cloudboot_uefi_abi.errors import EventLogError
from cloudboot_uefi_abi.eventlog import EventLog, EventLogBuilder, check, describe_event, replay
from cloudboot_uefi_abi.eventlog.description import event_variable, image_load_path
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.pe import PEImage, authenticode_digest

DATA = Path(__file__).parent / "data"
LOGS = ["plain-agile", "plain-sha1", "secureboot-agile", "secureboot-sha1"]


def raw(name: str) -> bytes:
    return (DATA / f"eventlog-{name}.bin").read_bytes()


def judged_pcrs(text: str) -> dict[str, dict[int, str]]:
    """The ``pcrs`` of tpm2_eventlog's YAML: a bank for each algorithm."""
    banks: dict[str, dict[int, str]] = {}
    for line in text.partition("\npcrs:\n")[2].splitlines():
        bank = re.fullmatch(r"  (\w+):", line)
        if bank:
            banks[bank[1]] = {}
        pcr = re.fullmatch(r"    (\d+)\s*: 0x([0-9a-f]+)", line)
        if pcr:
            banks[list(banks)[-1]][int(pcr[1])] = pcr[2]
    return banks


def ours(log: EventLog) -> dict[str, dict[int, str]]:
    return {
        algorithm.name.lower(): {pcr: digest.hex() for pcr, digest in sorted(bank.items())}
        for algorithm, bank in replay(log).items()
    }


@pytest.mark.parametrize("name", LOGS)
def test_events_and_pcrs_are_tpm2_tools_(name: str) -> None:
    log = EventLog.parse(raw(name))
    text = run(judge("tpm2_eventlog", "tpm2-tools"), str(DATA / f"eventlog-{name}.bin"))
    theirs = re.findall(r"PCRIndex: (\d+)\n\s+EventType: (\w+)", text)
    assert [(str(event.pcr), event.type.tcg_name) for event in log.events] == theirs
    assert ours(log) == judged_pcrs(text)
    assert check(log) == []


def test_both_formats_tell_the_same() -> None:
    agile, sha1 = EventLog.parse(raw("plain-agile")), EventLog.parse(raw("plain-sha1"))
    assert agile.spec is not None
    assert agile.spec.version == (2, 0, 0)
    assert sha1.spec is None
    assert replay(agile)[HashAlgorithm.SHA1] == replay(sha1)[HashAlgorithm.SHA1]
    assert [event.data for event in agile.events[1:]] == [event.data for event in sha1.events]


def test_the_image_that_ran_is_the_one_that_was_measured() -> None:
    log = EventLog.parse(raw("plain-agile"))
    image = PEImage.parse((DATA / "measured.efi").read_bytes())
    (event,) = [
        event
        for event in log.events
        if event.type is EventType.EFI_BOOT_SERVICES_APPLICATION
        and any(isinstance(node, FilePath) for node in (image_load_path(event) or pytest.fail("no path")).nodes)
    ]
    assert describe_event(event).endswith(r"/HD(1,MBR,0xBE1AFDFA,0x3F,0xFBFC1)/\EFI\BOOT\BOOTX64.EFI")
    for algorithm, digest in event.digests.items():
        assert digest == authenticode_digest(image, algorithm.name.lower())


def test_the_replayed_pcrs_are_the_tpm_s() -> None:
    lines = (DATA / "eventlog-pcrs.txt").read_text().splitlines()
    read = {int(pcr): digest for _, pcr, digest in (line.split() for line in lines)}
    assert len(read) == 8
    assert ours(EventLog.parse(raw("pcrs-agile")))["sha256"] == read


def test_descriptions() -> None:
    texts = [describe_event(event) for event in EventLog.parse(raw("secureboot-agile")).events]
    assert texts[0] == "Spec ID Event03"
    assert "EFI_GLOBAL_VARIABLE SecureBoot: 1" in texts
    assert "EFI_GLOBAL_VARIABLE KEK: 1 of EFI_CERT_X509, 1 of EFI_CERT_X509" in texts
    assert "EFI_GLOBAL_VARIABLE BootOrder: 0000,0001,0002,0003" in texts
    assert "'Calling EFI Application from Boot Option'" in texts
    assert "0xe0000 bytes at 0x820000" in texts


@pytest.mark.parametrize("name", ["plain-agile", "plain-sha1"])
@pytest.mark.parametrize("erased", [bytes(4096), b"\xff" * 4096, bytes(9), b"\xff" * 9])
def test_a_log_in_erased_memory_ends_where_its_events_do(name: str, erased: bytes) -> None:
    whole = EventLog.parse(raw(name))
    for data, padded in (
        (raw(name) + erased, False),
        (raw(name) + erased, True),
        (raw(name) + erased + b"x" * 99, len(erased) > 9),
    ):
        if data[-1:] == b"x" and not padded:
            continue
        log = EventLog.parse(data, padded=padded)
        assert log.size == len(raw(name))
        assert log.events == whole.events
    assert EventLog.parse(erased).events == ()


def test_what_there_is_of_a_log_that_was_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = raw("plain-agile")
    whole = EventLog.parse(data)
    for cut in (data[:-3], data[: whole.events[5].offset + 20], data[: whole.events[1].offset + 3]):
        log, problem = EventLog.parse_prefix(cut)
        assert isinstance(problem, TruncatedError)
        assert log.events == whole.events[: len(log.events)]
        path = tmp_path / "log"
        path.write_bytes(cut)
        assert main(["eventlog", str(path)]) == 3
        printed = capsys.readouterr()
        assert len(printed.out.splitlines()) == len(log.events)  # and no PCRs
        assert "past the end" in printed.err
        assert main(["eventlog", "--json", str(path)]) == 3
        facts = json.loads(capsys.readouterr().out)
        assert (len(facts["events"]), facts["pcrs"]) == (len(log.events), {})
        assert facts["problem"] == str(problem)


def variable(vendor: str, name: str, data: bytes) -> bytes:
    text = name.encode("utf-16-le")
    return GUIDS[vendor].bytes_le + struct.pack("<QQ", len(name), len(data)) + text + data


GPT = (
    b"EFI PART".ljust(56, b"\0") + UUID(int=1).bytes_le + struct.pack("<QIII", 2, 128, 128, 0)
    + struct.pack("<Q", 1) + bytes(16) + UUID(int=2).bytes_le + struct.pack("<QQ", 34, 80).ljust(96, b"\0")
)  # fmt: skip
SMBIOS = GUIDS["SMBIOS_TABLE"].bytes_le + struct.pack("<Q", 0x1000)
TEXTS = [
    (0, EventType.NO_ACTION, b"StartupLocality\0\3", "startup locality 3"),
    (0, EventType.S_CRTM_VERSION, b"1.13.0\0", "'1.13.0'"),
    (0, EventType.S_CRTM_VERSION, b"ABCDEF12", "'ABCDEF12'"),
    (0, EventType.S_CRTM_VERSION, "v\xe9\0".encode("utf-16-le"), "'v\xe9'"),
    (0, EventType.S_CRTM_VERSION, bytes(range(128, 144)), "83828180-8584-8786-8889-8A8B8C8D8E8F"),
    (0, EventType.S_CRTM_VERSION, b"\0\0", "''"),
    (0, EventType.EFI_PLATFORM_FIRMWARE_BLOB, b"POST CODE", "'POST CODE'"),
    (0, EventType.EFI_PLATFORM_FIRMWARE_BLOB2, b"\3FV1" + struct.pack("<QQ", 9, 8), "'FV1': 0x8 bytes at 0x9"),
    (1, EventType.EFI_HANDOFF_TABLES, struct.pack("<Q", 1) + SMBIOS, "SMBIOS_TABLE at 0x1000"),
    (1, EventType.EFI_HANDOFF_TABLES2, b"\1S" + struct.pack("<Q", 1) + SMBIOS, "'S': SMBIOS_TABLE at 0x1000"),
    (5, EventType.EFI_GPT_EVENT, GPT, f"disk {UUID(int=1)}: {UUID(int=2)} in blocks 34 to 80"),
    (
        7, EventType.EFI_VARIABLE_AUTHORITY,
        variable("EFI_IMAGE_SECURITY_DATABASE", "db", UUID(int=3).bytes_le + b"certificate"),
        f"EFI_IMAGE_SECURITY_DATABASE db: 11 bytes of {UUID(int=3)}",
    ),
    (
        7, EventType.EFI_VARIABLE_AUTHORITY, variable("SHIM_LOCK", "SbatLevel", b"sbat,1,2022052400\n"),
        r"SHIM_LOCK SbatLevel: 'sbat,1,2022052400\n'",
    ),
    (8, EventType.IPL, "grub_cmd: echo \xe9\n\0".encode(), r"'grub_cmd: echo \xe9\n'".replace(r"\xe9", "\xe9")),
    (12, EventType.IPL, "root=/dev/sda1\0".encode("utf-16-le"), "'root=/dev/sda1'"),
    (9, EventType.EVENT_TAG, struct.pack("<II", 0x8F3B22ED, 13) + b"Linux initrd\0", "tag 0x8f3b22ed 'Linux initrd'"),
    (4, EventType.OMIT_BOOT_DEVICE_EVENTS, b"BOOT ATTEMPTS OMITTED", "'BOOT ATTEMPTS OMITTED'"),
]  # fmt: skip


@pytest.mark.parametrize(("pcr", "kind", "data", "text"), TEXTS)
def test_the_text_of_an_event(pcr: int, kind: EventType, data: bytes, text: str) -> None:
    builder = EventLogBuilder([HashAlgorithm.SHA256])
    builder.measure(pcr, kind, data, data)
    assert describe_event(EventLog.parse(builder.pack()).events[1]) == text


MALFORMED = [
    (EventType.EFI_VARIABLE_DRIVER_CONFIG, bytes(10)),
    (EventType.EFI_VARIABLE_DRIVER_CONFIG, bytes(16) + struct.pack("<QQ", 1 << 62, 4) + bytes(4)),
    (EventType.EFI_GPT_EVENT, b"EFI PART"),
    (EventType.EFI_PLATFORM_FIRMWARE_BLOB, b"POST CODE"),
]


@pytest.mark.parametrize(("kind", "data"), MALFORMED)
def test_tpm2_tools_refuse_what_the_check_finds(tmp_path: Path, kind: EventType, data: bytes) -> None:
    builder = EventLogBuilder([HashAlgorithm.SHA256])
    builder.measure(7, kind, data, data)
    path = tmp_path / "log"
    path.write_bytes(builder.pack())
    program = judge("tpm2_eventlog", "tpm2-tools")
    assert subprocess.run([program, path], capture_output=True, check=False).returncode
    (finding,) = check(EventLog.parse(builder.pack()))
    assert finding.kind in {"truncated", "event-log"}


def test_a_boot_variable_measured_whole_is_no_finding() -> None:
    builder = EventLogBuilder([HashAlgorithm.SHA256])
    data = variable("EFI_GLOBAL_VARIABLE", "BootOrder", b"\1\0")
    for measured in (data, b"\1\0"):
        builder.measure(1, EventType.EFI_VARIABLE_BOOT, measured, data)
    assert check(EventLog.parse(builder.pack())) == []


def test_pcrs_of_a_dynamic_launch_and_of_no_pcr(tmp_path: Path) -> None:
    builder = EventLogBuilder([HashAlgorithm.SHA256])
    builder.measure(17, EventType(0x402), b"x", b"x")
    builder.measure(18, EventType(0x402), b"y", b"y")
    path = tmp_path / "log"
    path.write_bytes(builder.pack())
    theirs = judged_pcrs(run(judge("tpm2_eventlog", "tpm2-tools"), str(path)))
    assert ours(EventLog.parse(builder.pack())) == theirs
    last = builder.last_event
    builder.measure(1, EventType.EVENT_TAG, b"x", struct.pack("<II", 1, 1) + b"x")
    data = bytearray(builder.pack())
    data[builder.last_event : builder.last_event + 4] = b"\xff" * 4
    assert last < builder.last_event
    assert ours(EventLog.parse(bytes(data))) == theirs  # as Windows' logs have them


def test_a_changed_event_is_found() -> None:
    data = raw("plain-agile")
    place = data.index(b"Calling EFI Application")
    (first, *rest) = check(EventLog.parse(flipped(data, place, 1)))
    assert (first.kind, first.structure, first.where["pcr"]) == ("event-digest", "EV_EFI_ACTION", 4)
    assert [finding.field for finding in (first, *rest)] == ["sha1", "sha256", "sha384", "sha512"]


def test_a_written_log_is_tpm2_tools_(tmp_path: Path) -> None:
    for algorithms in ([HashAlgorithm.SHA256, HashAlgorithm.SHA384], [HashAlgorithm.SHA1, HashAlgorithm.SHA256], []):
        builder = EventLogBuilder(algorithms)
        builder.measure(0, EventType.S_CRTM_VERSION, "1".encode("utf-16-le"), "1".encode("utf-16-le"))
        for pcr in range(8):
            builder.measure(pcr, EventType.SEPARATOR, bytes(4), bytes(4))
        extended = builder.measure(4, EventType.EFI_ACTION, b"x", b"x")
        assert set(extended) == set(builder.algorithms)
        path = tmp_path / "log"
        path.write_bytes(builder.pack())
        log = EventLog.parse(builder.pack())
        assert log.events[-1].offset == builder.last_event
        assert log.algorithms == builder.algorithms
        assert check(log) == []
        assert ours(log) == judged_pcrs(run(judge("tpm2_eventlog", "tpm2-tools"), str(path)))
    builder = EventLogBuilder([HashAlgorithm.SHA1])
    with pytest.raises(RangeError, match="PCR"):
        builder.measure(24, EventType.SEPARATOR, b"", b"")
    with pytest.raises(RangeError, match="digest"):
        builder.add(0, EventType.SEPARATOR, {HashAlgorithm.SHA1: b"short"}, b"")


def test_the_locality_of_startup_is_in_pcr_0() -> None:
    builder = EventLogBuilder([HashAlgorithm.SHA256])
    builder.measure(0, EventType.SEPARATOR, bytes(4), bytes(4))
    plain = replay(EventLog.parse(builder.pack()))
    builder.add(0, EventType.NO_ACTION, {HashAlgorithm.SHA256: bytes(32)}, b"StartupLocality\0\x03")
    located = replay(EventLog.parse(builder.pack()))
    assert plain[HashAlgorithm.SHA256][0] != located[HashAlgorithm.SHA256][0]
    for pcr, data in ((1, b"StartupLocality\0\x03"), (0, b"StartupLocality\0")):
        builder = EventLogBuilder([HashAlgorithm.SHA256])
        builder.measure(0, EventType.SEPARATOR, bytes(4), bytes(4))
        builder.add(pcr, EventType.NO_ACTION, {HashAlgorithm.SHA256: bytes(32)}, data)
        assert replay(EventLog.parse(builder.pack())) == plain


@pytest.mark.parametrize("locality", [None, 0, 3, 4])
def test_a_hardware_root_of_trust_is_in_pcr_0(locality: int | None) -> None:
    """What libtpms 0.9.2 (swtpm 0.7.1) has in PCR 0 after the sequence CMD_INIT, CMD_HASH_START, CMD_HASH_DATA with
    "HCRTM", CMD_HASH_END on its control channel and TPM2_Startup(CLEAR), from locality 0 and from locality 3 alike."""
    builder = EventLogBuilder([HashAlgorithm.SHA256])
    if locality is not None:
        statement = b"StartupLocality\0" + bytes([locality])
        builder.add(0, EventType.NO_ACTION, {HashAlgorithm.SHA256: bytes(32)}, statement)
    builder.measure(0, EventType.EFI_HCRTM_EVENT, b"HCRTM", b"HCRTM")
    (bank,) = replay(EventLog.parse(builder.pack())).values()
    assert bank == {0: bytes.fromhex("4724f65909123c809d28928b3e91e8cdcfc45e15dff3e0a2ce0b47c514cabe05")}


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"\x18\0\0\0", "no such PCR"),
        (28, b"\xff\xff\xff\x7f", "larger than any"),
        (56, b"\0\0\0\0", "no algorithm"),
        (56, b"\xff\xff\0\0", "more than there are"),
        (62, b"\x15\0", "not the algorithm's"),
        (32 + 45 + 8, b"\x05\0\0\0", "more digests"),
        (32 + 45 + 12, b"\x99\0", "does not list"),
    ],
)
def test_logs_that_lie(offset: int, value: bytes, message: str) -> None:
    data = bytearray(raw("plain-agile"))
    data[offset : offset + len(value)] = value
    with pytest.raises(EventLogError, match=message):
        EventLog.parse(bytes(data))


def test_every_truncation_is_refused_or_ends_between_events() -> None:
    data = raw("plain-agile")
    ends = {event.offset for event in EventLog.parse(data).events}
    for cut in truncations(data, 7):
        try:
            log = EventLog.parse(cut)
        except TruncatedError:
            continue
        assert log.size == len(cut)
        assert len(cut) in ends


def test_events_whose_data_lie_are_shown_with_the_reason() -> None:
    builder = EventLogBuilder([HashAlgorithm.SHA256])
    builder.measure(7, EventType.EFI_VARIABLE_DRIVER_CONFIG, b"", bytes(16) + b"\xff" * 16)
    builder.measure(4, EventType.EFI_BOOT_SERVICES_APPLICATION, b"", bytes(24) + b"\xff" * 8)
    builder.measure(1, EventType.EFI_VARIABLE_BOOT, b"", b"short")
    builder.measure(5, EventType.EFI_GPT_EVENT, b"", GPT[:92] + struct.pack("<Q", 1 << 60))
    builder.measure(1, EventType.EFI_HANDOFF_TABLES, b"", struct.pack("<Q", 1 << 60))
    builder.measure(9, EventType.EVENT_TAG, b"", struct.pack("<II", 1, 9))
    events = EventLog.parse(builder.pack()).events
    assert "leave the event" in describe_event(events[1])
    assert "leaves the event" in describe_event(events[2])
    assert "past the end" in describe_event(events[3])
    assert "partitions leave the event" in describe_event(events[4])
    assert "tables leave the event" in describe_event(events[5])
    assert "data leave the event" in describe_event(events[6])
    with pytest.raises(EventLogError):
        event_variable(events[1])
    assert {finding.kind for finding in check(EventLog.parse(builder.pack()))} == {"event-log", "truncated"}


@given(st.binary(max_size=100), st.booleans())
def test_any_bytes_are_a_log_or_a_typed_error(tail: bytes, padded: bool) -> None:
    head = raw("plain-agile")[:77]
    for data in (tail, head + tail):
        try:
            log = EventLog.parse(data, padded=padded)
        except (EventLogError, TruncatedError):
            continue
        replay(log)
        check(log)
        for event in log.events:
            describe_event(event)
