"""The topics of runs that nobody called: a scheduler and workers, and how quickly they do what is asked of them.

The contender's program starts the processes of its tool, measures, and ends them; here its answer is judged.
"""

from harness.contenders import Contender
from harness.session import Session

Sample = dict[str, float]
REFERENCE = "penstock-worker"
SPREAD_SECONDS = 60.0
QUICK_SPREAD_SECONDS = 3.0
LISTING_SECONDS = 3_600.0


def trigger(session: Session, contender: Contender, times: int) -> tuple[Sample, str]:
    """Time from asking for a run to the first line of its task, one run after the other."""
    return _measured(session, contender, "trigger", str(times))


def drain(session: Session, contender: Contender, runs: int) -> tuple[Sample, str]:
    """Time the execution of runs that were queued before, and count how often each was executed."""
    return _measured(session, contender, "drain", str(runs))


def schedules(session: Session, contender: Contender, count: int) -> tuple[Sample, str]:
    """Time from the instants that many schedules are due to when their runs are there."""
    seconds = QUICK_SPREAD_SECONDS if session.quick else SPREAD_SECONDS
    return _measured(session, contender, "schedules", str(count), str(seconds))


def soak(session: Session, contender: Contender, runs: int) -> tuple[Sample, str]:
    """Measure how the memory of all processes grows over many runs."""
    return _measured(session, contender, "soak", str(runs))


def listing(session: Session, contender: Contender, runs: int) -> tuple[Sample, str]:
    """Time pages of the listing of very many runs; filling the journal is not part of it."""
    with session.place(contender) as place:
        answer = place.run("listing", str(runs), limit=LISTING_SECONDS)
    return {key: value for key, value in answer.said.items() if isinstance(value, int | float)}, answer.said["worst"]


def _measured(session: Session, contender: Contender, *arguments: str) -> tuple[Sample, str]:
    with session.place(contender) as place:
        answer = place.run(*arguments, limit=session.duty_limit)
    return {key: value for key, value in answer.said.items() if isinstance(value, int | float)}, ""
