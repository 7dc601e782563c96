"""Files and directories under no name get one in ``/lost+found``: the number of their inode, as fsck_ffs has it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from cloudboot_ufs2 import errors
from cloudboot_ufs2.checker.repair_maps import mark_clean
from cloudboot_ufs2.errors import RepairRefusedError
from cloudboot_ufs2.layout.constants import DT_DIR

from .edit import WritableUFS2
from .transaction import Stage

if TYPE_CHECKING:
    from cloudboot_base import Finding
    from cloudboot_base.overlay import Overlay
    from cloudboot_ufs2.checker.survey import Survey

_FOLDER = "/lost+found"
_MODE = 0o1777  # dir.c, lfmode


def reconnect(overlay: Overlay, survey: Survey, orphans: list[Finding], actions: list[str]) -> None:
    """Give each of ``orphans`` a name; the maps of the file system must be right.

    Raises:
        RepairRefusedError: lost+found is no directory, has no room, or a directory among them is damaged.
    """
    mark_clean(overlay, [])
    try:
        with WritableUFS2(overlay, use_reserve=True) as volume:
            if not volume.exists(_FOLDER):
                volume.mkdir(_FOLDER, _MODE)
                actions.append(f"{_FOLDER} is made")
            for finding in orphans:
                number = int(finding.where["inode"])
                path = f"{_FOLDER}/#{number:08}"
                _name(volume, number, path, subdirectories=_subdirectories(survey, number))
                actions.append(f"inode {number}: reconnected as {path}")
    except (errors.Ufs2Error, OSError) as error:
        raise RepairRefusedError(orphans, reason=str(error)) from error


def _subdirectories(survey: Survey, number: int) -> int:
    return sum(1 for parent, _ in survey.names.values() if parent == number)


def _name(volume: WritableUFS2, number: int, path: str, *, subdirectories: int) -> None:
    with volume.operation() as operation:
        parent, name = volume.place_new(path)
        inode = operation.inode(number)
        if stat.S_ISDIR(inode.di_mode):
            operation.gain(parent, path)
            live = operation.edit(number)
            operation.put_chunk(live, live.replace(b"..", parent, DT_DIR), Stage.GROW)
            operation.set_depth(number, operation.inode(parent).di_dirdepth + 1)
            inode.di_nlink = 2 + subdirectories
        else:
            inode.di_nlink = 1
        operation.stage_inode(number, Stage.GAIN)
        operation.add(parent, name, number, inode.di_mode >> 12)
