r"""The fixture ``uefi_host`` for tests of EFI programs: load one, type keys, expect text, look at what it did.

```
def test_my_program(uefi_host):
    run = uefi_host("amd64", program, files={"/config.txt": b"x"}, keys=[("menu> $", "1\n")], until="started")
    assert run.outcome.ending == "text-seen"
    assert "/config.txt" in run.files()
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cloudboot_uefi_host.core.variable import Variable
    from cloudboot_uefi_host.firmware import Firmware
    from cloudboot_uefi_host.protocols.graphics import Graphics
    from cloudboot_uefi_host.protocols.measured_boot import MeasuredBoot
    from cloudboot_uefi_host.run import Outcome


@dataclass(frozen=True)
class HostRun:
    """A run that ended: its machine, which stays until the test ends, and how the run ended."""

    firmware: Firmware
    graphics: Graphics
    measured: MeasuredBoot
    outcome: Outcome

    @property
    def text(self) -> str:
        """What was printed, with line feeds only."""
        return self.firmware.console.text.replace("\r\n", "\n").replace("\r", "")

    def files(self) -> list[str]:
        """The paths that programs opened and found, in order."""
        return [each.path for each in self.firmware.accesses if each.image and each.action == "open" and each.found]

    def variable(self, name: str) -> Variable | None:
        """A global variable."""
        return self.firmware.variables.get(name)


@pytest.fixture
def uefi_host() -> Iterator[Callable[..., HostRun]]:
    """A function that runs an EFI program: ``uefi_host(architecture, program, ...)`` gives a :class:`HostRun`.

    The program is at the removable-media path of a disk with a FAT partition. Keyword arguments: ``files``
    (contents by path) are beside it; ``keys`` are pairs of a regular expression and keys to type; ``until`` ends the
    run once that text was printed; ``options`` are its LoadOptions as text; ``seconds`` is the wall time it may use.
    """
    from cloudboot_base import MemoryStorage  # here: pytest imports this module at the start of every run
    from cloudboot_uefi_host import Budget, Firmware, Typed, boot_path, publish_block_io, start, vendor_path
    from cloudboot_uefi_host.protocols.collation import publish_unicode_collation
    from cloudboot_uefi_host.protocols.device_path_text import publish_device_path_text
    from cloudboot_uefi_host.protocols.graphics import publish_graphics
    from cloudboot_uefi_host.protocols.measured_boot import publish_measured_boot
    from cloudboot_uefi_host.protocols.random import publish_random_numbers
    from cloudboot_uefi_host.testing import boot_disk

    made: list[Firmware] = []

    def run(
        architecture: str,
        program: bytes,
        *,
        files: Mapping[str, bytes] | None = None,
        keys: Sequence[tuple[str, str]] = (),
        until: str | None = None,
        options: str = "",
        seconds: float = 60.0,
    ) -> HostRun:
        firmware = Firmware(architecture, budget=Budget(seconds=seconds))
        made.append(firmware)
        graphics = publish_graphics(firmware)
        publish_random_numbers(firmware)
        publish_device_path_text(firmware)
        publish_unicode_collation(firmware)
        measured = publish_measured_boot(firmware)
        disk = boot_disk(architecture, program, files)
        device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        if options:
            firmware.images.set_options(image, options.encode("utf-16-le") + b"\0\0")
        firmware.console.type([Typed(expect, typed) for expect, typed in keys])
        firmware.console.until(until)
        return HostRun(firmware, graphics, measured, start(firmware, image))

    yield run
    for firmware in made:
        firmware.close()
