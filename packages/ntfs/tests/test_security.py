"""Security descriptors and SDDL, against descriptors that others wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_ntfs.errors import DescriptorError
from cloudboot_ntfs.security import from_sddl, sid_bytes, sid_text, to_sddl


@pytest.mark.parametrize(
    "text",
    [
        "O:BAG:SYD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)",
        "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:BAD:PAI(A;OICIIO;GA;;;CO)(A;;0x1301bf;;;AU)",
        "D:NO_ACCESS_CONTROL",
        "D:",
        "O:SYS:(AU;SAFA;FA;;;WD)",
        "D:(OA;;0x100;ab721a53-1e2f-11d0-9819-00aa0040529b;;PS)",
        "D:(XA;;FX;;;WD;#61727478)",
        "S:(ML;;0x1;;;LW)",
    ],
)
def test_text_goes_round(text: str) -> None:
    assert to_sddl(from_sddl(text)) == text


def test_bytes_of_the_default_of_a_hive() -> None:
    # MS-DTYP 2.4.6: revision, control SE_SELF_RELATIVE | SE_DACL_PRESENT, offsets of owner, group, SACL, DACL.
    data = from_sddl("O:BAG:SYD:(A;;KA;;;SY)")
    assert data.hex() == (
        "01000480" "14000000" "24000000" "00000000" "30000000"
        "01020000000000052000000020020000" "010100000000000512000000"
        "02001c0001000000" "000014003f000f00010100000000000512000000"
    )  # fmt: skip


def test_sids() -> None:
    assert sid_bytes("SY").hex() == "010100000000000512000000"
    assert sid_text(sid_bytes("S-1-5-32-544")) == ("S-1-5-32-544", 16)
    assert sid_text(sid_bytes("S-1-0x1ffffffff-7"))[0] == "S-1-0x1ffffffff-7"


@pytest.mark.parametrize(
    "text", ["", "X:", "O:XX", "D:(A;;FA;;;SY", "D:(Q;;FA;;;SY)", "D:(A;;ZZ;;;SY)", "D:(A;;;;;)", "O:SYO:SY"]
)
def test_text_at_fault(text: str) -> None:
    if not text:
        assert to_sddl(from_sddl(text)) == ""
        return
    with pytest.raises(DescriptorError):
        from_sddl(text)


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    try:
        text = to_sddl(data)
    except DescriptorError:
        return
    assert to_sddl(from_sddl(text)) == text
