"""What attackers send: each is refused, or kept as the text that it is."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.api_world import BASE, NIGHTLY, World, opened

HERE = Path(__file__).resolve().parents[2]
BODIES = Path(os.environ.get("PENSTOCK_TEST_DATA", HERE.parent / "shared" / "data")) / "JSONTestSuite" / "test_parsing"
SCRIPTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
)
INJECTIONS = (
    "' OR 1=1 --",
    "x' UNION SELECT name, sql FROM sqlite_master --",
    "1; DROP TABLE runs; --",
    "%' OR '%'='",
    "\\'; DELETE FROM events; --",
)
LOOKALIKES = {
    "cyrillic i": "n\N{CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I}ghtly",
    "full width": "\N{FULLWIDTH LATIN SMALL LETTER N}ightly",
    "right to left": "night\u202ely",
    "zero width": "night\N{ZERO WIDTH SPACE}ly",
    "soft hyphen": "night\N{SOFT HYPHEN}ly",
    "combining": "nightl\N{LATIN SMALL LETTER Y}\N{COMBINING ACUTE ACCENT}",
    "line feed": "nightly\n",
    "space": "nightly ",
    "nul": "nightly\0",
    "path": "../nightly",
}
DEEP = {
    "arrays": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "closed": b'{"parameters":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "inside": b'{"parameters":{"rows":' + b'{"a":' * 3_000 + b"1" + b"}" * 3_000 + b"}}",
}
MOST = 200_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("attacked"), max_body_bytes=MOST) as found:
        yield found


@pytest.fixture(autouse=True)
def seeded(world: World) -> None:
    world.seed()


def places(world: World, kind: str) -> list[tuple[str, str]]:
    """Method and path of what takes bodies of a kind, about things that are there."""
    found = []
    for path, operations in world.schema()["paths"].items():
        for method, operation in operations.items():
            if kind in operation.get("requestBody", {}).get("content", {}):
                found.append((method.upper(), filled(world, path)))
    assert found
    return found


def filled(world: World, path: str) -> str:
    """A path about things that are there; what there is none of, is called x."""
    for name, value in world.path_values().items():
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        path = path[: path.index("{")] + "x" + path[path.index("}") + 1 :]
    return path


def refused(answer: Any) -> dict[str, Any]:
    """What a refusal says, and that it is one."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    return body


def send(world: World, method: str, path: str, content: Any, kind: str = "application/json") -> Any:
    return world.client.request(method, path, content=content, headers={b"Content-Type": kind.encode("latin-1")})


# ---------------------------------------------------------------------------------------------------------- bodies


@pytest.mark.skipif(not BODIES.is_dir(), reason="the bodies of JSONTestSuite are not here")
def test_no_body_of_the_json_test_suite_breaks_what_makes_a_workflow(world: World) -> None:
    for file in sorted(BODIES.glob("*.json")):
        answer = send(world, "POST", "/api/v1/workflows", file.read_bytes())
        assert refused(answer)["code"], file.name


@pytest.mark.skipif(not BODIES.is_dir(), reason="the bodies of JSONTestSuite are not here")
@pytest.mark.parametrize("part", [pytest.param(0, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)])
def test_no_body_of_the_json_test_suite_breaks_any_route(world: World, part: int) -> None:
    files = sorted(BODIES.glob("*.json"))
    for method, path in places(world, "application/json"):
        for file in files if part else files[::25]:
            body = file.read_bytes()
            answer = send(world, method, path, body)
            assert answer.status_code < 500, (method, path, file.name, answer.text[:300])
            if file.name.startswith("n_") and body.strip():
                assert answer.status_code >= 400, (method, path, file.name)
        world.seed()


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
def test_what_is_nested_too_deeply_is_refused(world: World, body: bytes) -> None:
    for method, path in places(world, "application/json"):
        if len(body) > MOST:
            refused(send(world, method, path, body[:MOST]))
        refused(send(world, method, path, body))


def test_yaml_that_grows_is_refused(world: World) -> None:
    laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for one, other in zip("bcdefghij", "abcdefghi", strict=True):
        laughs += f"{one}: &{one} [{','.join([f'*{other}'] * 9)}]\n"
    for text in (laughs, "!!python/object/apply:os.system ['true']", "a: &a [*a]", "- " * 50_000, "{" * 50_000):
        for method, path in places(world, "application/yaml"):
            refused(send(world, method, path, text.encode(), "application/yaml"))


def test_large_bodies_are_refused_however_they_come(world: World) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(10):
            yield b" " * (MOST // 5)

    for method, path in places(world, "application/json"):
        assert refused(send(world, method, path, b" " * (MOST + 1)))["status"] == 413, path
        assert refused(send(world, method, path, pieces()))["status"] == 413, path


@pytest.mark.parametrize(
    "kind", ["text/html", "application/xml", "multipart/form-data", "\xff", "application/json; charset=utf-16"]
)
def test_types_that_are_none_break_nothing(world: World, kind: str) -> None:
    for method, path in places(world, "application/json"):
        refused(send(world, method, path, b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>', kind))


# ---------------------------------------------------------------------------------------------- names and strings


@pytest.mark.parametrize("name", LOOKALIKES.values(), ids=LOOKALIKES)
def test_names_that_look_like_others_are_refused(world: World, name: str) -> None:
    problem = refused(world.client.post("/api/v1/workflows", json={**NIGHTLY, "name": name}))
    assert [each["field"] for each in problem["errors"]] == ["name"]
    refused(world.client.post("/api/v1/workflows/nightly/clone", json={"name": name}))
    assert world.client.get("/api/v1/workflows").json()["total"] == 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_kept_as_text_and_answered_as_json_only(world: World, script: str) -> None:
    wanted = {"tags": [script], "run_name": script, "parameters": {"rows": script}}
    made = world.client.post("/api/v1/workflows/nightly/trigger", json=wanted)
    assert made.status_code == 201, made.text
    run = world.client.get(f"/api/v1/runs/{made.json()['id']}")
    assert (run.json()["name"], run.json()["tags"]) == (script, sorted(["etl", script]))
    for answer in (made, run, world.client.get("/api/v1/runs", params={"tag": script})):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    told = world.client.get(f"/api/v1/workflows/{script.replace('/', '')}")
    assert refused(told)["status"] == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("workflows", {**NIGHTLY, "name": "other", "version": 99}, "version"),
        ("workflows", {**NIGHTLY, "name": "other", "created_at": "2000-01-01T00:00:00Z"}, "created_at"),
        ("workflows/nightly/trigger", {"state": "Completed"}, "state"),
        ("workflows/nightly/trigger", {"id": "mine", "owner": "me"}, "id"),
        ("workflows/nightly/clone", {"name": "copy", "active": True}, "active"),
        ("workflows/nightly/rollback", {"version": 1, "by": "root"}, "by"),
    ],
    ids=["version", "created_at", "state", "id", "active", "by"],
)
def test_no_field_is_set_that_is_not_asked_for(world: World, path: str, body: Any, field: str) -> None:
    before = world.client.get("/api/v1/runs").json(), world.client.get("/api/v1/workflows").json()
    assert field in json.dumps(refused(world.client.post(f"/api/v1/{path}", json=body)))
    assert (world.client.get("/api/v1/runs").json(), world.client.get("/api/v1/workflows").json()) == before


# -------------------------------------------------------------------------------------------------------- filters


def test_sql_in_a_filter_is_a_text_that_nothing_has(world: World) -> None:
    asked = 0
    for path, operations in world.schema()["paths"].items():
        for each in operations.get("get", {}).get("parameters", []):
            if each["in"] != "query" or path.endswith("/stream"):
                continue
            for injection in INJECTIONS:
                answer = world.client.get(filled(world, path), params={each["name"]: injection})
                assert answer.status_code < 500, (path, each["name"], injection, answer.text[:300])
                asked += 1
    assert asked > 50
    assert world.client.get(f"/api/v1/runs/{world.run_id}").status_code == 200


@pytest.mark.parametrize("name", ["flow", "workflow", "tag", "text", "parent"])
def test_a_filter_finds_no_more_with_sql_in_it(world: World, name: str) -> None:
    for injection in INJECTIONS:
        assert world.client.get("/api/v1/runs", params={name: injection}).json()["items"] == []


# ------------------------------------------------------------------------------------------------- logs and tables


def test_a_path_puts_no_lines_into_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "penstock"):
        refused(world.client.get("/api/v1/workflows/x%0aERROR%20root%20signed%20in%0d%1b[2J"))
        refused(world.client.post("/api/v1/workflows", json={**NIGHTLY, "name": "x\nERROR root"}))
    assert caplog.messages
    assert not [each for each in caplog.messages if set(each) & set("\n\r\x1b")]


def test_no_cell_of_the_audit_is_a_formula(world: World) -> None:
    for formula in ("=1+1", "@SUM(A1)", "+1", "-1"):
        world.client.get(f"/api/v1/workflows/{formula}")
        world.client.post("/api/v1/auth/token", data={"grant_type": "password", "username": formula, "password": "x"})
    answer = world.client.get("/api/v1/audit/export", params={"format": "csv"})
    assert answer.status_code == 200, answer.text
    cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
    assert cells
    assert not [cell for cell in cells if cell[:1] in ("=", "@", "+", "-", "\t", "\r")]


# ---------------------------------------------------------------------------------------------------- other origins


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{BASE}.evil.example"])
def test_pages_of_others_change_nothing(world: World, origin: str) -> None:
    answer = world.client.post("/api/v1/workflows", json=NIGHTLY, headers={"Origin": origin})
    assert refused(answer)["status"] == 403
    assert refused(world.client.get("/api/v1/runs", headers={"Host": "evil.example"}))["status"] == 403
