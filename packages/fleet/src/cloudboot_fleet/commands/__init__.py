"""``cloudboot fleet``: the commands; cloudboot-probes finds them by the entry point ``cloudboot_probes.commands``."""

from .arguments import GROUP

__all__ = ["GROUP"]
