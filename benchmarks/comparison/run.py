"""Try on one tool what it does when luck is bad, and say what was seen.

    python benchmarks/comparison/run.py kill prefect-serve      the worker is killed in a run, and started again
    python benchmarks/comparison/run.py twice prefect-serve     a run is asked for twice with one key
    python benchmarks/comparison/run.py cancel prefect-serve    a run that has started a program is cancelled

More words of the form NAME=VALUE are environment variables, such as LUCK_WATCH_SECONDS=120.
The second word is a contender of peers.toml; its environment must have been made by a benchmark run.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.contenders import load
from harness.places import opened

LIMIT = 900.0
TOOLS = {
    "penstock-worker": "penstock",
    "prefect-serve": "prefect",
    "dbos-queue": "dbos",
    "dagster-daemon": "dagster",
    "airflow-scheduler": "airflow",
}


def main() -> None:
    """Prepare a home as the benchmarks do, and run the case in it."""
    if len(sys.argv) < 3 or sys.argv[2] not in TOOLS:
        sys.exit(f"usage: run.py kill|twice|cancel {'|'.join(TOOLS)} [NAME=VALUE...]")
    case, name, *variables = sys.argv[1:]
    environments, contenders = load()
    contender = next(one for one in contenders if one.name == name)
    script = Path(__file__).with_name(f"{TOOLS[name]}_luck.py")
    environment = environments[contender.environment]
    with (
        tempfile.TemporaryDirectory(prefix="penstock-comparison-", ignore_cleanup_errors=True) as folder,
        opened(contender, environment, Path(folder)) as place,
    ):
        place.variables |= dict(each.split("=", 1) for each in variables)
        place.variables["PYTHONPATH"] = f"{script.parent}:{place.variables['PYTHONPATH']}"
        place.run("prepare", limit=LIMIT)
        for file in Path(folder).glob("dags/*"):
            file.write_text("from airflow_luck import described\n\ndag = described()  # an airflow DAG\n")
        answer = place.execute([str(script), case], limit=LIMIT)
    print(json.dumps(answer.said, indent=1))


if __name__ == "__main__":
    main()
