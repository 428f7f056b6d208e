"""The documentation tells the truth: its code runs, its output is real, its links lead somewhere, nothing is left out."""

from __future__ import annotations

import inspect
import json
import os
import pkgutil
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock import Flow, Task
from penstock.app import Settings
from penstock.core.events import EVENTS
from penstock.journal.versions import schema_sql
from tests.docs.blocks import Block, blocks_of, commands_of
from tests.docs.compare import shows
from tests.docs.links import broken_links, headings_of, objects_of

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {ROOT / "docs" / "benchmarks.md"}
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").rglob("*.md")) - GENERATED)]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SHOWN_ONLY = ("sh", "make", "")
"""Languages of blocks nobody executes: installing, and drawings."""
NOT_RUN_AT_MOST = 6


def steps_of(page: Path) -> list[dict[str, Any]]:
    """What to do for one page, in order, each with what is expected of it."""
    steps: list[dict[str, Any]] = []
    for block in blocks_of(page):
        if "no-run" in block.directives or (block.language in SHOWN_ONLY and not block.title):
            continue
        common = {"page": str(page.relative_to(ROOT)), "expected_error": block.directives.get("expect-error", "")}
        if block.language == "console":
            for command in commands_of(block):
                told = {"source": command.text, "line": command.line, "code": command.code, "output": command.output}
                steps.append({"kind": "console", **told, **common})
        else:
            kind = "file" if block.title else {"python": "python", "sql": "sql"}.get(block.language, "")
            assert kind, f"{page.name}:{block.line}: nothing is known about {block.language!r} blocks"
            told = {"source": block.source, "line": block.line, "title": block.title, "output": block.output or ""}
            steps.append({"kind": kind, **told, **common})
    return steps


def played(page: Path, folder: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The steps of a page with what became of them, played in a folder and a home of their own."""
    steps = steps_of(page)
    work = folder / "work"
    work.mkdir()
    (folder / "steps.json").write_text(json.dumps(steps))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    environment = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PENSTOCK_HOME": str(folder / "home"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TZ": "UTC",
    }
    player = Path(__file__).with_name("player.py")
    command = [sys.executable, str(player), str(folder / "steps.json"), str(folder / "answers.json")]
    done = subprocess.run(
        command, cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(zip(steps, json.loads((folder / "answers.json").read_text()), strict=False))


@pytest.mark.parametrize("name", [name for page, name in zip(PAGES, NAMES, strict=True) if steps_of(page)])
@pytest.mark.acceptance
def test_the_code_of_a_page_does_what_the_page_says(name: str, tmp_path: Path) -> None:
    page = ROOT / name
    happened = played(page, tmp_path)
    for step, answer in happened:
        where = f"{name}:{step['line']}"
        wanted = step["expected_error"]
        if wanted:
            assert answer["raised"] == wanted, f"{where}: {answer['error'] or 'nothing was raised'}"
            real = f"{answer['raised']}: {answer['message']}"
        else:
            assert not answer["error"], f"{where}: {answer['error']}"
            real = answer["output"]
        if step["output"].strip():
            told = f"{where}\n--- the page shows ---\n{step['output'].strip()}\n--- this came out ---\n{real.strip()}\n"
            assert shows(step["output"], real), told
    assert len(happened) == len(steps_of(page))


def test_few_blocks_are_only_shown_and_each_says_why() -> None:
    reasons = [block.directives["no-run"] for page in PAGES for block in blocks_of(page) if "no-run" in block.directives]
    assert len(reasons) <= NOT_RUN_AT_MOST, reasons


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_executes_is_no_penstock_command(name: str) -> None:
    def lines(block: Block) -> list[str]:
        return block.source.split("\n") if block.language == "sh" else []

    shell = [line for block in blocks_of(ROOT / name) for line in lines(block)]
    assert not [line for line in shell if line.strip().startswith(("penstock", "$ ", "python "))]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    assert not broken_links(ROOT / name, GENERATED)


def test_pages_are_in_the_navigation_once_and_the_navigation_has_no_others() -> None:
    listed = re.findall(r"(?:: |- )([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert sorted(listed) == sorted(pages | {"benchmarks.md"})


def test_the_tables_about_prefect_are_up_to_date() -> None:
    hooks = [sys.executable, str(ROOT / "docs" / "hooks.py"), "--check"]
    done = subprocess.run(hooks, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("setting", Settings.__struct_fields__)
def test_a_setting_is_documented_with_its_default(setting: str) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    section = re.search(rf"^### `{setting}`\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"docs/settings.md has no section on {setting}"
    default = getattr(Settings(), setting)
    shown = {"": "empty", True: "true", 30.0: "30"}.get(default, str(default))
    if setting != "home":
        assert re.search(rf"[Dd]efault:? `?{shown}\b", section[1]), f"its default, {shown}, is not told"


@pytest.mark.parametrize(("kind", "column"), [(Flow, 0), (Task, 1)])
def test_the_table_of_options_is_complete(kind: type, column: int) -> None:
    page = (ROOT / "docs" / "api" / "authoring.md").read_text()
    told: set[str] = set()
    for names, *ticks in re.findall(r"^\| (`.+?) \| (✓?) ?\| (✓?) ?\|", page, re.MULTILINE):
        told |= set(re.findall(r"`(\w+)`", names)) if ticks[column] else set()
    taken = {p.name for p in inspect.signature(kind).parameters.values() if p.kind is p.KEYWORD_ONLY}
    assert told == taken


def test_the_page_on_the_journal_names_every_event_table_and_column() -> None:
    page = (ROOT / "docs" / "journal.md").read_text()
    tables = sqlite3.connect(":memory:")
    tables.executescript(schema_sql("sqlite"))
    names = [row[0] for row in tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = {row[1] for name in names for row in tables.execute(f"PRAGMA table_info({name})")}
    wanted = {*names, *columns, *(stored for stored, _ in EVENTS)}
    assert wanted <= set(re.findall(r"`(\w+)`", page))


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "adr" and page.stem != "index"], ids=str)
def test_a_decision_has_its_four_parts(page: Path) -> None:
    assert headings_of(page)[1:] == ["Context", "Decision", "Consequences", "What a violating change looks like"]
    assert page.name in (page.parent / "index.md").read_text()


@pytest.mark.parametrize("name", [name for page in PAGES for name in objects_of(page)])
def test_what_an_api_page_describes_is_there(name: str) -> None:
    assert pkgutil.resolve_name(re.sub(r"^(penstock\..+)\.(\w+)$", r"\1:\2", name)) is not None


@pytest.mark.parametrize("module", [name for _, name, _ in pkgutil.iter_modules(penstock.__path__)])
def test_a_public_module_is_in_the_reference(module: str) -> None:
    inside = {"authoring", "cli", "core", "engine", "journal"}
    page = (ROOT / "docs" / "api" / "index.md").read_text()
    assert module in inside or f"`penstock.{module}`" in page
