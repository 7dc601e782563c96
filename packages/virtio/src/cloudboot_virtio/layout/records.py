"""The records declared in ``cloudboot_virtio.layout.structs``. Generated: change the declaration, then run
``python -m cloudboot_records cloudboot_virtio.layout.structs``.
"""

# ruff: noqa: E501 -- one field's doc may be longer than a line
from __future__ import annotations

from typing import Any, ClassVar, Self

from cloudboot_base.lightdata import dataclass, field
from cloudboot_records.model import Field, RecordLayout
from cloudboot_records.record import Record, exactly


@dataclass(slots=True, eq=False, repr=False)
class virtq_desc(Record):
    """Descriptor of a split ring. (16 bytes)"""

    #: guest-physical address
    addr: int = 0
    #: bytes
    len: int = 0
    #: NEXT, WRITE, INDIRECT
    flags: int = 0
    #: the next descriptor of the chain, if NEXT is set
    next: int = 0

    def __init__(
        self,
        addr: int = 0,
        len: int = 0,
        flags: int = 0,
        next: int = 0,
    ) -> None:
        self.addr = addr
        self.len = len
        self.flags = flags
        self.next = next

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtq_desc",
        (
            Field("addr", "Q"),
            Field("len", "L"),
            Field("flags", "H"),
            Field("next", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.addr,
            self.len,
            self.flags,
            self.next,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtq_used_elem(Record):
    """Entry of the used ring. (8 bytes)"""

    #: head of the descriptor chain
    id: int = 0
    #: bytes the device wrote into the chain
    len: int = 0

    def __init__(
        self,
        id: int = 0,
        len: int = 0,
    ) -> None:
        self.id = id
        self.len = len

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtq_used_elem",
        (
            Field("id", "L"),
            Field("len", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.id,
            self.len,
        )


@dataclass(slots=True, eq=False, repr=False)
class pvirtq_desc(Record):
    """Descriptor of a packed ring. (16 bytes)"""

    #: guest-physical address
    addr: int = 0
    #: bytes; in a used descriptor: bytes the device wrote
    len: int = 0
    #: buffer id
    id: int = 0
    #: NEXT, WRITE, INDIRECT, AVAIL, USED
    flags: int = 0

    def __init__(
        self,
        addr: int = 0,
        len: int = 0,
        id: int = 0,
        flags: int = 0,
    ) -> None:
        self.addr = addr
        self.len = len
        self.id = id
        self.flags = flags

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "pvirtq_desc",
        (
            Field("addr", "Q"),
            Field("len", "L"),
            Field("id", "H"),
            Field("flags", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.addr,
            self.len,
            self.id,
            self.flags,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_pci_cap(Record):
    """PCI capability that places a virtio structure in a BAR. (16 bytes)"""

    #: 9: vendor specific
    cap_vndr: int = 0
    #: offset of the next capability
    cap_next: int = 0
    #: bytes of this capability
    cap_len: int = 0
    #: which structure it places
    cfg_type: int = 0
    #: 0 to 5
    bar: int = 0
    #: tells several of one type apart
    id: int = 0
    padding: bytes = bytes(2)
    #: bytes into the BAR
    offset: int = 0
    #: bytes
    length: int = 0

    def __init__(
        self,
        cap_vndr: int = 0,
        cap_next: int = 0,
        cap_len: int = 0,
        cfg_type: int = 0,
        bar: int = 0,
        id: int = 0,
        padding: bytes = bytes(2),
        offset: int = 0,
        length: int = 0,
    ) -> None:
        self.cap_vndr = cap_vndr
        self.cap_next = cap_next
        self.cap_len = cap_len
        self.cfg_type = cfg_type
        self.bar = bar
        self.id = id
        self.padding = padding
        self.offset = offset
        self.length = length

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_pci_cap",
        (
            Field("cap_vndr", "B"),
            Field("cap_next", "B"),
            Field("cap_len", "B"),
            Field("cfg_type", "B"),
            Field("bar", "B"),
            Field("id", "B"),
            Field("padding", "s", 2),
            Field("offset", "L"),
            Field("length", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.cap_vndr,
            self.cap_next,
            self.cap_len,
            self.cfg_type,
            self.bar,
            self.id,
            exactly("virtio_pci_cap", "padding", 2, self.padding),
            self.offset,
            self.length,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_pci_common_cfg(Record):
    """Registers of a modern virtio-pci device. (60 bytes)"""

    device_feature_select: int = 0
    device_feature: int = 0
    driver_feature_select: int = 0
    driver_feature: int = 0
    config_msix_vector: int = 0
    num_queues: int = 0
    device_status: int = 0
    config_generation: int = 0
    queue_select: int = 0
    queue_size: int = 0
    queue_msix_vector: int = 0
    queue_enable: int = 0
    queue_notify_off: int = 0
    queue_desc: int = 0
    queue_driver: int = 0
    queue_device: int = 0
    queue_notify_data: int = 0
    queue_reset: int = 0

    def __init__(
        self,
        device_feature_select: int = 0,
        device_feature: int = 0,
        driver_feature_select: int = 0,
        driver_feature: int = 0,
        config_msix_vector: int = 0,
        num_queues: int = 0,
        device_status: int = 0,
        config_generation: int = 0,
        queue_select: int = 0,
        queue_size: int = 0,
        queue_msix_vector: int = 0,
        queue_enable: int = 0,
        queue_notify_off: int = 0,
        queue_desc: int = 0,
        queue_driver: int = 0,
        queue_device: int = 0,
        queue_notify_data: int = 0,
        queue_reset: int = 0,
    ) -> None:
        self.device_feature_select = device_feature_select
        self.device_feature = device_feature
        self.driver_feature_select = driver_feature_select
        self.driver_feature = driver_feature
        self.config_msix_vector = config_msix_vector
        self.num_queues = num_queues
        self.device_status = device_status
        self.config_generation = config_generation
        self.queue_select = queue_select
        self.queue_size = queue_size
        self.queue_msix_vector = queue_msix_vector
        self.queue_enable = queue_enable
        self.queue_notify_off = queue_notify_off
        self.queue_desc = queue_desc
        self.queue_driver = queue_driver
        self.queue_device = queue_device
        self.queue_notify_data = queue_notify_data
        self.queue_reset = queue_reset

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_pci_common_cfg",
        (
            Field("device_feature_select", "L"),
            Field("device_feature", "L"),
            Field("driver_feature_select", "L"),
            Field("driver_feature", "L"),
            Field("config_msix_vector", "H"),
            Field("num_queues", "H"),
            Field("device_status", "B"),
            Field("config_generation", "B"),
            Field("queue_select", "H"),
            Field("queue_size", "H"),
            Field("queue_msix_vector", "H"),
            Field("queue_enable", "H"),
            Field("queue_notify_off", "H"),
            Field("queue_desc", "Q"),
            Field("queue_driver", "Q"),
            Field("queue_device", "Q"),
            Field("queue_notify_data", "H"),
            Field("queue_reset", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 60

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.device_feature_select,
            self.device_feature,
            self.driver_feature_select,
            self.driver_feature,
            self.config_msix_vector,
            self.num_queues,
            self.device_status,
            self.config_generation,
            self.queue_select,
            self.queue_size,
            self.queue_msix_vector,
            self.queue_enable,
            self.queue_notify_off,
            self.queue_desc,
            self.queue_driver,
            self.queue_device,
            self.queue_notify_data,
            self.queue_reset,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_net_hdr(Record):
    """Header in front of every frame. (12 bytes)"""

    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0
    num_buffers: int = 0

    def __init__(
        self,
        flags: int = 0,
        gso_type: int = 0,
        hdr_len: int = 0,
        gso_size: int = 0,
        csum_start: int = 0,
        csum_offset: int = 0,
        num_buffers: int = 0,
    ) -> None:
        self.flags = flags
        self.gso_type = gso_type
        self.hdr_len = hdr_len
        self.gso_size = gso_size
        self.csum_start = csum_start
        self.csum_offset = csum_offset
        self.num_buffers = num_buffers

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_net_hdr",
        (
            Field("flags", "B"),
            Field("gso_type", "B"),
            Field("hdr_len", "H"),
            Field("gso_size", "H"),
            Field("csum_start", "H"),
            Field("csum_offset", "H"),
            Field("num_buffers", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 12

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.flags,
            self.gso_type,
            self.hdr_len,
            self.gso_size,
            self.csum_start,
            self.csum_offset,
            self.num_buffers,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_blk_req(Record):
    """Header of a block request. (16 bytes)"""

    #: IN 0, OUT 1, FLUSH 4, GET_ID 8, DISCARD 11, WRITE_ZEROES 13
    type: int = 0
    reserved: int = 0
    #: in units of 512 bytes, whatever the block size is
    sector: int = 0

    def __init__(
        self,
        type: int = 0,
        reserved: int = 0,
        sector: int = 0,
    ) -> None:
        self.type = type
        self.reserved = reserved
        self.sector = sector

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_blk_req",
        (
            Field("type", "L"),
            Field("reserved", "L"),
            Field("sector", "Q"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.type,
            self.reserved,
            self.sector,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_blk_discard_write_zeroes(Record):
    """A range to discard or to fill with zeros. (16 bytes)"""

    sector: int = 0
    num_sectors: int = 0
    flags: int = 0

    def __init__(
        self,
        sector: int = 0,
        num_sectors: int = 0,
        flags: int = 0,
    ) -> None:
        self.sector = sector
        self.num_sectors = num_sectors
        self.flags = flags

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_blk_discard_write_zeroes",
        (
            Field("sector", "Q"),
            Field("num_sectors", "L"),
            Field("flags", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.sector,
            self.num_sectors,
            self.flags,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_console_control(Record):
    """A message about a port. (8 bytes)"""

    id: int = 0
    event: int = 0
    value: int = 0

    def __init__(
        self,
        id: int = 0,
        event: int = 0,
        value: int = 0,
    ) -> None:
        self.id = id
        self.event = event
        self.value = value

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_console_control",
        (
            Field("id", "L"),
            Field("event", "H"),
            Field("value", "H"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.id,
            self.event,
            self.value,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_ctrl_hdr(Record):
    """Header of every gpu command and response. (24 bytes)"""

    type: int = 0
    #: FENCE 1
    flags: int = 0
    fence_id: int = 0
    ctx_id: int = 0
    ring_idx: int = 0
    padding: bytes = bytes(3)

    def __init__(
        self,
        type: int = 0,
        flags: int = 0,
        fence_id: int = 0,
        ctx_id: int = 0,
        ring_idx: int = 0,
        padding: bytes = bytes(3),
    ) -> None:
        self.type = type
        self.flags = flags
        self.fence_id = fence_id
        self.ctx_id = ctx_id
        self.ring_idx = ring_idx
        self.padding = padding

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_ctrl_hdr",
        (
            Field("type", "L"),
            Field("flags", "L"),
            Field("fence_id", "Q"),
            Field("ctx_id", "L"),
            Field("ring_idx", "B"),
            Field("padding", "s", 3),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.type,
            self.flags,
            self.fence_id,
            self.ctx_id,
            self.ring_idx,
            exactly("virtio_gpu_ctrl_hdr", "padding", 3, self.padding),
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_rect(Record):
    """Pixels. (16 bytes)"""

    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0

    def __init__(
        self,
        x: int = 0,
        y: int = 0,
        width: int = 0,
        height: int = 0,
    ) -> None:
        self.x = x
        self.y = y
        self.width = width
        self.height = height

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_rect",
        (
            Field("x", "L"),
            Field("y", "L"),
            Field("width", "L"),
            Field("height", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.x,
            self.y,
            self.width,
            self.height,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_display_one(Record):
    """One scanout of GET_DISPLAY_INFO. (24 bytes)"""

    #: Pixels.
    r: virtio_gpu_rect = field(default_factory=lambda: virtio_gpu_rect())
    enabled: int = 0
    flags: int = 0

    def __init__(
        self,
        r: virtio_gpu_rect | None = None,
        enabled: int = 0,
        flags: int = 0,
    ) -> None:
        self.r = virtio_gpu_rect() if r is None else r
        self.enabled = enabled
        self.flags = flags

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_display_one",
        (
            Field("r", "", None, virtio_gpu_rect.LAYOUT),
            Field("enabled", "L"),
            Field("flags", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            virtio_gpu_rect._from_values(values[0:4]),
            values[4],
            values[5],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            *self.r._values(),
            self.enabled,
            self.flags,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_get_edid(Record):
    """Request of GET_EDID. (8 bytes)"""

    scanout: int = 0
    padding: int = 0

    def __init__(
        self,
        scanout: int = 0,
        padding: int = 0,
    ) -> None:
        self.scanout = scanout
        self.padding = padding

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_get_edid",
        (
            Field("scanout", "L"),
            Field("padding", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.scanout,
            self.padding,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_resp_edid(Record):
    """Response of GET_EDID, behind the header. (1032 bytes)"""

    size: int = 0
    padding: int = 0
    edid: bytes = bytes(1024)

    def __init__(
        self,
        size: int = 0,
        padding: int = 0,
        edid: bytes = bytes(1024),
    ) -> None:
        self.size = size
        self.padding = padding
        self.edid = edid

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_resp_edid",
        (
            Field("size", "L"),
            Field("padding", "L"),
            Field("edid", "s", 1024),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 1032

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.size,
            self.padding,
            exactly("virtio_gpu_resp_edid", "edid", 1024, self.edid),
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_resource_create_2d(Record):
    """RESOURCE_CREATE_2D, behind the header. (16 bytes)"""

    resource_id: int = 0
    format: int = 0
    width: int = 0
    height: int = 0

    def __init__(
        self,
        resource_id: int = 0,
        format: int = 0,
        width: int = 0,
        height: int = 0,
    ) -> None:
        self.resource_id = resource_id
        self.format = format
        self.width = width
        self.height = height

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_resource_create_2d",
        (
            Field("resource_id", "L"),
            Field("format", "L"),
            Field("width", "L"),
            Field("height", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.resource_id,
            self.format,
            self.width,
            self.height,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_resource_unref(Record):
    """RESOURCE_UNREF and RESOURCE_DETACH_BACKING. (8 bytes)"""

    resource_id: int = 0
    padding: int = 0

    def __init__(
        self,
        resource_id: int = 0,
        padding: int = 0,
    ) -> None:
        self.resource_id = resource_id
        self.padding = padding

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_resource_unref",
        (
            Field("resource_id", "L"),
            Field("padding", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.resource_id,
            self.padding,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_set_scanout(Record):
    """SET_SCANOUT, behind the header. (24 bytes)"""

    #: Pixels.
    r: virtio_gpu_rect = field(default_factory=lambda: virtio_gpu_rect())
    scanout_id: int = 0
    resource_id: int = 0

    def __init__(
        self,
        r: virtio_gpu_rect | None = None,
        scanout_id: int = 0,
        resource_id: int = 0,
    ) -> None:
        self.r = virtio_gpu_rect() if r is None else r
        self.scanout_id = scanout_id
        self.resource_id = resource_id

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_set_scanout",
        (
            Field("r", "", None, virtio_gpu_rect.LAYOUT),
            Field("scanout_id", "L"),
            Field("resource_id", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            virtio_gpu_rect._from_values(values[0:4]),
            values[4],
            values[5],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            *self.r._values(),
            self.scanout_id,
            self.resource_id,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_resource_flush(Record):
    """RESOURCE_FLUSH, behind the header. (24 bytes)"""

    #: Pixels.
    r: virtio_gpu_rect = field(default_factory=lambda: virtio_gpu_rect())
    resource_id: int = 0
    padding: int = 0

    def __init__(
        self,
        r: virtio_gpu_rect | None = None,
        resource_id: int = 0,
        padding: int = 0,
    ) -> None:
        self.r = virtio_gpu_rect() if r is None else r
        self.resource_id = resource_id
        self.padding = padding

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_resource_flush",
        (
            Field("r", "", None, virtio_gpu_rect.LAYOUT),
            Field("resource_id", "L"),
            Field("padding", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            virtio_gpu_rect._from_values(values[0:4]),
            values[4],
            values[5],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            *self.r._values(),
            self.resource_id,
            self.padding,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_transfer_to_host_2d(Record):
    """TRANSFER_TO_HOST_2D, behind the header. (32 bytes)"""

    #: Pixels.
    r: virtio_gpu_rect = field(default_factory=lambda: virtio_gpu_rect())
    offset: int = 0
    resource_id: int = 0
    padding: int = 0

    def __init__(
        self,
        r: virtio_gpu_rect | None = None,
        offset: int = 0,
        resource_id: int = 0,
        padding: int = 0,
    ) -> None:
        self.r = virtio_gpu_rect() if r is None else r
        self.offset = offset
        self.resource_id = resource_id
        self.padding = padding

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_transfer_to_host_2d",
        (
            Field("r", "", None, virtio_gpu_rect.LAYOUT),
            Field("offset", "Q"),
            Field("resource_id", "L"),
            Field("padding", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            virtio_gpu_rect._from_values(values[0:4]),
            values[4],
            values[5],
            values[6],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            *self.r._values(),
            self.offset,
            self.resource_id,
            self.padding,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_resource_attach_backing(Record):
    """RESOURCE_ATTACH_BACKING; memory entries follow. (8 bytes)"""

    resource_id: int = 0
    nr_entries: int = 0

    def __init__(
        self,
        resource_id: int = 0,
        nr_entries: int = 0,
    ) -> None:
        self.resource_id = resource_id
        self.nr_entries = nr_entries

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_resource_attach_backing",
        (
            Field("resource_id", "L"),
            Field("nr_entries", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.resource_id,
            self.nr_entries,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_gpu_mem_entry(Record):
    """Guest memory that backs a resource. (16 bytes)"""

    addr: int = 0
    length: int = 0
    padding: int = 0

    def __init__(
        self,
        addr: int = 0,
        length: int = 0,
        padding: int = 0,
    ) -> None:
        self.addr = addr
        self.length = length
        self.padding = padding

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_gpu_mem_entry",
        (
            Field("addr", "Q"),
            Field("length", "L"),
            Field("padding", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.addr,
            self.length,
            self.padding,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_input_event(Record):
    """An evdev event. (8 bytes)"""

    type: int = 0
    code: int = 0
    value: int = 0

    def __init__(
        self,
        type: int = 0,
        code: int = 0,
        value: int = 0,
    ) -> None:
        self.type = type
        self.code = code
        self.value = value

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_input_event",
        (
            Field("type", "H"),
            Field("code", "H"),
            Field("value", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.type,
            self.code,
            self.value,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_snd_query_info(Record):
    """Asks for item information. (16 bytes)"""

    code: int = 0
    start_id: int = 0
    count: int = 0
    size: int = 0

    def __init__(
        self,
        code: int = 0,
        start_id: int = 0,
        count: int = 0,
        size: int = 0,
    ) -> None:
        self.code = code
        self.start_id = start_id
        self.count = count
        self.size = size

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_snd_query_info",
        (
            Field("code", "L"),
            Field("start_id", "L"),
            Field("count", "L"),
            Field("size", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.code,
            self.start_id,
            self.count,
            self.size,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_snd_pcm_info(Record):
    """What a PCM stream can do. (32 bytes)"""

    hda_fn_nid: int = 0
    features: int = 0
    formats: int = 0
    rates: int = 0
    #: OUTPUT 0, INPUT 1
    direction: int = 0
    channels_min: int = 0
    channels_max: int = 0
    padding: tuple[int, ...] = (0,) * 5

    def __init__(
        self,
        hda_fn_nid: int = 0,
        features: int = 0,
        formats: int = 0,
        rates: int = 0,
        direction: int = 0,
        channels_min: int = 0,
        channels_max: int = 0,
        padding: tuple[int, ...] = (0,) * 5,
    ) -> None:
        self.hda_fn_nid = hda_fn_nid
        self.features = features
        self.formats = formats
        self.rates = rates
        self.direction = direction
        self.channels_min = channels_min
        self.channels_max = channels_max
        self.padding = padding

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_snd_pcm_info",
        (
            Field("hda_fn_nid", "L"),
            Field("features", "L"),
            Field("formats", "Q"),
            Field("rates", "Q"),
            Field("direction", "B"),
            Field("channels_min", "B"),
            Field("channels_max", "B"),
            Field("padding", "B", 5),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 32

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
            values[6],
            values[7:12],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.hda_fn_nid,
            self.features,
            self.formats,
            self.rates,
            self.direction,
            self.channels_min,
            self.channels_max,
            *exactly("virtio_snd_pcm_info", "padding", 5, self.padding),
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_snd_pcm_hdr(Record):
    """A command to a stream. (8 bytes)"""

    code: int = 0
    stream_id: int = 0

    def __init__(
        self,
        code: int = 0,
        stream_id: int = 0,
    ) -> None:
        self.code = code
        self.stream_id = stream_id

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_snd_pcm_hdr",
        (
            Field("code", "L"),
            Field("stream_id", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.code,
            self.stream_id,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_snd_pcm_set_params(Record):
    """SET_PARAMS. (24 bytes)"""

    code: int = 0
    stream_id: int = 0
    buffer_bytes: int = 0
    period_bytes: int = 0
    features: int = 0
    channels: int = 0
    format: int = 0
    rate: int = 0
    padding: int = 0

    def __init__(
        self,
        code: int = 0,
        stream_id: int = 0,
        buffer_bytes: int = 0,
        period_bytes: int = 0,
        features: int = 0,
        channels: int = 0,
        format: int = 0,
        rate: int = 0,
        padding: int = 0,
    ) -> None:
        self.code = code
        self.stream_id = stream_id
        self.buffer_bytes = buffer_bytes
        self.period_bytes = period_bytes
        self.features = features
        self.channels = channels
        self.format = format
        self.rate = rate
        self.padding = padding

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_snd_pcm_set_params",
        (
            Field("code", "L"),
            Field("stream_id", "L"),
            Field("buffer_bytes", "L"),
            Field("period_bytes", "L"),
            Field("features", "L"),
            Field("channels", "B"),
            Field("format", "B"),
            Field("rate", "B"),
            Field("padding", "B"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 24

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.code,
            self.stream_id,
            self.buffer_bytes,
            self.period_bytes,
            self.features,
            self.channels,
            self.format,
            self.rate,
            self.padding,
        )


@dataclass(slots=True, eq=False, repr=False)
class virtio_snd_pcm_status(Record):
    """What comes back with a buffer of samples. (8 bytes)"""

    status: int = 0
    latency_bytes: int = 0

    def __init__(
        self,
        status: int = 0,
        latency_bytes: int = 0,
    ) -> None:
        self.status = status
        self.latency_bytes = latency_bytes

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "virtio_snd_pcm_status",
        (
            Field("status", "L"),
            Field("latency_bytes", "L"),
        ),
        "little",
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.status,
            self.latency_bytes,
        )
