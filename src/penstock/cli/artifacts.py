"""`penstock artifacts`."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.console import (
    Column,
    clean,
    clean_lines,
    console,
    counted,
    fitting,
    text,
    width,
    write,
    write_json,
    write_table,
)
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import complete_run, named_run, reading, short
from penstock.cli.units import age, moment, size
from penstock.core.errors import ArtifactNotFound, PenstockError
from penstock.core.events import now_us
from penstock.core.model import Artifact, Run
from penstock.core.ports import Journal
from penstock.engine.artifacts.tables import titles_and_rows
from penstock.orchestrator.records import artifact_record

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
_MOST_ROWS = 50
_BAR = 40


def complete_artifact(incomplete: str) -> list[str]:
    """Keys for the shell's completion."""
    with suppress(PenstockError, OSError), reading() as penstock:
        found = penstock.journal.artifacts(latest=True, bare=True, limit=200)
        return sorted({each.key for each in found if each.key is not None and each.key.startswith(incomplete)})
    return []


@app.callback()
def _artifacts() -> None:
    """List and show what runs left to look at: texts, tables, links, images, progress.

    An artifact is named by its key, or by the end of its id.
    """


@app.command(
    "list",
    cls=Command,
    epilog=examples(
        "penstock artifacts list  # the newest version of each",
        "penstock artifacts list --run last  # of one run",
        "penstock artifacts list --key daily-report  # every version of one",
        "penstock artifacts list --json | jq -r '.artifacts[].id'  # for scripts",
    ),
)
def list_artifacts(
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Every version of this one.", autocompletion=complete_artifact),
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Only those of this run.", autocompletion=complete_run)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every version of each.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 20,
    before: Annotated[str | None, typer.Option(metavar="ID", help="Only those older than this one.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List artifacts, newest first."""
    with reading() as penstock:
        journal, now = penstock.journal, now_us()
        run_id = named_run(journal, run).id if run is not None else None
        older = _found(journal, before)[0].id if before is not None else None
        latest = not every and key is None and run is None
        found = journal.artifacts(run_id, key, older, limit + 1, latest=latest, bare=True)
    more, found = len(found) > limit, found[:limit]
    if json:
        write_json({"artifacts": [artifact_record(each) for each in found], "next": found[-1].id if more else None})
    elif not found:
        write("No such artifacts." if key or run or before else "There are no artifacts yet.")
    else:
        _write(found, now)
        if more:
            write(text((f"\nolder: penstock artifacts list --before {short(found[-1].id)}", _DIM)))


def _write(found: list[Artifact], now: int) -> None:
    columns = [
        Column("id"),
        Column("key", least=8),
        Column("type"),
        Column("size", right=True, leaves=2),
        Column("made"),
        Column("run", leaves=1),
        Column("step", least=8, leaves=3),
        Column("description", least=12, leaves=4),
    ]
    rows: list[list[Any]] = [
        [
            short(each.id),
            text((clean(each.key), "bold")) if each.key else "",
            clean(each.kind),
            size(each.size),
            age(each.at, now),
            short(each.run_id),
            clean(each.step) if each.step is not None else text(("the flow", _DIM)),
            text((clean(each.description), _DIM)) if each.description else "",
        ]
        for each in found
    ]
    write_table(columns, rows)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock artifacts show daily-report  # the newest version",
        "penstock artifacts show 8b5bd7be  # one version",
        "penstock artifacts show daily-report --raw > report.md  # its content as it is",
    ),
)
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="Its key, for the newest version; or its id, or the end of its id.",
            autocompletion=complete_artifact,
            show_default=False,
        ),
    ],
    raw: Annotated[
        bool, typer.Option("--raw", help="Write nothing but its content, to a file or a pipe as it is.")
    ] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show an artifact."""
    with reading() as penstock:
        journal = penstock.journal
        (found,) = _found(journal, name)
        run = journal.run(found.run_id)
    content = msgspec.json.decode(found.data) if found.data else None
    if json:
        write_json({"artifact": {**artifact_record(found), "content": content}})
    elif raw:
        told = content if isinstance(content, str) else found.data.decode()
        sys.stdout.write("\n".join([*clean_lines(told), ""]) if sys.stdout.isatty() else f"{told}\n")
    else:
        _write_head(found, run)
        _write_content(found.kind, content)


def _found(journal: Journal, name: str) -> list[Artifact]:
    """The artifact of this name, in a list of one.

    Raises:
        ArtifactNotFound: there is none, or the id fits several.
    """
    found = journal.artifacts(key=name, limit=1) if name else []
    found = found or (journal.artifacts(named=name, limit=2) if name else [])
    if len(found) > 1:
        raise ArtifactNotFound(f"{name!r} fits more than one artifact.", hint="give more of the id")
    if not found:
        raise ArtifactNotFound(f"There is no artifact {name!r}.")
    return found


def _write_head(found: Artifact, run: Run | None) -> None:
    write(text((clean(found.key or found.id), "bold"), (f"  {clean(found.kind)}", _DIM)))
    of = f"{clean(run.flow)} {fitting('·')} {clean(run.name)}" if run is not None else short(found.run_id)
    where = f", {clean(found.step)}" if found.step is not None else ""
    write(text((f"{moment(found.at)}  {of} ({short(found.run_id)}){where}", _DIM)))
    if found.description:
        for line in clean_lines(found.description):
            write(text((line, _DIM)), wrap=True)
    write()


def _write_content(kind: str, content: Any) -> None:
    if kind in ("markdown", "link") and isinstance(content, str):
        _write_markdown("\n".join(clean_lines(content)))
    elif kind == "table" and isinstance(content, (list, dict)):
        _write_rows(*titles_and_rows(content))
    elif kind == "progress" and isinstance(content, (int, float)):
        done = round(_BAR * min(max(content, 0), 100) / 100)
        bar = text((fitting("━" * done), "green"), (fitting("─" * (_BAR - done)), _DIM), f"  {content:g} %")
        write(bar)
    elif isinstance(content, str):
        for line in clean_lines(content):
            write(line)
    else:
        for line in msgspec.json.format(msgspec.json.encode(content), indent=2).decode().split("\n"):
            write(clean(line))


def _write_markdown(content: str) -> None:
    from markdown_it import MarkdownIt
    from rich.markdown import Markdown

    shown = Markdown(content, hyperlinks=False)
    plain = MarkdownIt("commonmark", {"html": False})  # rich leaves HTML out; here it is text like any other
    shown.parsed = plain.enable(["strikethrough", "table"]).parse(content)
    console().print(shown)


def _write_rows(titles: list[str], rows: list[list[Any]]) -> None:
    fitting_columns = max(1, width() // 8)
    titles, shown = titles[:fitting_columns], [row[:fitting_columns] for row in rows[:_MOST_ROWS]]
    numeric = [
        any(row[place] is not None for row in shown)
        and all(row[place] is None or type(row[place]) in (int, float) for row in shown)
        for place in range(len(titles))
    ]
    columns = [Column(clean(title), right=numeric[place], least=6) for place, title in enumerate(titles)]
    write_table(columns, [[_cell(value) for value in row] for row in shown])
    left = {"row": len(rows) - len(shown), "column": len(rows[0]) - len(titles) if rows else 0}
    told = [counted(number, f"more {what}") for what, number in left.items() if number]
    if told:
        write(text((f"\n{' and '.join(told)}: --raw or --json shows everything", _DIM)))


def _cell(value: Any) -> Any:
    if value is None:
        return text(("null", _DIM))
    return clean(value if isinstance(value, str) else msgspec.json.encode(value).decode())


command = typer.main.get_command(app)
