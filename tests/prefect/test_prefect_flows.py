"""Flows written for Prefect run under Penstock after changing the import, and behave the same.

`flows/` holds flows that import Prefect; `expected/` holds what they print under it (see `record.py`). Here
`penstock import prefect` changes the imports, and nothing else is changed. `differences.toml` holds what is different
on purpose, with the reason.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from penstock.deploy.porting import port_prefect

HERE = Path(__file__).parent
FLOWS = HERE / "flows"
EXPECTED = HERE / "expected"
DIFFERENCES = HERE / "differences.toml"
NAMES = sorted(path.stem for path in FLOWS.glob("[0-9]*.py"))

Fact = dict[str, Any]


def intended(kind: str) -> list[dict[str, Any]]:
    """What is different on purpose: a `difference` of one fact, or a flow that is `refused` as a whole."""
    found: list[dict[str, Any]] = tomllib.loads(DIFFERENCES.read_text()).get(kind, [])
    return found


def recorded(name: str) -> list[Fact]:
    """What the flow prints under Prefect."""
    return [json.loads(line) for line in (EXPECTED / f"{name}.jsonl").read_text().splitlines()]


def port(name: str, folder: Path) -> Path:
    """Copy a flow and facts.py, with only the imports changed."""
    for path in (FLOWS / "facts.py", FLOWS / f"{name}.py"):
        (folder / path.name).write_text(port_prefect(path).text)
    return folder / f"{name}.py"


def run(script: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a ported flow as its user would."""
    environment = {**os.environ, "PENSTOCK_HOME": str(home), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, str(script)], cwd=script.parent, env=environment, capture_output=True, text=True, timeout=110
    )


def facts_of(output: str) -> list[Fact]:
    """The lines that are facts; anything else a flow printed is left out."""
    found = []
    for line in output.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and "fact" in value:
            found.append(value)
    return found


def compare(name: str, got: list[Fact]) -> list[str]:
    """Say where the facts differ, one entry for each."""
    wanted = recorded(name)
    different = {entry["fact"]: entry for entry in intended("difference") if entry["flow"] == name}
    by_name = {fact["fact"]: fact for fact in got}
    problems = []
    for fact in wanted:
        entry = different.get(fact["fact"])
        expected = {"fact": fact["fact"], **json.loads(entry["penstock"])} if entry else fact
        actual = by_name.get(fact["fact"])
        if actual != expected:
            source = "differences.toml" if entry else "Prefect"
            shown = "nothing" if actual is None else body(actual)
            problems.append(f"{fact['fact']}\n    {source:<9} {body(expected)}\n    Penstock  {shown}")
    unknown = [fact for fact in by_name if fact not in {known["fact"] for known in wanted}]
    problems.extend(f"{fact}\n    Prefect   nothing\n    Penstock  {body(by_name[fact])}" for fact in unknown)
    return problems


def body(fact: Fact) -> str:
    """A fact without its name."""
    rest = {key: value for key, value in fact.items() if key != "fact"}
    return json.dumps(rest["value"] if rest.keys() == {"value"} else rest, ensure_ascii=False)


@pytest.mark.parametrize("name", NAMES)
def test_flow_behaves_as_under_prefect(name: str, tmp_path: Path) -> None:
    done = run(port(name, tmp_path), tmp_path / "home")
    if refused := [entry for entry in intended("refused") if entry["flow"] == name]:
        assert done.returncode != 0, f"{name} runs: delete it from [[refused]]"
        assert refused[0]["says"] in done.stderr
        return
    problems = compare(name, facts_of(done.stdout))
    if done.returncode != 0:
        problems.append(f"exit code {done.returncode}\n{done.stderr[-3000:]}")
    if problems:
        pytest.fail(f"{name}: {len(problems)} differ from Prefect\n\n" + "\n\n".join(problems), pytrace=False)


def test_every_flow_has_a_record_and_every_record_a_flow() -> None:
    assert [path.stem for path in sorted(EXPECTED.glob("*.jsonl"))] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_facts_of_a_flow_have_different_names(name: str) -> None:
    names = [fact["fact"] for fact in recorded(name)]
    assert names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", NAMES)
def test_flow_imports_only_the_engine_and_what_everybody_has(name: str) -> None:
    imported = re.findall(r"^\s*(?:from|import)\s+([\w.]+)", (FLOWS / f"{name}.py").read_text(), re.MULTILINE)
    roots = {module.partition(".")[0] for module in imported}
    assert "prefect" in roots
    assert roots - {"prefect", "facts", "pydantic"} <= sys.stdlib_module_names


def test_differences_are_real_and_have_a_reason() -> None:
    for entry in intended("difference"):
        assert set(entry) == {"flow", "fact", "penstock", "reason"}, entry
        known = {fact["fact"]: fact for fact in recorded(entry["flow"])}
        assert entry["fact"] in known, f"{entry['flow']} has no fact {entry['fact']!r}"
        assert len(entry["reason"].split()) >= 5, f"{entry['fact']}: say why"
        said = {"fact": entry["fact"], **json.loads(entry["penstock"])}
        assert said != known[entry["fact"]], f"{entry['fact']} is the same as in Prefect: delete the difference"
    for entry in intended("refused"):
        assert set(entry) == {"flow", "says", "reason"}, entry
        assert entry["flow"] in NAMES
        assert len(entry["reason"].split()) >= 5, f"{entry['flow']}: say why"
