"""The documentation tells the truth: code runs, output is real, links lead somewhere, nothing is left out."""

from __future__ import annotations

import inspect
import json
import os
import pkgutil
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import missing
from tests.docs.blocks import Block, blocks_of, commands_of
from tests.docs.compare import shows
from tests.docs.links import broken_links, headings_of, objects_of

import penstock
from penstock import Flow, Task
from penstock.app import Settings
from penstock.core.audit import AUDIT
from penstock.core.datasets import DATASETS
from penstock.core.events import EVENTS
from penstock.core.plans import PLANS
from penstock.core.sealed import CONNECTIONS
from penstock.core.uploads import UPLOADS
from penstock.core.verdicts import VERDICTS
from penstock.core.webhooks import WEBHOOKS
from penstock.journal.versions import schema_sql

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {ROOT / "docs" / "benchmarks.md"}
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").rglob("*.md")) - GENERATED)]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
DECISIONS = [page for page in PAGES if page.parent.name == "adr" and page.stem != "index"]
SHOWN_ONLY = ("sh", "make", "")
"""Languages of blocks nobody executes: installing, and drawings."""
NOT_RUN_AT_MOST = 6


def steps_of(page: Path) -> list[dict[str, Any]]:
    """What to do for one page, in order, each with what is expected of it."""
    steps: list[dict[str, Any]] = []
    for block in blocks_of(page):
        if "no-run" in block.directives or (block.language in SHOWN_ONLY and not block.title):
            continue
        common = {"page": page.name, "expected_error": block.directives.get("expect-error", "")}
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


def play(steps: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """What becomes of the steps, in a folder and a home of their own; it ends with the first that goes wrong."""
    work = folder / "work"
    work.mkdir()
    (folder / "steps.json").write_text(json.dumps(steps))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    environment = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PENSTOCK_HOME": str(folder / "home"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "TZ": "UTC",
    }
    player = Path(__file__).with_name("player.py")
    command = [sys.executable, str(player), str(folder / "steps.json"), str(folder / "answers.json")]
    done = subprocess.run(
        command, cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads((folder / "answers.json").read_text())
    return answers


def lies_of(page: Path, folder: Path) -> list[str]:
    """Where a page says something that is not so."""
    found = []
    steps = steps_of(page)
    for step, answer in zip(steps, play(steps, folder), strict=False):
        where, wanted = f"{page.name}:{step['line']}", step["expected_error"]
        real = f"{answer['raised']}: {answer['message']}" if wanted and answer["raised"] else answer["output"]
        if wanted and answer["raised"] != wanted:
            found.append(f"{where}: {answer['error'] or f'{wanted} was not raised'}")
        elif answer["error"] and not wanted:
            found.append(f"{where}: {answer['error']}")
        elif step["output"].strip() and not shows(step["output"], real):
            shown = step["output"].strip()
            found.append(f"{where}\n--- it shows ---\n{shown}\n--- this came out ---\n{real.strip()}\n")
    return found


def until_no_hour_ends(seconds: float = 60) -> None:
    """Wait until none does for so long: the schedules of a page would be due in the middle of it."""
    left = 3600 - time.time() % 3600
    if left < seconds:
        time.sleep(left + 1)


@pytest.mark.acceptance
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [name for page, name in zip(PAGES, NAMES, strict=True) if steps_of(page)])
def test_the_code_of_a_page_does_what_the_page_says(name: str, tmp_path: Path) -> None:
    if "cron" in (ROOT / name).read_text():
        until_no_hour_ends()
    lies = lies_of(ROOT / name, tmp_path)
    assert not lies, "\n".join(lies)


@pytest.mark.parametrize(
    "page",
    [
        "```python\nprint(1 + 1)\n```\n\n```text\n3\n```",
        "```python\nprint('a')\nprint('b')\n```\n```text\na\n```",
        "```python\nraise KeyError('x')\n```",
        "<!-- expect-error: KeyError -->\n```python\npass\n```",
        "<!-- expect-error: KeyError -->\n```python\nraise ValueError('x')\n```",
        "```console\n$ echo hello\nbye\n```",
        "```console\n$ false\n```",
        "<!-- exit: 3 -->\n```console\n$ true\n```",
        '```python title="broken.py"\nimport nothing_of_this_name\n```',
        "```sql\nSELECT 1\n```",
    ],
)
def test_a_page_that_lies_is_caught(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(page)
    assert lies_of(tmp_path / "page.md", tmp_path)


def test_a_page_that_tells_the_truth_is_not(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        '```python title="two.py"\nTWO = 2\n```\n'
        "```python\nfrom two import TWO\nprint('took 12 ms')\nprint(TWO)\n```\n\n```text\ntook 3.5 s\n2\n```\n"
        "<!-- expect-error: KeyError -->\n```python\nraise KeyError(TWO)\n```\n\n```text\nKeyError: 2\n```\n"
        "<!-- exit: 1 -->\n```console\n$ python -c 'import two; print(two.TWO, 1)'\n2 ...\n$ false\n```\n"
    )
    assert not lies_of(tmp_path / "page.md", tmp_path)


def test_few_blocks_are_only_shown_and_each_says_why() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page)]
    reasons = [block.directives["no-run"] for block in blocks if "no-run" in block.directives]
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


def test_the_tables_made_from_other_files_are_up_to_date() -> None:
    hooks = [sys.executable, str(ROOT / "docs" / "hooks.py"), "--check"]
    done = subprocess.run(hooks, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("setting", Settings.__struct_fields__)
def test_a_setting_is_documented_with_its_default(setting: str) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    section = re.search(rf"^### `{setting}`\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"docs/settings.md has no section on {setting}"
    default = getattr(Settings(), setting)
    number = f"{default:g}" if isinstance(default, float) else str(default)
    shown = {"": "empty", True: "true", False: "false"}.get(default, number)
    if setting != "home":
        assert re.search(rf"[Dd]efault:? `?{shown}\b", section[1]), f"its default, {shown}, is not told"


@pytest.mark.parametrize(("kind", "column"), [(Flow, 0), (Task, 1)])
def test_the_table_of_options_is_complete(kind: type, column: int) -> None:
    page = (ROOT / "docs" / "api" / "authoring.md").read_text()
    told: set[str] = set()
    for names, *ticks in re.findall(r"^\| (`.+?) \| (✓?) ?\| (✓?) ?\|", page, re.MULTILINE):
        told |= set(re.findall(r"`(\w+)`", names)) if ticks[column] else set()
    made_by = [inspect.signature(each.__init__) for each in kind.__mro__ if "__init__" in vars(each)]
    taken = {p.name for each in made_by for p in each.parameters.values() if p.kind is p.KEYWORD_ONLY}
    assert told == taken


def test_the_page_on_the_journal_names_every_event_table_and_column() -> None:
    page = (ROOT / "docs" / "journal.md").read_text()
    tables = sqlite3.connect(":memory:")
    tables.executescript(schema_sql("sqlite"))
    names = [row[0] for row in tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    own = {name for name in names if not name.startswith("sqlite_")}
    columns = {row[1] for name in own for row in tables.execute(f"PRAGMA table_info({name})")}
    assert own | columns <= set(re.findall(r"`(\w+)`", page))
    rows = re.findall(r"^\| ((?:`[A-Z]\w+`(?:, )?)+) \|", page, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"\w+", row)}
    kinds = {*EVENTS.values(), *PLANS, *VERDICTS, *CONNECTIONS, *DATASETS, *WEBHOOKS, *UPLOADS, *AUDIT}
    assert told == {*(kind.stored for kind in kinds), "RunDeleted"}


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_four_parts(page: Path) -> None:
    assert headings_of(page)[1:] == ["Context", "Decision", "Consequences", "What a violating change looks like"]
    assert page.name in (page.parent / "index.md").read_text()


@pytest.mark.parametrize("name", [name for page in PAGES for name in objects_of(page)])
def test_what_an_api_page_describes_is_there(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize("module", [name for _, name, _ in pkgutil.iter_modules(penstock.__path__)])
def test_a_public_module_is_in_the_reference(module: str) -> None:
    inside = {"__main__", "authoring", "cli", "core", "engine", "journal"}
    page = (ROOT / "docs" / "api" / "index.md").read_text()
    assert module in inside or f"`penstock.{module}`" in page


def test_the_built_site_asks_nobody_else() -> None:
    """That it builds without a warning is for `make docs`, which comes first where everything is checked."""
    built = ROOT / "site" / "index.html"
    if not built.is_file():
        missing("no site is built: make docs")
    front = built.read_text()
    assert "parts.svg" in front
    outside = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', front)
    assert not outside, "a reader's browser would fetch this"
