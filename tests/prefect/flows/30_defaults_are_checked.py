"""Default values are held to the annotations too."""

from facts import fact, outcome
from prefect import flow


@flow
def wrong_default(limit: int = None):  # noqa: RUF013
    """None is not a number."""
    return limit


@flow
def text_default(limit: int = "7"):
    """A text that is a number."""
    return limit


@flow
def mutable_default(seen: list = []):  # noqa: B006
    """A list that is changed."""
    seen.append(1)
    return list(seen)


if __name__ == "__main__":
    fact("wrong default", outcome(wrong_default))
    fact("given after all", outcome(wrong_default, 3))
    fact("converted default", outcome(text_default))
    fact("a changed default does not stay changed", [mutable_default(), mutable_default()])
