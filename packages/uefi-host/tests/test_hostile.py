"""Programs that do what no program may end in typed errors, with the state of the machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudboot_base import FormatError, MemoryStorage
from cloudboot_base.testing import flipped, judge, truncations
from cloudboot_uefi_abi.constants import Subsystem
from cloudboot_uefi_abi.errors import PEError
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import (
    Budget,
    BudgetUsedError,
    Ending,
    Firmware,
    GuestFaultError,
    GuestPointerError,
    HostError,
    Outcome,
    ServiceError,
    boot_path,
    publish_block_io,
    start,
    vendor_path,
)
from cloudboot_uefi_host.compiling import COMPILERS, compile_program, pe_image
from cloudboot_uefi_host.core.device_paths import END
from cloudboot_uefi_host.testing import boot_disk

ARCHITECTURES = ("amd64", "arm64", "riscv64")
SOURCE = Path(__file__).parent / "programs" / "hostile.c"
WILD = 0x7EAD00000000


@pytest.fixture(scope="module", params=ARCHITECTURES)
def hostile(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    """A processor, and a disk with the program that LoadOptions choose a crime for."""
    name: str = request.param
    for program in COMPILERS[name][:2]:
        judge(program, COMPILERS[name][2])
    return name, boot_disk(name, compile_program(name, SOURCE))


def crime(hostile: tuple[str, bytes], letter: str, budget: Budget | None = None, *, trap_null: bool = False) -> object:
    """Run the program; the outcome or the error."""
    architecture, disk = hostile
    limits = budget or Budget(seconds=20)
    with Firmware(architecture, memory=64 << 20, budget=limits, trap_null=trap_null) as firmware:
        device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        firmware.images.set_options(image, f"{letter}\0".encode("utf-16-le"))
        try:
            return start(firmware, image)
        except HostError as error:
            return error


@pytest.mark.parametrize("letter", "WSJB")
def test_a_wild_access_is_a_fault_with_its_address(hostile: tuple[str, bytes], letter: str) -> None:
    error = crime(hostile, letter)
    assert isinstance(error, GuestFaultError)
    assert error.where["address"] == WILD
    assert error.report is not None
    assert len(error.report.registers) >= 18
    assert any("EFI_BOOT_SERVICES.HandleProtocol(Handle=" in call for call in error.report.calls)
    assert error.exit_code == 20


def test_page_0_of_amd64_is_readable_unless_it_is_trapped(hostile: tuple[str, bytes]) -> None:
    plain, trapped = crime(hostile, "N"), crime(hostile, "N", trap_null=True)
    assert isinstance(trapped, GuestFaultError)
    assert trapped.where["address"] == 8
    if hostile[0] == "amd64":
        assert getattr(plain, "ending", None) is Ending.RETURNED
    else:
        assert isinstance(plain, GuestFaultError)


def test_a_wild_pointer_given_to_a_service(hostile: tuple[str, bytes]) -> None:
    error = crime(hostile, "P")
    assert isinstance(error, GuestPointerError)
    assert error.where["service"] == "EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL.OutputString"
    assert error.report is not None
    assert error.report.image.startswith("BOOT")
    assert f"String={WILD:#x}" in error.report.calls[-1]


@pytest.mark.parametrize(
    "budget", [Budget(seconds=0.5), Budget(seconds=20, instructions=500_000)], ids=["seconds", "instructions"]
)
def test_an_endless_loop_uses_its_budget_up(hostile: tuple[str, bytes], budget: Budget) -> None:
    error = crime(hostile, "L", budget)
    assert isinstance(error, BudgetUsedError)
    assert error.report is not None
    assert error.report.image.startswith("BOOT")
    assert error.exit_code == 21


def test_an_endless_loop_of_calls_uses_its_budget_up(hostile: tuple[str, bytes]) -> None:
    error = crime(hostile, "C", Budget(seconds=20, calls=500))
    assert isinstance(error, BudgetUsedError)
    assert "500 service calls" in error.message


def test_an_overflow_of_the_stack_meets_the_guard_page(hostile: tuple[str, bytes]) -> None:
    error = crime(hostile, "O")
    assert isinstance(error, GuestFaultError)
    assert "protected memory" in error.message


def test_the_code_of_services_cannot_be_changed(hostile: tuple[str, bytes]) -> None:
    error = crime(hostile, "T")
    assert isinstance(error, GuestFaultError)
    assert "write to protected memory" in error.message


def test_an_undefined_instruction(hostile: tuple[str, bytes]) -> None:
    error = crime(hostile, "U")
    assert isinstance(error, GuestFaultError)
    assert error.report is not None
    assert any(name in error.report.line for name in ("ud2", "brk", "ebreak"))


def test_exit_with_a_handle_that_is_no_image(hostile: tuple[str, bytes]) -> None:
    outcome = crime(hostile, "X")
    assert getattr(outcome, "status", None) == Status.INVALID_PARAMETER


def test_a_program_that_starts_itself_again_and_again(hostile: tuple[str, bytes]) -> None:
    error = crime(hostile, "R")
    assert isinstance(error, BudgetUsedError)
    assert "recursion" in error.message


@pytest.fixture(scope="module", params=ARCHITECTURES)
def criminal(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    """The same for the second program."""
    name: str = request.param
    for program in COMPILERS[name][:2]:
        judge(program, COMPILERS[name][2])
    return name, boot_disk(name, compile_program(name, SOURCE.with_name("crimes.c")))


#: How the runs end, by the letters of the crimes; jumps into the firmware's code (N) end as the code has it.
CRIMES = {
    GuestPointerError: "abcdegsvyIS",
    GuestFaultError: "pOQT",
    BudgetUsedError: "lGH",
    (GuestFaultError, BudgetUsedError): "R",
    (GuestFaultError, Outcome): "N",
}
#: Services that refuse: section 7 for memory, events and images, section 8 for variables.
REFUSED = {
    Status.INVALID_PARAMETER: "fjkmxDJKL",
    Status.UNSUPPORTED: "oE",
    Status.OUT_OF_RESOURCES: "z",
    Status.SUCCESS: "hinqtuABCFMP",
}


@pytest.mark.parametrize(("ending", "letters"), CRIMES.items(), ids=str)
def test_crimes_that_end_the_run(
    criminal: tuple[str, bytes], ending: type[object] | tuple[type[object], ...], letters: str
) -> None:
    for letter in letters:
        end = crime(criminal, letter, Budget(seconds=60, calls=5000))
        assert isinstance(end, ending), (letter, end)
        if isinstance(end, HostError):
            assert end.report is not None
            assert end.report.calls


@pytest.mark.parametrize(("status", "letters"), REFUSED.items(), ids=str)
def test_crimes_that_a_program_survives(criminal: tuple[str, bytes], status: int, letters: str) -> None:
    for letter in letters:
        end = crime(criminal, letter, Budget(seconds=60, calls=20_000))
        assert getattr(end, "status", end) == status, (letter, end)


def test_exit_data_is_as_long_as_its_text(criminal: tuple[str, bytes]) -> None:
    end = crime(criminal, "r")
    assert isinstance(end, Outcome)
    assert (end.status, end.data) == (5, "x")


def test_an_image_takes_its_own_protocol_away(criminal: tuple[str, bytes]) -> None:
    assert isinstance(crime(criminal, "w"), Outcome)


@pytest.fixture(scope="module")
def firmware() -> Iterator[Firmware]:
    """A machine that only loads."""
    with Firmware("amd64", memory=64 << 20) as made:
        yield made


GOOD = pe_image("amd64", b"\xc3")


def load(firmware: Firmware, data: bytes) -> None:
    """Load and unload."""
    image = firmware.images.load(data, END, parent=firmware.handle)
    assert firmware.images.unload_image(image.handle) == Status.SUCCESS


def test_images_that_are_not_for_this_machine(firmware: Firmware) -> None:
    load(firmware, GOOD)
    for data, field in (
        (pe_image("arm64", b"\xc3"), "Machine"),
        (pe_image("amd64", b"\xc3", entry=0), "AddressOfEntryPoint"),
        (pe_image("amd64", b"\xc3", subsystem=Subsystem.WINDOWS_GUI), "Subsystem"),
        (b"ELF" + GOOD[3:], "e_magic"),
    ):
        with pytest.raises(PEError) as caught:
            load(firmware, data)
        assert caught.value.field == field
        assert caught.value.offset is not None
        assert caught.value.expected is not None


def test_damaged_images_raise_format_errors_or_load(firmware: Firmware) -> None:
    before = [(region.start, region.pages, region.type) for region in firmware.map]
    refused = 0
    for data in truncations(GOOD[:0x200], 7):
        with pytest.raises(FormatError):
            load(firmware, data)
    for offset in range(0x188):
        try:
            load(firmware, flipped(GOOD, offset))
        except (FormatError, ServiceError):  # an image of gigabytes is refused for want of memory
            refused += 1
    assert refused > 30
    assert [(region.start, region.pages, region.type) for region in firmware.map] == before
