"""The load of the topics of the API, in a process of its own: requests over connections that stay open.

    python load.py PLAN

The plan is a JSON file: `port`, `connections`, `rate` (jobs a second; 0: each connection asks again as soon as it is
answered), `keep` (a file for the bodies of the answers) and `jobs`. A job is a list of requests, which one connection
sends one after the other: `[kind, [[method, path, headers, body], ...]]`. With a rate, a job is due at an instant that
the server has no say in, and its time counts from that instant: a server that stalls is charged for all that waits.
Where a server asks for patience (429, 503) or hangs up, the request is sent again, and the time goes on; for up to two
minutes, which is twice as long as Prefect's own client tries.
"""

import asyncio
import json
import sys
from collections import Counter
from math import ceil
from time import perf_counter
from typing import Any

Headers = dict[str, str]
LIMIT = 1 << 24
BUSY = (429, 503)
PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.05


class Connection:
    """One connection, opened anew when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, message: bytes) -> tuple[int, bytes]:
        """Send a request; return the status and the body of the answer."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=LIMIT)
        assert self._reader is not None
        self._writer.write(message)
        await self._writer.drain()
        status, headers = await head_of(self._reader)
        body = await body_of(self._reader, status, headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, body

    async def insist(self, message: bytes) -> tuple[int, bytes, int]:
        """The same, again while the server is busy or hangs up; and how often it was sent."""
        deadline = perf_counter() + PATIENCE_SECONDS
        tries = 0
        while perf_counter() < deadline:
            tries += 1
            try:
                status, body = await self.ask(message)
                if status not in BUSY:
                    return status, body, tries
            except (OSError, EOFError):
                pass
            self.close()
            await asyncio.sleep(PAUSE_SECONDS)
        raise SystemExit("error: a request was not answered, however often it was sent")

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def message_of(port: int, method: str, path: str, headers: Headers, body: str) -> bytes:
    """Return a request as it is sent."""
    content = body.encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if content or method != "GET":
        lines.append(f"Content-Length: {len(content)}")
    if content:
        lines.append("Content-Type: application/json")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


async def head_of(reader: asyncio.StreamReader) -> tuple[int, Headers]:
    """Read the head of an answer."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines if line]
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def body_of(reader: asyncio.StreamReader, status: int, headers: Headers) -> bytes:
    """Read the body of an answer."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(parts)
    return await reader.readexactly(int(headers.get("content-length", 0))) if status not in (204, 304) else b""


class Load:
    """The jobs of a plan, and what came of them."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.port = int(plan["port"])
        self.rate = float(plan["rate"])
        self.connections = int(plan["connections"])
        self.keep = plan["keep"]
        self.jobs = [
            (kind, [message_of(self.port, *request) for request in requests]) for kind, requests in plan["jobs"]
        ]
        self.times: dict[str, list[float]] = {}
        self.statuses: Counter[str] = Counter()
        self.bodies: dict[int, list[str]] = {}
        self.repeated = 0
        self.began = 0.0
        self._next = 0

    async def run(self) -> dict[str, Any]:
        """Do all jobs; return what there is to tell."""
        doors = [Connection(self.port) for _ in range(self.connections)]
        self.began = perf_counter()
        await asyncio.gather(*(self._work(door) for door in doors))
        seconds = perf_counter() - self.began
        for door in doors:
            door.close()
        if self.keep:
            with open(self.keep, "w", encoding="utf-8") as file:
                json.dump([self.bodies[number] for number in range(len(self.jobs))], file)
        kinds = {
            kind: {f"p{rank}": percentile(found, rank) for rank in (50, 95, 99)} for kind, found in self.times.items()
        }
        every = [one for found in self.times.values() for one in found]
        told = {f"p{rank}": percentile(every, rank) for rank in (50, 95, 99)}
        counted = {"statuses": self.statuses, "repeated": self.repeated}
        return {**counted, "seconds": seconds, "kinds": kinds, "worst": max(every), **told}

    async def _work(self, door: Connection) -> None:
        while self._next < len(self.jobs):
            number, self._next = self._next, self._next + 1
            kind, messages = self.jobs[number]
            began = perf_counter()
            if self.rate:
                began = self.began + number / self.rate
                if (early := began - perf_counter()) > 0:
                    await asyncio.sleep(early)
            bodies = []
            for message in messages:
                status, body, tries = await door.insist(message)
                self.repeated += tries - 1
                self.statuses[str(status)] += 1
                bodies.append(body)
            self.times.setdefault(kind, []).append(perf_counter() - began)
            if self.keep:
                self.bodies[number] = [body.decode() for body in bodies]


def percentile(values: list[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    print(json.dumps(asyncio.run(Load(plan).run())), flush=True)


if __name__ == "__main__":
    main()
