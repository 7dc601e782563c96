"""The grammar of ``.reg`` files as Windows reads it.

The cases are those of Wine's ``programs/reg/tests/reg.c``, whose tests also run on Windows. Windows leaves out a line
that it does not understand without a word; here it is an error.
"""

from __future__ import annotations

import pytest

from cloudboot_ntfs import errors
from cloudboot_ntfs.registry import Key, import_text

_LINE = b"Line concatenation\0\0".decode().encode("utf-16-le")
_PATH = "%PATH%\0".encode("utf-16-le")
_HOME_PATH = "%HOME%\\%PATH%\0".encode("utf-16-le")
_HEX_LINE = "63,6f,6e,63,61,74,65,6e,61,74,69,6f,6e,00,00"


def imported(lines: str) -> dict[str, bytes]:
    """The values that the lines of a REGEDIT4 file give a key."""
    root = Key()
    import_text(root, f"REGEDIT4\n\n[X]\n{lines}\n", "X")
    return {value.name: value.data for value in root.values}


ACCEPTED = {
    "a comment behind a text": ('"a"="Value 2";comment', b"V\0a\0l\0u\0e\0 \0002\0\0\0"),
    "tabs before the comment": ('"a"="V"\t\t;comment', b"V\0\0\0"),
    "a comment that looks like a value": ('"a"="V";"b"="W"', b"V\0\0\0"),
    "the mark of a comment in a text": ('"a"=";c"', b";\0c\0\0\0"),
    "the other mark of a comment in a text": ('"a"="#c"', b"#\0c\0\0\0"),
    "a comment behind a number": ('"a"=dword:02040608 ;comment', b"\x08\x06\x04\x02"),
    "a comment at a number": ('"a"=dword:1234;5678', b"\x34\x12\0\0"),
    "a short number": ('"a"=dword:1', b"\1\0\0\0"),
    "lines of comments": ('#comment\\\n;comment\\\n  #"b"="c"\n"a"=dword:8', b"\x08\0\0\0"),
    "a list over two lines": (f'"a"=hex(7):4c,69,6e,65,20,\\\n  {_HEX_LINE}', _LINE),
    "a comment within a list": (f'"a"=hex(7):4c,69,6e,65,20,\\\n  ;comment\n  {_HEX_LINE}', _LINE),
    "a comment behind a line of a list": (
        '"a"=hex(7):4c,69,6e,65,20,\\\n  63,6f,6e,\\;comment\n  63,61,74,\\;#comment\n  65,6e,61,74,69,6f,6e,00,00',
        _LINE,
    ),
    "empty lines within a list": (
        '"a"=hex(7):4c,69,6e,65,20,\\\n  63,6f,6e,\\\n \n  63,61,74,\\\n\t\n\t\n  65,6e,61,74,69,6f,6e,00,00', _LINE,
    ),
    "blanks before the mark of a line that goes on": (f'"a"=hex(7):4c,69,6e,65,20,  \\\n  {_HEX_LINE}', _LINE),
    "blanks behind the mark of a line that goes on": (
        '"a"=hex(2):25,48,4f,4d,45,25,5c,\\\t  ;comment\n  25,50,41,54,48,25,00', _HOME_PATH,
    ),
    "a list that ends with a comma and a comment": ('"a"=hex(2):25,50,41,54,48,25,00,;c', _PATH),
    "a comment behind a list": ('"a"=hex(2):25,50,41,54,48,25,00  ;comment', _PATH),
    "a list that begins on the next line": ('"a"=hex(2):\\\n  25,50,41,54,48,25,00', _PATH),
    "the largest type": ('"a"=hex(ffffffff):56', b"V"),
    "an empty text": ('"a"=""', b"\0\0"),
    "a name with the signs of the grammar": ('"123/\\"4;\'5"="x"', b"x\0\0\0"),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_windows_reads(case: str) -> None:
    lines, expected = ACCEPTED[case]
    assert list(imported(lines).values()) == [expected]


REFUSED = {
    "another mark behind a text": '"a"="Value 1"#comment',
    "another mark behind a number": '"a"=dword:01020304 #comment',
    "another mark behind a list": '"a"=hex(2):25,50,41,54,48,25,00  #comment',
    "another mark within a list": f'"a"=hex(7):4c,69,6e,65,20,\\\n  #comment\n  {_HEX_LINE}',
    "nothing but a comment": '"a"=;"Value"',
    "a line of a list without its comma": f'"a"=hex(7):4c,69,6e,65,20\\\n  {_HEX_LINE}',
    "a comma at the beginning of a line": '"a"=hex(2):25,50,41\\\n,54,48,25,00',
    "digits apart on two lines": '"a"=hex:11,22,33,4\\\n4,55',
    "two commas": '"a"=hex(7):4c,69,\\\n  63,,6f',
    "a comma before the list": '"a"=hex(2):,\\\n  25,48',
    "a line with nothing but the mark": '"a"=hex:11,22,33,\\\n\\\n  44,55',
    "a mark within a list": '"a"=hex(2):25,48\\,4f',
    "a number of nine digits": '"a"=dword:000000001',
    "a number with a prefix": '"a"=dword:0x123',
    "a number without digits": '"a"=dword:',
    "a byte of three digits": '"a"=hex(0):25,50,100',
    "a type with a prefix": '"a"=hex(0x2):56',
    "a type that is too large": '"a"=hex(100000000):56',
    "two texts": '"a"="foo""bar"',
    "text without marks": '"a"=Asdf',
    "a name without marks": 'a="b"',
    "a removal with data": '"a"=-"Test"',
    "a removal with another mark": '"a"=- #comment',
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_windows_leaves_out(case: str) -> None:
    with pytest.raises(errors.RegTextError):
        imported(REFUSED[case])


def test_values_are_removed_before_a_comment() -> None:
    assert imported('"a"="1"\n"b"="2"\n"c"="3"\n"a"=-\n"b"=  \t-\t \n"c"=- ;comment') == {}


def test_names_of_keys() -> None:
    root = Key()
    text = (
        'REGEDIT4\n[X\\Sub"1]\n"a"="1"\n[x\\SUB"1\\Last ] ; a comment\n"b"="2"\n'
        '[X\\Sub"1\\]\n"c"="3"\n[-X\\gone\\below]\n'
    )
    import_text(root, text, "X")
    assert [path for path, _ in root.walk()] == ["", 'Sub"1', 'Sub"1\\Last ']
    assert [value.name for value in root.key('Sub"1').values] == ["a", "c"]


def test_what_was_read_before_a_fault_is_kept() -> None:
    root = Key()
    with pytest.raises(errors.RegTextError) as caught:
        import_text(root, 'REGEDIT4\n[X\\A]\n"a"="1"\n"b"=nonsense\n', "X")
    assert caught.value.where["line"] == 4
    assert [value.name for value in root.key("A").values] == ["a"]


def test_a_key_that_comes_back_after_its_removal_is_empty() -> None:
    root = Key()
    text = 'REGEDIT4\n[X\\A\\B]\n"a"="1"\n[-X\\A]\n[X\\A]\n"b"="2"\n[-X\\A\\B]\n[X\\A\\B]\n"c"="3"\n'
    import_text(root, text, "X")
    assert [(path, [value.name for value in key.values]) for path, key in root.walk()] == [
        ("", []), ("A", ["b"]), ("A\\B", ["c"]),
    ]  # fmt: skip
