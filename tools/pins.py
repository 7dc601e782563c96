"""Write ``requirements/dev.txt``: every version the workspace is developed and tested with.

What is pinned keeps its version and what is missing is added; ``--upgrade`` renews all of them.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Compile the pins; no address of any index reaches the file."""
    packages = sorted(ROOT.glob("packages/*/pyproject.toml"))
    own = [word for path in packages for word in ("--no-emit-package", distribution(path))]
    tests = [
        word
        for path in packages
        if "test" in tomllib.loads(path.read_text()).get("dependency-groups", {})
        for word in ("--group", f"{path.relative_to(ROOT)}:test")
    ]
    command = [
        sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
        "--all-extras", "--no-header", "--no-emit-index-url", "--no-annotate", *sys.argv[1:], *own, *tests,
        "--output-file", "requirements/dev.txt", "requirements/tools.in",
        *(str(path.relative_to(ROOT)) for path in packages),
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def distribution(path: Path) -> str:
    """The distribution a package folder makes: ``cloudboot-`` and the folder's name."""
    return f"cloudboot-{path.parent.name}"


if __name__ == "__main__":
    sys.exit(main())
