"""Run the flows of this folder under Prefect and write down what they print.

    python tests/prefect/record.py PATH_TO_PYTHON_WITH_PREFECT [NAME ...]

The Python given must have Prefect 3.8 and pydantic installed. Without names, every flow is recorded. Prefect runs with
its own embedded server in a scratch directory, or against PREFECT_API_URL where that is set (much faster). Each flow
is run twice, and recorded only if both runs print the same.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FLOWS = HERE / "flows"
EXPECTED = HERE / "expected"


def main() -> int:
    """Record the flows asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("python", help="a Python interpreter that has Prefect installed")
    parser.add_argument("names", nargs="*", help="flows to record, such as 08_mapping (default: all)")
    options = parser.parse_args()
    names = options.names or sorted(path.stem for path in FLOWS.glob("[0-9]*.py"))
    EXPECTED.mkdir(exist_ok=True)
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        environment = {
            **os.environ,
            "PREFECT_HOME": scratch,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_LOGGING_LEVEL": "INFO",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        version = subprocess.check_output(
            [options.python, "-c", "import prefect; print(prefect.__version__)"], env=environment, text=True
        ).strip()
        for name in names:
            failures += not record(options.python, name, environment)
    (EXPECTED / "VERSION").write_text(f"Prefect {version}\n")
    print(f"{len(names) - failures} of {len(names)} recorded from Prefect {version}")
    return 1 if failures else 0


def record(python: str, name: str, environment: dict[str, str]) -> bool:
    """Record one flow; say why when that fails."""
    first, second = (run(python, name, environment) for _ in range(2))
    if first is None or second is None:
        return False
    if first != second:
        print(f"{name}: two runs differ; print only what is the same every time", file=sys.stderr)
        for one, other in zip(first.splitlines(), second.splitlines(), strict=False):
            if one != other:
                print(f"  {one}\n  {other}", file=sys.stderr)
        return False
    (EXPECTED / f"{name}.jsonl").write_text(first)
    print(f"{name}: {len(first.splitlines())} facts")
    return True


def run(python: str, name: str, environment: dict[str, str]) -> str | None:
    """What one run prints, or None when it fails."""
    done = subprocess.run(
        [python, str(FLOWS / f"{name}.py")], env=environment, capture_output=True, text=True, timeout=600
    )
    if done.returncode != 0:
        print(f"{name}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}", file=sys.stderr)
        return None
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
