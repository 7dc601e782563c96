"""How a cell's image reaches its probe: from a folder, or from a registry of the cell's own over HTTP or HTTPS."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_oci_stream import Access, copy_image, push_image
from cloudboot_oci_stream.testing import docker_registry, server_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def delivered(image: str, transport: str | None) -> Iterator[tuple[str, Access | None]]:
    """A reference to ``image`` (a file, or a reference) over ``transport``, and how the place is reached.

    Without a transport a reference is taken as it is, and a file goes through a folder. A registry is docker-registry
    on a free port of 127.0.0.1, empty at first; with ``"https"`` it has a certificate that was made for it, which is
    the only authority added. What refers to the image, such as its signatures, goes with it.

    Raises:
        FileNotFoundError: docker-registry, or for ``"https"`` openssl, is not installed.
        OciError: the image does not come, or is not taken.
    """
    is_file = os.path.isfile(image)
    if transport is None and not is_file:
        yield image, None
        return
    with contextlib.ExitStack() as stack:
        access: Access | None = None
        place = f"oci:{Path.cwd() / 'store'}"
        if transport in {"http", "https"}:
            certificate = server_certificate(Path.cwd()) if transport == "https" else None
            registry = stack.enter_context(docker_registry(certificate=certificate))
            place = f"{registry.host}/cell"
            access = Access(insecure=certificate is None, ca_file=certificate[0] if certificate is not None else None)
        target = f"{place}:image"
        if is_file:
            push_image(image, target, access=access)
        else:
            copy_image(image, target, target_access=access, referrers=True)
        yield target, access
