"""What leaves a volume: files and folders of the host, and tar archives."""

from .copyout import Copied, copy_out
from .tar import write_tar

__all__ = ["Copied", "copy_out", "write_tar"]
