"""Events as they are stored: their names are literals, their layout is fixed, and unknown ones pass through."""

from __future__ import annotations

import ast
import inspect
import json

import msgspec
import pytest

from penstock.core import audit, datasets, events, plans, sealed, uploads, verdicts, webhooks, workflow_events
from penstock.core.audit import AUDIT
from penstock.core.datasets import DATASETS
from penstock.core.events import (
    EVENTS,
    Event,
    RunCreated,
    Saved,
    Step,
    TaskCompleted,
    UnknownEvent,
    decode_event,
    encode_event,
    stored_name,
)
from penstock.core.plans import PLANS
from penstock.core.sealed import CONNECTIONS
from penstock.core.uploads import UPLOADS
from penstock.core.verdicts import VERDICTS
from penstock.core.webhooks import WEBHOOKS
from penstock.testing.journal_events import every_event

# What is in journals out there. A name may be added here; none may ever change or go.
STORED = {
    ("RunCreated", 1),
    ("RunStarted", 1),
    ("RunResumed", 1),
    ("RunRetrying", 1),
    ("RunReleased", 1),
    ("RunCancelRequested", 1),
    ("RunPauseRequested", 1),
    ("RunCompleted", 1),
    ("RunFailed", 1),
    ("RunCrashed", 1),
    ("RunCancelled", 1),
    ("TaskStarted", 1),
    ("TaskRetrying", 1),
    ("TaskCompleted", 1),
    ("TaskFailed", 1),
    ("TaskCrashed", 1),
    ("TaskCancelled", 1),
    ("RunClaimed", 1),
    ("RunRescheduled", 1),
    ("RunPaused", 1),
    ("RunAnswered", 1),
    ("RunContinued", 1),
    ("DeadlineMissed", 1),
    ("ArtifactSaved", 1),
    ("DeploymentDeclared", 1),
    ("DeploymentPaused", 1),
    ("DeploymentResumed", 1),
    ("DeploymentDeleted", 1),
    ("ScheduleMoved", 1),
    ("SilenceEnded", 1),
    ("SilenceStarted", 1),
    ("PoolDeclared", 1),
    ("QueueDeclared", 1),
    ("PoolDeleted", 1),
    ("LimitDeclared", 1),
    ("LimitDeleted", 1),
    ("AutomationDeclared", 1),
    ("AutomationMatched", 1),
    ("AutomationFired", 1),
    ("ActionTried", 1),
    ("ActionEnded", 1),
    ("AutomationDeleted", 1),
    ("Happened", 1),
    ("BackfillCreated", 1),
    ("BackfillEnded", 1),
    ("KeyTaken", 1),
    ("WorkflowCreated", 1),
    ("WorkflowUpdated", 1),
    ("WorkflowDeleted", 1),
    ("RunsPurged", 1),
    ("TransactionDecided", 1),
    ("ResultCached", 1),
    ("ConnectionSaved", 1),
    ("ConnectionResealed", 1),
    ("ConnectionDeleted", 1),
    ("DatasetDeclared", 1),
    ("DatasetForgotten", 1),
    ("DatasetRead", 1),
    ("DatasetWritten", 1),
    ("CheckPassed", 1),
    ("CheckFailed", 1),
    ("QueueDeleted", 1),
    ("Audited", 1),
    ("FileDeleted", 1),
    ("FileUploaded", 1),
    ("WebhookDeclared", 1),
    ("WebhookDeleted", 1),
    ("WebhookReceived", 1),
}
LATE = (*PLANS, *VERDICTS, *CONNECTIONS, *DATASETS, *WEBHOOKS, *UPLOADS, *AUDIT)


def test_the_stored_names_are_these() -> None:
    assert {*EVENTS, *((kind.stored, kind.version) for kind in LATE)} == STORED
    assert {type(event) for event in every_event()} == {*EVENTS.values(), *LATE}


def test_stored_names_and_versions_are_literals_beside_their_class() -> None:
    modules = (audit, datasets, events, plans, sealed, uploads, verdicts, webhooks, workflow_events)
    trees = [ast.parse(inspect.getsource(module)) for module in modules]
    classes = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}
    for kind in (*EVENTS.values(), *LATE):
        literals = {
            item.target.id: item.value.value
            for item in classes[kind.__name__].body
            if isinstance(item, ast.AnnAssign)
            and isinstance(item.target, ast.Name)
            and isinstance(item.value, ast.Constant)
        }
        assert literals.get("stored") == kind.stored, f"{kind.__name__} must state the name it is stored under"
        assert literals.get("version", 1) == kind.version


@pytest.mark.parametrize("event", every_event(), ids=lambda event: event.stored)
def test_every_field_is_set(event: Event) -> None:
    for field in msgspec.structs.fields(event):
        if not field.required:
            unset = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            assert getattr(event, field.name) != unset, f"{field.name} could be lost, and nobody would notice"


@pytest.mark.parametrize("event", every_event(), ids=lambda event: event.stored)
def test_round_trip(event: Event) -> None:
    name, version = stored_name(event)
    again = decode_event(name, version, event.at, encode_event(event))
    assert again == event
    assert type(again) is type(event)


def test_the_stored_layout_is_this() -> None:
    step = Step("fetch#2", "fetch-2", "fetch", 2, "outer#1", ("api",), {"url": "b194"})
    event = TaskCompleted(at=5, step=step, attempt=3, started=4, result=Saved("pickle", 70_000, "ab12"))
    assert json.loads(encode_event(event)) == {
        "at": 5,
        "step": {
            "key": "fetch#2",
            "name": "fetch-2",
            "task": "fetch",
            "ordinal": 2,
            "parent": "outer#1",
            "tags": ["api"],
            "inputs": {"url": "b194"},
        },
        "attempt": 3,
        "started": 4,
        "result": {"serializer": "pickle", "size": 70_000, "ref": "ab12"},
    }
    assert json.loads(encode_event(RunCreated(at=1, flow="shop", name="n"))) == {"at": 1, "flow": "shop", "name": "n"}


@pytest.mark.parametrize(("name", "version"), [("RunPainted", 1), ("RunCreated", 2), ("", 0)])
def test_unknown_events_decode(name: str, version: int) -> None:
    event = decode_event(name, version, 7, b'{"at":7,"colour":["red",null],"flow":3}')
    assert event == UnknownEvent(at=7, name=name, layout=version, body={"at": 7, "colour": ["red", None], "flow": 3})
    assert stored_name(event) == (name, version)


def test_fields_of_a_later_release_are_passed_over() -> None:
    event = decode_event("RunCreated", 1, 1, b'{"at":1,"flow":"shop","name":"n","weather":{"sun":true}}')
    assert event == RunCreated(at=1, flow="shop", name="n")
