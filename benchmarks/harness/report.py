"""The page `docs/benchmarks.md`, made from the results alone."""

from harness.budgets import BUDGETS, Results
from harness.columns import COLUMNS
from harness.results import Result, base_row, median, row_of
from harness.texts import HEADER, METHODS, THINGS, TITLES
from harness.topics import TOPICS
from harness.words import in_unit, share


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
