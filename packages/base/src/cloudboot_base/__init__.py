"""The ground floor of the cloudboot packages; the standard library is all it needs.

- :mod:`.errors`: errors and findings that say what broke, where, and what to do next;
- :mod:`.storage`, :mod:`.output`, :mod:`.copying`: bytes at offsets, and files that appear only when they are whole;
- :mod:`.gates`: steps that show evidence or stop the run;
- :mod:`.guid`: GUIDs between their text, bytes and names;
- :mod:`.command`: the conventions of the commands, and :mod:`.exit_codes`.
"""

from .errors import (
    BudgetError,
    Error,
    FileKindError,
    Finding,
    FormatError,
    HostNameError,
    MissingDependencyError,
    RangeError,
    TruncatedError,
    UsageError,
    in_file,
)
from .gates import Gate, GateFailedError, Stage, Verdict, run_stages
from .output import UnnamedFile, followed, new_file, new_image, refuse_existing, unnamed_file
from .storage import FileStorage, MemoryStorage, Storage, StorageFile, Window, WritableStorage, open_storage, read_file

__all__ = [
    "BudgetError",
    "Error",
    "FileKindError",
    "FileStorage",
    "Finding",
    "FormatError",
    "Gate",
    "GateFailedError",
    "HostNameError",
    "MemoryStorage",
    "MissingDependencyError",
    "RangeError",
    "Stage",
    "Storage",
    "StorageFile",
    "TruncatedError",
    "UnnamedFile",
    "UsageError",
    "Verdict",
    "Window",
    "WritableStorage",
    "followed",
    "in_file",
    "new_file",
    "new_image",
    "open_storage",
    "read_file",
    "refuse_existing",
    "run_stages",
    "unnamed_file",
]
