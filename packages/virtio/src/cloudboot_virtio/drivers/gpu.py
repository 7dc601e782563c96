"""The graphics device, 2D (5.7): scanouts, EDID, resources, transfer and flush, fences."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_virtio.errors import CommandError, DeviceBrokenError, DmaMemoryError
from cloudboot_virtio.layout.constants import DeviceId, Feature
from cloudboot_virtio.layout.records import (
    virtio_gpu_ctrl_hdr,
    virtio_gpu_display_one,
    virtio_gpu_get_edid,
    virtio_gpu_mem_entry,
    virtio_gpu_resource_attach_backing,
    virtio_gpu_resource_create_2d,
    virtio_gpu_resource_flush,
    virtio_gpu_resource_unref,
    virtio_gpu_set_scanout,
    virtio_gpu_transfer_to_host_2d,
)

from .base import Driver, Requests

if TYPE_CHECKING:
    from cloudboot_virtio.memory import Region
    from cloudboot_virtio.ring import Chain, Completion, InFlight

_GET_DISPLAY_INFO, _CREATE_2D, _UNREF, _SET_SCANOUT, _FLUSH = 0x100, 0x101, 0x102, 0x103, 0x104
_TRANSFER, _ATTACH, _DETACH, _GET_EDID = 0x105, 0x106, 0x107, 0x10A
_NAMES: Final = {
    _GET_DISPLAY_INFO: "GET_DISPLAY_INFO",
    _CREATE_2D: "RESOURCE_CREATE_2D",
    _UNREF: "RESOURCE_UNREF",
    _SET_SCANOUT: "SET_SCANOUT",
    _FLUSH: "RESOURCE_FLUSH",
    _TRANSFER: "TRANSFER_TO_HOST_2D",
    _ATTACH: "RESOURCE_ATTACH_BACKING",
    _DETACH: "RESOURCE_DETACH_BACKING",
    _GET_EDID: "GET_EDID",
}
_OK: Final = range(0x1100, 0x1200)
_ERRORS: Final = {
    0x1200: "unspecified",
    0x1201: "out of memory",
    0x1202: "invalid scanout id",
    0x1203: "invalid resource id",
    0x1204: "invalid context id",
    0x1205: "invalid parameter",
}
_FLAG_FENCE: Final = 1
_F_EDID: Final = 1 << 1
_SCANOUTS: Final = 16
_HEADER = virtio_gpu_ctrl_hdr.LAYOUT.struct("little")
_ANSWER = struct.Struct("<IIQ")
_TRANSFER_BODY = virtio_gpu_transfer_to_host_2d.LAYOUT.struct("little")
_FLUSH_BODY = virtio_gpu_resource_flush.LAYOUT.struct("little")
_REQUEST_BYTES: Final = 96
_ANSWER_BYTES: Final = 1088  # an EDID is the largest
_PAD: Final = bytes(3)
_NO_FENCE: Final = 0

FORMATS: Final = {"bgra": 1, "bgrx": 2, "argb": 3, "xrgb": 4, "rgba": 67, "xbgr": 68, "abgr": 121, "rgbx": 134}
"""Pixel formats (5.7.6.8) by the order of their bytes in memory, four a pixel; x bytes are ignored."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A scanout as the display wants it, in pixels."""

    scanout: int
    width: int
    height: int
    enabled: bool


@dataclass(frozen=True, slots=True)
class Framebuffer:
    """A resource with its guest memory: ``pixels`` has ``width * height`` pixels of four bytes, rows from the top."""

    resource: int
    width: int
    height: int
    region: Region

    @property
    def pixels(self) -> memoryview:
        """The memory; the device reads it with each transfer."""
        return self.region.view


class GpuDriver(Driver):
    """Draws. Up to :attr:`SLOTS` commands are in flight, each with memory of its own.

    ``commands`` counts answers, ``config_changes`` looks of :meth:`resized` that found a changed display.
    """

    DEVICE = DeviceId.GPU
    FEATURES = _F_EDID
    SLOTS: Final = 16

    def _set_up(self) -> None:
        queue = self._queue(0)
        self.cursor_queue = self._queue(1)
        self.control = Requests(queue, self._answered)
        indirect = bool(self.features & Feature.INDIRECT_DESC)
        count = max(1, min(self.SLOTS, queue.size if indirect else queue.size // 2))
        self._commands = self._pool(count, [_REQUEST_BYTES], [_ANSWER_BYTES])
        self._expected: dict[Chain, tuple[int, int, bool]] = {}  # command, fence, whether its answer is kept
        self._answers: dict[InFlight, bytes] = {}
        self._failed: CommandError | DeviceBrokenError | None = None
        self._fence = 0
        self._next_resource = 1
        self._framebuffers: dict[int, Framebuffer] = {}
        self.commands = 0
        _, _, scanouts, _ = struct.unpack("<4I", self.transport.read_config(0, 16))
        self.scanouts = min(scanouts, _SCANOUTS)

    def _begin(
        self, command: int, body: bytes, answer: int = 0, *, fenced: bool = False, keep: bool = False
    ) -> InFlight:
        while (chain := self._commands.take()) is None:
            self.control.queue.kick()
            self.control.wait_one(self.timeout)
        fence = _NO_FENCE
        if fenced:
            self._fence += 1
            fence = self._fence
        view = chain.readable()
        _HEADER.pack_into(view, 0, command, _FLAG_FENCE if fenced else 0, fence, 0, 0, _PAD)
        size = _HEADER.size + len(body)
        view[_HEADER.size : size] = body
        _ANSWER.pack_into(chain.writable(), 0, 0, 0, 0)
        chain.fit((size,), (_HEADER.size + answer,))
        self._expected[chain] = (command, fence, keep)
        return self.control.submit(chain, self.timeout)

    def _answered(self, completion: Completion) -> None:
        chain = completion.chain
        command, fence, keep = self._expected.pop(chain)
        answer = chain.writable()
        code, flags, answered_fence = _ANSWER.unpack_from(answer)
        self.commands += 1
        if completion.written < _HEADER.size:
            self._failed = DeviceBrokenError(
                f"the answer to {_NAMES[command]} is short",
                structure="virtio_gpu_ctrl_hdr",
                expected=_HEADER.size,
                actual=completion.written,
            )
        elif code not in _OK:
            self._failed = CommandError(_NAMES[command], code, _ERRORS.get(code))
        elif fence and (not flags & _FLAG_FENCE or answered_fence != fence):
            self._failed = DeviceBrokenError(
                f"the answer to {_NAMES[command]} has another fence",
                structure="virtio_gpu_ctrl_hdr",
                field="fence_id",
                expected=fence,
                actual=answered_fence,
            )
        elif keep:
            self._answers[completion.ticket] = bytes(answer[_HEADER.size : completion.written])
        self._commands.give(chain)

    def _raise_failure(self) -> None:
        if self._failed is not None:
            failure, self._failed = self._failed, None
            raise failure

    def finish(self) -> None:
        """Wait until the device has executed everything.

        Raises:
            CommandError: it refused a command since the last call.
            DeviceBrokenError: an answer is short, or carries another fence.
            CompletionTimeoutError: an answer does not come; its command stays the device's.
        """
        self.control.queue.kick()
        self.control.drain(self.timeout)
        self._raise_failure()

    def _call(self, command: int, body: bytes, answer: int = 0) -> bytes:
        ticket = self._begin(command, body, answer, keep=True)
        self.control.queue.kick()
        self.control.wait_for(ticket, self.timeout)
        self._raise_failure()
        data = self._answers.pop(ticket)
        if len(data) < answer:
            raise DeviceBrokenError(
                f"the answer to {_NAMES[command]} is short",
                structure=_NAMES[command],
                expected=answer,
                actual=len(data),
            )
        return data

    def modes(self) -> list[Mode]:
        """What the display wants of each scanout."""
        size = virtio_gpu_display_one.SIZE
        data = self._call(_GET_DISPLAY_INFO, b"", _SCANOUTS * size)
        records = (virtio_gpu_display_one.unpack_from(data, index * size) for index in range(self.scanouts))
        return [Mode(index, r.r.width, r.r.height, bool(r.enabled)) for index, r in enumerate(records)]

    def edid(self, scanout: int = 0) -> bytes:
        """The display's EDID.

        Raises:
            CommandError: the device has none.
        """
        if not self.features & _F_EDID:
            raise CommandError("GET_EDID", 0x1200, "the feature EDID was not negotiated")
        data = self._call(_GET_EDID, virtio_gpu_get_edid(scanout=scanout).pack(), 8 + 1024)
        return data[8 : 8 + min(struct.unpack_from("<I", data)[0], 1024)]

    def resized(self) -> bool:
        """Whether the display changed since the last look (events_read bit 0, 5.7.4)."""
        (events,) = struct.unpack("<I", self.transport.read_config(0, 4))
        if not events & 1:
            return False
        self.transport.write_config(4, struct.pack("<I", 1))
        return True

    def create(self, width: int, height: int, format: str = "bgrx") -> Framebuffer:  # noqa: A002 - the field's name
        """A resource with zeroed memory of its own.

        Raises:
            CommandError: the device refuses the size.
            DmaMemoryError: there is no room.
            ValueError: unknown format, or no pixel.
        """
        if format not in FORMATS:
            raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
        if width < 1 or height < 1:
            raise ValueError(f"a resource has at least one pixel, not {width}x{height}")
        resource = self._next_resource
        body = virtio_gpu_resource_create_2d(resource_id=resource, format=FORMATS[format], width=width, height=height)
        self._call(_CREATE_2D, body.pack())
        self._next_resource += 1
        try:
            region = self.transport.memory.allocate(4 * width * height)
        except DmaMemoryError:
            self._call(_UNREF, virtio_gpu_resource_unref(resource_id=resource).pack())
            raise
        framebuffer = Framebuffer(resource, width, height, region)
        self._framebuffers[resource] = framebuffer
        attach = virtio_gpu_resource_attach_backing(resource_id=resource, nr_entries=1).pack()
        self._call(_ATTACH, attach + virtio_gpu_mem_entry(addr=region.address, length=region.size).pack())
        return framebuffer

    def destroy(self, framebuffer: Framebuffer) -> None:
        """Detach the memory, remove the resource and free the memory."""
        body = virtio_gpu_resource_unref(resource_id=framebuffer.resource).pack()
        self._call(_DETACH, body)
        self._call(_UNREF, body)
        del self._framebuffers[framebuffer.resource]
        self.transport.memory.free(framebuffer.region)

    def set_scanout(self, framebuffer: Framebuffer | None, scanout: int = 0) -> None:
        """Show a resource on a scanout, or switch the scanout off."""
        body = virtio_gpu_set_scanout(scanout_id=scanout, resource_id=0)
        if framebuffer is not None:
            body.resource_id = framebuffer.resource
            body.r.width, body.r.height = framebuffer.width, framebuffer.height
        self._call(_SET_SCANOUT, body.pack())

    def start_flush(
        self, fb: Framebuffer, x: int, y: int, width: int, height: int, *, fenced: bool = False
    ) -> InFlight:
        """Transfer and flush a rectangle; the device executes commands in order. :meth:`finish` waits for them.

        Nothing is submitted to the device before the next :meth:`kick` or :meth:`finish`, unless the queue is full. The
        ticket is that of the flush.

        Raises:
            ValueError: the rectangle is not within the frame buffer.
        """
        if not (x >= 0 and y >= 0 and 0 < width <= fb.width - x and 0 < height <= fb.height - y):
            raise ValueError(f"{width}x{height} at {x},{y} is not within {fb.width}x{fb.height}")
        offset = 4 * (y * fb.width + x)
        self._begin(_TRANSFER, _TRANSFER_BODY.pack(x, y, width, height, offset, fb.resource, 0))
        return self._begin(_FLUSH, _FLUSH_BODY.pack(x, y, width, height, fb.resource, 0), fenced=fenced)

    def kick(self) -> None:
        """Let the device see what was started."""
        self.control.queue.kick()

    def flush(self, fb: Framebuffer, x: int, y: int, width: int, height: int) -> None:
        """Transfer and flush a rectangle, and wait for the fence of the flush.

        Raises:
            ValueError: the rectangle is not within the frame buffer.
            CommandError: the device refused one of the commands.
            CompletionTimeoutError: an answer does not come; its command stays the device's.
        """
        self.start_flush(fb, x, y, width, height, fenced=True)
        self.finish()

    def show(self, framebuffer: Framebuffer) -> None:
        """Flush the whole frame buffer."""
        self.flush(framebuffer, 0, 0, framebuffer.width, framebuffer.height)

    def shut_down(self) -> None:
        """Reset the device and give all memory back."""
        super().shut_down()
        for framebuffer in self._framebuffers.values():
            self.transport.memory.free(framebuffer.region)
        self._framebuffers.clear()
