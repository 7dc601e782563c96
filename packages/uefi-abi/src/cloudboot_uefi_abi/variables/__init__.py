"""UEFI variables: the store in flash, efivarfs, signature lists, authentication, and what the boot manager reads."""

from __future__ import annotations

from .authentication import AuthenticatedUpdate, Certificate
from .boot import BootEntry, boot_entries, boot_order, option_number, pack_boot_order
from .description import describe
from .dump import variables_from_dump, variables_from_json
from .ec2 import variables_from_ec2
from .efivarfs import efivarfs_file, efivarfs_name, variable_from_efivarfs
from .enhanced import EnhancedUpdate, EnhancedValue
from .signatures import Signature, SignatureList, pack_signature_lists, parse_signature_lists
from .store import StoredVariable, VariableStore, format_store
from .variable import Variable

__all__ = [
    "AuthenticatedUpdate",
    "BootEntry",
    "Certificate",
    "EnhancedUpdate",
    "EnhancedValue",
    "Signature",
    "SignatureList",
    "StoredVariable",
    "Variable",
    "VariableStore",
    "boot_entries",
    "boot_order",
    "describe",
    "efivarfs_file",
    "efivarfs_name",
    "format_store",
    "option_number",
    "pack_boot_order",
    "pack_signature_lists",
    "parse_signature_lists",
    "variable_from_efivarfs",
    "variables_from_dump",
    "variables_from_ec2",
    "variables_from_json",
]
