"""map(): what is spread over task runs and what is not."""

from facts import fact, outcome
from prefect import flow, task, unmapped


@task
def label(crate: object) -> str:
    """A label for a crate."""
    return f"<{crate}>"


@task
def ship(crate: str, port: str = "Oslo", stamps: list[str] = ["A"], **notes: str) -> dict:  # noqa: B006
    """A shipment."""
    return {"crate": crate, "port": port, "stamps": stamps, **notes}


@task
def crates() -> list[str]:
    """A list made by a task."""
    return ["c1", "c2"]


@task
def fussy(number: int) -> int:
    """Fails for two."""
    if number == 2:
        raise ValueError("two")
    return number


@flow
def iterables():
    """Everything that can be looped over, except text and bytes."""
    for given in ([1, 2], (1, 2), range(2), {"x": 1, "y": 2}, (n for n in "ab")):
        fact(f"map over {type(given).__name__}", label.map(given).result())
    fact("map over nothing", label.map([]).result())
    fact("map over a set", sorted(label.map({1, 2}).result()))
    fact("map over text", outcome(label.map, "abc"))
    fact("map over bytes", outcome(label.map, b"abc"))
    fact("map over a number", outcome(label.map, 5))
    fact("map over None", outcome(label.map, None))


@flow
def several_arguments():
    """More than one argument, defaults, unmapped."""
    fact("a fixed second argument", ship.map(["a", "b"], "Rome").result())
    fact("two lists", ship.map(["a", "b"], ["Rome", "Oslo"]).result())
    fact("defaults stay whole", ship.map(["a", "b"]).result())
    fact("unmapped", ship.map(["a", "b"], stamps=unmapped(["X", "Y"])).result())
    fact("extra keywords are spread", ship.map(["a", "b"], mark=["1", "2"]).result())
    fact("different lengths", outcome(ship.map, ["a", "b"], ["Rome", "Oslo", "Kiel"]))
    fact("nothing to spread", outcome(ship.map, unmapped(["a"]), "Rome"))


@flow
def over_futures():
    """Futures and what map() gives can be mapped over again."""
    fact("a future of a list", label.map(crates.submit()).result())
    fact("a list of futures", label.map([fussy.submit(1), fussy.submit(3)]).result())
    fact("map over map", label.map(label.map(["q", "r"])).result())
    fact("a state of a list", label.map(crates(return_state=True)).result())
    fact("unmapped future", ship.map(["a", "b"], stamps=unmapped(crates.submit())).result())


@flow
def what_it_gives():
    """The list of futures."""
    futures = fussy.map([1, 2, 3])
    fact("it is a list", isinstance(futures, list), length=len(futures))
    fact("wait", futures.wait())
    fact("states", [future.state for future in futures])
    fact("result raises", outcome(futures.result))
    fact("result without raising", futures.result(raise_on_failure=False))
    fact("one by one", [outcome(future.result) for future in futures])


def shout(text: str) -> str:
    """An ordinary function."""
    return text.upper()


def count(text: str) -> int:
    """Another."""
    return len(text)


@task
def analyse(texts: list[str]) -> dict:
    """Map inside a task, over tasks made on the spot."""
    futures = {made.__name__: task(made).map(texts) for made in (shout, count)}
    return {name: found.result() for name, found in futures.items()}


@flow
def nested_map():
    """A task that maps."""
    return analyse(["one", "three"])


if __name__ == "__main__":
    for made in (iterables, several_arguments, over_futures, what_it_gives):
        made()
    fact("map inside a task", nested_map())
