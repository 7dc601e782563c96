"""The structures of virtio 1.2 (OASIS, Committee Specification 01), under the specification's own names.

Section numbers are cited per structure. All integers are little-endian.
"""

from construct import Array, Bytes, Int8ul, Int16ul, Int32ul, Int64ul, Struct

#: 2.7.5 "The Virtqueue Descriptor Table"; also an entry of an indirect table (2.7.5.3).
virtq_desc = (
    Struct(
        "addr" / Int64ul * "guest-physical address",
        "len" / Int32ul * "bytes",
        "flags" / Int16ul * "NEXT, WRITE, INDIRECT",
        "next" / Int16ul * "the next descriptor of the chain, if NEXT is set",
    )
    * "Descriptor of a split ring."
)

#: 2.7.8 "The Virtqueue Used Ring".
virtq_used_elem = (
    Struct(
        "id" / Int32ul * "head of the descriptor chain",
        "len" / Int32ul * "bytes the device wrote into the chain",
    )
    * "Entry of the used ring."
)

#: 2.8.13 "The Virtqueue Descriptor Ring".
pvirtq_desc = (
    Struct(
        "addr" / Int64ul * "guest-physical address",
        "len" / Int32ul * "bytes; in a used descriptor: bytes the device wrote",
        "id" / Int16ul * "buffer id",
        "flags" / Int16ul * "NEXT, WRITE, INDIRECT, AVAIL, USED",
    )
    * "Descriptor of a packed ring."
)

#: 4.1.4 "Virtio Structure PCI Capabilities".
virtio_pci_cap = (
    Struct(
        "cap_vndr" / Int8ul * "9: vendor specific",
        "cap_next" / Int8ul * "offset of the next capability",
        "cap_len" / Int8ul * "bytes of this capability",
        "cfg_type" / Int8ul * "which structure it places",
        "bar" / Int8ul * "0 to 5",
        "id" / Int8ul * "tells several of one type apart",
        "padding" / Bytes(2),
        "offset" / Int32ul * "bytes into the BAR",
        "length" / Int32ul * "bytes",
    )
    * "PCI capability that places a virtio structure in a BAR."
)

#: 4.1.4.3 "Common configuration structure layout".
virtio_pci_common_cfg = (
    Struct(
        "device_feature_select" / Int32ul,
        "device_feature" / Int32ul,
        "driver_feature_select" / Int32ul,
        "driver_feature" / Int32ul,
        "config_msix_vector" / Int16ul,
        "num_queues" / Int16ul,
        "device_status" / Int8ul,
        "config_generation" / Int8ul,
        "queue_select" / Int16ul,
        "queue_size" / Int16ul,
        "queue_msix_vector" / Int16ul,
        "queue_enable" / Int16ul,
        "queue_notify_off" / Int16ul,
        "queue_desc" / Int64ul,
        "queue_driver" / Int64ul,
        "queue_device" / Int64ul,
        "queue_notify_data" / Int16ul,
        "queue_reset" / Int16ul,
    )
    * "Registers of a modern virtio-pci device."
)

#: 5.1.6 "Device Operation".
virtio_net_hdr = (
    Struct(
        "flags" / Int8ul,
        "gso_type" / Int8ul,
        "hdr_len" / Int16ul,
        "gso_size" / Int16ul,
        "csum_start" / Int16ul,
        "csum_offset" / Int16ul,
        "num_buffers" / Int16ul,
    )
    * "Header in front of every frame."
)

#: 5.2.6 "Device Operation".
virtio_blk_req = (
    Struct(
        "type" / Int32ul * "IN 0, OUT 1, FLUSH 4, GET_ID 8, DISCARD 11, WRITE_ZEROES 13",
        "reserved" / Int32ul,
        "sector" / Int64ul * "in units of 512 bytes, whatever the block size is",
    )
    * "Header of a block request."
)

#: 5.2.6 "Device Operation".
virtio_blk_discard_write_zeroes = (
    Struct("sector" / Int64ul, "num_sectors" / Int32ul, "flags" / Int32ul) * "A range to discard or to fill with zeros."
)

#: 5.3.6.2 "Multiport Device Operation".
virtio_console_control = Struct("id" / Int32ul, "event" / Int16ul, "value" / Int16ul) * "A message about a port."

#: 5.7.6.7 "Device Operation: Request header".
virtio_gpu_ctrl_hdr = (
    Struct(
        "type" / Int32ul,
        "flags" / Int32ul * "FENCE 1",
        "fence_id" / Int64ul,
        "ctx_id" / Int32ul,
        "ring_idx" / Int8ul,
        "padding" / Bytes(3),
    )
    * "Header of every gpu command and response."
)

virtio_gpu_rect = Struct("x" / Int32ul, "y" / Int32ul, "width" / Int32ul, "height" / Int32ul) * "Pixels."

#: 5.7.6.8 "Device Operation: controlq".
virtio_gpu_display_one = (
    Struct("r" / virtio_gpu_rect, "enabled" / Int32ul, "flags" / Int32ul) * "One scanout of GET_DISPLAY_INFO."
)
virtio_gpu_get_edid = Struct("scanout" / Int32ul, "padding" / Int32ul) * "Request of GET_EDID."
virtio_gpu_resp_edid = (
    Struct("size" / Int32ul, "padding" / Int32ul, "edid" / Bytes(1024)) * "Response of GET_EDID, behind the header."
)
virtio_gpu_resource_create_2d = (
    Struct("resource_id" / Int32ul, "format" / Int32ul, "width" / Int32ul, "height" / Int32ul)
    * "RESOURCE_CREATE_2D, behind the header."
)
virtio_gpu_resource_unref = (
    Struct("resource_id" / Int32ul, "padding" / Int32ul) * "RESOURCE_UNREF and RESOURCE_DETACH_BACKING."
)
virtio_gpu_set_scanout = (
    Struct("r" / virtio_gpu_rect, "scanout_id" / Int32ul, "resource_id" / Int32ul) * "SET_SCANOUT, behind the header."
)
virtio_gpu_resource_flush = (
    Struct("r" / virtio_gpu_rect, "resource_id" / Int32ul, "padding" / Int32ul) * "RESOURCE_FLUSH, behind the header."
)
virtio_gpu_transfer_to_host_2d = (
    Struct("r" / virtio_gpu_rect, "offset" / Int64ul, "resource_id" / Int32ul, "padding" / Int32ul)
    * "TRANSFER_TO_HOST_2D, behind the header."
)
virtio_gpu_resource_attach_backing = (
    Struct("resource_id" / Int32ul, "nr_entries" / Int32ul) * "RESOURCE_ATTACH_BACKING; memory entries follow."
)
virtio_gpu_mem_entry = (
    Struct("addr" / Int64ul, "length" / Int32ul, "padding" / Int32ul) * "Guest memory that backs a resource."
)

#: 5.8.6 "Device Operation" (input).
virtio_input_event = Struct("type" / Int16ul, "code" / Int16ul, "value" / Int32ul) * "An evdev event."

#: 5.14.6.6 "PCM Control Messages".
virtio_snd_query_info = (
    Struct("code" / Int32ul, "start_id" / Int32ul, "count" / Int32ul, "size" / Int32ul) * "Asks for item information."
)
virtio_snd_pcm_info = (
    Struct(
        "hda_fn_nid" / Int32ul,
        "features" / Int32ul,
        "formats" / Int64ul,
        "rates" / Int64ul,
        "direction" / Int8ul * "OUTPUT 0, INPUT 1",
        "channels_min" / Int8ul,
        "channels_max" / Int8ul,
        "padding" / Array(5, Int8ul),
    )
    * "What a PCM stream can do."
)
virtio_snd_pcm_hdr = Struct("code" / Int32ul, "stream_id" / Int32ul) * "A command to a stream."
virtio_snd_pcm_set_params = (
    Struct(
        "code" / Int32ul,
        "stream_id" / Int32ul,
        "buffer_bytes" / Int32ul,
        "period_bytes" / Int32ul,
        "features" / Int32ul,
        "channels" / Int8ul,
        "format" / Int8ul,
        "rate" / Int8ul,
        "padding" / Int8ul,
    )
    * "SET_PARAMS."
)
virtio_snd_pcm_status = (
    Struct("status" / Int32ul, "latency_bytes" / Int32ul) * "What comes back with a buffer of samples."
)
