"""What the cleaned data says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from statistics import fmean

from shapes import Batch, EnrichedPost, Metric, TopAuthor, User, UserStats

from penstock import task


@task(tags=["analytics"])
def user_activity(users: Batch[User], posts: Batch[EnrichedPost]) -> list[UserStats]:
    """How much each user has written; those who wrote nothing are listed too."""
    written: dict[int, list[EnrichedPost]] = defaultdict(list)
    for post in posts["rows"]:
        written[post["user_id"]].append(post)
    return [stats_of(user, written[user["id"]]) for user in users["rows"]]


@task(tags=["analytics"])
def top_authors(stats: list[UserStats], limit: int = 10) -> list[TopAuthor]:
    """Who has written most: by posts, then by words, then by who was there first (the lower id)."""
    active = [user for user in stats if user["posts"]]
    active.sort(key=lambda user: (-user["posts"], -user["total_words"], user["user_id"]))
    return [
        TopAuthor(
            rank=rank,
            user_id=user["user_id"],
            name=user["name"],
            username=user["username"],
            posts=user["posts"],
            total_words=user["total_words"],
        )
        for rank, user in enumerate(active[: max(limit, 0)], start=1)
    ]


@task(tags=["analytics"])
def summarize(users: Batch[User], posts: Batch[EnrichedPost], stats: list[UserStats]) -> list[Metric]:
    """The run in figures. Received is kept plus set aside, for users and for posts."""
    rows = posts["rows"]
    active = sum(user["posts"] > 0 for user in stats)
    figures = {
        **dict(balance("users", users["received"], len(users["rows"]), users["set_aside"])),
        **dict(balance("posts", posts["received"], len(rows), posts["set_aside"])),
        "users_without_name": sum(user["name"] == user["username"] for user in users["rows"]),
        "users_without_email": sum(not user["email"] for user in users["rows"]),
        "posts_without_title": sum(not post["title"] for post in rows),
        "users_with_posts": active,
        "users_without_posts": len(stats) - active,
        "posts_per_user": average([user["posts"] for user in stats]),
        "total_words": sum(post["word_count"] for post in rows),
        "words_per_post": average([post["word_count"] for post in rows]),
        "total_characters": sum(post["body_length"] for post in rows),
        "characters_per_post": average([post["body_length"] for post in rows]),
    }
    return [Metric(metric=metric, value=value) for metric, value in figures.items()]


def balance(what: str, received: int, kept: int, set_aside: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Where every record that came in has gone."""
    yield f"{what}_received", received
    yield f"{what}_kept", kept
    yield f"{what}_set_aside", sum(set_aside.values())
    for reason, count in set_aside.items():
        yield f"{what}_set_aside_{reason}", count


def stats_of(user: User, posts: list[EnrichedPost]) -> UserStats:
    """One user's activity. Of posts equally long, the first one is the longest."""
    longest = max(posts, key=lambda post: (post["body_length"], -post["id"]), default=None)
    return UserStats(
        user_id=user["id"],
        name=user["name"],
        username=user["username"],
        posts=len(posts),
        total_words=sum(post["word_count"] for post in posts),
        average_words=average([post["word_count"] for post in posts]),
        total_characters=sum(post["body_length"] for post in posts),
        average_characters=average([post["body_length"] for post in posts]),
        longest_post_id=longest["id"] if longest else None,
    )


def average(values: list[int]) -> float | None:
    """The mean with two decimals; of nothing there is none."""
    return round(fmean(values), 2) if values else None
