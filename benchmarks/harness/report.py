"""The page `docs/benchmarks.md`, made from the results alone."""

from collections.abc import Callable

from harness.budgets import BUDGETS, Results
from harness.results import Result, base_row, median, row_of
from harness.texts import HEADER, METHODS, THINGS, TITLES
from harness.topics import TOPICS
from harness.words import duration, in_unit, ratio, share, three_digits


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
    measured = [topic for topic, result in results.items() if row_of(result, TOPICS[topic].reference)]
    if not measured:
        return "## Where Penstock is not first\n\nPenstock itself was not measured.\n"
    lines = []
    for topic, result in results.items():
        for row in result["rows"]:
            base = base_row(result, row["size"])
            value, own = median(row, result["primary"]), median(base, result["primary"])
            mine = row["contender"].startswith("penstock") or not TOPICS[topic].compared
            if row["floor"] or mine or value is None or own is None or value >= own:
                continue
            tasks = f" at {row['size']:,} {THINGS.get(topic, 'tasks')}" if row["size"] > 1 else ""
            unit = TOPICS[topic].unit
            shown = f"{in_unit(value, unit)} to Penstock's {in_unit(own, unit)}"
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


def _size(_: Result, row: Result) -> str:
    return f"{row['size']:,}"


def _rate(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        value = median(row, metric)
        return three_digits(1 / value) if value else "-"

    return cell


def _once(_: Result, row: Result) -> str:
    wrong = {"twice": row["metrics"]["doubled"]["max"], "never": row["metrics"]["missing"]["max"]}
    return ", ".join(f"{count:,.0f} {how}" for how, count in wrong.items() if count) or "yes"


def _percent(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        value = median(row, metric)
        return "-" if value is None else f"{100 * value:.1f} %"

    return cell


def _lag(prefix: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        values = [median(row, f"{prefix}_{of}") for of in ("p50", "p99", "max")]
        return " / ".join("-" if value is None else duration(value) for value in values)

    return cell


def _pages(kind: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        values = [median(row, f"{kind}_p{rank}") for rank in (50, 95)]
        return " / ".join("-" if value is None else duration(value) for value in values)

    return cell


def _slope(_: Result, row: Result) -> str:
    middle, low, high = (median(row, key) or 0.0 for key in ("kb_per_1000", "kb_low", "kb_high"))
    return f"{middle:,.0f} KB ({low:,.0f} … {high:,.0f})"


def _megabytes(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        value = median(row, metric)
        return "-" if value is None else f"{value:.1f} MB"

    return cell


LISTED = ("first", "next", "state", "flow", "tag", "parameter", "text", "time", "mixed")
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
        "tasks": _size,
        "a task, mean": _spread("task_seconds"),
        "median": _spread("task_seconds_p50"),
        "to Penstock": _times_penstock,
        "to a bare commit": _times_bare,
        "memory": _memory,
        **RECORDED,
    },
    "mapped": {
        "tasks": _size,
        "time": _spread("seconds"),
        "to Penstock": _times_penstock,
        **RECORDED,
    },
    "postgres": {
        "tasks": _size,
        "a sequential task": _spread("task_seconds"),
        "to Penstock": _times_penstock,
        "to a bare commit": _times_bare,
        "a submitted task": _spread("submitted_seconds"),
        **RECORDED,
    },
    "kill": {"steps repeated": _repeats, "continued by": _how, "continuing took": _spread("seconds")},
    "trigger": {
        "triggers": _size,
        "p50": _spread("p50"),
        "p99": _spread("p99"),
        "to Penstock": _times_penstock,
    },
    "drain": {
        "runs": _size,
        "runs a second": _rate("run_seconds"),
        "runs a second of one core": _rate("cpu_seconds"),
        "time to Penstock": _times_penstock,
        "each executed once": _once,
        "on record": _recorded("recorded"),
    },
    "schedules": {
        "schedules": _size,
        "idle": _percent("idle_share"),
        "spread: lag p50 / p99 / max": _lag("spread"),
        "at once: lag p50 / p99 / max": _lag("at_once"),
    },
    "soak": {
        "runs": _size,
        "in 1,000 runs": _slope,
        "memory first": _megabytes("first_mb"),
        "last": _megabytes("last_mb"),
    },
    "listing": {
        "runs": _size,
        "worst p95": _spread("p95"),
        "which": _how,
        **{f"{kind}: p50 / p95": _pages(kind) for kind in LISTED},
    },
}
