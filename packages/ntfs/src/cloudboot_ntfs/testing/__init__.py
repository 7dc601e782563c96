"""What tests of this package and of others need: hives with logs, volumes with everything in them, and judges."""

from .damage import Patient, damages, sample
from .hives import new_log, old_log, sample_key
from .volumes import (
    SystemEditor,
    contents,
    mounted,
    ntfs3g_volume,
    ntfsfix,
    pattern,
    restart_pages,
    sample_tree,
    sparse_file,
    wim_chunks,
    wof_member,
)

__all__ = [
    "Patient",
    "SystemEditor",
    "contents",
    "damages",
    "mounted",
    "new_log",
    "ntfs3g_volume",
    "ntfsfix",
    "old_log",
    "pattern",
    "restart_pages",
    "sample",
    "sample_key",
    "sample_tree",
    "sparse_file",
    "wim_chunks",
    "wof_member",
]
