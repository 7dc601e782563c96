"""What the meta-package itself refuses; the packages below have trees of their own.

CloudbootError
+-- RecipeError         a recipe or a flag asks for something that cannot be built
+-- PackageMissingError      a Debian package, or the means to fetch one, is not there
+-- GateFailedError         a gate of a probe saw something else than it must
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class CloudbootError(Exception):
    """The base; ``hint`` says what a person can do next."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_dict(self) -> dict[str, object]:
        """The facts of the error, ready for JSON."""
        facts = {"error": type(self).__name__, "message": self.message, "hint": self.hint}
        return {name: value for name, value in facts.items() if value is not None}


class RecipeError(CloudbootError):
    """A recipe or a flag asks for something that cannot be built."""


class PackageMissingError(CloudbootError):
    """A Debian package, or the means to fetch one, is not there."""


class GateFailedError(CloudbootError):
    """A gate saw something else than it must; ``evidence`` is what it saw until then."""

    def __init__(self, message: str, *, evidence: Mapping[str, object] | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.evidence = dict(evidence or {})
