"""Files that are sent in: whole or not at all, given back as they came, and there for runs that were given them."""

from __future__ import annotations

import hashlib
import importlib
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.projects import inside

from penstock.app import Penstock
from penstock.control import uploads
from penstock.control.access import LOCAL, User, current_user
from penstock.control.app import create_app
from penstock.control.problems import Problem
from penstock.control.receiving import Form
from penstock.control.server import serving
from penstock.control.settings import ServerSettings
from penstock.core.clock import now_us
from penstock.core.errors import JournalFull, ParameterError
from penstock.core.model import Claim
from penstock.core.uploads import ref_of
from penstock.engine.scheduled import execute
from penstock.engine.uploads import FileShelf
from penstock.engine.workflows import workflow
from penstock.orchestrator import deployments
from penstock.orchestrator.services import sweep_files

with warnings.catch_warnings():  # it would rather have another client
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

MOST = 3 * 1024 * 1024
TASKS = """
from penstock import flow

def size(path, also=None):
    with open(path, "rb") as file:
        return len(file.read())

@flow
def measured(source: str, others: list[str] = []) -> int:
    return sum(size(each) for each in [source, *others])
"""


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    monkeypatch.syspath_prepend(tmp_path)
    with inside(tmp_path, monkeypatch, "upload_tasks", TASKS) as found:
        yield found


@pytest.fixture
def app(penstock: Penstock) -> Any:
    return create_app(penstock, ServerSettings(max_file_bytes=MOST, max_body_bytes=1000))


@pytest.fixture
def api(app: Any) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1:4300/api/v1", raise_server_exceptions=False) as client:
        yield client


def sent(api: TestClient, content: bytes = b"a,b\n1,2\n", name: str = "a.csv", **more: Any) -> dict[str, Any]:
    params = {"name": name, **more.pop("params", {})}
    answer = api.post("/files", content=content, params=params, **more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def left(penstock: Penstock) -> list[str]:
    """What is in the folder."""
    return sorted(path.name for path in penstock.files.folder.rglob("*") if path.is_file())


def executed(penstock: Penstock, run_id: str, flow: Any) -> Any:
    """The run, executed as a worker does."""
    now = now_us()
    claim = Claim(pool="default", owner="worker/1", now=now, lease_until=now + 60_000_000, limit=1)
    assert [run.id for run in penstock.journal.claim(claim)] == [run_id]
    execute(penstock.engine, run_id, flow, "worker/1")
    return penstock.journal.run(run_id)


def test_what_is_sent_in_comes_back_byte_for_byte(api: TestClient, penstock: Penstock) -> None:
    content = os.urandom(2_500_000)
    made = sent(api, content, "Umsätze 2026.parquet")
    assert made["sha256"] == hashlib.sha256(content).hexdigest()
    assert made["size"] == len(content)
    assert made["media_type"] == "application/octet-stream"
    assert made["name"] == "Umsätze 2026.parquet"
    assert made["parameter"] == {"$file": made["id"]}
    assert made["uploaded_by"] == "local"
    answer = api.get(f"/files/{made['id']}/content")
    assert answer.content == content
    assert answer.headers["etag"] == f'"{made["sha256"]}"'
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Ums_tze 2026.parquet\"; filename*=UTF-8''Ums%C3%A4tze%202026.parquet"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert api.get(f"/files/{made['id']}").json() == made
    assert left(penstock) == [made["id"]]


def test_a_form_is_taken_apart_as_it_comes(api: TestClient) -> None:
    content = b"\r\n--almost\r\n".join([os.urandom(400_000)] * 3)
    answer = api.post("/files", files={"file": ("x.bin", content)}, data={"comment": "not a file"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == "x.bin"
    assert api.get(f"/files/{answer.json()['id']}/content").content == content


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"files": [("a", ("a", b"1")), ("b", ("b", b"2"))]}, 422),
        ({"files": {"file": (None, b"no name")}}, 422),
        ({"content": b"--x\r\nnonsense", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422),
        ({"content": b"nonsense", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=" + "x" * 71}}, 400),
        (
            {
                "content": b"--x\r\nA: " + b"b" * 9000 + b"\r\n\r\n1\r\n--x--",
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            400,
        ),
        (
            {
                "content": b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n123',
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            422,
        ),
    ],
    ids=["two", "no-name", "cut", "nonsense", "empty", "no-boundary", "long-boundary", "long-header", "no-end"],
)  # fmt: skip
def test_a_form_that_is_none_leaves_nothing(
    api: TestClient, penstock: Penstock, form: dict[str, Any], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = api.post("/files", **form)
    assert not [each for each in caplog.records if each.name.startswith("python_multipart")]
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (left(penstock), penstock.journal.files()) == ([], [])


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\boot\\a.ini", "a.ini"),
        ("..", "file"),
        ("a/.\u200b.", "file"),
        ("a\x00b\r\nSet-Cookie: x", "abSet-Cookie: x"),
        ("\u202egnp.exe", "gnp.exe"),
        ("/", "file"),
        ("x" * 999, "x" * 255),
        ('a"b%c', 'a"b%c'),
        ("\ud83d\ude00 \U0001f600".encode("utf-16", "surrogatepass").decode("utf-16"), "\U0001f600 \U0001f600"),
    ],
    ids=["folders", "windows", "dots", "hidden dots", "controls", "bidi", "slash", "long", "quotes", "emoji"],
)
def test_a_name_is_only_a_name(given: str, name: str) -> None:
    assert uploads.plain_name(given) == name
    told = uploads.disposition(name)
    assert told.isascii()
    assert not set("\r\n\0") & set(told)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"PAR1....", "application/vnd.apache.parquet"),
        (b"<script>alert(1)</script>", "text/plain"),
        ("größe".encode(), "text/plain"),
        ("größe".encode("latin-1"), "application/octet-stream"),
        (b"a\0b", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
    ids=["pdf", "zip", "parquet", "html", "utf-8", "latin-1", "nul", "empty"],
)
def test_a_type_is_what_the_content_says(head: bytes, kind: str) -> None:
    assert uploads.sniffed(head, True) == kind


def test_a_character_that_the_first_bytes_cut_is_still_text() -> None:
    head = ("x" * 4095 + "ü").encode()[:4096]
    assert uploads.sniffed(head, False) == "text/plain"
    assert uploads.sniffed(head, True) == "application/octet-stream"


@pytest.mark.parametrize(
    ("given", "status", "content"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("bytes=4-2", 200, b"0123456789"),
        ("bytes=-", 200, b"0123456789"),
        ("lines=0-3", 200, b"0123456789"),
        ("bytes=" + "9" * 5000 + "-", 200, b"0123456789"),
    ],
    ids=["first", "from", "last", "more-last", "beyond", "behind", "none", "two", "back", "empty", "unit", "huge"],
)
def test_ranges(api: TestClient, given: str, status: int, content: bytes | None) -> None:
    made = sent(api, b"0123456789")
    answer = api.get(f"/files/{made['id']}/content", headers={"Range": given})
    assert answer.status_code == status
    if content is None:
        assert answer.headers["content-range"] == "bytes */10"
        assert answer.json()["code"] == "range"
    else:
        assert answer.content == content


def test_if_range_and_if_none_match(api: TestClient) -> None:
    made = sent(api, b"0123456789")
    url = f"/files/{made['id']}/content"
    tag = f'"{made["sha256"]}"'
    assert api.get(url, headers={"Range": "bytes=0-0", "If-Range": tag}).content == b"0"
    assert api.get(url, headers={"Range": "bytes=0-0", "If-Range": '"other"'}).content == b"0123456789"
    assert api.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert api.get(f"/files/{made['id']}", headers={"If-None-Match": tag}).status_code == 304


def test_too_large_is_refused_with_its_length_and_without(api: TestClient, penstock: Penstock) -> None:
    for content in (b"x" * (MOST + 70_000), iter([b"x" * MOST, b"y"])):
        answer = api.post("/files", content=content)
        assert answer.status_code == 413, answer.text
    assert left(penstock) == []
    assert sent(api, b"x" * MOST)["size"] == MOST
    assert api.post("/workflows", content=b"x" * 1001).status_code == 413  # others have their own limit


def test_one_key_makes_one_file(api: TestClient, penstock: Penstock) -> None:
    headers = {"Idempotency-Key": "nightly-1"}
    first = sent(api, b"one", headers=headers)
    assert sent(api, b"one", headers=headers) == first
    assert sent(api, b"one")["id"] != first["id"]
    other = api.post("/files", content=b"two", params={"name": "a.csv"}, headers=headers)
    assert other.status_code == 422
    assert len(left(penstock)) == len(penstock.journal.files()) == 2
    assert api.delete(f"/files/{first['id']}").status_code == 204
    again = api.post("/files", content=b"one", params={"name": "a.csv"}, headers=headers)
    assert again.status_code == 409
    assert len(left(penstock)) == 2


def test_one_key_makes_one_file_at_once(penstock: Penstock) -> None:
    made: list[str] = []

    def send() -> None:
        upload = uploads.Upload(penstock, MOST)
        upload.write(b"one")
        made.append(upload.commit("a", (), LOCAL, "same").id)
        upload.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert set(made) == {each.id for each in penstock.journal.files()} == set(left(penstock))


def test_files_are_listed_in_parts(api: TestClient) -> None:
    ids = [sent(api, str(number).encode())["id"] for number in range(5)]
    found, cursor = [], None
    while True:
        part = api.get("/files", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        found += [each["id"] for each in part["items"]]
        cursor = part["next"]
        if cursor is None:
            break
    assert found == ids[::-1]


def test_who_has_tags_sees_what_bears_one(app: Any, api: TestClient) -> None:
    mine = sent(api, params={"tag": ["etl"]})
    hidden = [sent(api)["id"], sent(api, params={"tag": ["ml"]})["id"]]
    app.dependency_overrides[current_user] = lambda: User("ann", "editor", ("etl", "web"))
    assert [each["id"] for each in api.get("/files").json()["items"]] == [mine["id"]]
    assert api.get("/files", params={"tag": "ml"}).json()["items"] == []
    for file_id in hidden:
        for path in ("", "/content"):
            assert api.get(f"/files/{file_id}{path}").status_code == 404
        assert api.delete(f"/files/{file_id}").status_code == 404
    assert api.post("/files", content=b"x").status_code == 403
    app.dependency_overrides.clear()
    task: dict[str, Any] = {
        "name": "one",
        "python_callable": "upload_tasks:size",
        "params": {"path": {"$parameter": "source"}},
    }
    spec = {"name": "sizes", "tags": ["etl"], "parameters": {"source": None}, "tasks": [task]}
    assert api.post("/workflows", json=spec).status_code == 201
    app.dependency_overrides[current_user] = lambda: User("ann", "editor", ("etl", "web"))
    for file_id, status in ((mine["id"], 201), (hidden[0], 404)):
        given = {"parameters": {"source": {"$file": file_id}}}
        assert api.post("/workflows/sizes/trigger", json=given).status_code == status
        assert api.post("/workflows/sizes/dry-run", json=given).status_code == (200 if status == 201 else status)
    task["params"] = {"path": {"$file": hidden[0]}}
    assert api.post("/workflows", json={**spec, "name": "others"}).status_code == 404
    assert api.put("/workflows/sizes", json=spec).status_code == 404
    assert sent(api, params={"tag": ["web"]})["tags"] == ["web"]
    app.dependency_overrides[current_user] = lambda: User("bob", "viewer")
    assert api.post("/files", content=b"x").status_code == 403
    assert api.get(f"/files/{hidden[0]}/content").status_code == 200


@pytest.mark.parametrize(
    "file_id", ["..", "%2e%2e%2f%2e%2e", "a" * 500, "x\u0301", "0199aaaa-bbbb-7ccc-8ddd-000000000000"]
)
def test_there_is_no_such_file(api: TestClient, file_id: str) -> None:
    for path in ("", "/content"):
        assert api.get(f"/files/{file_id}{path}").status_code == 404


def test_a_run_of_a_workflow_is_given_a_file(api: TestClient, penstock: Penstock) -> None:
    made, fixed = sent(api, b"12345"), sent(api, b"123")
    tasks = [
        {"name": "one", "python_callable": "upload_tasks:size", "params": {"path": {"$parameter": "source"}}},
        {"name": "two", "python_callable": "upload_tasks:size", "params": {"path": fixed["parameter"]}},
        {
            "name": "three",
            "python_callable": "upload_tasks:size",
            "params": {"path": made["parameter"], "also": {"$literal": {"$file": "kept"}}},
        },
    ]
    spec = {"name": "sizes", "parameters": {"source": None}, "tasks": tasks}
    assert (answer := api.post("/workflows", json=spec)).status_code == 201, answer.text
    run = api.post("/workflows/sizes/trigger", json={"parameters": {"source": made["parameter"]}}).json()
    ended = executed(penstock, run["id"], workflow)
    assert ended.state == "Completed", ended.message
    assert api.delete(f"/files/{fixed['id']}").status_code == 409
    missing = {"source": {"$file": "0199aaaa-bbbb-7ccc-8ddd-000000000000"}}
    answer = api.post("/workflows/sizes/trigger", json={"parameters": missing})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "source"
    answer = api.post("/workflows/sizes/dry-run", json={"parameters": missing})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "source")
    planned = api.post("/workflows/sizes/dry-run", json={"parameters": {"source": made["parameter"]}})
    assert planned.json()["parameters"]["source"] == made["parameter"]
    tasks[1]["params"] = {"path": {"$file": "../../etc/passwd"}}
    answer = api.put("/workflows/sizes", json=spec)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "tasks[1].params.path", "message": "$file must be the id of a file that was sent in"}
    ]


def test_a_run_keeps_the_file_that_it_was_given(penstock: Penstock, api: TestClient) -> None:
    measured = importlib.import_module("upload_tasks").measured

    first, second = sent(api, b"12345"), sent(api, b"123")
    deployments.declare(penstock.journal, measured.to_deployment("sizes"))
    given = {"source": first["parameter"], "others": [second["parameter"]]}
    run = deployments.trigger(penstock.journal, "sizes", given)
    assert api.delete(f"/files/{first['id']}").status_code == 204
    assert api.get(f"/files/{first['id']}/content").status_code == 404
    with pytest.raises(ParameterError, match="there is no file"):
        deployments.trigger(penstock.journal, "sizes", given)
    long_ago = time.time() - 7200
    for path in penstock.files.folder.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    assert penstock.files.sweep(penstock.journal) == 0
    ended = executed(penstock, run.id, measured)
    assert ended.state == "Completed", ended.message
    penstock.journal.delete([run.id])
    assert penstock.journal.unused([ref_of(first["id"])]) == {ref_of(first["id"])}
    assert penstock.files.sweep(penstock.journal) == 1
    assert left(penstock) == [second["id"]]


def test_what_was_left_half_sent_is_swept_once_it_is_old(penstock: Penstock) -> None:
    begun, orphan = uploads.Upload(penstock, MOST), uploads.Upload(penstock, MOST)
    for each in (begun, orphan):
        each.write(b"half")
        each._file.close()
    penstock.files.keep(orphan.id, orphan._file)  # killed before it was told
    assert penstock.files.sweep(penstock.journal) == 0
    assert len(left(penstock)) == 2
    long_ago = time.time() - 7200
    for path in penstock.files.folder.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    assert penstock.files.sweep(penstock.journal) == 2
    assert left(penstock) == []


def test_many_files_are_looked_up_together_and_a_part_of_them_at_a_time(
    api: TestClient, penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = sent(api, b"kept")["id"]
    folder = penstock.files.folder / "00"
    folder.mkdir(exist_ok=True)
    names = {f"0199aaaa-bbbb-7ccc-8ddd-{number:010x}00" for number in range(30)}
    for name in names:
        (folder / name).write_bytes(b"x")
    long_ago = time.time() - 7200
    for path in penstock.files.folder.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    asked: list[str] = []
    journal: Any = penstock.journal
    fetch = journal._fetch

    def noted(sql: str, *values: Any) -> Any:
        asked.append(sql)
        return fetch(sql, *values)

    monkeypatch.setattr(journal, "_fetch", noted)
    at = 256 * 15_000_000
    sweep_files(penstock, at + 15_000_000)
    assert names <= set(left(penstock)), "they are in another part"
    asked.clear()
    sweep_files(penstock, at)
    assert len([sql for sql in asked if "FROM files" in sql]) == 1
    assert left(penstock) == [kept]


def test_a_full_disk_is_told_and_leaves_nothing(
    api: TestClient, penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            self.file.close()

    begin = FileShelf.begin
    monkeypatch.setattr(FileShelf, "begin", lambda shelf, file_id: Full(begin(shelf, file_id)))
    answer = api.post("/files", content=b"x")
    assert answer.status_code == 507
    assert answer.json()["code"] == JournalFull.code
    assert left(penstock) == []


def test_more_than_there_may_be_is_refused_by_the_upload_itself(penstock: Penstock) -> None:
    upload = uploads.Upload(penstock, 3)
    with pytest.raises(Problem):
        upload.write(b"1234")
    upload.close()
    assert left(penstock) == []


def test_who_goes_away_or_is_too_slow_leaves_nothing(penstock: Penstock) -> None:
    settings = ServerSettings(port=0, body_seconds=0.3)
    head = b"POST /api/v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf"
    with serving(penstock, settings) as url:
        address = ("127.0.0.1", urlsplit(url).port or 0)
        with socket.create_connection(address, 30) as slow:
            slow.sendall(head)
            assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        with socket.create_connection(address, 30) as gone:
            gone.sendall(head)
    assert (left(penstock), penstock.journal.files()) == ([], [])


_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="c"\r\n\r\nhello\r\n'
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n%b\r\n--x--\r\n'
)


@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(1, 40), max_size=30))
def test_a_form_may_come_in_any_pieces(content: bytes, cuts: list[int]) -> None:
    hypothesis.assume(b"\r\n--x" not in content)
    body, form, found = _FORM % content, Form(b"x"), b""
    for cut in cuts:
        found += form.feed(body[:cut])
        body = body[cut:]
    found += form.feed(body)
    assert (form.name, form.ended, found) == ("a.bin", True, content)


@given(data=st.data())
def test_what_is_nearly_a_form_is_one_or_is_refused(data: st.DataObject) -> None:
    body = bytearray(_FORM % b"some content")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=6))
    form = Form(b"x")
    refused = [400]
    try:
        form.feed(bytes(body))
    except Problem as problem:
        refused = [problem.status]
    assert refused[0] in (400, 422)
