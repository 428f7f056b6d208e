"""From what the API gave to rows that can be relied on. Nothing is lost in silence: what is left out is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cleaning import email_address, line, paragraphs, whole_number
from shapes import Batch, EnrichedPost, Post, Row, User

from penstock import get_run_logger, task


class UnusableData(Exception):
    """There are records, and not one of them can be used."""


class SetAside(Exception):
    """A record is left out; the text is the reason it is counted under."""


@task(tags=["transforms"])
def clean_users(raw: list[Any]) -> Batch[User]:
    """One row for each user that has an id, by id."""
    return sift("users", raw, user_row, ("not_a_record", "without_id", "duplicate"))


@task(tags=["transforms"])
def clean_posts(raw: list[Any]) -> Batch[Post]:
    """One row for each post that has an id and says something, by id."""
    return sift("posts", raw, post_row, ("not_a_record", "without_id", "duplicate", "empty"))


@task(tags=["transforms"])
def enrich_posts(posts: Batch[Post], users: Batch[User]) -> Batch[EnrichedPost]:
    """Each post with its author and its measures; posts of nobody we know are set aside."""
    authors = {user["id"]: user for user in users["rows"]}
    known = [(post, authors[post["user_id"]]) for post in posts["rows"] if post["user_id"] in authors]
    rows = [enriched(post, author) for post, author in known]
    unknown = len(posts["rows"]) - len(rows)
    if unknown:
        get_run_logger().warning("set aside %d posts whose author is not among the users", unknown)
    return Batch(received=posts["received"], rows=rows, set_aside={**posts["set_aside"], "unknown_author": unknown})


def sift(what: str, raw: list[Any], make_row: Callable[[Any], Row], reasons: tuple[str, ...]) -> Batch[Row]:
    """Make rows of records, first come first kept, and count those that cannot be.

    Raises:
        UnusableData: none could be made.
    """
    rows: dict[int, Row] = {}
    set_aside = dict.fromkeys(reasons, 0)
    for record in raw:
        try:
            row = make_row(record)
            if row["id"] in rows:
                raise SetAside("duplicate")
            rows[row["id"]] = row
        except SetAside as reason:
            set_aside[str(reason)] += 1
    told = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in set_aside.items() if count)
    if raw and not rows:
        raise UnusableData(f"None of the {len(raw)} {what} can be used ({told}). Is this the right API?")
    if told:
        get_run_logger().warning("set aside %d of %d %s: %s", len(raw) - len(rows), len(raw), what, told)
    return Batch(received=len(raw), rows=[rows[number] for number in sorted(rows)], set_aside=set_aside)


def user_row(record: Any) -> User:
    """A user, flattened and cleaned. Who has no name goes by the username."""
    username = line(part(record, "username"))
    return User(
        id=identity(record),
        name=line(part(record, "name")) or username,
        username=username,
        email=email_address(part(record, "email")),
        phone=line(part(record, "phone")),
        website=line(part(record, "website")),
        city=line(part(record, "address", "city")),
        company=line(part(record, "company", "name")),
    )


def post_row(record: Any) -> Post:
    """A post, cleaned."""
    row = Post(
        id=identity(record),
        user_id=whole_number(part(record, "userId")),
        title=line(part(record, "title")),
        body=paragraphs(part(record, "body")),
    )
    if not row["title"] and not row["body"]:
        raise SetAside("empty")
    return row


def enriched(post: Post, author: User) -> EnrichedPost:
    """A post with its author and its measures."""
    return EnrichedPost(
        id=post["id"],
        user_id=author["id"],
        author_name=author["name"],
        author_username=author["username"],
        author_email=author["email"],
        title=post["title"],
        body=post["body"],
        title_length=len(post["title"]),
        body_length=len(post["body"]),
        word_count=len(post["body"].split()),
    )


def identity(record: Any) -> int:
    """The id of a record; a number in quotes is a number."""
    if not isinstance(record, dict):
        raise SetAside("not_a_record")
    number = whole_number(record.get("id"))
    if number is None:
        raise SetAside("without_id")
    return number


def part(record: Any, *path: str) -> Any:
    """What stands in a record under nested keys; None where there is no such place."""
    for key in path:
        record = record.get(key) if isinstance(record, dict) else None
    return record
