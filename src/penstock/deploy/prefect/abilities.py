"""What Prefect can do for flows of Penstock."""

from __future__ import annotations

from penstock.core.engines import Abilities

ABILITIES = Abilities(
    catch_up="Prefect's scheduler makes runs ahead of time, and makes none for instants that have passed",
    limits="the slots of Penstock's limits are in its journal; Prefect has limits of its own, by tag",
    transactions="what several tasks commit together is kept in Penstock's journal",
    waiting="a run that waits is kept by Penstock's journal, which goes on with it in another process",
    fork="Prefect cannot begin a run in the middle of another",
)
