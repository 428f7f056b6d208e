"""The table of Prefect's features is true: what is `same` has a flow that shows it, what is `not yet` is refused."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FEATURES: list[dict[str, Any]] = tomllib.loads((HERE / "features.toml").read_text())["feature"]
FLOWS = {path.stem for path in (HERE / "flows").glob("[0-9]*.py")}
DIFFERENCES = tomllib.loads((HERE / "differences.toml").read_text())
REFUSED_FLOWS = {entry["flow"] for entry in DIFFERENCES.get("refused", [])}
DIFFERENT_FLOWS = REFUSED_FLOWS | {entry["flow"] for entry in DIFFERENCES.get("difference", [])}
NOT_YET = [
    pytest.param(refusal["code"], refusal["says"], id=refusal["code"].removeprefix("from penstock import "))
    for row in FEATURES
    if row["status"] == "not yet"
    for refusal in row["refused"]
]


def print_() -> None:
    """What the refused snippets decorate."""


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: row["feature"])
def test_row_is_well_formed(row: dict[str, Any]) -> None:
    required = {"feature", "prefect", "status", "note", "refused" if row["status"] == "not yet" else "proof"}
    assert set(row) == required
    assert row["status"] in {"same", "differs", "not yet"}
    assert row["feature"]
    assert row["prefect"]


@pytest.mark.parametrize("row", [row for row in FEATURES if row["status"] == "same"], ids=lambda row: row["feature"])
def test_what_is_the_same_is_shown_by_flows(row: dict[str, Any]) -> None:
    assert row["proof"]
    assert set(row["proof"]) <= FLOWS
    assert not set(row["proof"]) & REFUSED_FLOWS, "a flow that is refused proves nothing"


@pytest.mark.parametrize(
    "row", [row for row in FEATURES if row["status"] == "differs"] or [None], ids=lambda row: row and row["feature"]
)
def test_what_differs_says_how_and_is_tested(row: dict[str, Any] | None) -> None:
    if row is None:
        assert not DIFFERENT_FLOWS, "differences.toml has entries, but no feature says `differs`"
        return
    assert row["note"], "say how it differs"
    assert row["proof"]
    for proof in row["proof"]:
        assert proof in DIFFERENT_FLOWS or (HERE.parent / proof).is_file(), proof


def test_every_difference_is_in_the_table() -> None:
    differing = {proof for row in FEATURES if row["status"] == "differs" for proof in row["proof"]}
    assert differing >= DIFFERENT_FLOWS


def test_every_flow_is_in_the_table() -> None:
    assert {proof for row in FEATURES for proof in row.get("proof", [])} >= FLOWS


def test_features_are_named_once() -> None:
    names = [row["feature"] for row in FEATURES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("code", "says"), NOT_YET)
def test_what_is_not_there_yet_is_refused_with_a_clear_error(code: str, says: str) -> None:
    with pytest.raises(Exception, match=re.escape(says)) as caught:
        exec(code, {"print_": print_})
    if not isinstance(caught.value, ImportError):
        assert "Hint:" in str(caught.value), "the error says what to do instead"
