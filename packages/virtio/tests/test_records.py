"""The structures against their declaration, and against the kernel's headers, compiled."""

from __future__ import annotations

from pathlib import Path

import cloudboot_virtio.layout.structs as declarations
from cloudboot_base.testing import judge, run
from cloudboot_records.generate import generate
from cloudboot_virtio.layout import records

# Ours -> the kernel's, where it has another name. Nested structures are compared as one field.
HEADERS = ["virtio_ring", "virtio_pci", "virtio_blk", "virtio_gpu", "virtio_snd", "virtio_input", "virtio_console"]
STRUCTURES: dict[str, tuple[str, int]] = {
    "virtq_desc": ("struct vring_desc", 0),
    "virtq_used_elem": ("struct vring_used_elem", 0),
    "pvirtq_desc": ("struct vring_packed_desc", 0),
    "virtio_pci_cap": ("struct virtio_pci_cap", 0),
    "virtio_gpu_ctrl_hdr": ("struct virtio_gpu_ctrl_hdr", 0),
    "virtio_gpu_display_one": ("struct virtio_gpu_display_one", 0),
    "virtio_gpu_mem_entry": ("struct virtio_gpu_mem_entry", 0),
    "virtio_blk_discard_write_zeroes": ("struct virtio_blk_discard_write_zeroes", 0),
    "virtio_console_control": ("struct virtio_console_control", 0),
    "virtio_input_event": ("struct virtio_input_event", 0),
    "virtio_snd_pcm_status": ("struct virtio_snd_pcm_status", 0),
    # The kernel puts the header into these; ours begin behind it.
    "virtio_gpu_get_edid": ("struct virtio_gpu_cmd_get_edid", 24),
    "virtio_gpu_resp_edid": ("struct virtio_gpu_resp_edid", 24),
    "virtio_gpu_resource_create_2d": ("struct virtio_gpu_resource_create_2d", 24),
    "virtio_gpu_resource_unref": ("struct virtio_gpu_resource_unref", 24),
    "virtio_gpu_set_scanout": ("struct virtio_gpu_set_scanout", 24),
    "virtio_gpu_resource_flush": ("struct virtio_gpu_resource_flush", 24),
    "virtio_gpu_transfer_to_host_2d": ("struct virtio_gpu_transfer_to_host_2d", 24),
    "virtio_gpu_resource_attach_backing": ("struct virtio_gpu_resource_attach_backing", 24),
}
SAME_SIZE = {
    "virtio_blk_req": "struct virtio_blk_outhdr",
    "virtio_pci_common_cfg": "struct virtio_pci_modern_common_cfg",
    "virtio_snd_query_info": "struct virtio_snd_query_info",
    "virtio_snd_pcm_info": "struct virtio_snd_pcm_info",
    "virtio_snd_pcm_hdr": "struct virtio_snd_pcm_hdr",
    "virtio_snd_pcm_set_params": "struct virtio_snd_pcm_set_params",
}


def test_the_records_are_those_declared() -> None:
    assert Path(records.__file__).read_text(encoding="utf-8") == generate(declarations)


def test_offsets_are_those_of_the_kernels_headers(tmp_path: Path) -> None:
    compiler = judge("gcc", "gcc")
    lines = ["#include <stdio.h>", "#include <stddef.h>", *(f"#include <linux/{name}.h>" for name in HEADERS)]
    lines.append("int main(void) {")
    expected = []
    for ours, (theirs, behind) in STRUCTURES.items():
        layout = getattr(records, ours).LAYOUT
        lines.append(f'printf("{ours} %zu\\n", sizeof({theirs}) - {behind});')
        expected.append(f"{ours} {getattr(records, ours).SIZE}")
        for field, offset in layout.offsets.items():
            if ours == "virtio_gpu_resp_edid" and field == "edid":
                continue  # the last field, compared by the size
            name = {"le32 flags": "flags"}.get(field, field)
            lines.append(f'printf("{ours}.{field} %zu\\n", offsetof({theirs}, {name}) - {behind});')
            expected.append(f"{ours}.{field} {offset}")
    for ours, theirs in SAME_SIZE.items():
        if ours == "virtio_pci_common_cfg":
            lines.append(f'printf("{ours} %zu\\n", sizeof(struct virtio_pci_common_cfg));')
            expected.append(f"{ours} {getattr(records, ours).LAYOUT.offsets['queue_notify_data']}")
            continue
        lines.append(f'printf("{ours} %zu\\n", sizeof({theirs}));')
        expected.append(f"{ours} {getattr(records, ours).SIZE}")
    lines.append("return 0; }")
    (tmp_path / "offsets.c").write_text("\n".join(lines))
    run(compiler, "-o", tmp_path / "offsets", tmp_path / "offsets.c")
    assert run(tmp_path / "offsets").splitlines() == expected
