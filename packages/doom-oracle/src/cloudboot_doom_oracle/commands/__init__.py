"""The ``cloudboot-doom-oracle`` command."""
