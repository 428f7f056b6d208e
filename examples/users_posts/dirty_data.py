"""Invented users and posts, dirty as real ones are, and the same every time."""

from __future__ import annotations

from random import Random
from typing import Any

FIRST_NAMES = ["Amina", "Björn", "Chloé", "Dmitri", "Elif", "Grace", "Ines", "Kwame", "Lucía", "Noor", "Søren"]
LAST_NAMES = ["Abebe", "Castro", "Dubois", "Eriksen", "García", "Ito", "Jansen", "Kovács", "Mbeki", "Novák"]
CITIES = ["Accra", "Bergen", "Cádiz", "Dakar", "Fez", "Gdańsk", "Hanoi", "Izmir", "Kyoto", "Lima", "Malmö", "Porto"]
COMPANIES = ["Müller &amp; Söhne", "North Sea Pumps", "Delta Data", "Kiln &amp; Co.", "Open Harbour", "Riverbend Labs"]
SUBJECTS = ["our nightly job", "the billing export", "a schema change", "the duplicate orders", "a slow join"]
VERBS = ["broke", "fixed", "measured", "rewrote", "monitored", "simplified", "tested", "migrated", "documented"]
REMARKS = [
    "It took us two days to see it.",
    "The numbers did not add up.",
    "Nobody had changed anything, of course.",
    "In the end one index was missing.",
    "We now check it every morning.",
    "The fix was a single line.",
    "Ask before you drop a column.",
    "Retries hid it for weeks.",
    "Its owner had left the company.",
    "It only happened at midnight UTC.",
]
BAD_EMAILS = ["n/a", "no-at-sign.example.org", "two@@example.org", "", None, "name@localhost"]


def dirty_users(count: int = 40) -> list[Any]:
    """Users as an old system might give them."""
    random = Random("users")
    users: list[Any] = [user(random, number) for number in range(1, count + 1)]
    users[4]["name"] = None
    users[11]["name"] = "   "
    users[17]["name"] = '=HYPERLINK("http://evil.example","Paid")'
    users[23]["address"] = None
    users[29].pop("company")
    users += [{**users[2], "id": " 3 "}, dict(users[7]), {**users[19], "email": "second@example.org"}]
    users += [{**users[0], "id": None}, {"name": "Only A. Name"}, None, "user 41"]
    random.shuffle(users)
    return users


def dirty_posts(users: int = 40, count: int = 400) -> list[Any]:
    """Posts of these users: a few write much, some write nothing."""
    random = Random("posts")
    weights = [1 / rank for rank in range(1, users - 4)] + [0] * 5
    random.shuffle(weights)
    authors = random.choices(range(1, users + 1), weights, k=count)
    posts: list[Any] = [post(random, number, author) for number, author in enumerate(authors, start=1)]
    for index in range(0, count, 23):
        posts[index]["title"] = random.choice(["", "  ", None])
    for index in range(7, count, 61):
        posts[index]["userId"] = random.choice([0, users + 900, None, "unknown"])
    for index in range(11, count, 97):
        posts[index] |= {"title": "", "body": "&nbsp;"}
    posts += [dict(random.choice(posts)) for _ in range(6)]
    posts += [{**posts[40], "id": "n/a"}, {**posts[41], "id": 12.5}, [], None]
    random.shuffle(posts)
    return posts


def user(random: Random, number: int) -> dict[str, Any]:
    """One user, with the small faults that most have."""
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    username = f"{first.lower()}.{last.lower()}{number}"
    email = f"user{number}@example.{random.choice(['org', 'com', 'net'])}"
    return {
        "id": random.choice([number, number, str(number), float(number)]),
        "name": random.choice([f"{first} {last}", f"  {first}   {last} ", f"{first}\u00a0{last}"]),
        "username": random.choice([username, f"{username} "]),
        "email": random.choice([email, email.upper(), f" {email.title()}\n", random.choice(BAD_EMAILS)]),
        "phone": f"+{random.randint(30, 59)} {random.randint(100, 999)} {random.randint(10000, 99999)}",
        "website": f"{last.lower()}{number}.example",
        "address": {"city": random.choice([random.choice(CITIES), f"{random.choice(CITIES)} "])},
        "company": {"name": random.choice(COMPANIES)},
    }


def post(random: Random, number: int, author: int) -> dict[str, Any]:
    """One post, with the small faults that most have."""
    title = f"How we {random.choice(VERBS)} {random.choice(SUBJECTS)}"
    sentences = random.sample(REMARKS, k=random.randint(2, 7))
    return {
        "id": random.choice([number, str(number)]),
        "userId": random.choice([author, author, str(author), f" {author}"]),
        "title": random.choice([title, f" {title}\t", title.replace(" we ", " we &ldquo;") + "&rdquo;"]),
        "body": random.choice(["\n", "\r\n", " ", " \n "]).join(sentences) + random.choice(["", " ", "\n\n"]),
    }
