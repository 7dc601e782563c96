"""``cloudboot fleet``: the commands, which cloudboot-probes finds through the entry point ``cloudboot_probes.commands``."""

from .declared import GROUP

__all__ = ["GROUP"]
