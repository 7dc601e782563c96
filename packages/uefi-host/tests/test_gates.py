"""The chain's gates: the stand-in loader and GRUB pass them, and each gate fails where its claim is false."""

from pathlib import Path

import pytest

import cloudboot_ufs2
from cloudboot_base import MemoryStorage, Storage
from cloudboot_base.gates import Gate, Verdict, run_stages
from cloudboot_base.testing import judge, run
from cloudboot_gpt import partition_types
from cloudboot_uefi_abi.load_option import LoadOption
from cloudboot_uefi_host import Budget, Typed
from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.gates import BootPlan, HostedBoot, stages
from cloudboot_uefi_host.programs import PROGRAMS, program_path, source, standin
from cloudboot_uefi_host.testing import ESP_OFFSET, boot_disk, disk, fat_volume, grub_loader
from cloudboot_ufs2 import UFS2, File
from cloudboot_vfs import FileSystem

ARCHITECTURES = ("amd64", "arm64", "riscv64")
NAMES = [
    "publish-block-io", "connect-controller", "sfs-child", "load-image", "ufs-root", "start-image", "loader-banner",
]  # fmt: skip
BANNER = r"(?P<evidence>cloudboot stand-in EFI loader, Revision [0-9.]+)\n"
FAILED = (r"Failed to find bootable partition",)
CONF = b'autoboot_delay="3"\nvfs.root.mountfrom="ufs:/dev/vtbd0p2"\n'
REMOVABLE = {"amd64": "BOOTX64.EFI", "arm64": "BOOTAA64.EFI", "riscv64": "BOOTRISCV64.EFI"}


@pytest.fixture(scope="module")
def ufs() -> bytes:
    """A UFS2 volume with a loader.conf."""
    volume = bytearray(8 << 20)
    cloudboot_ufs2.build(MemoryStorage(volume), {"boot/loader.conf": File(CONF)})
    return bytes(volume)


def open_ufs(storage: Storage) -> FileSystem:
    """The opener that a probe injects."""
    return UFS2(storage)


def plan(architecture: str, image: bytes, **more: object) -> BootPlan:
    """A plan for the stand-in."""
    settings: dict[str, object] = {
        "loaders": ("/EFI/freebsd/loader.efi", f"/EFI/BOOT/{REMOVABLE[architecture]}"),
        "banner": BANNER,
        "failures": FAILED,
        "root_types": frozenset({partition_types.FREEBSD_UFS}),
        "open_root": open_ufs,
        "budget": Budget(seconds=60),
        **more,
    }
    return BootPlan(architecture, MemoryStorage(image), **settings)  # type: ignore[arg-type]  # a test's keywords


def gates(what: BootPlan) -> list[Gate]:
    """Run all stages."""
    with HostedBoot(what) as boot:
        return list(run_stages(stages(), boot))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_stand_in_reads_its_configuration_from_ufs(architecture: str, ufs: bytes) -> None:
    found = gates(plan(architecture, boot_disk(architecture, standin(architecture), ufs=ufs)))
    assert [gate.name for gate in found] == NAMES
    assert {gate.verdict for gate in found} == {Verdict.PASS}, [gate.error for gate in found if gate.error]
    by_name = {gate.name: gate.evidence for gate in found}
    assert by_name["publish-block-io"]["device_path"] == "VenMedia(C10DDB00-7E1A-4001-91B0-070CB1EC80B1)"
    assert str(by_name["ufs-root"]["device_path"]).endswith(",0x8800,0x4000)")
    assert by_name["start-image"]["files"] == {"/boot/loader.conf": len(CONF)}
    assert by_name["start-image"]["ending"] == "returned EFI_SUCCESS"
    assert by_name["loader-banner"]["printed_by"] == REMOVABLE[architecture]
    console = by_name["loader-banner"]["console"]
    assert isinstance(console, list)
    assert console[-3:] == [*CONF.decode().split(), "OK"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_a_root_the_stand_in_gives_up_as_freebsds_loader_does(architecture: str) -> None:
    found = gates(plan(architecture, boot_disk(architecture, standin(architecture))))
    verdicts = {gate.name: gate.verdict for gate in found}
    assert verdicts.pop("ufs-root") is Verdict.NOT_APPLICABLE
    assert set(verdicts.values()) == {Verdict.PASS}
    assert found[-1].evidence["gave_up"] == ["Failed to find bootable partition"]
    assert found[-1].evidence["ending"] == "returned EFI_NOT_FOUND"


def test_the_boot_variables_name_the_console_and_the_loader_that_is_booted() -> None:
    with HostedBoot(plan("amd64", boot_disk("amd64", standin("amd64")))) as boot:
        list(run_stages(stages(), boot))
        variables, image = boot.firmware.variables, boot.image
        assert image is not None
        order, current = variables.get("BootOrder"), variables.get("BootCurrent")
        assert order is not None
        assert current is not None
        assert (order.attributes, current.attributes) == (7, 6), "section 3.3: BootCurrent is volatile"
        assert order.data == current.data == b"\1\0"
        option = variables.get("Boot0001")
        assert option is not None
        parsed = LoadOption.parse(option.data)
        assert parsed.active
        assert [path.pack() for path in parsed.paths] == [image.path]
        console = variables.get("ConOut")
        assert console is not None
        assert boot.firmware.path_of(boot.firmware.console.handle) == console.data


def test_grub_passes_the_gates_with_keys_typed(ufs: bytes, tmp_path: Path) -> None:
    image = boot_disk("amd64", grub_loader("amd64", tmp_path, "set pager=0\n"), ufs=ufs)
    what = plan(
        "amd64",
        image,
        banner=r"(?P<evidence>GNU GRUB  version \S+)",
        keys=[Typed("grub> $", "cat (hd0,gpt2)/boot/loader.conf\n"), Typed("vtbd0p2[^$]*grub> $", "ls\n")],
        until=r"\(hd0,gpt1\)",
    )
    found = gates(what)
    assert {gate.verdict for gate in found} == {Verdict.PASS}
    assert found[-2].evidence["ending"] == "text-seen"
    assert "vfs.root.mountfrom" in str(found[-1].evidence["console"])


def test_the_gate_that_fails_names_what_is_wrong(ufs: bytes) -> None:
    good = boot_disk("amd64", standin("amd64"), ufs=ufs)
    no_table = bytearray(good)
    no_table[:1024] = bytes(1024)
    no_table[-512:] = bytes(512)
    cases = {
        "sfs-child": plan("amd64", bytes(no_table)),
        "sfs-child ": plan("amd64", disk([(partition_types.ESP, ESP_OFFSET, bytes(1 << 20))])),
        "load-image": plan("amd64", boot_disk("amd64", standin("arm64"))),
        "start-image": plan("amd64", boot_disk("amd64", compiled_nothing())),
        "loader-banner": plan("amd64", good, banner="FreeBSD/amd64 EFI loader"),
    }
    for name, what in cases.items():
        found = gates(what)
        failed = [gate.name for gate in found if gate.verdict is Verdict.FAIL]
        assert failed == [name.strip()]
        assert all(gate.verdict is Verdict.NOT_REACHED for gate in found[NAMES.index(name.strip()) + 1 :])
    missing = gates(plan("amd64", disk([(partition_types.ESP, ESP_OFFSET, fat_volume({"/x": b""}))])))
    assert missing[2].verdict is Verdict.FAIL


def compiled_nothing() -> bytes:
    """A program that returns at once."""
    from cloudboot_uefi_host.compiling import pe_image

    return pe_image("amd64", b"\x31\xc0\xc3")


@pytest.mark.parametrize(
    ("name", "architecture"), [(name, each) for name, architectures in PROGRAMS.items() for each in architectures]
)
def test_the_shipped_programs_are_what_their_sources_give(name: str, architecture: str) -> None:
    compiler, objcopy, package, _ = COMPILERS[architecture]
    judge(objcopy, package)
    version = run(judge(compiler, package), "-dumpversion").strip()
    if version != "12":
        pytest.skip(f"built with gcc 12 of Debian 12; here is {version}")
    assert compile_program(architecture, source(name)) == program_path(name, architecture).read_bytes()
