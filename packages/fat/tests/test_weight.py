"""What importing the package brings along, and what it does not."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["numpy", "construct", "argparse", "hashlib", "json", "email", "ssl"])
def test_the_library_needs_no(module: str) -> None:
    code = "import sys, cloudboot_fat; print(sys.argv[1] in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, module], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
