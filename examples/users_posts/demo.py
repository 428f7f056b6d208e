"""`make demo`: an API with dirty data that fails now and then, the pipeline run over it, and what came of it."""

from __future__ import annotations

import csv
import io
import os
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

from exports import COLUMNS
from flaky_api import OK, FlakyApi

from penstock import PenstockError
from penstock.app import current
from penstock.core.events import TaskRetrying
from penstock.core.model import Run, RunFilter

EXAMPLE = Path(__file__).resolve().parent
PROJECT = EXAMPLE.parent.parent
STARTED_IN = Path.cwd()
STYLED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def main() -> None:
    """Tell the story from the API to the files."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # the names are from all over the world, terminals are not
    os.chdir(PROJECT)
    os.environ["no_proxy"] = "127.0.0.1"
    with FlakyApi() as api:
        threading.Thread(target=api.serve_forever, daemon=True).start()
        show_source(api)
        folder = current().home / "demo"
        run_pipeline(api.url, folder)
        api.shutdown()
    run = run_over(api.url)
    show_retries(run, api)
    show_files(folder)
    show_balance(folder)
    show_top_authors(folder)
    show_next_steps(run, folder)


def show_source(api: FlakyApi) -> None:
    """What the pipeline is going to read."""
    heading("An API with dirty data, which fails now and then")
    for path, records in api.data.items():
        print(f"  {api.url}{path}   {len(records)} records")


def run_pipeline(url: str, folder: Path) -> None:
    """Run the flow as anybody would, from the command line."""
    target = shown(EXAMPLE / "flow.py")
    arguments = ["run", f"{target}:users_posts", "--param", f"base_url={url}", "--param", f"output_dir={shown(folder)}"]
    heading("The pipeline")
    print(f"  $ {penstock()} {shlex.join(arguments)}\n", flush=True)
    done = subprocess.run([sys.executable, "-m", "penstock", *arguments], check=False)
    if done.returncode:
        stop(f"The pipeline ended with exit code {done.returncode}; what it said stands above.")


def run_over(url: str) -> Run:
    """The run that has just read this address, from the journal."""
    runs = current().journal.runs(RunFilter(flow="users-posts"))
    found = next((run for run in runs if run.parameters.get("base_url") == url), None)
    if found is None or found.state != "Completed":
        stop(f"The journal in {current().home} does not show the run as Completed.")
    return found


def show_retries(run: Run, api: FlakyApi) -> None:
    """Every attempt that failed, and why; it has to be what the API did."""
    journal = current().journal
    heading("What went wrong, and was tried again")
    retries = [stored.event for stored in journal.load(run.id) if isinstance(stored.event, TaskRetrying)]
    for step in journal.task_runs(run.id):
        failed = [event for event in retries if event.step.key == step.key]
        for event in failed:
            reason = event.error.text if event.error else event.step.name
            print(f"  {step.key}  attempt {event.attempt}  {reason}")
        if failed:
            waited = sum(event.delay for event in failed)
            print(f"  {step.key}  attempt {step.attempt}  {step.state}, after waiting {waited:g} s")
    failures = sum(count for (_, status), count in api.answered.items() if status != OK)
    if not failures or len(retries) != failures:
        stop(f"The API failed {failures} times, and {len(retries)} retries are on record.")


def show_files(folder: Path) -> None:
    """The files that were made."""
    heading(f"What was made, in {shown(folder)}")
    for name in COLUMNS:
        print(f"  {name:<20} {len(rows_of(folder, name)):>4} rows  {(folder / name).stat().st_size:>7,} bytes")


def show_balance(folder: Path) -> None:
    """Where every record went; nothing may be lost in between."""
    figures = {row["metric"]: row["value"] for row in rows_of(folder, "summary.csv")}
    heading("Where every record went (summary.csv)")
    for what in ("users", "posts"):
        received, kept, aside = (int(figures[f"{what}_{fate}"]) for fate in ("received", "kept", "set_aside"))
        prefix = f"{what}_set_aside_"
        reasons = [f"{count} {metric.removeprefix(prefix)}" for metric, count in figures.items() if prefix in metric]
        print(f"  {received} {what} = {kept} kept + {aside} set aside ({', '.join(reasons).replace('_', ' ')})")
        if received != kept + aside:
            stop(f"The {what} do not add up.")


def show_top_authors(folder: Path) -> None:
    """The first lines of one file."""
    heading("Top authors (top_authors.csv)")
    lines = [list(row.values()) for row in rows_of(folder, "top_authors.csv")[:5]]
    table = [COLUMNS["top_authors.csv"], *lines]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for line in table:
        print("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def show_next_steps(run: Run, folder: Path) -> None:
    """Commands that work when they are copied."""
    heading("What to try next" if STARTED_IN == PROJECT else f"What to try next, in {PROJECT}")
    command, flow, api = penstock(), f"{shown(EXAMPLE / 'flow.py')}:users_posts", shown(EXAMPLE / "flaky_api.py")
    run_id = run.id[-8:]
    for text, *lines in [
        ("every step of this run, with its attempts", f"{command} runs show {run_id}"),
        ("what it logged", f"{command} runs logs {run_id}"),
        ("the analytics once more: nothing is fetched again", f"{command} runs fork {run_id} --from user_activity"),
        ("the parameters of the flow", f"{command} flows show {flow}"),
        ("the same API again, to try things on from another terminal", f"{python()} {api}"),
        (
            "there: press Ctrl-C while it fetches, then go on where it stopped",
            f"{command} run {flow} --param base_url=http://127.0.0.1:8808 --param output_dir={shown(folder)}",
            f"{command} runs resume last",
        ),
    ]:
        print("\n  ".join([f"  {dim('# ' + text)}", *lines]), end="\n\n")
    print(f"  The code is in {shown(EXAMPLE)}: flow.py first, it fits on a screen.")


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of one of the files."""
    try:
        with open(folder / name, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        stop(f"{folder / name} cannot be read: {error.strerror}.")


def shown(path: Path) -> str:
    """A path as people would type it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def python() -> str:
    """The interpreter that runs this, as people would type it here."""
    return shown(Path(sys.executable).absolute())


def penstock() -> str:
    """The `penstock` command that belongs to this interpreter, as people would type it here."""
    beside = Path(sys.executable).absolute().with_name("penstock")
    if shutil.which("penstock") == str(beside):
        return "penstock"
    return shown(beside) if beside.is_file() else f"{python()} -m penstock"


def heading(text: str) -> None:
    """Begin a part of the story."""
    print(f"\n\x1b[1m{text}\x1b[0m" if STYLED else f"\n{text}")


def dim(text: str) -> str:
    """Text in the background."""
    return f"\x1b[2m{text}\x1b[0m" if STYLED else text


def stop(message: str) -> NoReturn:
    """End with what is wrong."""
    sys.stdout.flush()
    sys.exit(f"\ndemo: {message}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, PenstockError) as problem:
        stop(str(problem))
    except KeyboardInterrupt:
        stop("stopped.")
