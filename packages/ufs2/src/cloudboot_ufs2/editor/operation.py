"""What operations are made of: names that come and go, links that are counted, inodes that are made and given back."""

from __future__ import annotations

import stat
from collections import OrderedDict
from typing import TYPE_CHECKING

from cloudboot_ufs2 import errors
from cloudboot_ufs2.errors import DirectoryNotEmptyError, ReadOnlyError, TooManyLinksError
from cloudboot_ufs2.layout.constants import DIRBLKSIZ, DT_DIR, MAXSYMLINKLEN, SF_SNAPSHOT, SUJ_FILE, UFS_ROOTINO

from .attrwrite import release_attributes
from .blockwrite import FileSpace
from .dirwrite import LiveDirectory
from .transaction import JOURNAL_IS_NEEDED, Stage, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.records import Ufs2Dinode

    from .transaction import Store

_CACHED_DIRECTORIES = 64


class Directories:
    """The directories that were used last, kept as they are between operations."""

    def __init__(self, read: Callable[[int], bytes], byteorder: ByteOrder) -> None:
        self._read, self._byteorder = read, byteorder
        self._found: OrderedDict[int, LiveDirectory] = OrderedDict()

    def get(self, number: int) -> LiveDirectory:
        """Directory ``number``.

        Raises:
            NotADirectoryError: the path is not a directory.
            DirectoryError: its records do not hold together.
        """
        found = self._found.get(number)
        if found is None:
            found = self._found[number] = LiveDirectory(self._read(number), self._byteorder, number)
        self._found.move_to_end(number)
        return found

    def forget(self, number: int) -> None:
        """Read directory ``number`` again when it is needed next."""
        self._found.pop(number, None)

    def trim(self) -> None:
        """Keep a few; not within an operation, which changes what it has got."""
        while len(self._found) > _CACHED_DIRECTORIES:
            self._found.popitem(last=False)


class Operation(Transaction):
    """A transaction that knows files and directories."""

    def __init__(self, store: Store, now: int, directories: Directories) -> None:
        super().__init__(store, now)
        self._directories = directories
        self._edited: set[int] = set()

    def roll_back(self) -> None:
        """Forget the operation."""
        super().roll_back()
        for number in self._edited:
            self._directories.forget(number)

    # Directories

    def edit(self, number: int) -> LiveDirectory:
        """A directory that is about to change; it is read again should the operation fail."""
        self._edited.add(number)
        return self._directories.get(number)

    def require_empty(self, number: int, path: str) -> None:
        """Refuse to go on with a directory that holds something.

        Raises:
            DirectoryNotEmptyError: it does.
        """
        if self._directories.get(number).entries:
            raise DirectoryNotEmptyError(f"{path}: the directory is not empty")

    def add(self, directory: int, name: bytes, number: int, kind: int) -> None:
        """Put a name into a directory."""
        inode = self.inode(directory)
        live = self.edit(directory)
        chunk = live.add(name, number, kind)
        space = FileSpace(self, directory)
        self.touch(inode, content=True)
        if live.size > space.size:
            space.reserve(space.size, live.size)
            self.put_chunk(live, chunk, Stage.ADD)
            self.stage_inode(directory, Stage.GROW)
        else:
            self.put_chunk(live, chunk, Stage.ADD)

    def replace_entry(self, directory: int, name: bytes, number: int, kind: int) -> None:
        """Let a name of a directory lead to another inode."""
        live = self.edit(directory)
        self.put_chunk(live, live.replace(name, number, kind), Stage.ADD)
        self.touch(self.inode(directory), content=True)

    def remove(self, directory: int, name: bytes) -> None:
        """Take a name out of a directory, which shrinks if its last chunks are empty then."""
        self._keep_journal(directory, name)
        inode = self.inode(directory)
        live = self.edit(directory)
        chunk = live.remove(name)
        self.touch(inode, content=True)
        if chunk * DIRBLKSIZ < live.size:
            self.put_chunk(live, chunk, Stage.REMOVE)
        space = FileSpace(self, directory)
        if live.size < space.size:
            space.shrink(live.size)
            self.stage_inode(directory, Stage.REMOVE)

    def rename_in_place(self, directory: int, name: bytes, new: bytes) -> bool:
        """Change a name where it is, with one write; whether there is room for that."""
        self._keep_journal(directory, name)
        live = self.edit(directory)
        chunk = live.rename(name, new)
        if chunk is None:
            return False
        self.put_chunk(live, chunk, Stage.ADD)
        self.touch(self.inode(directory), content=True)
        return True

    def _keep_journal(self, directory: int, name: bytes) -> None:
        """Refuse to take the journal of soft updates from where FreeBSD looks for it."""
        if self.store.journal and directory == UFS_ROOTINO and name == SUJ_FILE:
            raise ReadOnlyError(JOURNAL_IS_NEEDED)

    def move(self, number: int, old: tuple[int, bytes], new: tuple[int, bytes], replaced: int) -> None:
        """Move an inode from one name to another, each a directory and a name in it.

        The inode has gained a link already, and so has the new parent of a directory, unless ``replaced`` is an inode
        (not 0) whose name this was.
        """
        (old_parent, old_name), (new_parent, new_name) = old, new
        inode = self.inode(number)
        is_directory = stat.S_ISDIR(inode.di_mode)
        if replaced:
            self.replace_entry(new_parent, new_name, number, inode.di_mode >> 12)
        else:
            self.add(new_parent, new_name, number, inode.di_mode >> 12)
        if is_directory and new_parent != old_parent:
            live = self.edit(number)
            self.put_chunk(live, live.replace(b"..", new_parent, DT_DIR), Stage.GROW)
            self.set_depth(number, self.inode(new_parent).di_dirdepth + 1)
        self.remove(old_parent, old_name)
        inode.di_nlink -= 1
        if is_directory and (new_parent != old_parent or replaced):
            self.inode(old_parent).di_nlink -= 1
        if replaced and is_directory:
            self.drop(replaced)
        elif replaced:
            self.lose(replaced)

    def put_chunk(self, live: LiveDirectory, chunk: int, stage: Stage) -> None:
        """Write a chunk of a directory when ``stage`` has come."""
        start = chunk * DIRBLKSIZ
        ((offset, _),) = FileSpace(self, live.number).pieces(start, start + DIRBLKSIZ)
        self.put(stage, offset, live.chunk(chunk))

    def require_replaceable(self, number: int, path: str, *, is_directory: bool) -> None:
        """Refuse what rename(2) refuses to replace; ``is_directory`` says what is to take the place.

        Raises:
            NotADirectoryError: a directory would replace something else.
            IsADirectoryError: something else would replace a directory.
            DirectoryNotEmptyError: the directory that would be replaced is not empty.
        """
        target_is_directory = stat.S_ISDIR(self.inode(number).di_mode)
        if is_directory and not target_is_directory:
            raise errors.NotADirectoryError(f"{path}: a directory cannot replace it")
        if target_is_directory and not is_directory:
            raise errors.IsADirectoryError(f"{path}: only a directory can replace it")
        if target_is_directory:
            self.require_empty(number, path)

    def is_inside(self, directory: int, ancestor: int) -> bool:
        """Whether ``directory`` is ``ancestor`` or below it."""
        seen: set[int] = set()
        while directory not in seen:
            if directory == ancestor:
                return True
            seen.add(directory)
            directory = self._directories.get(directory).parent
        return False

    def set_depth(self, number: int, depth: int) -> None:
        """Set di_dirdepth of a directory and of all below it."""
        pending = [(number, depth)]
        seen: set[int] = set()
        while pending:
            number, depth = pending.pop()
            inode = self.inode(number)
            if inode.di_dirdepth != depth and number not in seen:
                seen.add(number)
                inode.di_dirdepth = depth
                entries = self._directories.get(number).entries.values()
                pending.extend((below, depth + 1) for below, kind in entries if kind == DT_DIR)

    # Inodes

    def gain(self, number: int, path: str) -> None:
        """One link more, on disk before the name is."""
        inode = self.inode(number)
        if inode.di_nlink >= self.store.link_max:
            raise TooManyLinksError(f"{path}: too many links", field="di_nlink", expected=self.store.link_max)
        inode.di_nlink += 1
        self.touch(inode, content=False)
        self.stage_inode(number, Stage.GAIN)

    def lose(self, number: int) -> None:
        """One link less; the file goes with its last one."""
        inode = self.inode(number)
        self.touch(inode, content=False)
        if inode.di_nlink > 1:
            inode.di_nlink -= 1
        else:
            self.drop(number)

    def drop(self, number: int) -> None:
        """Give back an inode and all it holds."""
        inode = self.inode(number)
        if inode.di_flags & SF_SNAPSHOT:
            raise ReadOnlyError(f"inode {number} is a snapshot")
        if inode.di_size and _holds_blocks(inode):
            FileSpace(self, number).shrink(0)
        release_attributes(self, number)
        self._directories.forget(number)
        self.drop_inode(number)

    def new_file(self, parent: int, mode: int, *, uid: int, gid: int) -> int:
        """An inode with one link, near its directory."""
        number = self.new_inode(parent // self.geometry.group_inodes, mode, is_directory=False)
        inode = self.inode(number)
        inode.di_nlink, inode.di_uid, inode.di_gid = 1, uid, gid
        return number

    def write_new(self, number: int, data: bytes) -> None:
        """The content of an inode that nothing leads to yet."""
        space = FileSpace(self, number)
        space.reserve(0, len(data))
        ((offset, _),) = space.pieces(0, len(data))
        self.write(offset, data)


def _holds_blocks(inode: Ufs2Dinode) -> bool:
    """Whether the pointers of an inode lead to blocks."""
    if stat.S_ISLNK(inode.di_mode):
        return inode.di_size >= MAXSYMLINKLEN
    return stat.S_ISREG(inode.di_mode) or stat.S_ISDIR(inode.di_mode)
