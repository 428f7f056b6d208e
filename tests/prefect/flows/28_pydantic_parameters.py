"""Pydantic models as parameters."""

from typing import Annotated

from facts import fact, outcome
from prefect import flow
from pydantic import BaseModel, Field


class Address(BaseModel):
    """A model in a model."""

    street: str
    number: int = 1


class Person(BaseModel):
    """A model."""

    name: str
    age: int = Field(ge=0)
    addresses: list[Address] = []


@flow
def greet(person: Person) -> dict:
    """Takes a model."""
    return {"type": type(person).__name__, **person.model_dump()}


@flow
def crowd(people: list[Person], at_most: Annotated[int, Field(le=10)] = 5) -> list[str]:
    """Takes many."""
    return [person.name for person in people[:at_most]]


@flow
def returns_model() -> Person:
    """Gives one back."""
    return Person(name="Ada", age=36)


if __name__ == "__main__":
    fact("from a dict", greet({"name": "Ada", "age": "36", "addresses": [{"street": "Row"}]}))
    fact("as it is", greet(Person(name="Bo", age=1)))
    fact("mistakes", outcome(greet, {"name": 5, "age": -1, "addresses": [{"number": "x"}]}))
    fact("wrong kind", outcome(greet, "Ada"))
    fact("list", crowd([{"name": "A", "age": 1}, Person(name="B", age=2)]))
    fact("mistakes in a list", outcome(crowd, [{"name": "A"}, {"age": "old"}], at_most=11))
    fact("returned", returns_model().model_dump())
