"""``python -m cloudboot_virtio`` is ``cloudboot-virtio``."""

import sys

from .commands.main import main

if __name__ == "__main__":
    sys.exit(main())
