"""Users and their posts: from a JSON API to five CSV files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from analytics import summarize, top_authors, user_activity
from exports import prepare_folder, write_csv
from sources import fetch_posts, fetch_users
from transforms import clean_posts, clean_users, enrich_posts

from penstock import flow

PUBLIC_API = "https://jsonplaceholder.typicode.com"


@flow
def users_posts(
    base_url: str = PUBLIC_API,
    output_dir: Path = Path("output"),
    top: int = 10,
    at_least: int = 1,
) -> list[str]:
    """Fetch users and posts, clean and join them, and write users, posts, activity, top authors and a summary.

    Args:
        base_url: an API that answers `base_url/users` and `base_url/posts`.
        output_dir: folder for the files; made where it is not there.
        top: how many authors top_authors.csv lists.
        at_least: fail, and leave the files as they are, where the API gives fewer users or posts.
    """
    folder = prepare_folder(output_dir)

    raw_users = fetch_users.submit(base_url, at_least)
    raw_posts = fetch_posts.submit(base_url, at_least)  # both at once

    users = clean_users(raw_users.result())
    posts = enrich_posts(clean_posts(raw_posts.result()), users)

    stats = user_activity(users, posts)
    leaders = top_authors(stats, top)
    summary = summarize(users, posts, stats)

    return [
        write_csv(folder, "users.csv", users["rows"]),
        write_csv(folder, "posts_enriched.csv", posts["rows"]),
        write_csv(folder, "user_stats.csv", stats),
        write_csv(folder, "top_authors.csv", leaders),
        write_csv(folder, "summary.csv", summary),
    ]


def main() -> None:
    """Run the flow from `python flow.py`, without the command line of Penstock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base_url", nargs="?", default=PUBLIC_API, help="an API that answers base_url/users and /posts")
    parser.add_argument("output_dir", nargs="?", default="output", type=Path, help="folder for the files")
    try:
        print("\n".join(users_posts(**vars(parser.parse_args()))))
    except Exception as error:
        sys.exit(f"The run failed: {error}")


if __name__ == "__main__":
    main()
