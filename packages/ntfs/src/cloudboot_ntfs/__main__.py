"""``python -m cloudboot_ntfs``."""

import sys

from .commands import main

if __name__ == "__main__":
    sys.exit(main())
