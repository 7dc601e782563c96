"""How an image is named: the names of :mod:`.spec.reference` that users of this package need."""

from cloudboot_oci_stream.spec.reference import LayoutReference, Reference, RegistryReference, parse_reference

__all__ = ["LayoutReference", "Reference", "RegistryReference", "parse_reference"]
