"""The page of offsets is the generated one."""

from __future__ import annotations

from pathlib import Path

from cloudboot_uefi_abi.offsets import STRUCTURES, offsets_page


def test_the_page_is_current() -> None:
    page = (Path(__file__).parents[1] / "OFFSETS.md").read_text(encoding="utf-8")
    assert page == offsets_page(), "renew it: python -m cloudboot_uefi_abi.offsets > OFFSETS.md"
    assert "| 264 | `EFI_STATUS ConnectController(EFI_HANDLE ControllerHandle, " in page
    assert "| 24 | 8 | `LastBlock` |" in page
    assert all(f"\n## {name}\n" in page for name in STRUCTURES)
