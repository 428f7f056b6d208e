"""`penstock quality outliers`, `anomalies` and `writings`, in real processes."""

from __future__ import annotations

import datetime
import math
import random
from pathlib import Path

import pytest
from tests.acceptance.cli_lab import Cli

pytestmark = pytest.mark.acceptance

START = datetime.datetime(2026, 3, 2)


def series(path: Path, *, scramble: bool = False) -> None:
    rows, noise = [], random.Random(1)
    for hour in range(24 * 14):
        at = START + datetime.timedelta(hours=hour)
        usual = 20 + 8 * math.sin(hour * math.pi / 12) + noise.gauss(0, 0.3)
        load = 20.0 if hour == 291 else usual
        rows.append(f"{at:%Y-%m-%d %H:%M},{load:.3f},web")
    path.write_text("\n".join(["at,load,host", *(reversed(rows) if scramble else rows)]), encoding="utf-8")


def test_outliers(cli: Cli) -> None:
    lines = ["id,amount,word", *(f"{row},{10 + row % 7},x" for row in range(500)), "500,9000,x", "501,,x", "502,inf,x"]
    (cli.folder / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    told = cli.run("quality", "outliers", "a.csv", "--column", "amount").out
    assert "row 500  amount is 9,000: " in told
    assert "row 502  amount is inf, which is no finite number" in told
    assert "a.csv: 2 outliers in 1 column and 503 rows (mad)" in told
    quiet = cli.run("quality", "outliers", "a.csv", "-c", "amount", "-q", "--method", "iqr").out
    assert quiet.strip().count("\n") == 0
    answer = cli.json("quality", "outliers", "a.csv", "--limit", 1, "--method", "zscore")
    assert answer["count"] >= 2
    assert len(answer["outliers"]) == 1
    assert [each["column"] for each in answer["columns"]] == ["id", "amount"]


def test_anomalies(cli: Cli) -> None:
    series(cli.folder / "a.csv")
    told = cli.run("quality", "anomalies", "a.csv", "--time", "at", "--value", "load", "--method", "seasonal").out
    assert "2026-03-14 03:00:00Z  20 where 25.98" in told
    assert "load: 1 anomaly in 336 values (seasonal)" in told
    series(cli.folder / "b.csv", scramble=True)
    options = ("-t", "at", "-v", "load", "--method", "seasonal", "--zone", "Europe/Paris", "--set", "cycles=5")
    (answer,) = cli.json("quality", "anomalies", "b.csv", *options)
    assert answer["anomalies"][0]["start"] == "2026-03-14T02:00:00Z"
    assert answer["settings"]["cycles"] == 5
    assert "the rows were put in order" in answer["notes"][0]
    assert "no anomal" not in cli.run("quality", "anomalies", "a.csv", "-v", "load", "--method", "mad").out


def test_mistakes_are_told(cli: Cli) -> None:
    series(cli.folder / "a.csv")
    (cli.folder / "empty.csv").write_text("", encoding="utf-8")
    (cli.folder / "broken.parquet").write_bytes(b"PAR1 not at all")
    for wrong, told in (
        (("outliers", "a.csv", "-c", "lod"), "There is no column 'lod'"),
        (("outliers", "a.csv", "-c", "host"), "holds no numbers"),
        (("outliers", "a.csv", "--method", "magic"), "There is no method 'magic'"),
        (("outliers", "a.csv", "--method", "seasonal"), "seasonal needs a period"),
        (("outliers", "none.csv"), "There is no file none.csv"),
        (("outliers", "broken.parquet"), "cannot be read"),
        (("anomalies", "a.csv", "-v", "load", "-t", "host"), "times are text that cannot be read"),
        (("anomalies", "a.csv", "-v", "load", "--set", "window"), "'window' is no setting"),
        (("anomalies", "a.csv", "-v", "load", "--set", "windw=3"), "tails has no setting windw"),
        (("anomalies", "a.csv", "-v", "load", "-t", "at", "--zone", "Moon"), "no time zone"),
        (("anomalies", "a.csv", "-v", "load", "-t", "when"), "There is no column 'when'"),
    ):
        done = cli.run("quality", *wrong, code=2)
        assert told in done.err, wrong
        assert "Traceback" not in done.err
    assert "0 outliers" in cli.run("quality", "outliers", "empty.csv").out


def test_writings(cli: Cli) -> None:
    (cli.folder / "load.py").write_text(
        "from penstock import flow\n"
        "from penstock.data import Dataset\n\n"
        "@flow\n"
        "def load():\n"
        "    for rows in (100, 101, 99, 100, 100, 102, 3):\n"
        "        whole = [{'id': row, 'who': None if row % 50 == 7 or rows == 102 else 'x'} for row in range(rows)]\n"
        "        Dataset('orders', 'orders.parquet').write(whole)\n",
        encoding="utf-8",
    )
    cli.run("run", "load.py")
    told = cli.run("quality", "writings", "orders").out
    assert "  3 rows were written where 100 are usual" in told
    assert "100.0% of who is null where 2.0% is usual" in told
    assert "in 7 writings" in told
    answer = cli.json("quality", "writings", "orders", "--past")
    assert answer["writings"] == 7
    (found,) = (each for each in answer["anomalies"] if each["metric"] == "volume")
    assert (found["value"], found["usual"]) == (3.0, 100.0)
    assert "0 anomalies" in cli.run("quality", "writings", "orders", "--learned", 50).out
    answer = cli.run("quality", "writings", "nothing", code=2)
    assert "Hint: " in answer.err
    assert "Traceback" not in answer.err
