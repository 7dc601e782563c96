"""EFI_GRAPHICS_OUTPUT_PROTOCOL: one mode, a frame buffer in RAM, screenshots (UEFI 2.10 section 12.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.constants import PixelFormat
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import (
    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION as INFORMATION,
)
from cloudboot_uefi_abi.layout.records import (
    EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE as MODE,
)
from cloudboot_uefi_abi.protocols.console import EFI_GRAPHICS_OUTPUT_PROTOCOL
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host.core.memory_map import PAGE, MemoryType

if TYPE_CHECKING:
    from cloudboot_uefi_host.core.core import Core

_GRAPHICS: Final = GUIDS["EFI_GRAPHICS_OUTPUT_PROTOCOL"].bytes_le
_DEVICE_PATH: Final = GUIDS["EFI_DEVICE_PATH_PROTOCOL"].bytes_le
WIDTH, HEIGHT = 800, 600
_BYTES: Final = 4
_FILL, _VIDEO_TO_BUFFER, _BUFFER_TO_VIDEO, _VIDEO_TO_VIDEO = range(4)
_PATH: Final = "PciRoot(0x0)/Pci(0x2,0x0)/AcpiAdr(0x80010100)"
"""Where an adapter on the board stands: the second device of the first bus, its first display."""


class Graphics:
    """A graphics adapter of 800 by 600 pixels, 32 bits each: blue, green, red, reserved."""

    def __init__(self, core: Core) -> None:
        self._memory, self._core = core.memory, core
        self.size = WIDTH * HEIGHT * _BYTES
        self.frame_buffer = core.allocator.pages(-(-self.size // PAGE), MemoryType.RESERVED)
        self._memory.fill(self.frame_buffer, self.size)
        self._information = INFORMATION(
            Version=0,
            HorizontalResolution=WIDTH,
            VerticalResolution=HEIGHT,
            PixelFormat=PixelFormat.BLUE_GREEN_RED_RESERVED,
            PixelsPerScanLine=WIDTH,
        ).pack()
        mode = MODE(
            MaxMode=1,
            Mode=0,
            Info=core.allocator.place(self._information),
            SizeOfInfo=INFORMATION.SIZE,
            FrameBufferBase=self.frame_buffer,
            FrameBufferSize=self.size,
        )
        interface = core.publisher.publish(
            EFI_GRAPHICS_OUTPUT_PROTOCOL,
            {"QueryMode": self._query_mode, "SetMode": self._set_mode, "Blt": self._blt},
            {"Mode": core.allocator.place(mode.pack())},
        )
        self.handle = core.handles.create()
        core.handles.install(self.handle, _DEVICE_PATH, core.allocator.place(DevicePath.from_text(_PATH).pack()))
        core.handles.install(self.handle, _GRAPHICS, interface)

    def _query_mode(self, _this: int, mode: int, size: int, information: int) -> int:
        if mode or not size or not information:
            return Status.INVALID_PARAMETER
        self._memory.put64(size, INFORMATION.SIZE)
        self._memory.put64(information, self._core.allocator.place(self._information))
        return Status.SUCCESS

    def _set_mode(self, _this: int, mode: int) -> int:
        if mode:
            return Status.UNSUPPORTED
        self._memory.fill(self.frame_buffer, self.size)
        return Status.SUCCESS

    def _blt(
        self,
        _this: int,
        buffer: int,
        operation: int,
        source_x: int,
        source_y: int,
        x: int,
        y: int,
        width: int,
        height: int,
        delta: int,
    ) -> int:
        if operation > _VIDEO_TO_VIDEO or not width or not height or (not buffer and operation != _VIDEO_TO_VIDEO):
            return Status.INVALID_PARAMETER
        reads_video = operation in {_VIDEO_TO_BUFFER, _VIDEO_TO_VIDEO}
        if reads_video and not (source_x + width <= WIDTH and source_y + height <= HEIGHT):
            return Status.INVALID_PARAMETER
        if operation != _VIDEO_TO_BUFFER and not (x + width <= WIDTH and y + height <= HEIGHT):
            return Status.INVALID_PARAMETER
        memory, stride, count = self._memory, delta or width * _BYTES, width * _BYTES
        video_source = [self._at(source_x, source_y + row) for row in range(height)] if reads_video else []
        if operation == _FILL:
            rows = [memory.read(buffer, _BYTES) * width] * height
        elif operation == _BUFFER_TO_VIDEO:
            start = buffer + source_x * _BYTES
            rows = [memory.read(start + (source_y + row) * stride, count) for row in range(height)]
        else:
            rows = [memory.read(at, count) for at in video_source]
        if operation == _VIDEO_TO_BUFFER:
            targets = [buffer + (y + row) * stride + x * _BYTES for row in range(height)]
        else:
            targets = [self._at(x, y + row) for row in range(height)]
        for target, pixels in zip(targets, rows, strict=True):
            memory.write(target, pixels)
        return Status.SUCCESS

    def _at(self, x: int, y: int) -> int:
        return self.frame_buffer + (y * WIDTH + x) * _BYTES

    def pixels(self) -> bytes:
        """The picture as red, green and blue bytes, row by row from the top."""
        raw = self._memory.read(self.frame_buffer, self.size)
        picture = bytearray(WIDTH * HEIGHT * 3)
        picture[0::3], picture[1::3], picture[2::3] = raw[2::4], raw[1::4], raw[0::4]
        return bytes(picture)

    def screenshot(self) -> bytes:
        """The picture as a binary PPM file."""
        return b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + self.pixels()


def publish_graphics(core: Core) -> Graphics:
    """A graphics adapter."""
    return Graphics(core)
