"""allow_failure(): a task that takes the failure of another as its input."""

from facts import fact
from prefect import allow_failure, flow, task


@task
def gauge(name: str) -> int:
    """Read a gauge; some are broken."""
    if name.startswith("broken"):
        raise ConnectionError(f"{name} does not answer")
    return len(name)


@task
def summary(*readings: object) -> list[str]:
    """Say what arrived."""
    return [str(reading) if isinstance(reading, Exception) else f"ok {reading}" for reading in readings]


@task
def clean_up() -> str:
    """Runs whatever happened."""
    return "cleaned"


@flow
def tolerant():
    """Failures as data."""
    good, bad = gauge.submit("g1"), gauge.submit("broken-2")
    fact("direct", summary(good, allow_failure(bad)))
    fact("submit", summary.submit(allow_failure(good), allow_failure(bad)).result())
    fact("in a list", [type(item).__name__ for item in passed([allow_failure(bad), 1])])
    fact("around a list", [type(item).__name__ for item in passed(allow_failure([bad, good]))])
    fact("a state", summary(allow_failure(gauge("broken-3", return_state=True))))
    fact("wait_for", clean_up(wait_for=[allow_failure(bad)]))
    fact("the exception's type", type(passed(allow_failure(bad))).__name__)
    fact("map over futures", [type(got).__name__ for got in passed.map(allow_failure([good, bad])).result()])


@task
def passed(thing: object) -> object:
    """Give back what arrived."""
    return thing


@flow
def still_completes():
    """The flow's state follows what it returns, not what failed on the way."""
    return summary(allow_failure(gauge.submit("broken-1")))


if __name__ == "__main__":
    tolerant()
    fact("flow", still_completes(return_state=True))
