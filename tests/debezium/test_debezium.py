"""The log as Debezium's engine reads it, beside Penstock's reading of it: value by value.

`expected/changes.jsonl` holds what the engine says of `scenario.py` (written by `record.py`), so that this needs
PostgreSQL only; the slow test has the engine itself read it again. differences.toml holds what is different on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.debezium import oracle
from tests.debezium.comparing import Difference, differences, intended
from tests.debezium.values import Change, of_debezium
from tests.integration.changing import slots_dropped

pytestmark = pytest.mark.integration


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    with slots_dropped(postgres_url):
        yield postgres_url


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in oracle.RECORDED.read_text(encoding="utf-8").splitlines()]


def as_table(found: set[Difference]) -> str:
    """Differences as differences.toml would have them."""
    lines = []
    for each in sorted(found):
        values = {**each._asdict(), "reason": "?"}
        told = "\n".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
        lines.append(f"[[difference]]\n{told}\n")
    return "\n".join(lines)


def compare(theirs: list[Change], reading: oracle.Reading) -> None:
    found = set(differences(theirs, reading.changes, reading.rejected))
    known = intended()
    assert not found - set(known), f"differences without a reason:\n{as_table(found - set(known))}"
    assert not set(known) - found, f"no differences any more:\n{as_table(set(known) - found)}"


def test_every_value_is_the_one_that_debezium_reads(database: str, recorded: list[dict[str, Any]]) -> None:
    slot = f"debezium_{database.rpartition('_')[2][:16]}"
    reading = oracle.everything(database, slot)
    compare([of_debezium(told) for told in recorded], reading)


@pytest.mark.slow
def test_debezium_itself_reads_what_is_recorded(database: str, recorded: list[dict[str, Any]], tmp_path: Path) -> None:
    if reason := oracle.no_engine():
        pytest.skip(reason)
    slot = f"debezium_{database.rpartition('_')[2][:16]}"
    reading = oracle.everything(database, slot)
    told = oracle.told_by_debezium(database, slot, tmp_path)
    assert told == recorded
    compare([of_debezium(each) for each in told], reading)


def test_every_difference_has_a_reason() -> None:
    assert all(len(reason.split()) >= 4 for reason in intended().values())


@pytest.mark.parametrize(
    "changed", [{"after": {"id": 1, "n": 3}}, {"op": "update"}, {"table": "public.large"}], ids=str
)
def test_what_differs_is_found(changed: dict[str, Any]) -> None:
    ours = [Change("public.kinds", "insert", None, {"id": 1, "n": 2})]
    theirs = [ours[0]._replace(**changed)]
    assert not list(differences(ours, ours, {}))
    if "after" in changed:
        assert list(differences(theirs, ours, {})) == [Difference("public.kinds[1].n", "3", "2")]
    else:
        with pytest.raises(AssertionError, match="the same changes"):
            list(differences(theirs, ours, {}))
