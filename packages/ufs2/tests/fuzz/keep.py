"""Make ``corpus`` anew from itself and from what fuzzing has found: ``python keep.py .cache/fuzz/ufs2``."""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main(found: Path) -> None:
    """Keep the fewest, shortest inputs that reach all that the inputs of each harness reach."""
    for harness in sorted(HERE.glob("fuzz_*.py")):
        with tempfile.TemporaryDirectory() as kept:
            more = [found / harness.stem] if (found / harness.stem).is_dir() else []
            subprocess.run([sys.executable, harness, "-merge=1", kept, *more], check=True)
            inputs = {path.read_bytes() for path in Path(kept).iterdir()}
        lines = [base64.b64encode(data).decode() + "\n" for data in sorted(inputs, key=lambda data: (len(data), data))]
        (HERE / "corpus" / f"{harness.stem}.txt").write_text("".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
