"""What delta-rs and the object store say when something goes wrong, in Penstock's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from penstock.core.errors import DatasetNotFound, PenstockError, SchemaRefused, SinkUnavailable
from penstock.core.extras import require

_KINDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("no space left", "os error 28", "os error 122", "quota exceeded"),
        "the disk is full",
        "free some space; nothing was half written, and the next time goes on from the last commit",
    ),
    (
        ("expiredtoken", "token has expired", "token is expired", "expired"),
        "the credentials have expired",
        "get new ones; what has landed stays, and the next time goes on from there",
    ),
    (
        ("nosuchbucket", "bucket does not exist"),
        "there is no such bucket",
        "make the bucket, or mend the address of the lake",
    ),
    (
        (
            *("invalidaccesskeyid", "signaturedoesnotmatch", "accessdenied", "access denied", "forbidden"),
            *("unauthorized", "unauthenticated"),
        ),
        "access was denied",
        "check the credentials, and what they are allowed to do in this bucket",
    ),
    (
        ("os error 13", "os error 30", "permission denied", "read-only file system"),
        "it cannot be written",
        "make the folder writable for the user that runs this, or choose another",
    ),
    (
        ("error sending request", "connection refused", "timed out", "dns error", "connect error", "operation timeout"),
        "it cannot be reached",
        "check the endpoint and the network; what has landed stays, and the next time goes on from there",
    ),
)


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def conflict(error: BaseException) -> bool:
    """Whether somebody else committed first, in a way that makes this commit void."""
    return isinstance(error, require("deltalake.exceptions", "data").CommitFailedError)


@contextmanager
def translated(where: str, secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Driver errors that come out of the block become Penstock's; conflicts stay as they are.

    Args:
        where: what could not be done, such as `the table raw/orders`.
        secrets: texts that must not be shown.
    """
    exceptions = require("deltalake.exceptions", "data")
    try:
        yield
    except (PenstockError, exceptions.CommitFailedError):
        raise
    except exceptions.TableNotFoundError as error:
        raise DatasetNotFound(f"There is no table at {where}.") from error
    except exceptions.SchemaMismatchError as error:
        raise SchemaRefused(f"{where}: {told(error, secrets)}") from error
    except (TypeError, AttributeError, NameError, AssertionError, ImportError):
        raise
    except Exception as error:  # delta-rs raises bare Exceptions too
        raise _made(where, error, secrets) from error


def _made(where: str, error: Exception, secrets: tuple[str, ...]) -> PenstockError:
    text = str(error).lower()
    if "failed validation check" in text:
        return SchemaRefused(
            f"{where} refuses rows: {told(error, secrets)}", hint="the table has constraints that the rows break"
        )
    for signs, reason, hint in _KINDS:
        if any(sign in text for sign in signs):
            return SinkUnavailable(f"{where}: {reason} ({told(error, secrets)}).", hint=hint)
    return SinkUnavailable(f"{where}: {told(error, secrets)}")


def told(error: Any, secrets: tuple[str, ...] = ()) -> str:
    """The first lines of a driver's message, without secrets."""
    text = str(error).split("Debug source:")[0].split("Stack backtrace")[0]
    text = " ".join(_COLOURS.sub("", text).replace("↳", "-").split())
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text if len(text) <= 300 else f"{text[:299]}…"
