"""Matrix files: what is refused and how it is said, what cells there are, and what their digests depend on."""

import hashlib
import itertools
import re
import tomllib
import tracemalloc
from pathlib import Path

import pytest

from cloudboot_fleet.errors import MatrixError, PinError
from cloudboot_fleet.matrix import KINDS, Pins, load, parse
from cloudboot_fleet.matrix.pins import tree_digest
from cloudboot_fleet.matrix.places import Key, lines_of
from cloudboot_oci_stream import push_image

README = re.findall(r"```toml\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.DOTALL)[0]
PROBE = '[[cells]]\nkind = "probe"\n[cells.axes]\nsystem = "demo"\nrecipe = "demo"\n'


@pytest.mark.parametrize(
    ("text", "line", "told", "hint"),
    [
        ("", None, "has no cells", "[[cells]]"),
        ("name = 3", 1, "name is 3, not text", None),
        ('name = "A B"\n' + PROBE, 1, "not 1 to 63 lower-case letters", None),
        ("[[cells]]", 1, "has no kind", "probe"),
        ('[[cells]]\nkind = "prob"', 2, "the kind 'prob'", "did you mean probe?"),
        ("[[cells]", 1, "Expected", None),
        ('name = "a"\nname = "b"', 2, "Cannot overwrite", None),
        ('name = "a', 1, "Unterminated string", None),
        ('cell = 1\n[[cells]]\nkind = "nothing"', 1, "the file has no key cell", "did you mean cells?"),
        ('[[cells]]\nkind = "probe"\n[cells.axes]\nsystem = "demo"', 1, "with none of image, recipe", None),
        (PROBE + 'image = "a"', 1, "more than one of", None),
        (PROBE + 'architecture = ["amd64", "arm46"]', 6, "axes.architecture is 'arm46'", "did you mean arm64?"),
        (PROBE + 'firmware = "hostd"', 6, "axes.firmware is 'hostd', which there is not", "did you mean hosted?"),
        (PROBE.replace('"demo"', '"freebds"', 1), 4, "axes.system is 'freebds'", "did you mean freebsd?"),
        (PROBE + "architecture = 3", 6, "axes.architecture is 3, not text", None),
        (PROBE + 'architectur = "amd64"', 6, "axes.architectur is no parameter", "did you mean architecture?"),
        (PROBE + "repeat = []", 6, "repeat has no value", None),
        (PROBE + "repeat = [1, 1]", 6, "repeat has 1 twice", None),
        (PROBE + "repeat = true", 6, "repeat is True, not a whole number", None),
        (PROBE + 'memory = "{system_}"', 6, "{system_}, which names no value", "did you mean system?"),
        (PROBE + '[[cells.exclude]]\nfirmware = "qemu"', 7, "not one of the axes", None),
        (PROBE + '[[cells.exclude]]\nsystem = "demo"', None, "every cell is excluded", None),
        (PROBE + "[cells.limits]\nmemory = -1", 7, "memory is -1, not a whole number", None),
        (PROBE + '[cells.limits]\nmemory = "2X"', 7, "is not a size", None),
        (PROBE + "[cells.limits]\ntimeout = 0", 7, "timeout is 0, not a number of seconds", None),
        (PROBE + "[cells.resources]\nkvm = -1", 7, "is -1, not a number of 0 or more", None),
        (PROBE + "repeat = {from = 1, to = 2000000}", 6, "at most 1000000", None),
        (PROBE + "repeat = {from = 2, to = 1}", 6, "repeat has no value", None),
        (PROBE + "repeat = {from = 1, too = 1}", 6, "repeat has no key too", "did you mean to?"),
        (PROBE + "repeat = {from = 1, to = 2000}\nseed = 1", 7, "seed is no parameter", None),
        (f"[defaults]\ntimeout = 1\n{PROBE}\n{PROBE}retrys = 3", 14, "axes.retrys is no parameter", None),
        ('[[cells]]\nkind = "nothing"\nretries = 101', 3, "not a whole number from 0 to 100", None),
        ('[[cells]]\nkind = "fuzz"\n[cells.axes]\nharness = "h"\nseconds = nan', 5, "not a finite number", None),
        ('[[cells]]\nkind = "fuzz"\n[cells.axes]\nharness = "h"\nseconds = -1', 5, "is -1, and 0.01 is the", None),
        ('[[cells]]\nkind = "fuzz"\n[cells.axes]\nharness = "h"\nruns = 0', 5, "is 0, and 1 is the least", None),
        ('[[cells]]\nkind = "fuzz"\n[cells.axes]\nharness = "h"\nseed = 9223372036854775808', 5, "in 64 bits", None),
        (
            '[[cells]]\nkind = "build"\n[cells.axes]\nrecipe = "demo"\nsector_size = 123',
            5,
            "'123'",
            "did you mean 512?",
        ),
        ('[[cells]]\nkind = "check"\n[cells.axes]\nimage = ""', 4, "image is empty", None),
        ('[[cells]]\nkind = "check"\n[cells.axes]\nimage = "a\\u0000"', 4, "a NUL character", None),
        (f'[[cells]]\nkind = "check"\n[cells.axes]\nimage = "{"a" * 5000}"', 4, "more than 4095 bytes", None),
        ('[[cells]]\nkind = "check"\n[cells.axes]\nimage = "{image}"', 4, "has a name in braces itself", None),
        (PROBE + 'memory = "lots"', 6, "'lots' is not a size", None),
        (PROBE + 'memory = "1K"', 6, "memory is 1K, not a size from 1048576 bytes", None),
        (PROBE + "memory = 4096", 6, "is 4096, and 1048576 is the least", None),
        (PROBE + '[cells.limits]\nmemory = "0"', 7, "memory is 0, not a size from 1", None),
        (PROBE + "[cells.resources]\nCELL = 2", 7, "is the fleet's own", None),
        (PROBE + "repeat = {from = 1}", 6, "has no key to", None),
        (PROBE + "repeat = [1, 2]\n[[cells.exclude]]", 7, "would remove every cell", None),
        (PROBE + "repeat = [10, 12]\n[[cells.exclude]]\nrepeat = 13", 8, "nothing is excluded", "did you mean"),
        (PROBE + "repeat = [1, 2]\n[[cells.include]]\nrepeat = 2", 7, "a cell that there is already", None),
        (PROBE + "[[cells.include]]\nrepeat = 2\n[[cells.include]]\nrepeat = 2", 8, "there is already", None),
        ('[[cells]]\nkind = "nothing"\ntimeout = 1\nlimits = {timeout = 2}', 3, "also one of the limits", None),
        ('[[cells]]\nkind = "nothing"\npriority = "high"', 3, "priority is 'high', not a whole number", None),
        ('[[cells]]\nkind = "nothing"\ntimeout = 0', 3, "timeout is 0, not a number of seconds", None),
        ('[cells]\nkind = "nothing"', 1, "is one table", "write [[cells]]"),
        ("a = " + "[" * 5000 + "]" * 5000, None, "nested too deeply", None),
        (PROBE + "[cluster]\nworkers = 0", 7, "workers is 0, not a whole number from 1", None),
        (PROBE + '[cluster]\nworkers = "2"', 7, "workers is '2', not a whole number", None),
        (PROBE + "[cluster]\nworker = 2", 6, "[cluster] has no key worker", "did you mean workers?"),
    ],
)
def test_what_is_wrong_is_said(text: str, line: int | None, told: str, hint: str | None) -> None:
    with pytest.raises(MatrixError) as caught:
        parse(text)
    assert told in str(caught.value)
    if line is not None:
        assert caught.value.where == {"line": line}
    if hint is not None:
        assert hint in (caught.value.hint or "")


NASTY = '''
# [no]
name = "x#y" # name = 1
"quoted key" . 'two' = """
[[cells]]
kind = "inside a text\\""" """"
literal = \'\'\'
axes = 1 \'\'\'\'
list = [ # a = 1
  "]", { a = "}", b = [ 1,
  2 ] },
]
[[cells]]
kind = ''
[cells.axes]
a.b = { from = 1, to = 2 }
[[cells.include]]
x = 1
[[cells.include]]
x = 2
[ cells . limits ]
memory = """"""
[[cells]]
kind = 'last'
[[cells.include]]
x = 3
'''


def test_a_line_is_where_a_key_appears_to_tomllib() -> None:
    """Without the lines from a key's on, the document is still one, and does not have the key."""

    def has(key: Key, text: str) -> bool:
        found = tomllib.loads(text)
        for part in key:
            try:
                found = found[part]  # type: ignore[index]  # by number, in a list
            except (KeyError, IndexError):
                return False
        return True

    for text in (NASTY, README):
        rows = text.splitlines(keepends=True)
        lines = lines_of(text)
        starts = [*sorted(set(lines.values())), len(rows) + 1]
        for key, line in lines.items():
            after = starts[starts.index(line) + 1]
            assert has(key, "".join(rows[: after - 1])), key
            assert not has(key, "".join(rows[: line - 1])), key
    assert lines_of(NASTY)["cells", 1, "include", 0, "x"] == NASTY.splitlines().index("x = 3") + 1
    assert lines_of(NASTY)["cells", 0, "include", 1, "x"] == NASTY.splitlines().index("x = 2") + 1


def test_cells_are_the_product_without_exclusions_and_with_inclusions() -> None:
    axes = {"system": ["demo", "linux"], "architecture": ["amd64", "arm64"], "firmware": ["hosted", "qemu"]}
    text = '[[cells]]\nkind = "probe"\n[cells.axes]\nimage = "oci:store:{system}-{architecture}"\n'
    text += "".join(f"{name} = {values}\n" for name, values in axes.items())
    text += '[[cells.exclude]]\nsystem = "linux"\narchitecture = "arm64"\n'
    text += '[[cells.include]]\nsystem = "linux"\narchitecture = "riscv64"\nfirmware = "qemu"\n'
    expected = [
        (*values, f"oci:store:{values[0]}-{values[1]}")
        for values in [*itertools.product(*axes.values()), ("linux", "riscv64", "qemu")]
        if values[:2] != ("linux", "arm64")
    ]
    cells = list(parse(text).cells())
    assert [tuple(cell.values[name] for name in (*axes, "image")) for cell in cells] == expected
    assert [cell.index for cell in cells] == list(range(7))
    assert cells[0].axes == ("system", "architecture", "firmware")


def test_limits_and_resources_of_a_table_are_added_to_the_defaults() -> None:
    block = '[[cells]]\nkind = "nothing"\n'
    text = f"""
[defaults]
timeout = 5
limits = {{memory = "1G", processes = 3}}
resources = {{kvm = 1}}
{block}limits = {{timeout = 9, processes = 4}}
resources = {{usb = 2}}
{block}timeout = 7
{block}"""
    cells = list(parse(text).cells())
    limits = [(each.limits.timeout, each.limits.memory, each.limits.processes) for each in cells]
    assert limits == [(9.0, 1 << 30, 4), (7.0, 1 << 30, 3), (5.0, 1 << 30, 3)]
    assert [dict(each.resources) for each in cells] == [{"kvm": 1, "usb": 2}, {"kvm": 1}, {"kvm": 1}]


def test_what_an_exclusion_removed_can_be_included_again() -> None:
    axes = '[[cells]]\nkind = "nothing"\n[cells.axes]\nrepeat = [1, 2]\n'
    cells = parse(axes + "[[cells.exclude]]\nrepeat = 2\n[[cells.include]]\nrepeat = 2").cells()
    assert [each.values["repeat"] for each in cells] == [1, 2]


@pytest.mark.parametrize(
    ("file", "name"),
    [("Nightly.toml", "nightly"), ("My Night (2).toml", "my-night-2"), ("ü.toml", "matrix"), ("a" * 99, "a" * 63)],
)
def test_a_file_that_states_no_name_gives_its_own(file: str, name: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b'\xef\xbb\xbf[[cells]]\r\nkind = "nothing"\r\n')  # as editors of Windows do
    assert load(tmp_path / file).name == name


def test_higher_priority_comes_first_and_defaults_are_taken() -> None:
    text = (
        '[defaults]\nretries = 5\n[[cells]]\nkind = "nothing"\n[[cells]]\nkind = "nothing"\npriority = 2\nretries = 1\n'
    )
    assert [(cell.block, cell.priority, cell.retries) for cell in parse(text).cells()] == [(1, 2, 1), (0, 0, 5)]


def test_expansion_is_lazy() -> None:
    matrix = parse('[[cells]]\nkind = "nothing"\n[cells.axes]\nrepeat = {from = 1, to = 5000}')
    pins = Pins(Path())
    list(itertools.islice((pins.pin(cell).key for cell in matrix.cells()), 100))
    tracemalloc.start()
    count = sum(len(pins.pin(cell).key) == 64 for cell in matrix.cells())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 5000
    assert peak < 1 << 20


def test_a_key_depends_on_content_and_not_on_the_place(tmp_path: Path) -> None:
    keys = []
    for folder, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "disk.img").write_bytes(content)
        matrix = parse('[[cells]]\nkind = "check"\n[cells.axes]\nimage = "disk.img"')
        pinned = Pins(tmp_path / folder).pin(next(matrix.cells()))
        assert pinned.digests == {"image": f"sha256:{hashlib.sha256(content).hexdigest()}"}
        keys.append(pinned.key)
    assert keys[0] == keys[1] != keys[2]


def test_a_moved_tag_does_not_move_a_campaign(tmp_path: Path) -> None:
    matrix = parse('[[cells]]\nkind = "check"\n[cells.axes]\nimage = "oci:store:tag"')
    first = push_image(b"a" * 512, f"oci:{tmp_path}/store:tag")
    pins = Pins(tmp_path)
    assert {number: block.cells for number, block in pins.gather(matrix).items()} == {0: 1}
    pins.save(tmp_path / "pins.json")
    second = push_image(b"b" * 512, f"oci:{tmp_path}/store:tag")
    assert first.digest != second.digest
    again = Pins(tmp_path)
    again.restore(tmp_path / "pins.json")
    cell = next(matrix.cells())
    assert again.pin(cell).digests["image"] == first.digest
    assert again.pin(cell).inputs["image"] == f"oci:{tmp_path}/store:tag@{first.digest}"
    assert Pins(tmp_path).pin(cell).digests["image"] == second.digest


def test_what_cannot_be_pinned_is_an_error(tmp_path: Path) -> None:
    for kind, name, value, code in (
        ("check", "image", "oci:store:tag", 3),
        ("fuzz", "harness", "missing.py", 5),
        ("build", "recipe", "missing.toml", 2),
        ("harvest", "wad", "missing.wad", 3),
    ):
        matrix = parse(f'[[cells]]\nkind = "{kind}"\n[cells.axes]\n{name} = "{value}"')
        with pytest.raises(PinError) as caught:
            Pins(tmp_path).gather(matrix)
        assert value in str(caught.value)
        assert caught.value.exit_code == code, kind
    (tmp_path / "pins.json").write_text("[[1]]")
    with pytest.raises(PinError, match="not a table of pins"):
        Pins(tmp_path).restore(tmp_path / "pins.json")


def test_a_tree_is_its_names_modes_links_and_content(tmp_path: Path) -> None:
    def tree(name: str) -> Path:
        folder = tmp_path / name
        (folder / "d").mkdir(parents=True)
        (folder / "d" / "f").write_bytes(b"x")
        (folder / "l").symlink_to("d/f")
        return folder

    one = tree("one")
    assert tree_digest(one) == tree_digest(tree("two"))
    seen = {tree_digest(one)}
    for name, change in {
        "content": lambda at: (at / "d" / "f").write_bytes(b"y"),
        "mode": lambda at: (at / "d" / "f").chmod(0o600),
        "link": lambda at: ((at / "l").unlink(), (at / "l").symlink_to("d")),
        "folder": lambda at: (at / "e").mkdir(),
    }.items():
        folder = tree(name)
        change(folder)  # type: ignore[no-untyped-call]  # a lambda
        seen.add(tree_digest(folder))
    assert len(seen) == 5


def test_every_kind_has_a_function() -> None:
    import importlib

    for kind in KINDS.values():
        module, _, name = kind.runs.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
