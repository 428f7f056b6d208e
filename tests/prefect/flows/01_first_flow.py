"""The first things people write: tasks called from a flow, default parameters, loops, several runs."""

from facts import fact
from prefect import flow, tags, task

STATIONS = {"harbour": [7.5, 8.0, 9.1], "summit": [-2.0, -1.5], "valley": []}


@task
def read_station(name: str) -> list[float]:
    """Fetch the readings of one station."""
    return STATIONS[name]


@task
def mean(readings: list[float]) -> float | None:
    """Average, or nothing for no readings."""
    return round(sum(readings) / len(readings), 2) if readings else None


@flow
def station_report(names: list[str], unit: str = "C") -> dict[str, str]:
    """Average of each station."""
    report = {}
    for name in names:
        average = mean(read_station(name))
        report[name] = "no data" if average is None else f"{average} {unit}"
    return report


@flow
def says_nothing():
    """A flow without a return value."""
    mean([1.0])


@flow
def branches(limit: int = 3) -> str:
    """Ordinary Python decides what runs."""
    readings = read_station("harbour")
    if len(readings) >= limit:
        return f"warm: {mean(readings)}"
    return "too few"


if __name__ == "__main__":
    fact("a flow returns what its function returns", station_report(["harbour", "summit", "valley"]))
    fact("keyword and default parameters", station_report(names=["harbour"], unit="K"))
    fact("a flow that returns nothing", says_nothing())
    fact("branch", taken=branches(), other=branches(limit=9))
    with tags("nightly"):
        fact("several runs of one flow", [station_report([name]) for name in ("summit", "valley")])
    fact("a task called outside a flow", mean([1.0, 2.0]))
    fact("the function itself", task=mean.fn([4.0, 8.0]), flow=says_nothing.fn())
