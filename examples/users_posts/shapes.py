"""The rows of the five files. Their fields, in this order, are the columns; README.md says what each one means."""

from __future__ import annotations

from typing import Generic, TypedDict, TypeVar


class Identified(TypedDict):
    """A row known by its id."""

    id: int


class User(Identified):
    """A row of users.csv."""

    name: str
    username: str
    email: str
    phone: str
    website: str
    city: str
    company: str


class Post(Identified):
    """A clean post, before its author is known."""

    user_id: int | None
    title: str
    body: str


class EnrichedPost(Identified):
    """A row of posts_enriched.csv."""

    user_id: int
    author_name: str
    author_username: str
    author_email: str
    title: str
    body: str
    title_length: int
    body_length: int
    word_count: int


class UserStats(TypedDict):
    """A row of user_stats.csv."""

    user_id: int
    name: str
    username: str
    posts: int
    total_words: int
    average_words: float | None
    total_characters: int
    average_characters: float | None
    longest_post_id: int | None


class TopAuthor(TypedDict):
    """A row of top_authors.csv."""

    rank: int
    user_id: int
    name: str
    username: str
    posts: int
    total_words: int


class Metric(TypedDict):
    """A row of summary.csv."""

    metric: str
    value: int | float | str | None


Row = TypeVar("Row", bound=Identified)


class Batch(TypedDict, Generic[Row]):
    """Clean rows, and a count for every reason to leave one out: `received` is what they all add up to."""

    received: int
    rows: list[Row]
    set_aside: dict[str, int]
