"""Whether a Dask scheduler listens at an address, asked before anything is made that would wait for its answers.

Dask itself takes the first eight bytes of whatever answers for the size of a message.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from cloudboot_base.command import printable
from cloudboot_fleet.errors import ClusterError, PeerError

if TYPE_CHECKING:
    from distributed.security import Security

#: Seconds for one attempt, between two, and until a peer is asked in HTTP.
_ATTEMPT, _PAUSE, _SILENT = 10.0, 0.5, 2.0
#: Both ends of a connection begin with a short message (distributed, ``comm.core``) that has this name in it.
_GREETING, _LARGEST = b"pickle-protocol", 64 << 10


async def find_scheduler(address: str, security: Security | None, patience: float) -> None:
    """Wait until a scheduler answers at ``address`` (``tcp://HOST:PORT`` or ``tls://HOST:PORT``).

    Raises:
        PeerError: what answers is certainly not a scheduler, or does not trust this side's certificate.
        ClusterError: nothing answered within ``patience`` seconds. What listens may be silent or close the connection,
            as a tunnel does whose other end is not there yet.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while True:
        left = end - loop.time()
        try:
            await asyncio.wait_for(_ask(address, security), max(0.1, min(_ATTEMPT, left)))
        except ssl.SSLError as error:
            if not isinstance(error, ssl.SSLEOFError):
                raise PeerError(f"no scheduler at {address}: TLS failed: {_reason(error)}") from None
            why = "the connection is closed"
        except TimeoutError:
            why = "no answer"
        except (asyncio.IncompleteReadError, ConnectionError):
            why = "the connection is refused or closed"
        except OSError as error:
            why = error.strerror or str(error)
        else:
            return
        if loop.time() + _PAUSE > end:
            raise ClusterError(f"no scheduler at {address} for {patience:g} s: {why}")
        await asyncio.sleep(_PAUSE)


async def _ask(address: str, security: Security | None) -> None:
    """Ask who listens at ``address``.

    Raises:
        PeerError: the answer is not a scheduler's.
        IncompleteReadError, OSError: there is none.
    """
    from distributed import rpc

    arguments: dict[str, Any] = security.get_connection_args("worker") if security is not None else {}
    host, _, port = address.partition("://")[2].rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=arguments.get("ssl_context"))
    try:
        first = await _first(reader, writer)
        size = int.from_bytes(first, "little")
        if size > _LARGEST:
            raise PeerError(
                f"no scheduler at {address}: what listens there says {printable(first.decode('latin-1'))!r}"
            )
        if _GREETING not in await reader.readexactly(size):
            raise PeerError(f"no scheduler at {address}: what listens there is not Dask")
    finally:
        writer.close()
    async with rpc(address, connection_args=arguments) as peer:
        kind = (await peer.identity()).get("type")
    if kind != "Scheduler":
        raise PeerError(f"no scheduler at {address}: what listens there is Dask's {kind}")


async def _first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The first eight bytes of the peer. Dask speaks at once; an HTTP server waits for a request."""
    try:
        return await asyncio.wait_for(reader.readexactly(8), _SILENT)
    except TimeoutError:
        writer.write(b"GET / HTTP/1.0\r\n\r\n")  # Dask drops the connection
        return await reader.readexactly(8)


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
