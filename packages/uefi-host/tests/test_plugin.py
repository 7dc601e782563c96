"""The pytest fixture for people who test EFI programs of their own."""

import pytest

pytest_plugins = ["pytester"]

PROGRAM = """
from cloudboot_uefi_host.programs import standin


def test_stand_in(uefi_host):
    run = uefi_host("{architecture}", standin("{architecture}"), files={{"/boot/loader.conf": b"x"}})
    assert str(run.outcome) == "returned EFI_NOT_FOUND"
    assert run.text.startswith("cloudboot stand-in EFI loader")
    assert run.files() == []
    assert run.variable("SecureBoot").data == bytes(1)


def test_two_machines_at_once(uefi_host):
    runs = [uefi_host("{architecture}", standin("{architecture}"), until="Load Path") for _ in range(2)]
    assert [run.outcome.ending for run in runs] == ["text-seen"] * 2
    assert runs[0].graphics.screenshot() == runs[1].graphics.screenshot()
"""


@pytest.mark.parametrize("architecture", ["amd64", "arm64", "riscv64"])
def test_the_fixture(architecture: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PROGRAM.format(architecture=architecture))
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=2)
