"""A signed push starts a run: as the documentation says, with curl, in real processes that may be killed."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.duty_lab import Duty, Place, place
from tests.conftest import ROOT
from tests.patience import until

pytestmark = pytest.mark.acceptance
__all__ = ["place"]

_BLOCK = re.compile(r'^```\w+ title="(?P<title>[^"]+)"\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)


def block(title: str) -> str:
    """A file as the documentation has it, on both of its pages."""
    pages = [(ROOT / page).read_text() for page in ("README.md", "docs/webhooks.md")]
    texts = {found["text"] for page in pages for found in _BLOCK.finditer(page) if found["title"] == title}
    assert len(texts) == 1
    return texts.pop()


def prepared(place: Place) -> None:
    place.declare(block("pyproject.toml"))
    (place.folder / "shop_tasks.py").write_text(block("shop_tasks.py"))


def script(folder: Path, url: str, conflicts: int = 0) -> list[str]:
    """What the script of the documentation prints, line by line."""
    environ = {**os.environ, "SERVER": url, "no_proxy": "127.0.0.1"}
    ran = subprocess.run(
        ["bash", "-c", block("push.sh")], cwd=folder, env=environ, capture_output=True, text=True, timeout=60
    )
    assert len(ran.stderr.splitlines()) == ran.stderr.count("error: 409") == conflicts, ran.stderr
    return ran.stdout.splitlines()


def runs_of(api: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/api/v1/runs", params={"workflow": "checks", "limit": 500}).json()["items"]
    return found


def served(place: Place) -> tuple[Duty, httpx.Client]:
    server = place.server()
    return server, httpx.Client(base_url=server.event("serving")["url"], timeout=60)


def push(api: httpx.Client, number: int) -> int:
    """Send one; the status of the answer."""
    body = json.dumps({"repository": {"full_name": "ann/shop"}, "after": str(number)}).encode()
    mac = hmac.new(b"open sesame", body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": f"d{number}",
        "X-Hub-Signature-256": f"sha256={mac}",
    }
    return api.post("/hooks/git", content=body, headers=headers).status_code


def test_as_the_documentation_says(place: Place) -> None:
    prepared(place)
    server, api = served(place)
    with api:
        said = script(place.folder, str(api.base_url))
        assert json.loads(said[-1])["status"] == "accepted"

        def ended() -> Any:
            found = runs_of(api)
            return found[0] if found and found[0]["ended_at"] is not None else None

        run = until(ended, "the end of the run")
        assert (run["state"], run["cause"]) == ("Completed", "automation")
        assert run["parameters"] == {"repository": "ann/shop", "commit": "6dcb09b5"}
        logs = api.get(f"/api/v1/runs/{run['id']}/logs").json()["items"]
        assert "checking 6dcb09b5 of ann/shop" in [line["message"] for line in logs]
        again = [json.loads(line) for line in script(place.folder, str(api.base_url), 4)]
        assert [each.get("code", each["status"]) for each in again][-1] == "duplicate"
        assert [each["status"] for each in again[:-1]] == [409, 409, 409, 409]
        assert len(runs_of(api)) == 1
        (delivery,) = api.get("/api/v1/deliveries").json()["items"]
        whole = api.get(f"/api/v1/deliveries/{delivery['id']}").json()
        assert whole["events"] == [{"event": "git.push", "resource": "ann/shop", "payload": {"commit": "6dcb09b5"}}]
    assert server.end() == 0
    kept = b"".join(each.read_bytes() for each in place.cli.home.rglob("*") if each.is_file())
    assert b"open sesame" not in kept + server.err.encode()
    assert "Traceback" not in server.err


@pytest.mark.chaos
def test_pushes_rain_while_the_server_is_killed(place: Place) -> None:
    prepared(place)
    server, api = served(place)
    with api:
        script(place.folder, str(api.base_url))
    answered: set[int] = set()
    numbers = iter(range(1, 100_000))
    lock = threading.Lock()

    def rain(url: str) -> None:
        with httpx.Client(base_url=url, timeout=60) as own:
            while True:
                with lock:
                    number = next(numbers)
                try:
                    status = push(own, number)
                except httpx.TransportError:
                    return
                assert status in (202, 503), status
                if status == 202:
                    answered.add(number)

    for _ in range(3):
        before = len(answered)
        url = server.event("serving")["url"]
        threads = [threading.Thread(target=rain, args=(url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda before=before: len(answered) >= before + 40, "forty pushes")  # type: ignore[misc]
        server.kill()
        for thread in threads:
            thread.join(60)
        server, api = served(place)
    with api:
        sent = next(numbers) - 1

        def settled() -> Any:
            made = {run["parameters"]["commit"] for run in every(api)}
            return made if {str(each) for each in answered} <= made else None

        made = until(settled, "a run for each push that was answered")
        deliveries = everything(api, "/api/v1/deliveries", {"webhook": "git"})
        told = [each["delivery"] for each in deliveries]
        assert len(told) == len(set(told)), "none twice"
        assert {f"d{each}" for each in answered} <= set(told)
        commits = [run["parameters"]["commit"] for run in every(api)]
        assert len(commits) == len(set(commits)), "one run for each"
        assert {f"d{each}" for each in made if each.isdecimal()} <= set(told)
        assert len(told) <= sent + 1
        again = sorted(answered)[:20]
        assert [push(api, each) for each in again] == [200] * len(again), "what was acknowledged is known"
    assert server.end(signal.SIGTERM) == 0


def every(api: httpx.Client) -> list[dict[str, Any]]:
    return everything(api, "/api/v1/runs", {"workflow": "checks"})


def everything(api: httpx.Client, path: str, asked: dict[str, str]) -> list[dict[str, Any]]:
    """All parts of a list."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = api.get(path, params={**asked, "limit": 500, **({"cursor": cursor} if cursor else {})}).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found
