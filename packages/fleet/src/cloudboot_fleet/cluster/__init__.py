"""Where cells run: processes of this machine, a scheduler elsewhere, SLURM, Kubernetes."""

from .local import local_cluster
from .security import Tls, check_address, security_of

__all__ = ["Tls", "check_address", "local_cluster", "security_of"]
