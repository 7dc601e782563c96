"""What tests need of a registry: real ones on loopback, and one whose every fault has a switch."""

from .servers import Server, docker_registry, find_program, killed_with_us

__all__ = ["Server", "docker_registry", "find_program", "killed_with_us"]
