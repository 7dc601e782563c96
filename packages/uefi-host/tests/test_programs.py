"""EFI programs of other projects, as Debian ships them: gnu-efi's test programs, iPXE, shim, fallback, rEFInd.

The texts and status codes are those of the same files on an unmodified OVMF.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudboot_uefi_abi.load_option import LoadOption
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import Ending
from cloudboot_uefi_host.testing import FOREIGN, grub_loader, judge_file
from cloudboot_uefi_host_pytest import HostRun

Host = Callable[..., HostRun]
IPXE = {"amd64": "x86_64", "arm64": "arm64", "riscv64": "riscv64"}
GNU_EFI = {
    "t": (Status.SUCCESS, ["Hello World!"]),
    "t3": (Status.SUCCESS, ["Hello World! (0xd=0xD, 13=13)", "li->Revision:        1000h", "li->Unload:          0h"]),
    "t6": (Status.SUCCESS, ["Image size        : 10000", "Load options size : 0"]),
    "setjmp": (Status.SUCCESS, ["setjmp() = 0", "setjmp() = 3", "3 worked", "setjmp() = 1", "0 got to be one yay"]),
    "tcc": (
        Status.SUCCESS,
        ["Returning Failure works", *(f"{count} args works just fine here." for count in range(2, 11))],
    ),
    "ctors_dtors_priority_test": (
        Status.SUCCESS,
        ["ctor with lower", "ctor with higher", "Main function", "dtor with higher", "dtor with lower"],
    ),
    "drv0": (Status.SUCCESS, ["Driver instance loaded successfully."]),
    "drv0_use": (Status.NOT_FOUND, ["Error looking up handles for proto: 14"]),
    "route80h": (Status.NOT_FOUND, ["Device not found."]),
    "FreePages": (Status.SUCCESS, ["FreePages: __PhysAddr__ __PgCnt__", "Invalid argument count"]),
}


def program(path: str, package: str) -> bytes:
    """A file of an unpacked package."""
    return judge_file(FOREIGN / path, package).read_bytes()


def in_order(text: str, lines: list[str]) -> bool:
    """Whether the lines stand in the text one after another."""
    at = 0
    for line in lines:
        at = text.find(line, at) + 1
        if not at:
            return False
    return True


@pytest.mark.parametrize("name", GNU_EFI)
def test_the_programs_of_gnu_efi(uefi_host: Host, name: str) -> None:
    status, lines = GNU_EFI[name]
    run = uefi_host("amd64", program(f"usr/lib/gnuefi/apps/{name}.efi", "gnu-efi"))
    assert (run.outcome.ending, run.outcome.status) == (Ending.RETURNED, status)
    assert in_order(run.text, lines), run.text


@pytest.mark.parametrize("architecture", IPXE)
def test_ipxe_runs_a_script_and_sleeps(uefi_host: Host, architecture: str) -> None:
    script = b"#!ipxe\necho on ${platform} ${buildarch}\nsleep 3\nset x:int32 41\ninc x\necho ${x}\nexit 0\n"
    image = program(f"usr/lib/ipxe/ipxe-{architecture}.efi", "ipxe")
    run = uefi_host(architecture, image, files={"/autoexec.ipxe": script})
    assert run.outcome.ending is Ending.RETURNED
    assert in_order(run.text, ["iPXE initialising devices", f"on efi {IPXE[architecture]}\n", "42\n"]), run.text
    assert 3 <= run.firmware.clock.seconds() < 20, "it waits for interrupts of the timer"


def test_shim_looks_for_the_next_loader_and_starts_it(uefi_host: Host, tmp_path: Path) -> None:
    shim = program("usr/lib/shim/shimx64.efi.signed", "shim-signed")
    run = uefi_host("amd64", shim)
    assert (run.outcome.ending, run.outcome.status) == (Ending.RETURNED, Status.NOT_FOUND)
    assert r"Failed to open \EFI\BOOT\grubx64.efi - Not Found" in run.text
    grub = grub_loader("amd64", tmp_path, "echo loaded-by-shim\n")
    run = uefi_host("amd64", shim, files={"/EFI/BOOT/grubx64.efi": grub}, until="loaded-by-shim")
    assert run.outcome.ending is Ending.TEXT_SEEN


def test_the_fallback_loader_writes_a_boot_entry_and_resets(uefi_host: Host) -> None:
    shim = program("usr/lib/shim/shimx64.efi.signed", "shim-signed")
    fallback = program("usr/lib/shim/fbx64.efi.signed", "shim-helpers-amd64-signed")
    entry = "shimx64.efi,a system,,A comment\n".encode("utf-16")
    files = {"/EFI/BOOT/fbx64.efi": fallback, "/EFI/system/shimx64.efi": shim, "/EFI/system/BOOTX64.CSV": entry}
    run = uefi_host("amd64", shim, files=files)
    assert run.outcome.ending is Ending.RESET
    written = run.variable("Boot0000")
    assert written is not None
    option = LoadOption.parse(written.data)
    assert option.description == "a system"
    assert str(option.paths[0]).endswith(r"\EFI\system\shimx64.efi")


def test_refind_counts_down_and_starts_what_it_found(uefi_host: Host, tmp_path: Path) -> None:
    refind = program("usr/share/refind/refind/refind_x64.efi", "refind")
    files = {
        "/EFI/BOOT/refind.conf": b"timeout 3\ntextonly true\nscanfor internal\n",
        "/EFI/other/grub.efi": grub_loader("amd64", tmp_path, "echo started-by-refind\n"),
    }
    run = uefi_host("amd64", refind, files=files, until="started-by-refind")
    assert run.outcome.ending is Ending.TEXT_SEEN
    assert in_order(run.text, ["Automatic boot in", "rEFInd - Booting OS", "Starting grub.efi"]), run.text
    assert [piece.image for piece in run.firmware.console.printed if "started-by-refind" in piece.text] == ["grub.efi"]
