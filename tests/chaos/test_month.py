"""A month of `serve` in simulated time, with a real SIGKILL about every day: each due run is there once."""

from __future__ import annotations

import datetime
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.chaos.month import SCHEDULES

from penstock.core.calendar import ScheduleSpec, due_between
from penstock.core.model import RunFilter
from penstock.journal.sqlite import SqliteJournal

BEGIN = datetime.datetime(2026, 3, 15, tzinfo=datetime.UTC)  # the clocks change on the 29th
DAYS = 31


def micros(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_a_month_with_daily_kills_runs_everything_once(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    journal, effects = tmp_path / "journal.db", tmp_path / "effects.txt"
    begin, end = micros(BEGIN), micros(BEGIN + datetime.timedelta(days=DAYS, minutes=40))  # nothing is due at its end
    now, kills = begin, 0
    while True:
        start = datetime.datetime.fromtimestamp(now / 1_000_000, datetime.UTC).isoformat()
        # About 36 runs a day, with six appends each.
        command = [sys.executable, str(Path(__file__).with_name("month.py")), str(journal), str(effects), start,
                   str(end), str(draw.randint(40, 400)), draw.choice(["before", "after"])]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in (0, -9), done.stderr
        if done.returncode == 0:
            break
        kills += 1
        opened = SqliteJournal(journal)
        now = max((stored.event.at for stored in opened.read(0, 1_000_000)), default=now)
        opened.close()
    assert kills >= DAYS // 2
    opened = SqliteJournal(journal)
    runs = opened.runs(RunFilter(limit=1_000_000))
    opened.close()
    for name, cron in SCHEDULES.items():
        spec = ScheduleSpec.of(cron, timezone="Europe/Berlin")
        fired = Counter(run.scheduled_at for run in runs if run.deployment == name)
        assert set(fired.values()) == {1}
        assert sorted(at for at in fired if at) == list(due_between(spec, begin, end))
    assert {run.state for run in runs} == {"Completed"}
    done_steps = Counter(effects.read_text().splitlines())
    assert {line.split()[0] for line in done_steps} == {run.id for run in runs}
    repeated = [line for line, times in done_steps.items() if times > 1]
    assert len(repeated) <= kills, "only the step in flight may be done again"
    assert sum(run.crashes for run in runs) <= kills
