"""What Airflow can do for flows of Penstock."""

from __future__ import annotations

from penstock.core.engines import Abilities

ABILITIES = Abilities(
    rrule="Airflow has cron expressions and intervals, and no recurrence rules",
    caching="results of other runs are found in Penstock's journal, which Airflow's tasks do not reach",
    limits="the slots of Penstock's limits are in its journal; Airflow has pools",
    transactions="what several tasks commit together is kept in Penstock's journal, which Airflow's tasks do not reach",
    waiting="a run that waits is kept by Penstock's journal, which goes on with it in another process",
    fork="Airflow cannot begin a run in the middle of another",
)
