"""examples/users_posts from outside: the right files, clear errors, no step repeated after a kill."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.json_api import JsonApi, Reply, serving
from tests.acceptance.users_posts import FILES, FLOW, ROOT, Table, cells, cli_command, contents, only_run, python
from tests.ports import closed_port

from penstock import Penstock
from penstock.core.events import TaskCompleted
from penstock.core.model import RunFilter

pytestmark = pytest.mark.acceptance

USERS = [{"id": 1, "name": "Ada", "username": "ada", "email": "ada@example.org"}]
POSTS = [{"id": 1, "userId": 1, "title": "On engines", "body": "They weave."}]

Cells = tuple[Any, ...]


@pytest.fixture(autouse=True)
def own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def instance(penstock_home: Path) -> Iterator[Penstock]:
    """To look into the journal of the processes that the test starts."""
    with closing(Penstock()) as opened:
        yield opened


@pytest.fixture
def real(test_data: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((test_data / "jsonplaceholder" / "data.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture
def api(real: dict[str, Any]) -> Iterator[JsonApi]:
    with serving({"/users": [Reply(real["users"])], "/posts": [Reply(real["posts"])]}) as server:
        yield server


# ------------------------------------------------------------------------------------------- the right files


HEADERS = {
    "users.csv": "id,name,username,email,phone,website,city,company",
    "posts_enriched.csv": "id,user_id,author_name,author_username,author_email,title,body,"
    "title_length,body_length,word_count",
    "user_stats.csv": "user_id,name,username,posts,total_words,average_words,"
    "total_characters,average_characters,longest_post_id",
    "top_authors.csv": "rank,user_id,name,username,posts,total_words",
    "summary.csv": "metric,value",
}


class Expected:
    """The five files, worked out from the source alone."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.users, self.posts = data["users"], data["posts"]
        self.author = {user["id"]: user for user in self.users}
        self.own = {user["id"]: [post for post in self.posts if post["userId"] == user["id"]] for user in self.users}

    def tables(self) -> dict[str, Table]:
        made = {
            "users.csv": self.user_rows(),
            "posts_enriched.csv": self.post_rows(),
            "user_stats.csv": self.stats_rows(),
            "top_authors.csv": self.top_rows(),
            "summary.csv": self.figures(),
        }
        return {name: [[str(cell) for cell in row] for row in rows] for name, rows in made.items()}

    def user_rows(self) -> Iterator[Cells]:
        for u in self.users:
            contact = (u["email"].lower(), u["phone"], u["website"])
            yield u["id"], u["name"], u["username"], *contact, u["address"]["city"], u["company"]["name"]

    def post_rows(self) -> Iterator[Cells]:
        for p in self.posts:
            by = self.author[p["userId"]]
            measures = len(p["title"]), len(p["body"]), words(p)
            yield p["id"], by["id"], by["name"], by["username"], by["email"].lower(), p["title"], p["body"], *measures

    def stats_rows(self) -> Iterator[Cells]:
        for u in self.users:
            own = self.own[u["id"]]
            in_words, in_characters = sum(map(words, own)), sum(len(p["body"]) for p in own)
            measures = in_words, mean(in_words, len(own)), in_characters, mean(in_characters, len(own))
            longest = sorted(own, key=lambda p: (-len(p["body"]), p["id"]))[0]
            yield u["id"], u["name"], u["username"], len(own), *measures, longest["id"]

    def top_rows(self) -> Iterator[Cells]:
        stats = sorted(self.stats_rows(), key=lambda row: (-row[3], -row[4], row[0]))
        for rank, row in enumerate(stats[:10], start=1):
            yield rank, *row[:5]

    def figures(self) -> Iterator[Cells]:
        """Nothing is wrong with this source, so nothing is set aside."""
        yield from [("users_received", len(self.users)), ("users_kept", len(self.users)), ("users_set_aside", 0)]
        yield from [(f"users_set_aside_{reason}", 0) for reason in ("not_a_record", "without_id", "duplicate")]
        yield from [("posts_received", len(self.posts)), ("posts_kept", len(self.posts)), ("posts_set_aside", 0)]
        reasons = ("not_a_record", "without_id", "duplicate", "empty", "unknown_author")
        yield from [(f"posts_set_aside_{reason}", 0) for reason in reasons]
        yield from [("users_without_name", 0), ("users_without_email", 0), ("posts_without_title", 0)]
        active = sum(1 for own in self.own.values() if own)
        yield from [("users_with_posts", active), ("users_without_posts", len(self.users) - active)]
        yield "posts_per_user", mean(len(self.posts), len(self.users))
        for what, total in (
            ("words", sum(map(words, self.posts))),
            ("characters", sum(len(p["body"]) for p in self.posts)),
        ):
            yield from [(f"total_{what}", total), (f"{what}_per_post", mean(total, len(self.posts)))]


def words(post: dict[str, Any]) -> int:
    return len(re.findall(r"\S+", post["body"]))


def mean(total: int, count: int) -> str:
    return str(float((Decimal(total) / count).quantize(Decimal("0.01"))))


def test_every_cell_of_the_five_files_is_right(real: dict[str, Any], api: JsonApi, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    done = python(*cli_command(api.url, folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(contents(folder)) == sorted(FILES)
    for name, table in Expected(real).tables().items():
        header, *rows = cells(folder / name)
        assert ",".join(header) == HEADERS[name]
        assert rows == table, name
    assert api.hits == {"/users": 1, "/posts": 1}


def test_shuffled_input_and_either_command_make_the_same_bytes(
    real: dict[str, Any], api: JsonApi, tmp_path: Path
) -> None:
    assert python(*cli_command(api.url, tmp_path / "first")).returncode == 0
    backwards = {"/users": [Reply(real["users"][::-1])], "/posts": [Reply(real["posts"][::-1])]}
    with serving(backwards) as other:
        done = python(FLOW, other.url + "/", tmp_path / "second")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "second") == contents(tmp_path / "first")
    assert done.stdout.split() == [str(tmp_path / "second" / name) for name in FILES]
    assert all(b"\r" not in content and content.endswith(b"\n") for content in contents(tmp_path / "first").values())


def test_parameters_say_how_many_authors_and_that_little_data_is_fine(tmp_path: Path) -> None:
    with serving({"/users": [Reply([])], "/posts": [Reply([])]}) as api:
        done = python(*cli_command(api.url, tmp_path / "none", at_least=0))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [len(cells(tmp_path / "none" / name)) for name in FILES[:4]] == [1, 1, 1, 1]
    assert ["posts_per_user", ""] in cells(tmp_path / "none" / "summary.csv")
    users = [{**USERS[0], "id": number} for number in (1, 2, 3)]
    posts = [{**POSTS[0], "id": number, "userId": number} for number in (1, 2, 3)]
    with serving({"/users": [Reply(users)], "/posts": [Reply(posts)]}) as api:
        assert python(*cli_command(api.url, tmp_path / "two", top=2)).returncode == 0
    assert [row[:2] for row in cells(tmp_path / "two" / "top_authors.csv")[1:]] == [["1", "1"], ["2", "2"]]


# --------------------------------------------------------------------------------------------- clear errors

FAILURES = {
    "nothing there": ({}, "answered 404 Not Found", 1),
    "forbidden": ({"/users": [Reply("", 403)], "/posts": [Reply("", 403)]}, "answered 403 Forbidden", 1),
    "always 500": ({"/users": [Reply("", 500)], "/posts": [Reply("", 500)]}, "answered 500 Internal", 4),
    "cut off": (
        {"/users": [Reply(USERS, cut_after=9)], "/posts": [Reply(POSTS)]},
        "could not be read: IncompleteRead",
        4,
    ),
    "half of the JSON": ({"/users": [Reply('[{"id": 1,')], "/posts": [Reply(POSTS)]}, "something that is not JSON", 1),
    "not text": ({"/users": [Reply(b"\xff\xfe\xfa\x00")], "/posts": [Reply(POSTS)]}, "something that is not JSON", 1),
    "a web page": ({"/users": [Reply("<!doctype html><p>Log in")], "/posts": [Reply(POSTS)]}, "a web page (HTML)", 1),
    "no users": ({"/users": [Reply([])], "/posts": [Reply(POSTS)]}, "answered with 0 users", 1),
    "no posts": ({"/users": [Reply(USERS)], "/posts": [Reply([])]}, "answered with 0 posts", 1),
    "an object": ({"/users": [Reply({"data": USERS})], "/posts": [Reply(POSTS)]}, "answered with an object where", 1),
    "null": ({"/users": [Reply(None)], "/posts": [Reply(POSTS)]}, "answered with None where a list of users", 1),
    "numbers": ({"/users": [Reply([1, 2])], "/posts": [Reply(POSTS)]}, "None of the 2 users can be used", 1),
    "no ids": ({"/users": [Reply(USERS)], "/posts": [Reply([{"title": "x"}])]}, "None of the 1 posts can be used", 1),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_bad_api_ends_in_a_clear_error_and_leaves_the_files_alone(case: str, tmp_path: Path) -> None:
    replies, told, requests = FAILURES[case]
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "users.csv").write_text("yesterday's")
    with serving(replies) as api:
        done = python(*cli_command(api.url, folder))
    assert done.returncode not in (0, None)
    shown = " ".join((done.stdout + done.stderr).split())
    assert told in shown
    assert "The above exception" not in shown
    assert "Penstock itself failed" not in shown
    assert contents(folder) == {"users.csv": b"yesterday's"}
    assert api.hits["/users"] == requests


def test_a_server_that_is_down_is_asked_four_times(instance: Penstock, tmp_path: Path) -> None:
    with closed_port() as port:
        done = python(FLOW, f"http://127.0.0.1:{port}", tmp_path / "out")
    assert done.returncode == 1
    assert "could not be read: Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(tmp_path / "out") == {}
    run = only_run(instance)
    assert run.state == "Failed"
    attempts = {step.task: step.attempt for step in instance.journal.task_runs(run.id)}
    assert attempts == {"prepare_folder": 1, "fetch_users": 4, "fetch_posts": 4}


def test_failures_that_pass_are_retried_until_the_answer_is_whole(instance: Penstock, tmp_path: Path) -> None:
    users = [Reply("", 503), Reply(hang_up=True), Reply(USERS, cut_after=9), Reply(USERS)]
    posts = [Reply("", 429), Reply("", 302, location="/moved")]
    with serving({"/users": users, "/posts": posts, "/moved": [Reply(POSTS)]}) as api:
        done = python(*cli_command(api.url, tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(contents(tmp_path / "out")) == sorted(FILES)
    run = only_run(instance)
    attempts = {step.task: step.attempt for step in instance.journal.task_runs(run.id) if step.attempt > 1}
    assert attempts == {"fetch_users": 4, "fetch_posts": 2}


def test_a_folder_that_cannot_be_made_is_noticed_before_anything_is_fetched(api: JsonApi, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = python(*cli_command(api.url, tmp_path / "file"))
    assert done.returncode != 0
    assert "cannot be written" in " ".join((done.stdout + done.stderr).split())
    assert not api.hits


# ----------------------------------------------------------------------------------------- kills and company

KILLED = """
import os, signal, sys
from penstock.authoring import load_flow

entrypoint, point, url, folder = sys.argv[1:]
flow = load_flow(entrypoint)
import exports

def die(*anything, **more):
    os.kill(os.getpid(), signal.SIGKILL)

def die_at(number, function, after=False):
    calls = 0
    def counted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == number and not after:
            die()
        answer = function(*args, **kwargs)
        if calls == number:
            die()
        return answer
    return counted

if point == "half written":
    exports.safe = die_at(700, exports.safe)
elif point == "written":
    os.fsync = die_at(2, os.fsync)
elif point == "moved":
    move = os.replace
    os.replace = lambda old, new: (move(old, new), str(new).endswith("posts_enriched.csv") and die())
else:
    exports.open = die_at(3, open)
flow(base_url=url, output_dir=folder)
"""


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["half written", "written", "moved", "recorded"])
def test_killed_in_an_export_and_resumed_no_step_is_repeated(
    instance: Penstock, api: JsonApi, tmp_path: Path, point: str
) -> None:
    whole = tmp_path / "whole"
    assert python(FLOW, api.url, whole).returncode == 0
    reference = only_run(instance)
    api.hits.clear()

    folder = tmp_path / "out"
    killed = python("-c", KILLED, FLOW, point, api.url, folder)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = contents(folder)
    parts = [name for name in left if name.endswith(".part")]
    assert [left[name] for name in left if name not in parts] == [
        contents(whole)[name] for name in left if name not in parts
    ]
    if point == "half written":
        assert 0 < len(left[parts[0]]) < len(contents(whole)["posts_enriched.csv"])

    (run,) = [run for run in instance.journal.runs(RunFilter()) if run.id != reference.id]
    resumed = python("-m", "penstock", "runs", "resume", run.id)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert contents(folder) == contents(whole)
    assert api.hits == {"/users": 1, "/posts": 1}
    assert {found.id: found.state for found in instance.journal.runs(RunFilter())} == {
        reference.id: "Completed",
        run.id: "Completed",
    }
    events = [stored.event for stored in instance.journal.load(run.id)]
    ends = [event.step.key for event in events if isinstance(event, TaskCompleted)]
    assert len(ends) == len(set(ends)) == len(instance.journal.task_runs(reference.id))
    logged = [line.message for line in instance.journal.logs(run.id)]
    assert sum("users.csv" in line for line in logged) == 1


def test_two_runs_into_one_folder_never_show_half_a_file(api: JsonApi, tmp_path: Path) -> None:
    assert python(FLOW, api.url, tmp_path / "whole").returncode == 0
    whole, folder = contents(tmp_path / "whole"), tmp_path / "out"
    command = [sys.executable, *cli_command(api.url, folder)]
    quiet = subprocess.DEVNULL
    running = [subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet) for _ in range(2)]
    while any(process.poll() is None for process in running):
        for name in FILES:
            if (folder / name).exists():
                assert (folder / name).read_bytes() == whole[name]
    assert [process.returncode for process in running] == [0, 0]
    assert contents(folder) == whole
