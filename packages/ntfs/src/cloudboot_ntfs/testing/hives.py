"""Hives and transaction logs for tests."""

from __future__ import annotations

from cloudboot_ntfs.registry.cells import checksum
from cloudboot_ntfs.registry.logs import marvin32
from cloudboot_ntfs.registry.model import Key, Value
from cloudboot_ntfs.registry.records import BaseBlock, DirtyPage, LogEntry

_BASE, _PAGE, _SECTOR = 4096, 4096, 512


def sample_key() -> Key:
    """Keys with every type of value that has a name, big data, a type without a name, and a list of many keys."""
    root = Key("ROOT", modified=132_000_000_000_000_000)
    root.set(Value.text("", "default"))
    root.set(Value.text("path", "%SystemRoot%", 2))
    root.set(Value.number("small", 7))
    root.set(Value.number("swapped", 7, 5))
    root.set(Value.number("large", 1 << 40, 11))
    root.set(Value.texts("texts", ["one", "two"]))
    root.set(Value.binary("bytes", bytes(range(200))))
    root.set(Value.binary("big", bytes(range(256)) * 200))
    root.set(Value.binary("empty", b""))
    root.set(Value("none", 0, b"abc"))
    root.set(Value("resources", 8, b"0123456789"))
    root.set(Value.text("\u00fcn\u00ef\u0416", 'q"\\'))
    for number in range(1300):
        root.make(f"Many\\key{number:04}").set(Value.number("number", number))
    root.make("\u0416\\Sub").class_name = "class".encode("utf-16-le")
    return root


def _dirty(hive: bytes, after: bytes) -> tuple[bytes, BaseBlock]:
    """``hive`` as a machine leaves it that stopped after it had begun to write, and the base block of its log."""
    head = BaseBlock.unpack_from(hive)
    head.primary_sequence += 1
    head.checksum = checksum(head.pack())
    dirty = head.pack() + hive[BaseBlock.SIZE :]
    head.secondary_sequence = head.primary_sequence
    head.hive_bins_size = BaseBlock.unpack_from(after).hive_bins_size
    return dirty, head


def new_log(hive: bytes, after: bytes) -> tuple[bytes, bytes]:
    """``hive`` made dirty, and the log (new format) that takes it to ``after``."""
    dirty, head = _dirty(hive, after)
    head.file_type, sequence = 6, head.primary_sequence
    head.checksum = checksum(head.pack())
    pages = [
        start
        for start in range(0, head.hive_bins_size, _PAGE)
        if hive[_BASE + start : _BASE + start + _PAGE] != after[_BASE + start : _BASE + start + _PAGE]
    ]
    body = b"".join(DirtyPage(start, _PAGE).pack() for start in pages)
    body += b"".join(after[_BASE + start : _BASE + start + _PAGE] for start in pages)
    size = -(-(LogEntry.SIZE + len(body)) // _SECTOR) * _SECTOR
    body = body.ljust(size - LogEntry.SIZE, b"\0")
    entry = LogEntry(b"HvLE", size, 0, sequence, head.hive_bins_size, len(pages), marvin32(body), 0)
    entry.hash_2 = marvin32(entry.pack()[:32])
    return dirty, head.pack() + entry.pack() + body


def old_log(hive: bytes, after: bytes) -> tuple[bytes, bytes]:
    """``hive`` made dirty, and the log (old format) that takes it to ``after``."""
    dirty, head = _dirty(hive, after)
    head.file_type = 1
    head.checksum = checksum(head.pack())
    vector, pages = bytearray(head.hive_bins_size // _SECTOR // 8), b""
    for bit in range(head.hive_bins_size // _SECTOR):
        start = _BASE + bit * _SECTOR
        if hive[start : start + _SECTOR] != after[start : start + _SECTOR]:
            vector[bit // 8] |= 1 << bit % 8
            pages += after[start : start + _SECTOR]
    log = head.pack() + b"DIRT" + bytes(vector)
    return dirty, log.ljust(-(-len(log) // _SECTOR) * _SECTOR, b"\0") + pages
