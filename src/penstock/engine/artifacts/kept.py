"""Artifacts as objects, under Prefect's names: made, looked up by key, and listed."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from penstock.core import model
from penstock.core.context import current_scope
from penstock.core.errors import MissingContextError
from penstock.core.ports import Journal, current_engine
from penstock.engine.artifacts.addresses import image_content, link_content
from penstock.engine.artifacts.making import MOST_BYTES, ArtifactId, progress_content, save, text_content
from penstock.engine.artifacts.tables import rows_of
from penstock.engine.limits.calls import in_async_code
from penstock.engine.places import engine_code

T = TypeVar("T")
_CHECKED: dict[str, Callable[[Any], Any]] = {
    "markdown": text_content,
    "table": lambda table: rows_of(table, MOST_BYTES),
    "image": image_content,
    "progress": progress_content,
}
"""The types with a form of their own, for artifacts that are made by the name of their type."""


class Artifact:
    """Something a run left to look at.

    Args:
        type: markdown, table, link, image, progress, or a word of your own.
        key: names it over its versions.
        description: what it is.
        data: the content: a text, a number, or plain data.

    Attributes:
        id: of this version; None while it is not made.
        data: the content; tables and plain data as JSON text.
        flow_run_id, task_run_id: the run and the step that made it.
        created: when.
    """

    def __init__(
        self, *, type: str | None = None, key: str | None = None, description: str | None = None, data: Any = None
    ) -> None:
        self.type = type
        self.key = key
        self.description = description
        self.data = data
        self.id: UUID | None = None
        self.flow_run_id: str | None = None
        self.task_run_id: str | None = None
        self.created: datetime.datetime | None = None

    def _content(self) -> Any:
        checked = _CHECKED.get(self.type or "")
        return checked(self.data) if checked is not None else self.data

    def create(self, client: Any = None) -> Any:
        """Keep it for the run around this code; gives the artifact (in async code, something to await).

        Raises:
            BadArtifact: it cannot be.
            MissingContextError: there is no run around it.
        """
        return _answer(self._create())

    async def acreate(self, client: Any = None) -> Artifact:
        """See `create`."""
        return self._create()

    def _create(self) -> Artifact:
        content = self._content()
        made = Artifact(type=self.type or "data", key=self.key, description=self.description, data=content)
        made.id = save(made.type or "data", content, self.key, self.description)
        made.data = self.format()
        made.created = datetime.datetime.now(datetime.UTC)
        return made

    def format(self) -> Any:
        """The content as `Artifact.get` will give it."""
        content = self._content()
        return content if isinstance(content, (str, int, float)) else msgspec.json.encode(content).decode()

    @classmethod
    def get(cls, key: str | None = None, client: Any = None) -> Any:
        """The newest version under a key, or None (in async code, something to await)."""
        return _answer(cls._newest(key))

    @classmethod
    async def aget(cls, key: str | None = None, client: Any = None) -> Artifact | None:
        """See `get`."""
        return cls._newest(key)

    @classmethod
    def _newest(cls, key: str | None) -> Artifact | None:
        found = versions(key, limit=1)
        return found[0] if found else None

    @classmethod
    def get_or_create(
        cls,
        key: str | None = None,
        description: str | None = None,
        data: Any = None,
        client: Any = None,
        **options: Any,
    ) -> Any:
        """The newest version and False; or, where there is none, a new one and True (in async code, to be awaited)."""
        return _answer(cls._get_or_create(key, description, data, options))

    @classmethod
    async def aget_or_create(
        cls,
        key: str | None = None,
        description: str | None = None,
        data: Any = None,
        client: Any = None,
        **options: Any,
    ) -> tuple[Artifact, bool]:
        """See `get_or_create`."""
        return cls._get_or_create(key, description, data, options)

    @classmethod
    def _get_or_create(cls, key: str | None, description: str | None, data: Any, options: Any) -> tuple[Artifact, bool]:
        found = cls._newest(key)
        if found is not None:
            return found, False
        given = {"data": data} if data is not None else {}
        return cls(key=key, description=description, **given, **options)._create(), True

    def __repr__(self) -> str:
        return f"<artifact {self.type} {self.key or self.id}>"


class MarkdownArtifact(Artifact):
    """A text in Markdown."""

    def __init__(self, markdown: str, **options: Any) -> None:
        super().__init__(**{"type": "markdown", **options})
        self.markdown = markdown

    def _content(self) -> str:
        return text_content(self.markdown)


class TableArtifact(Artifact):
    """A table: a list of dicts or of lists, a dict of columns, or a frame."""

    def __init__(self, table: Any, **options: Any) -> None:
        super().__init__(**{"type": "table", **options})
        self.table = table

    def _content(self) -> Any:
        return rows_of(self.table, MOST_BYTES)


class LinkArtifact(Artifact):
    """A link, with the text that is shown instead of its address."""

    def __init__(self, link: str, link_text: str | None = None, **options: Any) -> None:
        super().__init__(**{"type": "link", **options})
        self.link = link
        self.link_text = link_text

    def _content(self) -> str:
        return link_content(self.link, self.link_text)


class ImageArtifact(Artifact):
    """The address of an image."""

    def __init__(self, image_url: str, **options: Any) -> None:
        super().__init__(**{"type": "image", **options})
        self.image_url = image_url

    def _content(self) -> str:
        return image_content(self.image_url)


class ProgressArtifact(Artifact):
    """How far something has come, from 0 to 100."""

    def __init__(self, progress: float, **options: Any) -> None:
        super().__init__(**{"type": "progress", **options})
        self.progress = progress

    def _content(self) -> float:
        return progress_content(self.progress)


def versions(key: str | None = None, limit: int = 50, run_id: str | None = None) -> list[Artifact]:
    """The newest artifacts: of a key, of a run, or of all.

    Args:
        key: only versions of this one.
        limit: at most so many.
        run_id: only those of this run.
    """
    _record()
    engine: Any = current_engine()
    journal: Journal | None = getattr(engine, "journal", None)
    if journal is None:
        raise MissingContextError(
            "Artifacts cannot be read inside a task that runs in a process.", hint="read them in the flow"
        )
    return [_of(found) for found in journal.artifacts(run_id, key, limit=limit)]


def _record() -> None:
    """What the run around has made so far is looked for too."""
    scope = current_scope.get()
    if scope is None or scope.foreign or not hasattr(scope.live, "around"):
        return
    with engine_code():
        for live in (scope.live, *scope.live.around()):
            if live.recorder.shelf is not None:
                live.recorder.shelf.hurry()
                live.recorder.flush(0)


def _of(found: model.Artifact) -> Artifact:
    made = Artifact(type=found.kind, key=found.key, description=found.description, data=content_of(found))
    made.id = ArtifactId(found.id)
    made.flow_run_id = found.run_id
    made.task_run_id = f"{found.run_id}/{found.step}" if found.step is not None else None
    made.created = datetime.datetime.fromtimestamp(found.at / 1_000_000, datetime.UTC)
    return made


def content_of(found: model.Artifact) -> Any:
    """The content of a recorded artifact: a text, a number, or JSON as text."""
    content = msgspec.json.decode(found.data) if found.data else None
    return content if isinstance(content, (str, int, float)) else found.data.decode()


def _answer(value: T) -> Any:
    if not in_async_code():
        return value

    async def given() -> T:
        return value

    return given()
