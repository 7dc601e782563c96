"""Opening the source of a volume, of whichever kind it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudboot_vfs.notices import Notices

from .source import TreeBuilder, load_folder, load_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .source import Tree


@contextlib.contextmanager
def opened_tree(
    tree: Tree, notices: Notices | None = None, *, case_sensitive: bool = False, windows_names: bool = False
) -> Iterator[TreeBuilder]:
    """A tree, whose files can be read inside. ``notices`` is told what is left out of an archive.

    Raises:
        SourceError: a member that cannot be stored, named; or a damaged archive.
        FileKindError: the path names a pipe or a device.
        OSError: the host refuses.
    """
    if isinstance(tree, Mapping) or (isinstance(tree, str | os.PathLike) and os.path.isdir(tree)):
        builder = TreeBuilder(case_sensitive=case_sensitive, windows_names=windows_names)
        if isinstance(tree, Mapping):
            load_mapping(builder, tree)
        else:
            load_folder(builder, builder.root, os.fspath(tree))
        yield builder
        return
    from .archive import opened_archive  # decoders take a while to be imported

    with opened_archive(
        tree, Notices() if notices is None else notices, case_sensitive=case_sensitive, windows_names=windows_names
    ) as builder:
        yield builder
