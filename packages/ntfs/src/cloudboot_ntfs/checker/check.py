"""The whole check of a volume, part after part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import BudgetError, Error, Finding
from cloudboot_ntfs.errors import NtfsError
from cloudboot_ntfs.reader.volume import NTFS

from . import directories, records, secure, space, system, views
from .context import Context

if TYPE_CHECKING:
    from cloudboot_ntfs.reader.volume import Source

_PARTS = (
    system.check_boot,
    records.check_records,
    space.check_space,
    system.check_mirror,
    system.check_volume,
    system.check_attr_def,
    system.check_upcase,
    system.check_log_file,
    system.check_bad_clusters,
    directories.check_directories,
    secure.check_secure,
    views.check_reparse,
    views.check_object_ids,
    views.check_journal,
)


def survey(volume: NTFS) -> Context:
    """What every part of a check finds and knows of an open volume."""
    context = Context(volume)
    for part in _PARTS:
        try:
            part(context)
        except BudgetError as error:
            context.caught(error)
            break
        except Error as error:
            context.caught(error)
    return context


def check(source: Source, *, offset: int = 0, size: int | None = None) -> list[Finding]:
    """Everything wrong with a volume; arguments as :class:`~cloudboot_ntfs.NTFS`.

    A volume that is damaged so much that its MFT cannot be found has one finding. The time and the memory that a check
    takes are bounded by the size of the volume, whatever it states.

    Raises:
        OSError: the host refuses.
    """
    try:
        volume = NTFS(source, offset=offset, size=size)
    except NtfsError as error:
        return [Finding.from_error(error)]
    with volume:
        return survey(volume).findings
