"""Policies: the names of :mod:`.signatures.policy` that users of this package need."""

from cloudboot_oci_stream.signatures.policy import Identity, Policy, Rule, Trust

__all__ = ["Identity", "Policy", "Rule", "Trust"]
