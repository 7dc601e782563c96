"""What tests need of a registry: real ones on loopback, and one whose every fault has a switch."""

from cloudboot_oci_stream.testing.registry import Faults, FaultyRegistry, Seen
from cloudboot_oci_stream.testing.servers import (
    Server,
    docker_registry,
    find_program,
    folder_gone_with_us,
    killed_with_us,
    pull_through_cache,
    server_certificate,
)

__all__ = [
    "Faults",
    "FaultyRegistry",
    "Seen",
    "Server",
    "docker_registry",
    "find_program",
    "folder_gone_with_us",
    "killed_with_us",
    "pull_through_cache",
    "server_certificate",
]
