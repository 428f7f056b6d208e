"""`penstock engines`, and what `penstock doctor` says of them."""

from __future__ import annotations

import pytest
from tests.acceptance.cli_lab import Cli
from tests.ports import nobody

pytestmark = pytest.mark.acceptance


def test_the_list_says_what_each_can_do_and_what_is_not_set_up(cli: Cli) -> None:
    found = {each["name"]: each for each in cli.json("engines")["engines"]}
    assert {"local", "airflow", "prefect"} <= set(found)
    assert found["local"]["answers"]
    assert set(found["local"]["abilities"].values()) == {True}
    assert not found["airflow"]["answers"]
    assert "AIRFLOW_API_URL" in found["airflow"]["told"]
    assert found["airflow"]["abilities"]["retries"] is True
    assert "recurrence" in found["airflow"]["abilities"]["rrule"]
    told = cli.run("engines").out
    assert "everything" in told
    assert "all but" in told


def test_one_engine_says_why_it_cannot_do_the_rest(cli: Cli) -> None:
    told = cli.run("engines", "airflow").out
    assert "it lacks" in told
    assert "recurrence rules" in told
    refused = cli.run("engines", "nowhere", code=2)
    assert "There is no engine 'nowhere'" in refused.err
    assert "airflow" in refused.err


def test_one_that_does_not_answer_is_told(cli: Cli) -> None:
    given = {"AIRFLOW_API_URL": nobody(), "AIRFLOW_DAGS_FOLDER": str(cli.folder), "AIRFLOW_USER": "ann"}
    (found,) = cli.run("engines", "airflow", "--json", **given).json["engines"]
    assert not found["answers"]
    assert f"{nobody()} cannot be reached" in found["told"]
    told = cli.run("doctor", code=1, **given)
    assert "engine airflow" in told.out
    assert "cannot be reached" in told.out
    assert "engine" not in cli.run("doctor").out.partition("extra ")[0]
