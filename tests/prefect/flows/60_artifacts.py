"""Artifacts: made by functions and as objects, looked up by key, and what is not taken."""

import asyncio
import json
from uuid import uuid4

from facts import fact, raised
from prefect import flow, task
from prefect.artifacts import (
    Artifact,
    ImageArtifact,
    LinkArtifact,
    MarkdownArtifact,
    ProgressArtifact,
    TableArtifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    aupdate_progress_artifact,
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

NEW = f"new-{uuid4()}"


def told(key: str) -> dict[str, object]:
    """What is kept under a key."""
    found = Artifact.get(key)
    if found is None:
        return {"found": None}
    data = json.loads(found.data) if found.type in ("table", "sketch") else found.data
    return {"type": found.type, "data": data, "description": found.description, "key": found.key}


@flow
def functions():
    """One of each."""
    create_markdown_artifact("# Weather\n\nDry.", key="weather", description="of today")
    create_link_artifact("https://example.com/map", key="a-map")
    create_link_artifact("https://example.com/map", link_text="The map", key="named-map", description="of the valley")
    create_image_artifact("https://example.com/dam.png", key="dam")
    create_table_artifact([{"day": 1, "rain": 0.5}, {"day": 2, "rain": None}], key="rain")
    create_table_artifact({"day": [1, 2], "rain": [0.5, 2]}, key="rain-by-column")
    create_table_artifact([[1, "dry"], [2, "wet"]], key="rain-by-row")
    create_progress_artifact(12.5, key="filling", description="the lake")
    for key in ("weather", "a-map", "named-map", "dam", "rain", "rain-by-column", "rain-by-row", "filling"):
        fact(key, told(key))


@flow
def versions():
    """The newest one counts."""
    first = create_markdown_artifact("one", key="version")
    second = create_markdown_artifact("two", key="version")
    fact("the newest", told("version"))
    fact("each has an id", first != second, kind=type(first).__name__ != type(None).__name__)
    fact("unknown", told("never-made"))


@flow
def without_a_key():
    """It has no history."""
    fact("without a key", create_markdown_artifact("just this") is not None)
    fact("with an empty table", create_table_artifact([], key="empty") is not None, **told("empty"))


@flow
def progress():
    """It moves."""
    made = create_progress_artifact(0, key="moving")
    fact("at the beginning", told("moving"))
    update_progress_artifact(made, 40)
    fact("later", told("moving"))
    update_progress_artifact(made, progress=99.5, description="nearly")
    fact("nearly", told("moving"))
    update_progress_artifact(made, 130)
    fact("too much", told("moving"))
    create_progress_artifact(-3, key="below")
    fact("too little", told("below"))


@task
def in_a_task():
    """Belongs to the task."""
    create_markdown_artifact("made in a task", key="in-a-task")
    return Artifact.get("in-a-task").task_run_id is not None


@flow
def of_whom():
    """It belongs to the run and the step that made it."""
    fact("of a task", in_a_task(), data=told("in-a-task"))
    create_markdown_artifact("made in a flow", key="in-a-flow")
    found = Artifact.get("in-a-flow")
    fact("of a flow", found.task_run_id is None, run=found.flow_run_id is not None)


@flow
def objects():
    """The same as objects."""
    MarkdownArtifact(markdown="text", key="as-text", description="text").create()
    TableArtifact(table=[{"a": 1}], key="as-table").create()
    LinkArtifact(link="https://example.com", key="as-link", link_text="here").create()
    ImageArtifact(image_url="https://example.com/a.png", key="as-image").create()
    ProgressArtifact(progress=3, key="as-progress").create()
    Artifact(type="sketch", key="as-sketch", data=[[0, 0], [1, 1]]).create()
    Artifact(type="remark", key="as-remark", data="a text").create()
    for key in ("as-text", "as-table", "as-link", "as-image", "as-progress", "as-sketch", "as-remark"):
        fact(key, told(key))
    found, new = Artifact.get_or_create(key="as-sketch", type="sketch", data=[[2, 2]])
    fact("found", json.loads(found.data), new=new)
    found, new = Artifact.get_or_create(key=NEW, type="sketch", data=[[3, 3]], description="made now")
    fact("made", json.loads(found.data), new=new, description=found.description)
    fact("the form of a link", LinkArtifact(link="https://example.com").format())
    fact("the form of a text", MarkdownArtifact(markdown="# a").format())


@flow
def not_taken():
    """Keys have small letters, digits and dashes."""
    for key in ("Weather", "rain fall", "rain_fall", "régen"):
        fact(f"key {key}", raised(create_markdown_artifact, "x", key=key) is not None)


@flow
async def in_async_code():
    """Also there."""
    await acreate_markdown_artifact("async text", key="async-text")
    made = await acreate_progress_artifact(1, key="async-progress")
    await aupdate_progress_artifact(made, 2)
    fact("async text", (await Artifact.aget("async-text")).data)
    fact("async progress", (await Artifact.aget("async-progress")).data)
    await create_markdown_artifact("awaited", key="awaited")
    fact("awaited", (await Artifact.get("awaited")).data)


def outside():
    """There is no run."""
    create_markdown_artifact("nobody's")


if __name__ == "__main__":
    functions()
    versions()
    without_a_key()
    progress()
    of_whom()
    objects()
    not_taken()
    asyncio.run(in_async_code())
    fact("outside a run", raised(outside))
