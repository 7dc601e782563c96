"""``cloudboot fleet``: the commands; cloudboot-probes finds them by the entry point ``cloudboot_probes.commands``."""

from .declared import GROUP

__all__ = ["GROUP"]
