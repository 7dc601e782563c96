"""Adapters that need a package of an extra."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def importing(package: str, extra: str) -> Iterator[None]:
    """Around the imports from ``package``, which the extra ``extra`` installs.

    Raises:
        ModuleNotFoundError: it, or a package that it needs, is not installed; the message names the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"this module needs {package}, and {error.name} is not installed; "
            f"install the extra {extra!r}: pip install 'cloudboot-vfs[{extra}]'",
            name=error.name,
        ) from error
