"""``python -m cloudboot_oci_stream`` is the same as ``cloudboot-oci-stream``."""

from __future__ import annotations

import sys

from cloudboot_oci_stream.commands import main

if __name__ == "__main__":
    sys.exit(main())
