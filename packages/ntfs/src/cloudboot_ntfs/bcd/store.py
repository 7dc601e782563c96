"""A boot configuration: objects with elements, kept as the keys of a registry hive.

Nothing is taken out of the keys: what this module has no name for survives a change as it is.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from uuid import UUID

from cloudboot_base import Error
from cloudboot_base.guid import parse_guid
from cloudboot_ntfs.errors import BcdError, ElementError, KeyNotFoundError, ObjectNotFoundError
from cloudboot_ntfs.registry import Hive, HiveOptions, Key, Value, ValueType, build

from .devices import Device, FileDevice, GptDevice, LocateDevice, MbrDevice, RamDiskDevice, pack, parse
from .elements import OBJECT_NAMES, OBJECTS, Format, ObjectType, element_name, element_number, format_name, format_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_ntfs.registry.hive import Source

    #: The value of an element: a device, text, an object or several, a number or several, yes or no; or bytes.
    ElementValue = Device | str | UUID | list[UUID] | int | bool | list[int] | bytes

#: The version of hives that the boot manager has read from the beginning.
_MINOR_VERSION = 3


def object_guid(text: str) -> UUID:
    """``"{bootmgr}"``, ``"bootmgr"`` or a GUID.

    Raises:
        ObjectNotFoundError: neither a name nor a GUID.
    """
    name = text.strip().strip("{}").casefold()
    if name in OBJECTS:
        return OBJECTS[name]
    try:
        return parse_guid(text)
    except Error:
        raise ObjectNotFoundError("neither the name of an object nor a GUID", structure="object", actual=text) from None


def object_text(guid: UUID) -> str:
    """``"{bootmgr}"``, or the GUID in braces for an object without a name."""
    return f"{{{OBJECT_NAMES.get(guid, guid)}}}"


class BcdObject:
    """An object of a store: its type, and its elements by number or by name."""

    def __init__(self, guid: UUID, key: Key) -> None:
        self.guid = guid
        self._key = key

    @property
    def object_type(self) -> int:
        """The object's type; one of :class:`ObjectType`, if it is known.

        Raises:
            BcdError: it has none.
        """
        found = self.known_type
        if found is None:
            raise BcdError("the object has no type", structure=object_text(self.guid), field="Description\\Type")
        return found

    @property
    def known_type(self) -> int | None:
        """The object's type, or ``None`` where the store does not say: what an interrupted change leaves."""
        try:
            found = self._key.key("Description").value("Type").decoded
        except KeyNotFoundError:
            return None
        return found if isinstance(found, int) else None

    def elements(self) -> Iterator[tuple[int, ElementValue]]:
        """Every element as ``(number, value)``, in the order of the numbers.

        Raises:
            BcdError: an element without a number or a value.
        """
        holder = self._key.find("Elements")
        for key in sorted(holder.keys if holder else [], key=lambda each: each.name.casefold()):
            number = element_number(key.name, 0)
            if number is None:
                raise BcdError("not the number of an element", structure=object_text(self.guid), field=key.name)
            yield number, self._value(number, key)

    def get(self, element: int | str) -> ElementValue | None:
        """The value of an element, or ``None``."""
        number = self.number(element)
        key = self._key.find(f"Elements\\{number:08x}")
        return None if key is None else self._value(number, key)

    def set(self, element: int | str, value: ElementValue) -> None:
        """Put an element in place.

        Raises:
            ElementError: the value is not of the element's format.
        """
        number = self.number(element)
        stored = _stored(number, value, element_name(number, self.known_type or 0))
        self._key.make(f"Elements\\{number:08x}").set(stored)

    def delete(self, element: int | str) -> None:
        """Take an element away.

        Raises:
            ObjectNotFoundError: there is none.
        """
        number = self.number(element)
        if self._key.find(f"Elements\\{number:08x}") is None:
            raise ObjectNotFoundError(
                "the object has no such element",
                structure=object_text(self.guid),
                field=element_name(number, self.known_type or 0),
            )
        self._key.remove(f"Elements\\{number:08x}")

    def number(self, element: int | str) -> int:
        """The number of an element, by its name among those of this type of object.

        Raises:
            ObjectNotFoundError: there is no such element.
        """
        number = element if isinstance(element, int) else element_number(element, self.known_type or 0)
        if number is None or not 0 <= number < 1 << 32:
            raise ObjectNotFoundError(
                "there is no such element",
                structure=object_text(self.guid),
                actual=element,
                hint="write its number in eight hexadecimal digits",
            )
        return number

    def _value(self, number: int, key: Key) -> ElementValue:
        try:
            value = key.value("Element")
        except KeyNotFoundError:
            raise BcdError("the element has no value", structure=object_text(self.guid), field=key.name) from None
        return _loaded(number, value)


def _loaded(number: int, value: Value) -> ElementValue:
    """The value of an element; its bytes, where they are not what the format says."""
    kind, data, decoded = format_of(number), value.data, value.decoded
    try:
        if kind == Format.DEVICE:
            return parse(data)
        if kind == Format.STRING and isinstance(decoded, str):
            return decoded
        if kind == Format.OBJECT and isinstance(decoded, str):
            return parse_guid(decoded)
        if kind == Format.OBJECT_LIST and isinstance(decoded, list):
            return [parse_guid(each) for each in decoded]
    except Error:
        return data
    if kind == Format.INTEGER and len(data) in (1, 2, 4, 8):
        return int.from_bytes(data, "little")
    if kind == Format.BOOLEAN and len(data) in (1, 2):
        return any(data)
    if kind == Format.INTEGER_LIST and len(data) % 8 == 0:
        return list(struct.unpack(f"<{len(data) // 8}Q", data))
    return data


def _stored(number: int, value: ElementValue, name: str) -> Value:
    kind = format_of(number)
    if isinstance(value, bytes):
        text_types = {
            Format.STRING: ValueType.REG_SZ,
            Format.OBJECT: ValueType.REG_SZ,
            Format.OBJECT_LIST: ValueType.REG_MULTI_SZ,
        }
        return Value("Element", text_types.get(kind, ValueType.REG_BINARY), value)  # type: ignore[call-overload]  # an IntEnum member equals its number
    if kind == Format.DEVICE and isinstance(value, Device):
        return Value.binary("Element", pack(value))
    if kind == Format.STRING and isinstance(value, str):
        return Value.text("Element", value)
    if kind == Format.OBJECT and isinstance(value, UUID):
        return Value.text("Element", f"{{{value}}}")
    if kind == Format.BOOLEAN and isinstance(value, bool):
        return Value.binary("Element", bytes([value]))
    if kind == Format.INTEGER and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64:
        return Value.binary("Element", value.to_bytes(8, "little"))
    if isinstance(value, list):
        guids = [each for each in value if isinstance(each, UUID)]
        numbers = [each for each in value if isinstance(each, int) and 0 <= each < 1 << 64]
        if kind == Format.OBJECT_LIST and len(guids) == len(value):
            return Value.texts("Element", [f"{{{each}}}" for each in guids])
        if kind == Format.INTEGER_LIST and len(numbers) == len(value):
            return Value.binary("Element", struct.pack(f"<{len(numbers)}Q", *numbers))
    raise ElementError(
        "the value is not of the element's format", structure=name, expected=format_name(kind), actual=value
    )


class Store:
    """A boot configuration in memory.

    ``root`` are the keys it consists of; without them the store is new and empty. ``is_dirty`` says that a write to the
    hive it was read from was begun and not ended, and that no log was applied.
    """

    def __init__(self, root: Key | None = None, *, is_dirty: bool = False) -> None:
        if root is None:
            root = Key("NewStoreRoot")
            description = root.make("Description")
            description.set(Value.text("KeyName", "BCD00000000"))
            description.set(Value.number("System", 1))
            description.set(Value.number("TreatAsSystem", 1))
            root.make("Objects")
        self.root, self.is_dirty = root, is_dirty

    @classmethod
    def open(cls, source: Source, *, logs: Sequence[Source] = ()) -> Store:
        """The store in a hive. ``logs`` are the transaction logs of it: ``BCD.LOG1`` and ``BCD.LOG2``.

        Raises:
            HiveError: not a hive.
            HiveDirtyError: the hive is dirty, and the logs do not continue it.
            BcdError: a hive that is not a boot configuration.
        """
        hive = Hive(source, logs=logs)
        root = hive.load()
        if root.find("Objects") is None or root.find("Description") is None:
            raise BcdError(
                "not a boot configuration", structure="store", expected="the keys Description and Objects",
                actual=", ".join(key.name for key in root.keys[:8]),
            )  # fmt: skip
        return cls(root, is_dirty=hive.is_dirty)

    def pack(self) -> bytes:
        """The bytes of the store's hive: the same objects give the same bytes."""
        return build(self.root, HiveOptions(minor_version=_MINOR_VERSION, file_name="\\EFI\\Microsoft\\Boot\\BCD"))

    def objects(self) -> Iterator[BcdObject]:
        """The objects in the order of their types: boot managers, loaders, tools, settings; first those without a type.

        Raises:
            BcdError: an object whose key is not a GUID.
        """
        found = []
        for key in self.root.key("Objects").keys:
            try:
                guid = parse_guid(key.name)
            except Error:
                raise BcdError("the key of an object is not a GUID", structure="Objects", actual=key.name) from None
            found.append(BcdObject(guid, key))
        yield from sorted(found, key=lambda each: (each.known_type or 0, str(each.guid)))

    def object(self, name: str | UUID) -> BcdObject:
        """The object of a name or GUID. ``{default}`` is the one that the boot manager starts.

        Raises:
            ObjectNotFoundError: there is none.
        """
        guid = name if isinstance(name, UUID) else object_guid(name)
        if guid == OBJECTS["default"]:
            default = self.object(OBJECTS["bootmgr"]).get("default")
            guid = default if isinstance(default, UUID) else guid
        key = self.root.find(f"Objects\\{{{guid}}}")
        if key is None:
            raise ObjectNotFoundError("the store has no such object", structure="Objects", actual=object_text(guid))
        return BcdObject(guid, key)

    def make(self, name: str | UUID, object_type: int) -> BcdObject:
        """An object, made if there is none of that GUID.

        Raises:
            ElementError: there is one of another type.
        """
        guid = name if isinstance(name, UUID) else object_guid(name)
        key = self.root.make(f"Objects\\{{{guid}}}")
        made = BcdObject(guid, key)
        if key.find("Description") is None:
            key.make("Description").set(Value.number("Type", object_type))
            key.make("Elements")
        elif made.object_type != object_type:
            raise ElementError(
                "there is an object of another type",
                structure=object_text(guid),
                expected=object_type,
                actual=made.object_type,
            )
        return made

    def delete(self, name: str | UUID) -> None:
        """Take an object away, and its GUID out of the lists of the others.

        Raises:
            ObjectNotFoundError: there is none.
        """
        guid = self.object(name).guid
        self.root.remove(f"Objects\\{{{guid}}}")
        for each in self.objects():
            for number, value in list(each.elements()):
                if value == guid:
                    each.delete(number)
                elif isinstance(value, list) and guid in value:
                    left = [other for other in value if isinstance(other, UUID) and other != guid]
                    if left:
                        each.set(number, left)
                    else:
                        each.delete(number)

    def repoint(
        self, *, esp: Device | None = None, windows: Device | None = None, recovery: Device | None = None
    ) -> int:
        r"""Give every partition of the store a new place; how many elements changed.

        Boot managers and memory testers are on ``esp``, loaders and resume loaders on ``windows``, RAM disks of files
        under ``\Recovery`` on ``recovery``. What is ``None`` stays where it is, and so does the boot device.
        """
        on_esp = (ObjectType.FIRMWARE_BOOT_MANAGER, ObjectType.BOOT_MANAGER, ObjectType.MEMORY_TESTER)
        changed = 0
        for each in self.objects():
            for number, value in list(each.elements()):
                if not isinstance(value, Device):
                    continue
                moved = _moved(value, esp if each.known_type in on_esp else windows, recovery)
                if moved != value:
                    each.set(number, moved)
                    changed += 1
        return changed


def _moved(device: Device, target: Device | None, recovery: Device | None) -> Device:
    if isinstance(device, GptDevice | MbrDevice):
        return device if target is None else target
    if isinstance(device, RamDiskDevice | FileDevice):
        if device.path.casefold().startswith("\\recovery\\"):
            target = recovery
        return type(device)(_moved(device.parent, target, recovery), device.path, device.options)
    if isinstance(device, LocateDevice) and device.disk is not None:
        disk = _moved(device.disk, target, recovery)
        return device if not isinstance(disk, FileDevice) else LocateDevice(device.element, disk)
    return device
