"""What leaves a volume: files and folders of the host."""

from .copyout import Copied, copy_out

__all__ = ["Copied", "copy_out"]
