"""Tables and protocols in guest memory whose functions are Python's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_uefi_abi.declarations import Kind
from cloudboot_uefi_abi.status import Status

from .memory_map import MemoryType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudboot_uefi_abi.declarations import Structure
    from cloudboot_uefi_host.machine import Machine

    from .allocator import Allocator

#: Services by which programs wait: time passes faster the more of them follow one another.
_POLLS = frozenset(
    {
        "GetTime",
        "CheckEvent",
        "ReadKeyStroke",
        "ReadKeyStrokeEx",
        "RaiseTPL",
        "RestoreTPL",
        "GetNextMonotonicCount",
        "GetNextHighMonotonicCount",
        "GetState",
    }
)


class Publisher:
    """Writes structures with functions.

    A function is made a trap once; publishing the same one again (a file system opens thousands of files) uses the trap
    that is there.
    """

    def __init__(self, machine: Machine, allocator: Allocator) -> None:
        self._machine, self._allocator = machine, allocator
        self._known: dict[tuple[str, object], int] = {}

    def publish(
        self,
        structure: Structure,
        services: Mapping[str, Callable[..., int | None]],
        values: Mapping[str, int | bytes] | None = None,
        *,
        memory_type: int = MemoryType.BOOT_SERVICES_DATA,
    ) -> int:
        """The address of a structure with these functions and values.

        A function that is not given answers EFI_UNSUPPORTED, and the trace counts the call as missing. ``Revision`` is
        the structure's own where none is given.

        Raises:
            HostError: memory or traps are used up.
        """
        content: dict[str, int | bytes] = dict(values or {})
        if structure.revision is not None and "Revision" in structure.by_name:
            content.setdefault("Revision", structure.revision)
        for member in structure.services:
            content[member.name] = self.function(structure, member.name, services.get(member.name))
        return self._allocator.place(structure.pack(content), memory_type)

    def function(self, structure: Structure, name: str, service: Callable[..., int | None] | None) -> int:
        """The address of one function of a structure."""
        full = f"{structure.name}.{name}"
        known = self._known.get((full, service))
        if known is not None:
            return known
        prototype = structure.by_name[name].prototype
        if prototype is None:
            raise TypeError(f"{full} is not a function")
        if service is None:
            answer = Status.UNSUPPORTED if prototype.returns.kind is Kind.STATUS else 0

            def missing(*_: object) -> int:
                self._machine.trace.missing[full] += 1
                return answer

            address = self._machine.add_service(full, prototype, missing)
        else:
            address = self._machine.add_service(full, prototype, service, polls=name in _POLLS)
        self._known[full, service] = address
        return address
