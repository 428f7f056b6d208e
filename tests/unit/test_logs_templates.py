"""Templates of messages: which messages are one, checked on messages that were made from known templates."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from tests.unit.log_lines import write

from penstock.processing.logs import LogAnalyzer, Templates, templates
from penstock.processing.logs.templates import shape_of

KNOWN = [
    "Accepted password for {user} from {ip} port {number} ssh2",
    "Failed password for {user} from {ip} port {number} ssh2",
    "Failed password for invalid user {user} from {ip} port {number} ssh2",
    "Connection closed by {ip} [preauth]",
    "Received disconnect from {ip}: {number}: Bye Bye [preauth]",
    "session opened for user {user} by (uid={number})",
    "session closed for user {user}",
    "Receiving block {block} src: /{ip}:{number} dest: /{ip}:{number}",
    "PacketResponder {number} for block {block} terminating",
    "Verification succeeded for {block}",
    "Deleting block {block} file /data/{number}/current/{block}",
    "Registered executor {host} with {number} cores",
    "Starting task {number} in stage {number} on {host}",
    "Finished task {number} in stage {number} in {number} ms on {host}",
    "Lost executor {host}: heartbeat timed out after {number} ms",
    "Removed broadcast piece {number} on {host} in memory (size: {number} KB)",
    "order {number} for {user} failed: payment refused",
    "order {number} for {user} placed",
    "cache miss for key {word}",
    "cannot connect to {host}: connection refused",
    "slow query took {number} ms: table {word}",
    "retry {number} of {number} for job {word}",
    "GET {path} answered {number} in {number} ms",
    "shutting down",
]


def messages(seed: int, count: int) -> list[tuple[int, str]]:
    """Messages, and the template that each was made from; some templates are far more frequent than others."""
    chance = random.Random(seed)
    users = ["root", "admin", "ada", "grace", "oracle", "webmaster", "test", "guest", "git", "postgres"]
    words = ["orders", "users", "prices", "stock", "carts", "events", "sessions", "mails", "clicks", "visits"]

    def value(kind: str) -> str:
        return {
            "user": lambda: chance.choice(users),
            "word": lambda: chance.choice(words),
            "ip": lambda: ".".join(str(chance.randrange(256)) for _ in range(4)),
            "number": lambda: str(chance.randrange(100_000)),
            "block": lambda: f"blk_{chance.randrange(-(10**18), 10**18)}",
            "host": lambda: f"node-{chance.randrange(40)}.example",
            "path": lambda: f"/{chance.choice(words)}/{chance.randrange(1000)}",
        }[kind]()

    weights = [1 / (place + 1) for place in range(len(KNOWN))]
    found = []
    for place in chance.choices(range(len(KNOWN)), weights, k=count):
        parts = KNOWN[place].split("{")
        text = parts[0]
        for part in parts[1:]:
            kind, _, rest = part.partition("}")
            text += value(kind) + rest
        found.append((place, text))
    return found


def grouped(texts: list[str]) -> list[str]:
    """The template of each message."""
    shapes = pl.DataFrame({"message": texts}).select(shape_of(pl.col("message")))["message"].to_list()
    made = Templates()
    made.add((shape, 1, 0, 0.0, 0.0, text) for shape, text in zip(shapes, texts, strict=True))
    return [str(made.template_of(shape)) for shape in shapes]


def accuracy(wanted: list[int], found: list[str]) -> float:
    """The share of messages that are together with all others of their template, and with no other (Zhu, ICSE 2019)."""
    pairs = Counter(zip(wanted, found, strict=True))
    of_wanted, of_found = Counter(wanted), Counter(found)
    right = sum(n for (one, other), n in pairs.items() if n == of_wanted[one] == of_found[other])
    return right / len(wanted)


@pytest.mark.parametrize("seed", range(5))
def test_messages_of_known_templates(seed: int) -> None:
    known = messages(seed, 2000)
    found = grouped([text for _, text in known])
    assert accuracy([place for place, _ in known], found) >= 0.95


def test_accuracy_counts_what_is_torn_apart_and_what_is_mixed() -> None:
    assert accuracy([1, 1, 2, 2], ["a", "a", "b", "b"]) == 1.0
    assert accuracy([1, 1, 2, 2], ["a", "c", "b", "b"]) == 0.5
    assert accuracy([1, 1, 2, 3], ["a", "a", "b", "b"]) == 0.5


def log(path: Path, texts: list[tuple[str, str]]) -> Path:
    lines = [
        f"2026-01-05 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02} {level} {text}"
        for n, (level, text) in enumerate(texts)
    ]
    return write(path, [each.encode() for each in lines])


@pytest.mark.parametrize("size", [100, 5000, 1 << 20])
def test_it_does_not_matter_how_a_log_is_cut(tmp_path: Path, size: int) -> None:
    path = log(tmp_path / "a.log", [("INFO", text) for _, text in messages(3, 1500)])
    assert LogAnalyzer(size).analyze(path).messages == LogAnalyzer().analyze(path).messages


def test_counts_times_and_what_is_new(tmp_path: Path) -> None:
    import datetime

    lines = [("INFO", f"order {n} placed") for n in range(1000)]
    lines[10] = lines[500] = ("ERROR", "disk 7 is full")
    lines[950] = lines[960] = ("ERROR", "no route to host 10.0.0.1")
    path = log(tmp_path / "a.log", lines)
    report = LogAnalyzer().analyze(path)
    assert next((row["template"], row["n"]) for row in report.messages.rows) == ("order <*> placed", 996)
    assert [(row["template"], row["failed"], row["first"], row["last"]) for row in report.templates.rows] == [
        ("disk <*> is full", 2, "2026-01-05T00:00:10Z", "2026-01-05T00:08:20Z"),
        ("no route to host <*>", 2, "2026-01-05T00:15:50Z", "2026-01-05T00:16:00Z"),
    ]
    assert [row["template"] for row in report.new_templates.rows] == ["no route to host <*>"]
    since = datetime.datetime(2026, 1, 5, 0, 0, 5)
    assert LogAnalyzer(new_since=since).analyze(path).new_templates.distinct == 2
    page = report.to_html()
    assert "New error templates" in page
    assert "no route to host &lt;*&gt;" in page
    assert report.to_dict()["new_templates"]["rows"][0]["example"] == "no route to host 10.0.0.1"


def test_more_templates_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_MOST_SHAPES", 50)
    made = Templates(most=20)
    letters = "abcdefghijklmnopqrst"
    rare = [(f"{one} {other} happens", 1, 0, 0.0, 0.0, "") for one in letters for other in letters]
    made.add([("often this", 100, 0, 0.0, 0.0, "")])
    made.add(rare)
    made.add([("often this", 100, 0, 0.0, 0.0, "")])
    assert len(made) <= 20
    assert not made.exact
    often = next(each for each in made if each.text == "often this")
    assert often.n == 200


@pytest.mark.parametrize("text", ["", " ", "\t", "x" * 100_000, "7 " * 5000, "<*>", "ü ß 7"])
def test_odd_messages(text: str) -> None:
    assert len(grouped([text, text, "other words"])) == 3
