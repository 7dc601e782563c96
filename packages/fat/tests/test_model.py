"""A volume against a dictionary: any sequence of operations, on all FAT types and small cluster sizes."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cloudboot_base import MemoryStorage
from cloudboot_fat import (
    DirectoryNotEmptyError,
    FatFileSystem,
    FatReader,
    FormatOptions,
    NoSpaceError,
    OptionError,
    build,
    check,
    names,
)
from cloudboot_fat.testing import contents, fsck

# Few names, so that they meet; long and short, upper and lower case, and none that could be a generated short name.
FOLDERS = ["d", "a longer name.text", "ÜNÏ"]
NAMES = st.sampled_from([*FOLDERS, "A", "a", "B.TXT", "b.txt", "A Longer Name.TEXT", "ünï", "x" * 100, "D"])
PARENTS = st.lists(st.sampled_from(FOLDERS), max_size=2)
PATHS = st.tuples(PARENTS, NAMES).map(lambda parts: "/".join([*parts[0], parts[1]]))
CONTENTS = st.integers(0, 12).flatmap(lambda size: st.binary(min_size=size, max_size=size)).map(lambda data: data * 400)
SIZES = {12: 200 << 10, 16: 3 << 20, 32: 34 << 20}


def key(path: str) -> Any:
    return tuple(names.fold(name) for name in path.split("/"))


class Volume(RuleBasedStateMachine):
    @initialize(fat_type=st.sampled_from([12, 12, 16, 32]))
    def make(self, fat_type: Any) -> None:
        self.data = bytearray(SIZES[fat_type])
        self.fs = build(MemoryStorage(self.data), {}, FormatOptions(fat_type=fat_type, cluster_size=512, label="MODEL"))
        self.model: dict[
            tuple[str, ...], tuple[str, bytes | None]
        ] = {}  # folded path -> (path as spelled, bytes, or None for a directory)

    def parent_is_directory(self, path: str) -> Any:
        above = key(path)[:-1]
        return not above or (above in self.model and self.model[above][1] is None)

    def below(self, path: str) -> Any:
        return [other for other in self.model if len(other) > len(key(path)) and other[: len(key(path))] == key(path)]

    @rule(path=PATHS, data=CONTENTS)
    def write(self, path: str, data: Any) -> None:
        known = self.model.get(key(path))
        allowed = self.parent_is_directory(path) and (known is None or known[1] is not None)
        try:
            self.fs.write_file(path, data)
        except NoSpaceError:
            return
        except OSError:
            assert not allowed
            return
        assert allowed
        self.model[key(path)] = (known[0] if known else path, data)

    @rule(path=PATHS)
    def mkdir(self, path: str) -> None:
        allowed = self.parent_is_directory(path) and key(path) not in self.model
        try:
            self.fs.mkdir(path)
        except NoSpaceError:
            return
        except OSError:
            assert not allowed
            return
        assert allowed
        self.model[key(path)] = (path, None)

    @rule(path=PATHS)
    def remove(self, path: str) -> None:
        known = self.model.get(key(path))
        try:
            self.fs.remove(path)
        except OSError:
            assert known is None or known[1] is None
            return
        assert known is not None
        assert known[1] is not None
        del self.model[key(path)]

    @rule(path=PATHS)
    def rmdir(self, path: str) -> None:
        known = self.model.get(key(path))
        try:
            self.fs.rmdir(path)
        except DirectoryNotEmptyError:
            assert self.below(path)
            return
        except OSError:
            assert known is None or known[1] is not None
            return
        assert known is not None
        assert known[1] is None
        assert not self.below(path)
        del self.model[key(path)]

    @rule(old=PATHS, new=PATHS)
    def rename(self, old: str, new: str) -> None:
        inside = key(new)[: len(key(old))] == key(old) and key(new) != key(old)
        allowed = (
            key(old) in self.model
            and self.parent_is_directory(new)
            and (key(new) not in self.model or key(new) == key(old))
            and not inside
        )
        try:
            self.fs.rename(old, new)
        except NoSpaceError:
            return
        except (OSError, OptionError):
            assert not allowed
            return
        assert allowed
        for path in [key(old), *self.below(old)]:
            spelled, data = self.model.pop(path)
            self.model[key(new) + path[len(key(old)) :]] = (new if path == key(old) else spelled, data)

    @rule()
    def open_again(self) -> None:
        self.fs = FatFileSystem(MemoryStorage(self.data))

    @invariant()
    def equal(self) -> None:
        found = contents(FatReader(MemoryStorage(self.data)))
        assert {key(path[1:]): data for path, data in found.items()} == {
            path: data for path, (_spelled, data) in self.model.items()
        }
        last_names = {key(path[1:]): path.rpartition("/")[2] for path in found}
        assert last_names == {path: spelled.rpartition("/")[2] for path, (spelled, _data) in self.model.items()}
        assert contents(self.fs) == found

    @invariant()
    def clean(self) -> None:
        assert check(MemoryStorage(self.data)) == []

    def teardown(self) -> None:
        if hasattr(self, "data"):
            with tempfile.TemporaryDirectory() as folder:
                image = Path(folder, "volume.img")
                image.write_bytes(self.data)
                fsck(image)


Volume.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestVolume = Volume.TestCase
