"""What the meta-package itself refuses; the packages below have trees of their own.

CloudbootError (a cloudboot_base.Error)
+-- RecipeError         a recipe or a flag asks for something that cannot be built
+-- PackageMissingError      a Debian package, or the means to fetch one, is not there
"""

from __future__ import annotations

from cloudboot_base import Error
from cloudboot_base.exit_codes import SYSTEM, USAGE


class CloudbootError(Error):
    """The base of the tree."""

    exit_code = USAGE


class RecipeError(CloudbootError):
    """A recipe or a flag asks for something that cannot be built."""


class PackageMissingError(CloudbootError):
    """A Debian package, or the means to fetch one, is not there."""

    exit_code = SYSTEM
