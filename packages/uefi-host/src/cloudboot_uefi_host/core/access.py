"""What programs did with files, as evidence."""

from __future__ import annotations

from typing import NamedTuple


class Access(NamedTuple):
    """One access to a file: the image that asked, ``open`` or ``read``, the path, and the bytes read (0 for ``open``).

    ``found`` is false where the file does not exist.
    """

    image: str
    action: str
    path: str
    size: int
    found: bool
