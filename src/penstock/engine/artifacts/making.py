"""Artifacts: what a run leaves for people to look at. They are kept with the run, by key and version."""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from typing import Any
from uuid import UUID

import msgspec

from penstock.core.clock import now_us
from penstock.core.context import Scope, current_scope
from penstock.core.errors import ArtifactNotFound, BadArtifact, MissingContextError, WrongProcess
from penstock.core.events import ArtifactSaved
from penstock.core.ids import Ids
from penstock.engine.artifacts.addresses import image_content, link_content
from penstock.engine.artifacts.tables import rows_of
from penstock.engine.failures import text_of
from penstock.engine.logs import engine_logger
from penstock.engine.places import engine_code
from penstock.engine.signals import noted, raise_noted, shielded

MOST_BYTES = 1_000_000
_LONGEST_KEY = 255
_LONGEST_DESCRIPTION = 10_000
_LONGEST_SHOWN = 60
_KEY = re.compile(r"[a-z0-9-]*")
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_ids = Ids()


class ArtifactId(UUID):
    """The id of an artifact. It may be awaited, so that `await create_...()` works in async code too."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, ArtifactId]:
        yield from ()
        return self

    def __reduce__(self) -> Any:
        return UUID, (str(self),)  # a recorded result is to be readable for as long as there are UUIDs


def create_markdown_artifact(markdown: str, key: str | None = None, description: str | None = None) -> ArtifactId:
    """Keep a text in Markdown.

    Args:
        markdown: the text.
        key: names it over its versions: lowercase letters, digits and dashes. Without one it has no history.
        description: what it is.

    Returns:
        Its id, which may be awaited.

    Raises:
        BadArtifact: a key that cannot be, or too much content.
        MissingContextError: there is no run around it.
    """
    return save("markdown", text_content(markdown), key, description)


def create_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None, client: Any = None
) -> ArtifactId:
    """Keep a link; see `create_markdown_artifact`.

    Args:
        link: where it leads.
        link_text: what is shown instead of the address.
        key: names it over its versions.
        description: what it is.
        client: Prefect's, and not needed.
    """
    return save("link", link_content(link, link_text), key, description)


def create_image_artifact(image_url: str, key: str | None = None, description: str | None = None) -> ArtifactId:
    """Keep the address of an image; see `create_markdown_artifact`."""
    return save("image", image_content(image_url), key, description)


def create_table_artifact(table: Any, key: str | None = None, description: str | None = None) -> ArtifactId:
    """Keep a table; see `create_markdown_artifact`.

    Args:
        table: a list of dicts or of lists, a dict of columns, or a frame of Polars, pandas or Arrow.
        key: names it over its versions.
        description: what it is.
    """
    return save("table", rows_of(table, MOST_BYTES), key, description)


def create_progress_artifact(progress: float, key: str | None = None, description: str | None = None) -> ArtifactId:
    """Keep how far something has come, from 0 to 100; see `create_markdown_artifact` and `update_progress_artifact`."""
    return save("progress", progress_content(progress), key, description)


@shielded
def update_progress_artifact(
    artifact_id: UUID, progress: float, description: str | None = None, client: Any = None
) -> ArtifactId:
    """Say how far it has come by now. It may be said often: it is recorded once a second, and at the end.

    Args:
        artifact_id: what `create_progress_artifact` gave, in the same run.
        progress: from 0 to 100.
        description: another one than before.
        client: Prefect's, and not needed.

    Raises:
        ArtifactNotFound: this run has no such progress artifact.
    """
    scope = _scope()
    data = encoded(progress_content(progress))
    ask = getattr(scope.live, "ask", None)
    if ask is not None:
        return ArtifactId(ask("move", (str(artifact_id), data, description)))
    try:
        with engine_code():
            return move(scope, str(artifact_id), data, description)
    finally:
        if noted:
            raise_noted()


async def acreate_markdown_artifact(
    markdown: str, key: str | None = None, description: str | None = None
) -> ArtifactId:
    """See `create_markdown_artifact`."""
    return create_markdown_artifact(markdown, key, description)


async def acreate_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None, client: Any = None
) -> ArtifactId:
    """See `create_link_artifact`."""
    return create_link_artifact(link, link_text, key, description)


async def acreate_image_artifact(image_url: str, key: str | None = None, description: str | None = None) -> ArtifactId:
    """See `create_image_artifact`."""
    return create_image_artifact(image_url, key, description)


async def acreate_table_artifact(table: Any, key: str | None = None, description: str | None = None) -> ArtifactId:
    """See `create_table_artifact`."""
    return create_table_artifact(table, key, description)


async def acreate_progress_artifact(
    progress: float, key: str | None = None, description: str | None = None
) -> ArtifactId:
    """See `create_progress_artifact`."""
    return create_progress_artifact(progress, key, description)


async def aupdate_progress_artifact(
    artifact_id: UUID, progress: float, description: str | None = None, client: Any = None
) -> ArtifactId:
    """See `update_progress_artifact`."""
    return update_progress_artifact(artifact_id, progress, description)


@shielded
def save(kind: str, content: Any, key: str | None, description: str | None) -> ArtifactId:
    """Keep this for the run and the step around, with their next commit.

    Raises:
        BadArtifact: it cannot be.
        MissingContextError: there is no run around it.
    """
    scope = _scope()
    _check(kind, key, description)
    data = encoded(content)
    ask = getattr(scope.live, "ask", None)
    if ask is not None:
        return ArtifactId(ask("keep", (kind, data, key or None, description)))
    try:
        with engine_code():
            return keep(scope, kind, data, key or None, description)
    finally:
        if noted:
            raise_noted()


def keep(scope: Scope, kind: str, data: bytes, key: str | None, description: str | None) -> ArtifactId:
    """Hand it to the recorder of the run; or find it, where it is on record already."""
    live = scope.live
    if live.recorder.state.ended:
        raise MissingContextError(
            f"Run {live.id} has ended, and nothing more is kept of it.",
            hint="make artifacts in tasks or in the flow itself; hooks of the flow are called after its end",
        )
    event = ArtifactSaved(
        at=now_us(), id=_ids.new(now_us()), kind=kind, key=key, step=scope.key, description=description
    )
    made = live.replay.made(event, data) if live.replay is not None else None
    if made is None:
        live.recorder.keep(event, data)
        return ArtifactId(event.id)
    live.recorder.recorded(msgspec.structs.replace(event, id=made))
    return ArtifactId(made)


def move(scope: Scope, artifact_id: str, data: bytes, description: str | None) -> ArtifactId:
    """Hand the newest state of a progress artifact to the recorder of its run."""
    for live in (scope.live, *scope.live.around()):
        shelf = live.recorder.shelf
        known = shelf.progress(artifact_id) if shelf is not None else None
        known = known or _recorded(live, artifact_id)
        if known is not None and not live.recorder.state.ended:
            told = known.description if description is None else description
            event = msgspec.structs.replace(known, at=now_us(), description=told)
            live.recorder.move(event, data, scope.key)
            return ArtifactId(artifact_id)
    raise ArtifactNotFound(
        f"This run has no progress artifact {artifact_id}.",
        hint="update what create_progress_artifact() gave in the same run",
    )


def _recorded(live: Any, artifact_id: str) -> ArtifactSaved | None:
    """As it is in the journal: a resumed run has got the id from a step that is not executed again."""
    if live.replay is None:
        return None
    for found in live.engine.journal.artifacts(live.id, named=artifact_id, bare=True, limit=1):
        if found.id == artifact_id and found.kind == "progress":
            return ArtifactSaved(
                at=found.at, id=found.id, kind=found.kind, key=found.key, step=found.step, description=found.description
            )
    return None


def _scope() -> Scope:
    scope = current_scope.get()
    if scope is None:
        raise MissingContextError(
            "An artifact belongs to a run, and there is none around this code.",
            hint="make it inside a flow or a task",
        )
    if scope.foreign:
        raise WrongProcess()
    return scope


def _check(kind: str, key: Any, description: Any) -> None:
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise BadArtifact(f"{kind!r} cannot be a type of artifacts.", hint="use a short word such as markdown or table")
    if key is not None and (not isinstance(key, str) or not _KEY.fullmatch(key) or len(key) > _LONGEST_KEY):
        raise BadArtifact(
            f"{str(key)[:_LONGEST_SHOWN]!r} cannot be the key of an artifact.",
            hint=f"use only lowercase letters, digits and dashes, {_LONGEST_KEY} of them at most",
        )
    if description is not None and (not isinstance(description, str) or len(description) > _LONGEST_DESCRIPTION):
        raise BadArtifact(f"The description of an artifact is a text of {_LONGEST_DESCRIPTION:,} characters at most.")


def encoded(content: Any) -> bytes:
    """Content as JSON.

    Raises:
        BadArtifact: it has no JSON, or too much of it.
    """
    try:
        data = msgspec.json.encode(content, enc_hook=_plain)
    except UnicodeEncodeError:
        data = msgspec.json.encode(_storable(content), enc_hook=_plain)
    except Exception as error:  # also what the content's own __str__ raises
        raise BadArtifact(
            f"This content cannot be written as JSON: {text_of(error)}.", hint="use plain data"
        ) from error
    if len(data) > MOST_BYTES:
        raise BadArtifact(
            f"The content of an artifact is limited to {MOST_BYTES:,} bytes, and this has {len(data):,}.",
            hint="an artifact is for looking at: keep the whole as the result of a task, or in a file, and show a part",
        )
    return data


def _plain(value: Any) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):  # what pandas has for nothing
        return None
    item = getattr(value, "item", None)  # numbers of NumPy
    return item() if callable(item) and type(value).__module__ == "numpy" else str(value)


def _storable(content: Any) -> Any:
    """Text with half a surrogate pair has no UTF-8."""
    if isinstance(content, str):
        return content.encode("utf-8", "backslashreplace").decode()
    if isinstance(content, dict):
        return {_storable(key): _storable(value) for key, value in content.items()}
    return [_storable(item) for item in content] if isinstance(content, (list, tuple)) else content


def text_content(markdown: Any) -> str:
    """A text in Markdown."""
    if not isinstance(markdown, str):
        raise BadArtifact(f"markdown must be a text, and is {type(markdown).__name__}.")
    return markdown


def progress_content(progress: Any) -> float:
    """A percentage; what is outside 0 and 100 becomes 0 or 100, and a warning."""
    if not isinstance(progress, (int, float)) or isinstance(progress, bool) or math.isnan(progress):
        raise BadArtifact(f"progress must be a number from 0 to 100, and is {progress!r}.")
    if not 0 <= progress <= 100:
        engine_logger().warning("A progress of %s %% is taken for %d %%.", progress, 0 if progress < 0 else 100)
    return max(0.0, min(100.0, float(progress)))
