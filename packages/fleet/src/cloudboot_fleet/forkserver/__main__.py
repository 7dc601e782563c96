"""Start a fork server; only :class:`.client.ForkServer` does."""

import sys

from .server import main

main(sys.argv[1:])
