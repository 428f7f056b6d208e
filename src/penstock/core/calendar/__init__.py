"""When runs are due: schedules, their time zones, and what becomes of instants that were missed.

Pure: it asks no clock, and reads nothing but the database of time zones. It is imported where something is scheduled,
and not by `import penstock`.
"""

from penstock.core.calendar.due import (
    ALL_HORIZON_SECONDS,
    GRACE_SECONDS,
    MissedPlan,
    count_between,
    due_between,
    horizon_of,
    jittered,
    last_between,
    missed_plan,
    next_after,
)
from penstock.core.calendar.preview import Occurrence, preview
from penstock.core.calendar.spec import ScheduleSpec, schedule

__all__ = [
    "ALL_HORIZON_SECONDS",
    "GRACE_SECONDS",
    "MissedPlan",
    "Occurrence",
    "ScheduleSpec",
    "count_between",
    "due_between",
    "horizon_of",
    "jittered",
    "last_between",
    "missed_plan",
    "next_after",
    "preview",
    "schedule",
]
