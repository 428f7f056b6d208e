"""quote and opaque: how much of an argument is looked through."""

from dataclasses import dataclass

from facts import fact
from prefect import flow, task
from prefect.futures import PrefectFuture
from prefect.utilities.annotations import allow_failure, opaque, quote, unmapped


@dataclass
class Recipe:
    """Something made of parts."""

    flour: object
    name: str = "bread"


@task
def grams(number: int) -> int:
    """A number, unless it is negative."""
    if number < 0:
        raise ValueError("negative")
    return number


@task
def bake(recipe: Recipe) -> list:
    """What arrives."""
    return [type(recipe).__name__, recipe.flour, recipe.name]


@task
def kind(thing: object) -> str:
    """The kind of what arrives."""
    return "future" if isinstance(thing, PrefectFuture) else type(thing).__name__


@task
def kinds(things: list) -> list[str]:
    """The kinds of the things in a list."""
    return ["future" if isinstance(thing, PrefectFuture) else type(thing).__name__ for thing in things]


@flow
def baking() -> None:
    """Arguments with futures inside."""
    future = grams.submit(500)
    fact("a future in a dataclass", bake(Recipe(future)))
    fact("quote keeps a future", kind(quote(future)))
    fact("quote keeps what is inside", kinds(quote([future, 1])))
    fact("opaque resolves the top", kind(opaque(future)))
    fact("opaque keeps what is inside", kinds(opaque([future, 1])))
    fact("allow_failure", kind(allow_failure(grams.submit(-1))))
    fact("unmapped", pairs.map([1], unmapped([2, 3])).result())


@task
def pairs(one: int, both: list[int]) -> list:
    """A number beside a list."""
    return [one, both]


if __name__ == "__main__":
    baking()
