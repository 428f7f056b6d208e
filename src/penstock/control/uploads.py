"""Files that are sent in: hashed, counted and written as they come, never whole in memory."""

from __future__ import annotations

import codecs
import hashlib
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.app import Penstock
from penstock.control.access import User
from penstock.control.problems import Problem
from penstock.core.clock import now_us
from penstock.core.errors import SequenceConflict, UploadNotFound
from penstock.core.events import Append, Record
from penstock.core.ids import new_run_id
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.core.uploads import KIND, FileDeleted, FileUploaded, StoredFile, files_in, is_file_id
from penstock.core.workflows import WorkflowFilter
from penstock.orchestrator.keys import take

_HEAD = 4096
_LONGEST_NAME = 255
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (257, b"ustar", "application/x-tar"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"ARROW1\0\0", "application/vnd.apache.arrow.file"),
    (0, b"Obj\x01", "application/vnd.apache.avro"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
)


def sniffed(head: bytes, whole: bool) -> str:
    """What content seems to be, by its beginning. Text is text, whatever is written in it: no browser is to run it."""
    for at, magic, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=whole)
    except UnicodeDecodeError:
        return "application/octet-stream"
    odd = any(ord(each) < 32 and each not in "\t\n\r\f" for each in text)
    return "application/octet-stream" if odd or not head else "text/plain"


def plain_name(name: str) -> str:
    """What a file is called, of what its sender says: no folders, nothing that cannot be seen."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(each for each in last if each.isprintable())[:_LONGEST_NAME].strip()
    return "file" if plain in ("", ".", "..") else plain


class Upload:
    """One file on its way in. Its methods wait for the disk.

    Args:
        penstock: where it goes.
        most: bytes it may have.
    """

    def __init__(self, penstock: Penstock, most: int) -> None:
        self.id = new_run_id()
        self.size = 0
        self.most = most
        self._journal = penstock.journal
        self._shelf = penstock.files
        self._digest = hashlib.sha256()
        self._head = b""
        self._file = self._shelf.begin(self.id)
        self._kept = False

    def write(self, data: bytes) -> None:
        """The next bytes.

        Raises:
            Problem: they are too many.
            JournalFull, JournalReadOnly: they cannot be written.
        """
        self.size += len(data)
        if self.size > self.most:
            raise Problem(
                413, f"A file has at most {self.most:,} bytes.", hint="max_file_bytes of the server is the limit"
            )
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]
        self._digest.update(data)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._shelf.failure(error) from error

    def commit(self, name: str, tags: tuple[str, ...], user: User, key: str | None) -> StoredFile:
        """It is whole. A second one with the key, of the same content, is the first one.

        Raises:
            Problem: the key was for another file.
        """
        event = FileUploaded(
            at=now_us(),
            id=self.id,
            name=plain_name(name),
            size=self.size,
            digest=self._digest.hexdigest(),
            media_type=sniffed(self._head, self.size <= _HEAD),
            tags=tags,
            by=user.name,
        )
        self._shelf.keep(self.id, self._file)
        uploaded = Append(stream_of(KIND, self.id), 0, [Record(event)])
        self._kept = True  # an answer may be lost on its way: then it is there, or nobody knows its id
        if key is None:
            self._journal.commit([uploaded])
        elif (first := take(self._journal, None, f"{KIND}/{key}", self.id, uploaded)) != self.id:
            self._kept = False
            return _first(self._journal, first, event)
        return found(self._journal, self.id, user)

    def close(self) -> None:
        """Take away what did not become a file."""
        self._file.close()
        if not self._kept:
            self._shelf.drop(self.id)


def _first(journal: Journal, file_id: str, event: FileUploaded) -> StoredFile:
    """The file that the key has made."""
    made = journal.files(file_id)
    if not made:
        raise Problem(409, "The file that this key has made was deleted.", hint="send it with another key")
    if (made[0].digest, made[0].name, made[0].tags) != (event.digest, event.name, event.tags):
        raise Problem(422, "This key has made another file.", hint="give each request its own key")
    return made[0]


def found(journal: Journal, file_id: str, user: User) -> StoredFile:
    """One file.

    Raises:
        UploadNotFound: there is none that they may see.
    """
    known = journal.files(file_id) if is_file_id(file_id) else []
    if not known or not user.sees(known[0].tags):
        raise UploadNotFound(f"There is no file {file_id[:100]!r}.")
    return known[0]


def refuse_hidden(journal: Journal, parameters: Mapping[str, Any], user: User) -> None:
    """See that somebody gives a run no file that they may not see.

    Raises:
        UploadNotFound: it names the first of them.
    """
    for _, file_id in files_in(parameters) if user.tags is not None else ():
        found(journal, str(file_id), user)


def delete(journal: Journal, file_id: str, user: User) -> None:
    """Have a file given to no more runs. Those that were given it keep it.

    Raises:
        UploadNotFound: there is none that they may see.
        Problem: something would give it to runs still.
    """
    known = found(journal, file_id, user)
    if users := list(_users(journal, known.id)):
        told = [each for each, tags in users if user.sees(tags)]
        shown = ", ".join(told[:5]) + (", ..." if len(told) > 5 else "")
        by = shown or "something that is not there for you"
        hint = "change or delete these first" if told else "ask an admin what it is"
        raise Problem(409, f"The file {known.name!r} is used by {by}.", hint=hint)
    stream = stream_of(KIND, known.id)
    gone = FileDeleted(at=now_us(), id=known.id, by=user.name)
    try:
        journal.append(stream, journal.last_seq(stream), [Record(gone)])
    except SequenceConflict:  # somebody else has deleted it
        raise UploadNotFound(f"There is no file {known.id!r}.") from None


def _users(journal: Journal, file_id: str) -> Iterator[tuple[str, Sequence[str]]]:
    """The deployments and workflows that name a file, each with its tags."""
    for deployed in journal.deployments():
        if _names(deployed.spec.get("parameters"), file_id):
            yield f"the deployment {deployed.name}", deployed.spec.get("tags", ())
    where = WorkflowFilter(limit=500)
    while page := journal.workflows(where):
        for each in page:
            if _names(each.spec.get("tasks"), file_id):
                yield f"the workflow {each.name}", each.spec.get("tags", ())
        where = WorkflowFilter(limit=500, after=page[-1].name)


def _names(value: Any, file_id: str) -> bool:
    return any(each == file_id for _, each in files_in(value))


def disposition(name: str) -> str:
    """`Content-Disposition` (RFC 6266): the name for everybody, and in full where it has more than ASCII."""
    plain = "".join(each if each.isascii() and each not in '"\\%' else "_" for each in name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{urllib.parse.quote(name, safe='')}"
