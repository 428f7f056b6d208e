"""The page `docs/benchmarks.md`, made from the results alone."""

from collections.abc import Callable

from harness.budgets import BUDGETS, Results
from harness.results import Result, median, reference, row_of
from harness.words import duration, ratio, share

HEADER = """# Benchmarks

This page is written by `make bench` (`python benchmarks/run.py`); nothing on it is written by hand. Each
tool runs in an environment of its own, in interleaved rounds: in every round each contender is measured
once, so that a slow minute of the machine is shared by all. Numbers are medians over the rounds, with
the smallest and the largest in brackets; nothing is subtracted. Ratios are to Penstock in the same run:
above 1x the other takes longer.
"""

TITLES = {
    "import": "Import",
    "hello": "Hello: a fresh process that runs a durable flow of one task",
    "sequential": "Sequential tasks that do nothing",
    "mapped": "Mapped tasks of 10 ms, 50 at once",
    "postgres": "The journal in PostgreSQL",
    "kill": "Steps repeated after a kill",
}

METHODS = {
    "import": """\
Wall time of `python -c "import X"`, three times a round, with compiled bytecode and after one run that
is not counted.
""",
    "hello": """\
Wall time from the start of the process to its exit, in a home where the tool's tables are already made.
*Preparing* is what making that home took, once. *On record* asks the tool's own store after the exit.
""",
    "sequential": """\
Time between the first and the last task body, divided by the tasks between them, measured inside the
process. A *bare commit* is one small row committed to SQLite in WAL mode by bare Python: without fsync, or
with it for the contenders that fsync each commit. Memory is the peak resident memory of that process alone
(a server beside it is not counted). *On record* are the task runs that the tool's own store holds as
completed, of those that were executed: when the process has ended, and in the end, when no more have come
for ten seconds.
""",
    "mapped": """\
Time from the call that maps the tasks to the last result, inside the process. *On record* is as above.
""",
    "postgres": """\
As above, with the records in PostgreSQL: tasks called one after the other, and tasks submitted all at
once (the total time divided by the tasks). A *bare commit* is one autocommitted INSERT through psycopg.
""",
    "kill": """\
A flow of ten steps is ended by SIGKILL in its fifth step, after the step's side effect, and continued
the way the tool continues. Each step leaves a line in a file; counted is what ran twice. One is the
least there can be: the step in flight.
""",
}


def render(results: Results) -> str:
    """Return the whole page."""
    parts = [HEADER, _machines(results), _verdicts(results), _losses(results)]
    parts += [_section(results[topic]) for topic in TITLES if topic in results]
    return "\n".join(part for part in parts if part)


def _machines(results: Results) -> str:
    lines = ["## Measured on", ""]
    described: dict[str, list[str]] = {}
    for topic, result in results.items():
        machine = result["machine"]
        warning = " (a quick run: no basis for any claim)" if result["quick"] else ""
        words = (
            f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, "
            f"{machine['system']} {machine['kernel']}, {machine['filesystem']}, Python {machine['python']}; "
            f"load {machine['load_at_start']} before the start; {result['date']}, rounds: {result['rounds']}{warning}"
        )
        described.setdefault(words, []).append(topic)
    lines += [f"- {', '.join(topics)}: {words}" for words, topics in described.items()]
    versions = {name: version for result in results.values() for name, version in result["versions"].items()}
    lines += [
        "",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + ".",
        "",
    ]
    return "\n".join(lines)


def _verdicts(results: Results) -> str:
    lines = ["## Budgets", "", "| promise | measured | verdict |", "|---|---|---|"]
    verdicts = []
    for budget in BUDGETS:
        shown, verdict = budget.verdict(results)
        verdicts.append(verdict)
        lines.append(f"| {budget.promise} | {shown} | {verdict} |")
    met, unmeasured = verdicts.count("met"), verdicts.count("not measured")
    summary = f"{met} of {len(verdicts)} budgets are met, {len(verdicts) - met - unmeasured} are not"
    lines += ["", summary + (f", {unmeasured} were not measured." if unmeasured else "."), ""]
    return "\n".join(lines)


def _losses(results: Results) -> str:
    """List every tool that did better than Penstock at anything."""
    measured = [topic for topic, result in results.items() if row_of(result, reference(topic))]
    if not measured:
        return "## Where Penstock is not first\n\nPenstock itself was not measured.\n"
    lines = []
    for topic, result in results.items():
        for row in result["rows"]:
            base = row_of(result, reference(topic), row["size"])
            value, own = median(row, result["primary"]), median(base, result["primary"])
            mine = row["contender"].startswith("penstock")
            if row["floor"] or mine or value is None or own is None or value >= own:
                continue
            tasks = f" at {row['size']:,} tasks" if row["size"] > 1 else ""
            shown = f"{duration(value)} to Penstock's {duration(own)}" if topic != "kill" else f"{value:g} to {own:g}"
            lines.append(f"- {topic}{tasks}: {row['label']}, {shown}{_recorded_words(row)}")
    heading = ["## Where Penstock is not first", ""]
    return "\n".join(
        [
            *heading,
            *(lines or [f"In no topic measured here ({', '.join(measured)}) was a tool ahead of it."]),
            "",
        ]
    )


def _recorded_words(row: Result) -> str:
    executed, recorded = median(row, "executed"), median(row, "recorded")
    if not executed or recorded is None or recorded == executed:
        return ""
    return f" ({share(recorded, executed)} of it on record)"


def _section(result: Result) -> str:
    topic = result["topic"]
    columns = COLUMNS[topic]
    lines = [f"## {TITLES[topic]}", "", METHODS[topic]]
    server = result.get("postgres")
    if server:
        lines += [
            f"PostgreSQL {server['version']}, fsync {server['fsync']}, synchronous_commit "
            f"{server['synchronous_commit']}.",
            "",
        ]
    if result["rows"]:
        lines.append("| " + " | ".join(["contender", *columns]) + " |")
        lines.append("|---" * (len(columns) + 1) + "|")
    for row in sorted(result["rows"], key=lambda row: (row["size"], median(row, result["primary"]))):
        name = f"**{row['label']}**" if row["contender"].startswith("penstock") else row["label"]
        taken = len(row["metrics"][result["primary"]]["values"])
        if taken < result["rounds"]:
            name += f" ({taken} of {result['rounds']} rounds)"
        cells = [cell(result, row) for cell in columns.values()]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    lines += ["", *(f"- {label}: {note}" for label, note in result["notes"].items() if note)]
    lines += [f"- {one['label']}: {one['reason']}" for one in result["exceptions"]]
    return "\n".join(lines).rstrip() + "\n"


Cell = Callable[[Result, Result], str]


def _spread(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        found = row["metrics"].get(metric)
        if found is None:
            return "-"
        low, middle, high = (duration(found[key]) for key in ("min", "median", "max"))
        return f"{middle} ({low} … {high})"

    return cell


def _times_penstock(_: Result, row: Result) -> str:
    times = row["ratio_to_penstock"]
    return "-" if times is None else ratio(times, 1)


def _times_bare(result: Result, row: Result) -> str:
    return _against(result, row, row["bare"])


def _times_python(result: Result, row: Result) -> str:
    return _against(result, row, "floor")


def _against(result: Result, row: Result, floor: str) -> str:
    base = median(row_of(result, floor, row["size"]), result["primary"])
    value = median(row, result["primary"])
    return "-" if not base or value is None else ratio(value, base)


def _recorded(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        executed, recorded = median(row, "executed"), median(row, metric)
        if row["floor"] or not executed or recorded is None:
            return "-"
        late = median(row, "settle_seconds") or 0
        waited = f" after {duration(late)}" if metric == "recorded" and late else ""
        return f"{recorded:,.0f} of {executed:,.0f} ({share(recorded, executed)}){waited}"

    return cell


def _tasks(_: Result, row: Result) -> str:
    return f"{row['size']:,}"


def _memory(_: Result, row: Result) -> str:
    value = median(row, "peak_mb")
    return "-" if value is None else f"{value:.0f} MB"


def _preparing(result: Result, row: Result) -> str:
    value = result["preparing_seconds"].get(row["contender"])
    return "-" if value is None else duration(value)


def _repeats(_: Result, row: Result) -> str:
    found = row["metrics"]["repeated"]
    return f"{found['median']:g}" if found["min"] == found["max"] else f"{found['min']:g} to {found['max']:g}"


def _how(_: Result, row: Result) -> str:
    return row["remark"] or "-"


RECORDED = {"on record at exit": _recorded("recorded_at_exit"), "in the end": _recorded("recorded")}
COLUMNS: dict[str, dict[str, Cell]] = {
    "import": {
        "time": _spread("seconds"),
        "to Penstock": _times_penstock,
        "to bare Python": _times_python,
    },
    "hello": {
        "time": _spread("seconds"),
        "to Penstock": _times_penstock,
        "on record": _recorded("recorded"),
        "preparing": _preparing,
    },
    "sequential": {
        "tasks": _tasks,
        "a task": _spread("task_seconds"),
        "to Penstock": _times_penstock,
        "to a bare commit": _times_bare,
        "memory": _memory,
        **RECORDED,
    },
    "mapped": {
        "tasks": _tasks,
        "time": _spread("seconds"),
        "to Penstock": _times_penstock,
        **RECORDED,
    },
    "postgres": {
        "tasks": _tasks,
        "a sequential task": _spread("task_seconds"),
        "to Penstock": _times_penstock,
        "to a bare commit": _times_bare,
        "a submitted task": _spread("submitted_seconds"),
        **RECORDED,
    },
    "kill": {"steps repeated": _repeats, "continued by": _how, "continuing took": _spread("seconds")},
}
