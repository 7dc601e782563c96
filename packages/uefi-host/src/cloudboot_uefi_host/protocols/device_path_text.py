"""Device paths to text and back for programs, with the codec of cloudboot_uefi_abi (UEFI 2.10 section 10.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base import Error
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.device_paths import (
    EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL,
    EFI_DEVICE_PATH_TO_TEXT_PROTOCOL,
)
from cloudboot_uefi_host.core.device_paths import END, read_path

if TYPE_CHECKING:
    from cloudboot_uefi_host.core.core import Core

_TO_TEXT: Final = GUIDS["EFI_DEVICE_PATH_TO_TEXT_PROTOCOL"].bytes_le
_FROM_TEXT: Final = GUIDS["EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL"].bytes_le
_MAX_TEXT: Final = 8192


class DevicePathText:
    """Both protocols on one handle. A path or a text that cannot be converted gives a null pointer."""

    def __init__(self, core: Core) -> None:
        self._core, self._memory = core, core.memory
        self.handle = core.handles.create()
        to_text = {"ConvertDeviceNodeToText": self._node_to_text, "ConvertDevicePathToText": self._path_to_text}
        from_text = {"ConvertTextToDeviceNode": self._text_to_node, "ConvertTextToDevicePath": self._text_to_path}
        publish = core.publisher.publish
        core.handles.install(self.handle, _TO_TEXT, publish(EFI_DEVICE_PATH_TO_TEXT_PROTOCOL, to_text))
        core.handles.install(self.handle, _FROM_TEXT, publish(EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL, from_text))

    def _text(self, path: bytes, display: int, shortcuts: int) -> int:
        parsed = DevicePath.parse(path)
        return self._core.allocator.place_text(parsed.text(display=bool(display), shortcuts=bool(shortcuts)))

    def _path_to_text(self, path: int, display: int, shortcuts: int) -> int:
        if not path:
            return 0
        try:
            return self._text(read_path(self._memory, path), display, shortcuts)
        except Error:
            return 0

    def _node_to_text(self, node: int, display: int, shortcuts: int) -> int:
        if not node:
            return 0
        try:
            content = self._memory.read(node, max(4, self._memory.u16(node + 2)))
            return self._text(content + END, display, shortcuts)
        except Error:
            return 0

    def _text_to_path(self, text: int) -> int:
        if not text:
            return 0
        try:
            parsed = DevicePath.from_text(self._memory.text(text, _MAX_TEXT))
            return self._core.allocator.place(parsed.pack())
        except Error:
            return 0

    def _text_to_node(self, text: int) -> int:
        if not text:
            return 0
        try:
            nodes = DevicePath.from_text(self._memory.text(text, _MAX_TEXT)).nodes
            return self._core.allocator.place(nodes[0].pack()) if nodes else 0
        except Error:
            return 0


def publish_device_path_text(core: Core) -> DevicePathText:
    """A handle with EFI_DEVICE_PATH_TO_TEXT_PROTOCOL and EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL."""
    return DevicePathText(core)
