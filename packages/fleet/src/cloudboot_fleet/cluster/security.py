"""TLS between client, scheduler and workers. A scheduler runs what a client sends, and others must not reach it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudboot_fleet.errors import InsecureError

if TYPE_CHECKING:
    from pathlib import Path

    from distributed.security import Security


@dataclass(frozen=True, slots=True)
class Tls:
    """Files (PEM): the authority that both sides trust, and this side's certificate and key."""

    ca: Path
    certificate: Path
    key: Path

    def security(self) -> Security:
        """What Dask takes; each side asks the other for its certificate.

        Raises:
            OSError: a file cannot be read.
        """
        from distributed.security import Security

        for path in (self.ca, self.certificate, self.key):
            with path.open("rb"):
                pass
        names: dict[str, Any] = {"tls_ca_file": str(self.ca), "require_encryption": True}
        for role in ("client", "scheduler", "worker"):
            names |= {f"tls_{role}_cert": str(self.certificate), f"tls_{role}_key": str(self.key)}
        return Security(**names)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_address(address: str, tls: Tls | None) -> None:
    """Refuse a scheduler that other machines reach unless both sides use TLS.

    Raises:
        InsecureError: the address is not of this machine, and is not ``tls://`` or has no certificates.
    """
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in {"tls", "tcp"}:
        raise InsecureError(f"{address} is not tls://HOST:PORT")
    host, _, port = rest.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 <= int(port[:6]) < 1 << 16:
        raise InsecureError(f"{address} is not {scheme}://HOST:PORT")
    if scheme == "tcp" and tls is not None:
        raise InsecureError(f"{address} is without TLS, and certificates are given", hint=f"tls://{rest}")
    if scheme == "tcp" and not is_loopback(host):
        raise InsecureError(
            f"{address} can be reached from other machines and is without TLS",
            hint=f"tls://{rest} with --tls-ca, --tls-certificate and --tls-key on every side",
        )
    if scheme == "tls" and tls is None:
        raise InsecureError(
            f"{address} needs certificates", hint="give --tls-ca, --tls-certificate and --tls-key, or [cluster.tls]"
        )


def security_of(tls: Tls | None) -> Security | None:
    """What Dask takes, or nothing."""
    return tls.security() if tls is not None else None
