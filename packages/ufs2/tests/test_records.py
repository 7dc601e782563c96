"""The generated records against their declaration, and against the offsets the headers are known to give."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cloudboot_ufs2.layout.structs as declarations
from cloudboot_records.declaration import construct_of, layouts
from cloudboot_records.generate import generate
from cloudboot_ufs2.layout import records
from cloudboot_ufs2.layout.records import Cg, Fs, Ufs1Dinode, Ufs2Dinode


def test_the_records_are_those_declared() -> None:
    assert Path(records.__file__).read_text(encoding="utf-8") == generate(declarations)


def test_sizes_and_offsets_are_those_of_the_headers() -> None:
    assert (Fs.SIZE, Cg.SIZE, Ufs2Dinode.SIZE, Ufs1Dinode.SIZE) == (1376, 168, 256, 128)
    assert Fs.LAYOUT.offsets["fs_magic"] == 1372
    assert Fs.LAYOUT.offsets["fs_ckhash"] == 1304
    assert (Fs.LAYOUT.offsets["fs_ocsp"], Fs.LAYOUT.offsets["fs_old_cpc"]) == (728, 856)
    assert (Cg.LAYOUT.offsets["cg_magic"], Cg.LAYOUT.offsets["cg_ckhash"]) == (4, 132)
    offsets = Ufs2Dinode.LAYOUT.offsets
    times = [offsets[name] for name in ("di_mtimensec", "di_atimensec", "di_ctimensec", "di_birthnsec")]
    assert times == [64, 68, 72, 76]
    assert (offsets["di_dirdepth"], offsets["di_ckhash"]) == (240, 244)


@pytest.mark.parametrize(
    "name", ["Fs", "Cg", "Ufs2Dinode", "Direct", "Csum", "CsumTotal", "FsRecovery", "Ufs1Dinode", "Extattr"]
)
@given(data=st.data())
def test_construct_and_struct_agree(name: str, data: st.DataObject) -> None:
    layout = layouts(declarations)[name]
    octets = data.draw(st.binary(min_size=layout.size, max_size=layout.size))
    record = getattr(records, name)
    for byteorder in ("little", "big"):
        construct = construct_of(layout, byteorder)
        assert construct.build(construct.parse(octets)) == octets
        assert record.unpack_from(octets, 0, byteorder).pack(byteorder) == octets
