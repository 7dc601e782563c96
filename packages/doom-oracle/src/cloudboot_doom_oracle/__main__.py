"""``python -m cloudboot_doom_oracle`` is ``cloudboot-doom-oracle``."""

import sys

from .commands.main import main

if __name__ == "__main__":
    sys.exit(main())
