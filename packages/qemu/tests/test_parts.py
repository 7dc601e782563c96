from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import judge, run
from cloudboot_qemu import Drive, Machine, MachineFailedError, ProgramMissingError
from cloudboot_qemu.__main__ import main
from cloudboot_qemu.drives import drive_arguments
from cloudboot_qemu.keyboard import text_chords
from cloudboot_qemu.picture import png_of_ppm


def test_text_becomes_keys() -> None:
    assert text_chords("aB1! -_\n") == ["a", "shift-b", "1", "shift-1", "spc", "minus", "shift-minus", "ret"]
    with pytest.raises(ValueError, match="US keyboard"):
        text_chords("\u00e9")


@given(st.binary())
def test_only_a_ppm_becomes_a_picture(data: bytes) -> None:
    for damaged in (data, b"P6 2 2 255\n" + data[:11], b"P6 0 0 255\n"):
        with pytest.raises(ValueError, match="PPM"):
            png_of_ppm(damaged)


@pytest.mark.parametrize("name", ["", "1disk", "a,b", "a" * 25, "disk 0"])
def test_a_drive_has_a_name_qemu_takes(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Drive("disk.img", name=name)


@pytest.fixture
def files() -> Iterator[list[int]]:
    made = [os.memfd_create("part") for _ in range(3)]
    yield made
    for fd in made:
        os.close(fd)


def test_drives_share_a_controller_and_boot_in_order(files: list[int]) -> None:
    drives = [Drive("a", name="a", interface="usb"), Drive("b", name="b", interface="usb"), Drive("c", name="c")]
    arguments = drive_arguments(drives, files, 10)
    assert sum(word.startswith("qemu-xhci") for word in arguments) == 1
    assert [word for word in arguments if "bootindex" in word] == [
        "usb-storage,bus=xhci.0,id=a,drive=node-a,bootindex=0",
        "usb-storage,bus=xhci.0,id=b,drive=node-b,bootindex=1",
        "virtio-blk-pci,request-merging=off,id=c,drive=node-c,bootindex=2",
    ]


def test_qemu_opens_block_devices_with_another_driver(files: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        "driver=file,node-name=node-a,filename=/dev/fdset/10"
        in drive_arguments([Drive("a", name="a")], files[:1], 10)[3]
    )
    monkeypatch.setattr("cloudboot_qemu.drives.stat.S_ISBLK", lambda _mode: True)
    assert drive_arguments([Drive("a", name="a")], files[:1], 10)[3].startswith("driver=host_device,node-name=node-a,")


def test_ahci_disks_have_ports_of_their_own(files: list[int]) -> None:
    drives = [Drive(name, name=name, interface="ahci", readonly=False) for name in ("a", "b")]
    arguments = drive_arguments(drives, files[:2], 10)
    assert [word.split(",")[1] for word in arguments if word.startswith("ide-hd")] == ["bus=ahci.0", "bus=ahci.1"]


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 1 MiB"):
        Machine(memory=1000)
    with pytest.raises(ValueError, match="same name"):
        Machine([Drive("a"), Drive("b")])
    with pytest.raises(ValueError, match="read-only"):
        Drive("a", interface="ahci")
    with pytest.raises(ValueError, match="a CD cannot be written"):
        Drive("a", interface="cd", readonly=False)
    with pytest.raises(ValueError, match="yesterday"):
        Machine(rtc="yesterday")
    with pytest.raises(ValueError, match="comma"):
        Machine(name="a,b")
    with pytest.raises(ValueError, match="NUL"):
        Machine(extra=["a\0b"])
    with pytest.raises(ValueError, match="vax"):
        Machine(architecture="vax")


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProgramMissingError) as caught:
        Machine()
    assert caught.value.hint == "on Debian: apt install qemu-system-x86"


def test_an_error_is_one_line() -> None:
    error = MachineFailedError("QEMU did not start", status=1, stderr="a\nb\nc\nd")
    assert str(error) == "QEMU did not start: b | c | d"


@pytest.mark.parametrize("form", ["qcow2", "vmdk", "vpc", "vhdx"])
def test_an_image_in_a_container_is_not_started(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    raw, image = tmp_path / "disk.img", tmp_path / f"disk.{form}"
    raw.write_bytes(bytes(1 << 20))
    run(judge("qemu-img", "qemu-utils"), "convert", "-f", "raw", "-O", form, str(raw), str(image))
    assert main(["run", str(image), "--timeout", "5"]) == 3
    assert "hint: qemu-img convert -O raw" in capsys.readouterr().err
    compressed = tmp_path / "disk.img.gz"
    compressed.write_bytes(gzip.compress(raw.read_bytes()))
    assert main(["run", str(compressed), "--timeout", "5"]) == 3
    assert "is compressed with gzip" in capsys.readouterr().err


def test_a_read_only_ahci_disk_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "disk.img").write_bytes(bytes(512))
    assert main(["run", str(tmp_path / "disk.img"), "--interface", "ahci"]) == 2
    assert "--writable" in capsys.readouterr().err
