"""GRUB measures what it runs and reads through TCG2; tpm2-tools replays our log to our PCRs."""

import hashlib
import re
from pathlib import Path

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_uefi_abi.constants import HashAlgorithm
from cloudboot_uefi_abi.eventlog import EventLog, replay
from cloudboot_uefi_host import Firmware, Typed, boot_path, publish_block_io, start, vendor_path
from cloudboot_uefi_host.protocols.measured_boot import publish_measured_boot
from cloudboot_uefi_host.testing import MODULES, boot_disk, grub_loader

HELLO = b"hello from FAT\n"


def test_grub_measures_its_commands_and_files(tmp_path: Path) -> None:
    loader = grub_loader("amd64", tmp_path, "set pager=0\n", modules=(*MODULES, "tpm"))
    with Firmware("amd64") as firmware:
        measured = publish_measured_boot(firmware)
        device = publish_block_io(
            firmware, MemoryStorage(boot_disk("amd64", loader, {"/hello.txt": HELLO})), vendor_path()
        )
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        firmware.console.type([Typed("grub> $", "cat (hd0,gpt1)/hello.txt\n")])
        firmware.console.until("hello from FAT")
        start(firmware, image)
        log, pcrs = measured.log(), dict(measured.pcrs)
    events = EventLog.parse(log).events
    texts = [event.data for event in events if event.pcr in {8, 9}]
    assert any(b"grub_cmd: cat (hd0,gpt1)/hello.txt" in text for text in texts)
    files = [event for event in events if event.pcr == 9 and b"hello.txt" in event.data]
    assert [event.digests[HashAlgorithm.SHA256] for event in files] == [hashlib.sha256(HELLO).digest()]
    assert replay(EventLog.parse(log))[HashAlgorithm.SHA256] == {
        number: value for number, value in pcrs.items() if number in {event.pcr for event in events}
    }
    # The judge of the log's bytes.
    path = tmp_path / "log"
    path.write_bytes(log)
    printed = run(judge("tpm2_eventlog", "tpm2-tools"), path)
    theirs = {
        int(number): value.lower()
        for number, value in re.findall(r"^ +(\d+) *: 0x([0-9a-fA-F]{64})$", printed, re.MULTILINE)
    }
    assert {0, 4, 8, 9} <= set(theirs)
    assert theirs == {number: pcrs[number].hex() for number in theirs}
