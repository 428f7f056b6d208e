"""The clients against a real server, over real connections: what waits, and what is awaited."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ports import own_port
from tests.unit.access_site import PASSWORD, quick_hashes
from tests.unit.test_control_api import NIGHTLY, penstock

from penstock.app import Penstock
from penstock.control.app import create_app
from penstock.control.auth import reading
from penstock.control.server import serving
from penstock.control.settings import ServerSettings
from penstock.core.audit import AuditFilter
from penstock.core.errors import BadWorkflow, WorkflowConflict, WorkflowNotFound
from penstock.core.workflows import read
from penstock.remote import AsyncClient, Client, NotAllowed, NotSignedIn, ServerError, ServerUnavailable
from penstock.remote.session import Heard

__all__ = ["penstock", "quick_hashes"]


@pytest.fixture
def url(penstock: Penstock) -> Iterator[str]:
    with serving(penstock, ServerSettings(port=0)) as found:
        yield found


def named(number: int) -> dict[str, Any]:
    return {**NIGHTLY, "name": f"w{number}", "schedule": None}


def test_workflows_from_their_making_to_their_end(url: str) -> None:
    with Client(url) as client:
        made = client.workflows.create(NIGHTLY)
        assert (made.name, made.version, made.tasks[1].dependencies) == ("nightly", 1, [])
        assert made.etag is not None
        got = client.workflows.get("nightly")
        assert got == made
        changed = client.workflows.update("nightly", {**NIGHTLY, "description": "later"}, etag=got.etag)
        assert (changed.version, changed.description) == (2, "later")
        with pytest.raises(ServerError, match="not as it was") as caught:
            client.workflows.update("nightly", NIGHTLY, etag=got.etag)
        assert (caught.value.status, bool(caught.value.request_id)) == (412, True)
        text = client.workflows.export("nightly").decode()
        assert client.workflows.apply(text).version == 2
        assert client.workflows.apply(read({**NIGHTLY, "description": "later"})).version == 2
        assert client.workflows.rollback("nightly", 1).description is None
        assert [each.restores for each in client.workflows.versions("nightly")] == [1, None, None]
        assert client.workflows.version("nightly", 2)["description"] == "later"
        assert client.workflows.clone("nightly", "copied").active is False
        assert client.workflows.dry_run("nightly", {"rows": 9}).parameters == {"rows": 9}
        with pytest.raises(WorkflowConflict):
            client.workflows.create({**NIGHTLY, "description": "another"})
        with pytest.raises(BadWorkflow) as wrong:
            client.workflows.create({**NIGHTLY, "name": "wrong", "schedule": "61 * * * *"})
        assert [field for field, _ in wrong.value.mistakes] == ["schedule"]
        client.workflows.delete("nightly")
        with pytest.raises(WorkflowNotFound, match="no workflow 'nightly'"):
            client.workflows.get("nightly")


def test_lists_are_read_to_their_end_by_both(url: str) -> None:
    with Client(url) as client:
        for number in range(5):
            client.workflows.create(named(number))
        assert [each.name for each in client.workflows.list(limit=2)] == [f"w{number}" for number in range(5)]
        assert client.workflows.page(skip=1, limit=2).total == 5
        for _ in range(3):
            client.workflows.trigger("w1")
        assert len([*client.runs.list(limit=2)]) == 3
        assert [each.name for each in client.deployments.list(limit=2)] == [f"w{number}" for number in range(5)]

    async def awaited() -> None:
        async with AsyncClient(url) as client:
            names = [each.name async for each in client.workflows.list(limit=2)]
            assert names == [f"w{number}" for number in range(5)]
            found = await asyncio.gather(*(client.workflows.get(name) for name in names))
            assert [each.name for each in found] == names
            with pytest.raises(WorkflowNotFound):
                await client.workflows.get("nope")

    asyncio.run(awaited())


def test_a_run_is_followed_to_its_end(url: str, penstock: Penstock) -> None:
    with Client(url) as client:
        client.workflows.create(NIGHTLY)
        run = client.workflows.trigger("nightly", {"rows": 2}, run_name="amber-otter", tags=["x"])
        heard: list[Heard] = []
        listener = threading.Thread(target=lambda: heard.extend(client.runs.follow(run.id)))
        listener.start()
        penstock.resume(run.id, return_state=True)
        listener.join(30)
        assert not listener.is_alive()
        assert heard[-1].event == "end"
        assert heard[-1].data["state"] == "Completed"
        assert [each.data["message"] for each in heard if each.event == "log"] == ["extracting 2"]
        said = [each.event for each in heard].index("log")  # from there on there is one order: that of the records
        again = [*client.runs.follow(run.id, last_id=heard[said].id)]
        assert [each.id for each in again[:-1]] == [each.id for each in heard[said + 1 : -1]]
        assert [*client.runs.follow(run.id, last_id=heard[-1].id)] == []
        detail = client.runs.get(run.id)
        assert [step.name for step in detail.task_runs] == ["extract", "load"]
        assert [each.id for each in client.runs.named("amber-otter")] == [run.id]
        (line,) = client.runs.logs(run.id)
        assert [*client.runs.logs(run.id, after=line.id)] == []
        (left,) = client.runs.artifacts(run.id)
        assert "loaded" in str(client.runs.artifact(run.id, left.id).data)


def test_files_go_there_and_come_back_piece_by_piece(url: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 8_192
    file = tmp_path / "räw ü.bin"
    file.write_bytes(content)
    with Client(url) as client:
        stored = client.files.upload(file, tags=["x"], key="once")
        assert (stored.name, stored.size, stored.sha256) == (
            file.name,
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
        assert client.files.upload(file, tags=["x"], key="once").id == stored.id
        assert b"".join(client.files.download(stored.id)) == content
        assert [each.id for each in client.files.list()] == [stored.id]

    async def awaited() -> bytes:
        async with AsyncClient(url) as client:
            other = await client.files.upload(file)
            return b"".join([piece async for piece in client.files.download(other.id)])

    assert asyncio.run(awaited()) == content


def test_events_are_told_once_and_heard(url: str) -> None:
    with Client(url) as client:
        heard: list[Heard] = []
        ready = threading.Event()

        def listen() -> None:
            for each in client.events.follow(type=["orders.*"]):
                heard.append(each)
                ready.set()
                if each.data["event"] == "orders.last":
                    return

        listener = threading.Thread(target=listen)
        listener.start()
        number = 0
        while not ready.wait(0.05):  # it listens from now on, whenever that is
            client.events.emit("orders.first", facts={"n": number}, key=f"k{number}")
            number += 1
        for _ in range(2):
            client.events.emit("orders.last", key="last")
        listener.join(30)
        assert [each.data["event"] for each in heard].count("orders.last") == 1
        assert len({each.id for each in heard}) == len(heard)
        assert [each["event"] for each in client.events.list(type=["orders.last"])] == ["orders.last"]


@pytest.mark.usefixtures("quick_hashes")
def test_who_has_to_sign_in_does(penstock: Penstock) -> None:
    settings = ServerSettings(port=0, auth="required")
    auth = create_app(penstock, settings).state.control.auth
    for name, role in (("ann", "admin"), ("vic", "viewer")):
        auth.accounts.create(name, role, password=PASSWORD)
    with serving(penstock, settings) as url:
        with Client(url) as nobody, pytest.raises(NotSignedIn, match="signed in"):
            nobody.workflows.page()
        with Client(url, user="ann", password="wrong one for sure") as wrong, pytest.raises(NotSignedIn):
            wrong.workflows.page()
        with Client(url, user="ann", password=PASSWORD) as ann:
            assert ann.auth.me().role == "admin"
            ann.workflows.create(NIGHTLY)
            key = ann.keys.create(account="ann", role="viewer", label="for the test").key
            assert [each.name for each in ann.users.list()] == ["ann", "vic"]
        with Client(url, api_key=key) as by_key:
            assert by_key.workflows.get("nightly").name == "nightly"
            with pytest.raises(NotAllowed):
                by_key.workflows.delete("nightly")

        async def crowd() -> list[Any]:
            async with AsyncClient(url, user="vic", password=PASSWORD) as vic:
                return await asyncio.gather(*(vic.auth.me() for _ in range(20)))

        assert {each.name for each in asyncio.run(crowd())} == {"vic"}
        signed_in = list(reading.listed(penstock.journal, AuditFilter(who="vic")))
        assert len(signed_in) == 1  # twenty asked at once, and one of them signed in for all


def test_a_server_that_is_away_is_told(penstock: Penstock) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{place.getsockname()[1]}"
        with Client(url, patience_seconds=0) as client, pytest.raises(ServerUnavailable, match=url):
            client.health.live()


def test_a_server_that_comes_back_is_waited_for(penstock: Penstock) -> None:
    settings = ServerSettings(port=own_port())
    with serving(penstock, settings) as url:
        client = Client(url)
        assert client.health.live() == {"status": "ok"}
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(client.workflows.create(NIGHTLY).name))
    asking.start()
    with serving(penstock, settings):
        asking.join(30)
    client.close()
    assert found == ["nightly"]
