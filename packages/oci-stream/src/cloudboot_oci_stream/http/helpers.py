"""Credential helpers: the programs ``docker-credential-*`` that keep passwords in a keyring.

Protocol: https://docs.docker.com/reference/cli/docker/login/#credential-helper-protocol. What a helper writes is
never repeated in a message, since it may hold a secret.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import CredentialError, TransferTimeoutError

if TYPE_CHECKING:
    from cloudboot_oci_stream.deadline import Deadline

_LOG = logging.getLogger("cloudboot_oci_stream")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LARGEST_ANSWER = 1 << 20
_SECONDS = 60.0
"""How long a helper may take where no deadline is nearer: it may have to ask a person."""
_NOT_FOUND = b"credentials not found"
"""What a helper says, with an exit status that is not zero, of a registry that it has nothing for."""


class Helper:
    """One helper program. Its absence, or its first failure, is logged once; after that it is not asked again."""

    def __init__(self, name: str) -> None:
        if _NAME.fullmatch(name) is None:
            raise CredentialError("not the name of a credential helper", expected="letters, digits, . _ -")
        self.program = f"docker-credential-{name}"
        self.problem: str | None = None

    @property
    def is_installed(self) -> bool:
        """Whether the program is there."""
        return shutil.which(self.program) is not None

    def get(self, server: str, deadline: Deadline) -> tuple[str, str] | None:
        """User name and secret for ``server``; ``None`` if the helper has none, or cannot be asked.

        Raises:
            TransferTimeoutError: the deadline passed.
        """
        answer = self._ask("get", server.encode(), deadline)
        if answer is None:
            return None
        try:
            # The Go clients take names in any case.
            value = {name.lower(): text for name, text in json.loads(answer).items()}
            user, secret = value["username"], value["secret"]
        except (ValueError, KeyError, AttributeError, RecursionError):
            self._fail("gives an answer that is not the JSON of credentials")
            return None
        if not isinstance(user, str) or not isinstance(secret, str):
            self._fail("gives an answer that is not the JSON of credentials")
            return None
        return (user, secret) if secret else None

    def store(self, server: str, user: str, secret: str, deadline: Deadline) -> None:
        """Have the helper keep credentials.

        Raises:
            CredentialError: it does not.
        """
        data = json.dumps({"ServerURL": server, "Username": user, "Secret": secret})
        self._demand("store", data.encode(), deadline)

    def erase(self, server: str, deadline: Deadline) -> None:
        """Have the helper forget what it has for ``server``.

        Raises:
            CredentialError: it does not.
        """
        self._demand("erase", server.encode(), deadline)

    def _demand(self, action: str, data: bytes, deadline: Deadline) -> None:
        if self._ask(action, data, deadline) is None:
            raise CredentialError(f"{self.program} {action}: {self.problem or 'it refuses'}")

    def _ask(self, action: str, data: bytes, deadline: Deadline) -> bytes | None:
        if self.problem is not None:
            return None
        path = shutil.which(self.program)
        if path is None:
            self._fail("is not installed")
            return None
        try:
            process = subprocess.Popen(
                [path, action],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._fail(f"cannot be run: {error.strerror}")
            return None
        try:
            answer, _ = process.communicate(data, timeout=deadline.cap(_SECONDS))
        except subprocess.TimeoutExpired:
            deadline.cap(1)
            raise TransferTimeoutError(f"{self.program} gave no answer in {_SECONDS:g} s", final=True) from None
        finally:
            # The helper may have left children that hold the pipe.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            process.wait()
        if process.returncode:
            if _NOT_FOUND in answer[:4096].lower():
                return None
            self._fail(f"failed with exit status {process.returncode}")
            return None
        return answer[:_LARGEST_ANSWER]

    def _fail(self, problem: str) -> None:
        self.problem = problem
        _LOG.warning("the credential helper %s %s", self.program, problem)
