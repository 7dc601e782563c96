"""Results of cells, each under the digest of its inputs: in a folder, or as artifacts of an OCI registry or folder."""

from .folder import FolderResults
from .opening import open_results, refusal
from .registry import RegistryResults
from .store import Results

__all__ = ["FolderResults", "RegistryResults", "Results", "open_results", "refusal"]
