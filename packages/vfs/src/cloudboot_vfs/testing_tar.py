"""Tar archives as other programs write them, old ones and odd ones, for the tests of what reads them."""

from __future__ import annotations

from typing import Any

#: The two blocks that end an archive.
END = bytes(1024)


def header(
    name: bytes, kind: bytes = b"0", size: int = 0, *, link: bytes = b"", mode: int = 0o644, mtime: int = 1_700_000_000,
    magic: bytes = b"ustar\x0000", prefix: bytes = b"", uid: bytes = b"0000000\0", size_field: bytes = b"",
) -> bytes:  # fmt: skip
    """A header block; ``size_field`` replaces the size."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"%07o\0" % mode
    block[108:116], block[116:124] = uid, b"0000000\0"
    block[124:136] = size_field or b"%011o\0" % size
    block[136:148] = b"%011o\0" % mtime
    block[156:157], block[157 : 157 + len(link)] = kind, link
    block[257:265], block[345 : 345 + len(prefix)] = magic, prefix
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    """Data up to the end of its last block."""
    return data + bytes(-len(data) % 512)


def member(name: bytes, data: bytes = b"", **fields: Any) -> bytes:
    """A header and its data."""
    return header(name, size=len(data), **fields) + padded(data)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """An extended header with these records; a global one with ``kind`` ``g``."""
    text = b""
    for key, value in records:
        body = b" %s=%s\n" % (key, value)
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length = len(str(length)) + len(body)
        text += b"%d%s" % (length, body)
    return header(b"PaxHeaders/x", kind, len(text)) + padded(text)


def directory(name: bytes, **fields: Any) -> bytes:
    """The header of a directory."""
    return header(name, b"5", mode=fields.pop("mode", 0o755), **fields)


SPARSE_MAP = b"3\n0\n512\n4096\n512\n5000\n0\n".ljust(512, b"\0")
SPARSE = SPARSE_MAP + b"D" * 512 + b"E" * 512
SPARSE_10 = [
    (b"GNU.sparse.major", b"1"),
    (b"GNU.sparse.minor", b"0"),
    (b"GNU.sparse.name", b"s.db"),
    (b"GNU.sparse.realsize", b"5000"),
]
SIZE = (b"size", b"%d" % len(SPARSE))
STUB = b"GNUSparseFile.0/s.db"
GNU = b"ustar  \0"

#: Archives that GNU tar and bsdtar extract to the same tree, without the blocks that end them.
AGREED: dict[str, bytes] = {
    "sparse 1.0, then a size": pax(*SPARSE_10, SIZE) + member(STUB, SPARSE) + member(b"lost") + member(b"kept", b"k"),
    "a size, then sparse 1.0": pax(SIZE, *SPARSE_10)
    + member(STUB, SPARSE)
    + directory(b"etc/")
    + member(b"etc/rc", b"x"),
    "sparse 0.1": pax(
        (b"GNU.sparse.size", b"5000"),
        (b"GNU.sparse.numblocks", b"3"),
        (b"GNU.sparse.name", b"s.db"),
        (b"GNU.sparse.map", b"0,512,4096,512,5000,0"),
    )
    + member(STUB, SPARSE[512:])
    + member(b"after", b"a"),
    "sparse 0.0": pax(
        (b"GNU.sparse.size", b"5000"),
        (b"GNU.sparse.numblocks", b"3"),
        (b"GNU.sparse.offset", b"0"),
        (b"GNU.sparse.numbytes", b"512"),
        (b"GNU.sparse.offset", b"4096"),
        (b"GNU.sparse.numbytes", b"512"),
        (b"GNU.sparse.offset", b"5000"),
        (b"GNU.sparse.numbytes", b"0"),
    )
    + member(b"s.db", SPARSE[512:])
    + member(b"after", b"a"),
    "a time where ustar has its prefix": member(b"etc/motd", b"hi", magic=GNU, prefix=b"14527573423\x0014527573423\0"),
    "a prefix": member(b"name", b"hi", prefix=b"some/where"),
    "star's prefix": member(
        b"name",
        b"hi",
        prefix=(b"p" * 20).ljust(131, b"\0") + b"00000000000\x0000000000000\0".ljust(32, b"\0") + b"tar\0",
    ),
    "a long name twice": b"".join(
        member(b"././@LongLink", each + b"\0", kind=b"L", magic=GNU) for each in (b"first", b"second")
    )
    + member(b"x", b"data", magic=GNU),
    "a long target twice": b"".join(
        member(b"././@LongLink", each + b"\0", kind=b"K", magic=GNU) for each in (b"first", b"second")
    )
    + header(b"x", b"2", link=b"short", magic=GNU),
    "a path twice": pax((b"path", b"first"), (b"path", b"second")) + member(b"x", b"data"),
    "a pax size": pax((b"size", b"4")) + header(b"x") + padded(b"data") + member(b"y", b"y"),
    "a contiguous file": member(b"f", b"data", kind=b"7"),
    "an unknown type": member(b"f", b"data", kind=b"Z"),
    "updated": member(b"f", b"old") + member(b"g", b"g") + member(b"f", b"newer"),
    "updated, with a second name": member(b"f", b"old") + header(b"g", b"1", link=b"f") + member(b"f", b"newer"),
    "a directory again": directory(b"d/") + member(b"d/f", b"1") + directory(b"d/", mode=0o700) + member(b"d/g", b"2"),
    "a file before its directory": member(b"d/f", b"1") + directory(b"d/", mode=0o700),
    "a file over a link": header(b"f", b"2", link=b"elsewhere") + member(b"f", b"data"),
    "no end": member(b"f", b"data") + member(b"g", b"more"),
    "a hard link over a file": member(b"a", b"a") + member(b"b", b"b") + header(b"b", b"1", link=b"a"),
    "a hard link to a link": header(b"s", b"2", link=b"target") + member(b"f", b"f"),
    "a hard link with a size": member(b"a", b"data") + header(b"b", b"1", 4, link=b"a") + member(b"c", b"last"),
    "hard links with dots": member(b"./a", b"data")
    + header(b"b", b"1", link=b"a")
    + header(b"./d/c", b"1", link=b"./a"),
    "a directory with a size": header(b"d/", b"5", 4096, mode=0o755) + member(b"d/f", b"1"),
    "a directory of V7": member(b"d/", kind=b"\0", magic=bytes(8), mode=0o755)
    + member(b"d/f", b"1", kind=b"\0", magic=bytes(8)),
    "owners in base 256": member(b"f", b"1", uid=b"\x80\0\0\0\0\0\x12\x34"),
    "a comment for all": pax((b"comment", b"0123"), kind=b"g") + member(b"f", b"1"),
    "only the root": directory(b"./", mode=0o750),
    "a length with leading zeros": header(b"PaxHeaders/x", b"x", 14) + padded(b"014 path=abcd\n") + member(b"x", b"1"),
    "a value with line feeds": pax((b"comment", b"a\nb\n\n"), (b"path", b"n\nx")) + member(b"x", b"1"),
    "sparse 1.0, out of order": pax(*SPARSE_10)
    + member(STUB, b"3\n512\n512\n0\n512\n5000\n0\n".ljust(512, b"\0") + b"D" * 512 + b"E" * 512),
    "a map longer than a block": pax(*SPARSE_10[:3], (b"GNU.sparse.realsize", b"%d" % (200 * 8192)))
    + member(
        STUB,
        padded(b"201\n" + b"".join(b"%d\n512\n" % (each * 8192) for each in range(200)) + b"1638400\n0\n")
        + b"".join(bytes([65 + each % 26]) * 512 for each in range(200)),
    )
    + member(b"after", b"a"),
    "names of bytes": b"".join(
        member(each, b"1")
        for each in (b"\xff\xfe", b"nl\nx", b"tab\t", b"esc\x1b[0m", b" lead", b"\x7f", b"..a", b"...")
    ),
    "a prefix that ends in a slash": member(b"name", b"1", prefix=b"some/where/"),
    "prefix and name as long as can be": member(b"n" * 100, b"1", prefix=b"p" * 50 + b"/" + b"q" * 104),
    "dots and slashes": member(b"././a", b"1") + member(b".//b", b"2") + member(b"c//d", b"3") + member(b"e/./f", b"4"),
    "a long name of a directory": member(b"././@LongLink", b"n" * 150 + b"/", kind=b"L", magic=GNU)
    + header(b"x", b"0", mode=0o755, magic=GNU),
    "a long name and a long target": member(b"././@LongLink", b"d/" * 60 + b"f\0", kind=b"L", magic=GNU)
    + member(b"short", b"data", magic=GNU)
    + member(b"././@LongLink", b"other/" * 20 + b"g\0", kind=b"L", magic=GNU)
    + member(b"././@LongLink", b"d/" * 60 + b"f\0", kind=b"K", magic=GNU)
    + header(b"x", b"1", link=b"x", magic=GNU),
    "hard links of hard links": member(b"a", b"1") + header(b"b", b"1", link=b"a") + header(b"c", b"1", link=b"b"),
    "a link to a directory, then the directory": directory(b"usr/lib/")
    + header(b"lib", b"2", link=b"usr/lib", mode=0o777)
    + directory(b"lib/", mode=0o700)
    + member(b"lib/x", b"1"),
    "a directory over a file": member(b"d", b"1") + directory(b"d/") + member(b"d/f", b"1"),
    "a file over an empty directory": directory(b"d/") + member(b"d", b"1"),
    "permissions": directory(b"d/", mode=0) + member(b"d/f", b"1", mode=0o6755) + directory(b"t/", mode=0o1777),
    "whiteouts of container images are files": member(b".wh.gone") + member(b"d/.wh..wh..opq"),
    "30 digits of a second": pax((b"mtime", b"1700000000." + b"1" * 30)) + member(b"f", b"1"),
    "nothing": b"",
}
