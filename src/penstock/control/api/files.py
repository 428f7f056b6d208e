"""`/api/v1/files`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from penstock.control import problems
from penstock.control import uploads as service
from penstock.control.access import Editor, User, Viewer, check_made
from penstock.control.api.files_models import FileOut
from penstock.control.models import Part
from penstock.control.problems import Problem
from penstock.control.receiving import Form, form_of, pieces
from penstock.control.wiring import IdempotencyKey, IfNoneMatch, ThePenstock, control_of, tell_place, unchanged
from penstock.core.uploads import StoredFile

router = APIRouter(prefix="/files", tags=["files"])
_AT_ONCE = 1 << 20
_AROUND = 64 * 1024
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_BINARY = {"type": "string", "format": "binary"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": _BINARY},
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": _BINARY}, "required": ["file"]}
            },
        },
    }
}
_Tag = Annotated[str, Query(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]


def _etag(stored: StoredFile) -> str:
    return f'"{stored.digest}"'


def _answer(response: Response, stored: StoredFile) -> FileOut:
    response.headers["ETag"] = _etag(stored)
    return FileOut.of(stored)


@router.post("", status_code=201, openapi_extra=_BODY)
async def upload(
    request: Request,
    response: Response,
    penstock: ThePenstock,
    user: Editor,
    key: IdempotencyKey,
    name: Annotated[str | None, Query(min_length=1, max_length=1000, description="what it is called")] = None,
    tag: Annotated[list[_Tag] | None, Query(max_length=100, description="who has one of these may see it")] = None,
) -> FileOut:
    """Send a file in: as the body as it is, or in a form."""
    tags = tuple(dict.fromkeys(tag or ()))
    check_made(user, tags)
    form = form_of(request)
    settings = control_of(request).settings
    upload = await run_in_threadpool(service.Upload, penstock, settings.max_file_bytes)
    try:
        await _write(upload, request, form, settings.body_seconds)
        called = name or (form.name if form is not None else None) or "file"
        stored = await run_in_threadpool(upload.commit, called, tags, user, key)
    finally:
        await run_in_threadpool(upload.close)
    tell_place(response, "files", stored.id)
    return _answer(response, stored)


async def _write(upload: service.Upload, request: Request, form: Form | None, seconds: float) -> None:
    waiting: list[bytes] = []
    size = come = 0
    async for piece in pieces(request, seconds):
        come += len(piece)
        if come > upload.most + _AROUND:  # parts of a form that are no file count as well
            raise Problem(413, f"A file has at most {upload.most:,} bytes.")
        data = piece if form is None else form.feed(piece)
        if data:
            waiting.append(data)
        size += len(data)
        if size >= _AT_ONCE:
            await run_in_threadpool(upload.write, b"".join(waiting))
            waiting, size = [], 0
    if form is not None and (form.name is None or not form.ended):
        what = "has no file" if form.name is None else "is not whole"
        raise Problem(422, f"The form {what}.", hint="a file is a part with a filename, as curl -F file=@NAME sends it")
    await run_in_threadpool(upload.write, b"".join(waiting))


@router.get("")
def list_files(
    penstock: ThePenstock,
    user: Viewer,
    tag: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the part before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Part[FileOut]:
    """List files, the newest first."""
    files = penstock.journal.files(before=cursor, limit=limit + 1, tags=_visible(user, tag))
    items = [FileOut.of(each) for each in files[:limit]]
    return Part(items=items, limit=limit, next=items[-1].id if len(files) > limit else None)


def _visible(user: User, tag: str | None) -> list[str] | None:
    """The tags of the files to list, of which each has one: a tag that they have not shows them nothing."""
    if tag is None:
        return list(user.tags) if user.tags is not None else None
    return [tag] if user.sees([tag]) else []


@router.get("/{file_id}", response_model=FileOut, responses={304: {"description": "It is as it was."}})
def get(
    file_id: str, response: Response, penstock: ThePenstock, user: Viewer, if_none_match: IfNoneMatch = None
) -> Any:
    """What is known of a file."""
    stored = service.found(penstock.journal, file_id, user)
    return unchanged(if_none_match, _etag(stored)) or _answer(response, stored)


@router.get(
    "/{file_id}/content",
    response_class=Response,
    responses={
        200: {"content": {"*/*": {"schema": _BINARY}}, "description": "All of it."},
        206: {"content": {"*/*": {"schema": _BINARY}}, "description": "The part that `Range` names."},
        304: {"description": "It is as it was."},
    },
)
def download(
    file_id: str, request: Request, penstock: ThePenstock, user: Viewer, if_none_match: IfNoneMatch = None
) -> Response:
    """The content of a file, or with `Range` one part of it. It is for keeping: no browser shows it."""
    stored = service.found(penstock.journal, file_id, user)
    if same := unchanged(if_none_match, _etag(stored)):
        return same
    path = penstock.files.path(stored.id)
    if not path.is_file() or path.stat().st_size != stored.size:
        raise Problem(
            404,
            f"The content of {stored.name!r} is not here.",
            hint="it is in the folder files of PENSTOCK_HOME: bring that along",
        )
    if not _one_range(request):  # several are answered with all of it, as RFC 9110 allows
        request.scope["headers"] = [each for each in request.scope["headers"] if each[0] != b"range"]
    elif _beyond(request.headers["range"], stored) and "if-range" not in request.headers:
        told = f"The file has {stored.size:,} bytes, and none of those."
        return problems.answer(request, 416, "range", told, headers={"Content-Range": f"bytes */{stored.size}"})
    headers = {
        "ETag": _etag(stored),
        "Content-Disposition": service.disposition(stored.name),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    return FileResponse(path, headers=headers, media_type=stored.media_type)


def _one_range(request: Request) -> bool:
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or not any(found.groups()):
        return False
    first, last = found.groups()
    return not (first and last and int(last) < int(first))


def _beyond(text: str, stored: StoredFile) -> bool:
    found = _RANGE.fullmatch(text)
    assert found is not None
    first, last = found.groups()
    return int(first) >= stored.size if first else int(last) == 0 or stored.size == 0


@router.delete("/{file_id}", status_code=204)
def delete(file_id: str, penstock: ThePenstock, user: Editor) -> None:
    """Have a file given to no more runs. Its content stays while a run is there that was given it."""
    service.delete(penstock.journal, file_id, user)
