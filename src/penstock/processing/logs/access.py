"""A line of an access log, read strictly: what it means, or that it means nothing.

This is the rule. `access_blocks` reads almost every line faster, gives what this gives, and leaves to it what it does
not understand.

The formats are Apache's common and combined, nginx's combined and main, and all of them with the time a request took
(seconds with a point) at the end:

    client ident user [day/Mon/year:hour:minute:second zone] "request" status bytes "referrer" "agent" "forwarded" 0.123
"""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple

METHODS = (b"", b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE", b"PROPFIND")
"""A request with another first word is kept whole, as a path without a method."""

MONTHS = {name: number + 1 for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())}

_QUOTED = rb'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    rb"([^ ]+) ([^ ]+) (.+?) "
    rb"\[(\d\d/[A-Z][a-z][a-z]/\d\d\d\d:\d\d:\d\d):(\d\d) ([+-]\d\d\d\d)\] "
    + _QUOTED
    + rb" (\d\d\d) (\d{1,18}|-)"
    + rb"(?: "
    + _QUOTED
    + rb" "
    + _QUOTED
    + rb"(?: "
    + _QUOTED
    + rb")?)?"
    + rb"(?: (\d{1,9}\.\d{1,9}))?",
    re.DOTALL,
)
_REQUEST = re.compile(rb"([A-Z]+) (.+) HTTP/(\d)(?:\.(\d))?", re.DOTALL)
_MINUTE = re.compile(rb"(\d\d)/([A-Z][a-z][a-z])/(\d\d\d\d):(\d\d):(\d\d)")
_ZONE = re.compile(rb"([+-])(\d\d)(\d\d)")
_CODES = {name: code for code, name in enumerate(METHODS)}
_FIRST_DAY = datetime.date(1970, 1, 1).toordinal()


class Entry(NamedTuple):
    """What a line says.

    Attributes:
        at: seconds since 1970.
        method: place in METHODS.
        path: up to the question mark.
        query: after it.
        protocol: HTTP's version times ten; 0 where the request is no HTTP request.
        size: bytes sent; -1 for `-`.
        taken: seconds it took; None where the line does not say.
    """

    client: bytes
    ident: bytes
    user: bytes
    at: int
    method: int
    path: bytes
    query: bytes | None
    protocol: int
    status: int
    size: int
    referrer: bytes | None
    agent: bytes | None
    taken: float | None


def read(line: bytes) -> Entry | None:
    """The meaning of a line, without its line end; None where it is malformed."""
    found = _LINE.fullmatch(line.removesuffix(b"\r"))
    if found is None:
        return None
    client, ident, user, minute, second, zone, request, status, size, referrer, agent, _, taken = found.groups()
    at = minute_of(minute, zone)
    if at is None or second > b"59":
        return None
    method, path, query, protocol = request_of(request)
    return Entry(
        client,
        ident,
        user,
        at * 60 + int(second),
        method,
        path,
        query,
        protocol,
        int(status),
        -1 if size == b"-" else int(size),
        referrer,
        agent,
        float(taken) if taken is not None else None,
    )


def minute_of(minute: bytes, zone: bytes) -> int | None:
    """Minutes since 1970 of `17/May/2015:10:05` in the zone `+0200`; None where there is no such time."""
    found, shift = _MINUTE.fullmatch(minute), _ZONE.fullmatch(zone)
    if found is None or shift is None:
        return None
    day, month, year, hour, minutes = found.groups()
    if month not in MONTHS or hour > b"23" or minutes > b"59" or shift[2] > b"23" or shift[3] > b"59":
        return None
    try:
        days = datetime.date(int(year), MONTHS[month], int(day)).toordinal() - _FIRST_DAY
    except ValueError:
        return None
    away = int(shift[2]) * 60 + int(shift[3])
    return days * 1440 + int(hour) * 60 + int(minutes) - (away if shift[1] == b"+" else -away)


def request_of(request: bytes) -> tuple[int, bytes, bytes | None, int]:
    """Method, path, query and protocol."""
    found = _REQUEST.fullmatch(request)
    method = _CODES.get(found[1], 0) if found is not None else 0
    if found is None or not method:
        return 0, request, None, 0
    path, mark, query = found[2].partition(b"?")
    return method, path, query if mark else None, int(found[3]) * 10 + int(found[4] or 0)
