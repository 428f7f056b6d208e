"""Every route asks who may: each is called as each role, and as somebody for whom there is only a part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from tests.unit.access_site import Site, quick_hashes  # noqa: F401 - a fixture
from tests.unit.test_control_api import NIGHTLY, penstock, problem  # noqa: F401 - a fixture

from penstock.app import Penstock
from penstock.control.app import create_app
from penstock.control.settings import ServerSettings
from penstock.core.access import ROLES

OPEN = {
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("POST", "/api/v1/auth/token"),
    ("POST", "/api/v1/auth/revoke"),
    ("GET", "/api/v1/auth/methods"),
    ("GET", "/api/v1/auth/oidc/authorize"),
    ("GET", "/api/v1/auth/oidc/callback"),
}
"""Nobody is signed in there yet, or a load balancer asks."""
SIGNED = ("/hooks/",)
"""Who sends there shows a signature."""
ADMIN = ("/api/v1/users", "/api/v1/audit")
METHODS = {"POST", "PUT", "PATCH", "DELETE"}
LOOKING = ("/validate", "/dry-run", "/test", "/keys", "/auth/", "/rotate", "/preview")
"""What is posted there changes nothing, or only what is one's own."""


def role_of(route: APIRoute) -> str | None:
    """What a route asks for, by its dependencies."""
    todo, found = [route.dependant], []
    while todo:
        dependant = todo.pop()
        todo += dependant.dependencies
        role = getattr(dependant.call, "role", None)
        if role is not None:
            found.append(role)
    return max(found, key=ROLES.index) if found else None


def routes_of(app: Any) -> list[tuple[str, str, str | None]]:
    """Method, path and role of every route, of all routers inside each other."""
    todo, found = [("", route) for route in app.routes], []
    while todo:
        prefix, route = todo.pop()
        inside = getattr(route, "original_router", None)
        if inside is not None:
            todo += [(prefix + route.include_context.prefix, each) for each in inside.routes]
        elif isinstance(route, APIRoute):
            path = re.sub(r":\w+}", "}", prefix + route.path)
            found += [(method, path, role_of(route)) for method in route.methods - {"HEAD"}]
    described = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert described <= {(method, path) for method, path, _ in found}, "routes that are nowhere in the routers"
    assert len(found) > 50
    return sorted(found)


@pytest.fixture
def site(penstock: Penstock, quick_hashes: None) -> Iterator[Site]:  # noqa: F811
    found = Site(penstock)
    with found.http:
        yield found


def test_every_route_asks_for_a_role(site: Site) -> None:
    routes = routes_of(site.app)
    for method, path, role in routes:
        if (method, path) in OPEN or path.startswith(SIGNED):
            assert role is None, f"{method} {path} is on the list of open routes, and is not open"
        else:
            assert role is not None, f"{method} {path} asks nobody who they are"


def test_what_changes_things_takes_more_than_looking(site: Site) -> None:
    for method, path, role in routes_of(site.app):
        if role is None:
            continue
        if path.startswith(ADMIN):
            assert role == "admin", (method, path)
        elif method in METHODS and not any(part in path for part in LOOKING):
            assert role != "viewer", (method, path)


def test_each_route_lets_in_those_with_its_role_and_nobody_else(site: Site) -> None:
    site.account("ann")
    tokens = {}
    for role in ROLES:
        site.auth.accounts.create(f"a-{role}", role, kind="service")
        tokens[role] = site.auth.keys.create(f"a-{role}").text
    wrong: list[str] = []
    for method, path, needed in routes_of(site.app):
        if needed is None:
            continue
        place = path.format_map(Anything())
        answer = site.http.request(method, f"http://127.0.0.1:4300{place}")
        if answer.status_code != 401:
            wrong.append(f"{method} {path} as nobody: {answer.status_code}")
        for role in ROLES:
            if "stream" in path and ROLES.index(role) >= ROLES.index(needed):
                continue  # it would go on for ever
            headers = {"Authorization": f"Bearer {tokens[role]}"}
            answer = site.http.request(method, f"http://127.0.0.1:4300{place}", headers=headers)
            refused = answer.status_code == 403 and answer.json()["detail"].startswith("This takes the role")
            if refused != (ROLES.index(role) < ROLES.index(needed)) or answer.status_code in (401, 500):
                wrong.append(f"{method} {path} as {role}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


class Anything(dict[str, str]):
    """Fills the places of a path."""

    def __missing__(self, key: str) -> str:
        return "1" if key in ("version", "number", "attempt") else "nothing"


def test_there_is_only_what_bears_ones_tags(site: Site) -> None:
    site.account("ann")
    site.account("eve", "editor", tags=["ml", "other"])
    admin, eve = (site.sign_in(name)["access_token"] for name in ("ann", "eve"))
    for name, tags in (("nightly", ["etl"]), ("train", ["ml"]), ("bare", [])):
        answer = site.asked("POST", "/workflows", admin, json={**NIGHTLY, "name": name, "tags": tags})
        assert answer.status_code == 201, answer.text
    runs = {name: site.asked("POST", f"/workflows/{name}/trigger", admin).json()["id"] for name in ("nightly", "train")}
    page = site.get("/workflows", eve).json()
    assert ([each["name"] for each in page["items"]], page["total"]) == (["train"], 1)
    assert [each["id"] for each in site.get("/runs", eve).json()["items"]] == [runs["train"]]
    for method, path in (
        ("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/versions"), ("GET", "/versions/1"), ("POST", "/rollback"),
        ("POST", "/clone"), ("POST", "/enable"), ("POST", "/disable"), ("POST", "/trigger"), ("POST", "/dry-run"),
        ("GET", "/export"),
    ):  # fmt: skip
        theirs = site.asked(method, f"/workflows/nightly{path}", eve)
        nobodys = site.asked(method, f"/workflows/unknown{path}", eve)
        assert theirs.status_code == nobodys.status_code == 404, (method, path, theirs.text)
        told = problem(theirs, 404)["detail"].replace("nightly", "unknown")
        assert told == problem(nobodys, 404)["detail"], (method, path)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/logs"), ("GET", "/artifacts")):
        assert site.asked(method, f"/runs/{runs['nightly']}{path}", eve).status_code == 404, (method, path)
    assert site.get(f"/runs/{runs['train']}", eve).status_code == 200
    new = {**NIGHTLY, "name": "mine", "tags": ["etl"]}
    assert site.asked("POST", "/workflows", eve, json=new).status_code == 403
    assert (
        site.asked("POST", "/workflows/import?replace=true", eve, json={**NIGHTLY, "tags": ["ml"]}).status_code == 404
    )
    assert site.asked("PUT", "/workflows/train", eve, json={**NIGHTLY, "name": "train"}).status_code == 403
    assert site.asked("POST", "/workflows", eve, json={**new, "tags": ["ml"]}).status_code == 201
    assert site.get("/workflows/nightly", admin).json()["version"] == 1


def test_one_server_for_oneself_alone_lets_in_who_is_here(penstock: Penstock) -> None:  # noqa: F811
    from tests.unit.test_control_api import TestClient

    with TestClient(create_app(penstock, ServerSettings()), base_url="http://127.0.0.1:4300/api/v1") as http:
        assert http.get("/auth/me").json()["name"] == "local"
        assert http.get("/users").status_code == 200
        assert http.get("/workflows", headers={"Host": "evil.example"}).status_code == 403


def test_names_that_a_server_is_known_by(penstock: Penstock) -> None:  # noqa: F811
    from tests.unit.test_control_api import TestClient

    def asked(host: str, **settings: Any) -> int:
        app = create_app(penstock, ServerSettings(auth="required", **settings))
        found: int = (
            TestClient(app, base_url="http://127.0.0.1").get("/health/live", headers={"Host": host}).status_code
        )
        return found

    assert asked("ops.example") == 200
    assert asked("ops.example:4300", known_hosts=("Ops.example",)) == 200
    assert asked("evil.example", known_hosts=("ops.example",)) == 403


def test_the_description_says_where_one_signs_in(site: Site) -> None:
    schema = site.app.openapi()
    assert set(schema["components"]["securitySchemes"]) == {"key", "token"}
    open_ones = {
        (method.upper(), path)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if operation.get("security") == []
    }
    assert {each for each in open_ones if not each[1].startswith(SIGNED)} == OPEN
    assert schema["security"]
