"""Very many listeners of one server, in a process of its own.

    python listen.py PLAN

The plan is a JSON file: `port`, `count`, `path`, `headers`, `kind` (`sse` or `websocket`), `first` (what a listener
of a websocket says first) and `publish`: requests as `load.py` knows them, each with `mark-N.` in its body. When all
listen, they are sent one after the other; noted is when each mark has come to each listener.
"""

import asyncio
import json
import os
import re
import sys
from contextlib import suppress
from time import perf_counter
from typing import Any

from load import Connection, head_of, message_of, percentile

MARK = re.compile(rb"mark-(\d+)\.")
BETWEEN_SECONDS = 0.5
PATIENCE_SECONDS = 30.0
TEXT, PING, PONG, LAST = 0x1, 0x9, 0xA, 0x80


class Listeners:
    """All of them, and what they have heard."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.port = int(plan["port"])
        self.heard: dict[tuple[int, int], float] = {}
        self.twice = 0

    async def run(self) -> dict[str, Any]:
        """Listen, publish, and tell how long it took until each of them had heard each mark."""
        began = perf_counter()
        tasks, writers = [], []
        for number in range(self.plan["count"]):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writers.append(writer)  # one that nobody refers to closes its connection
            await self._enter(reader, writer)
            tasks.append(asyncio.create_task(self._listen(number, reader, writer)))
        connected = perf_counter() - began
        await asyncio.sleep(1.0)
        door, sent = Connection(self.port), []
        for request in self.plan["publish"]:
            sent.append(perf_counter())
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    status, _, _ = await door.insist(message_of(self.port, *request))
            except TimeoutError:
                raise SystemExit(f"error: {request[1]} was not answered within {PATIENCE_SECONDS:g} s") from None
            if status >= 300:
                raise SystemExit(f"error: what is to be heard was answered {status}")
            await asyncio.sleep(BETWEEN_SECONDS)
        wanted = len(sent) * len(tasks)
        deadline = perf_counter() + PATIENCE_SECONDS
        while len(self.heard) < wanted and perf_counter() < deadline:
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        for each in (door, *writers):
            each.close()
        lags = [moment - sent[mark] for (_, mark), moment in self.heard.items()]
        if not lags:
            raise SystemExit("error: nothing was heard")
        told = {f"p{rank}": percentile(lags, rank) for rank in (50, 99)}
        counts = {"executed": wanted, "recorded": len(lags), "doubled": self.twice}
        return {**counts, **told, "worst": max(lags), "connected_seconds": connected}

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        socket = self.plan["kind"] == "websocket"
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol": "prefect",
        }
        headers = {**self.plan["headers"], **(upgrade if socket else {"Accept": "text/event-stream"})}
        writer.write(message_of(self.port, "GET", self.plan["path"], headers, ""))
        status, _ = await head_of(reader)
        if status != (101 if socket else 200):
            raise SystemExit(f"error: a listener was answered {status}")
        for text in self.plan["first"]:
            writer.write(framed(text.encode()))

    async def _listen(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.plan["kind"] == "websocket":
            await self._listen_to_frames(number, reader, writer)
            return
        rest = b""
        while data := await reader.read(1 << 16):
            data = rest + data
            end = self._note(number, data, perf_counter())
            rest = data[max(end, len(data) - 20) :]

    async def _listen_to_frames(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # it hangs up: what comes later is not heard
            while True:
                kind, text = await frame_of(reader)
                if kind == PING:  # whoever does not answer is hung up on
                    writer.write(framed(text, PONG))
                else:
                    self._note(number, text, perf_counter())

    def _note(self, number: int, data: bytes, moment: float) -> int:
        """Note what has been heard; where the last of it ends."""
        end = 0
        for found in MARK.finditer(data):
            end = found.end()
            key = (number, int(found.group(1)))
            self.twice += key in self.heard
            self.heard.setdefault(key, moment)
        return end


async def frame_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """What comes next over a websocket: its kind and its content."""
    head, size = await reader.readexactly(2)
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    return head & 0x0F, await reader.readexactly(size)


def framed(text: bytes, kind: int = TEXT) -> bytes:
    """A text as a client sends it over a websocket: masked."""
    mask = os.urandom(4)
    size = bytes([LAST | len(text)]) if len(text) < 126 else bytes([LAST | 126]) + len(text).to_bytes(2, "big")
    return bytes([LAST | kind]) + size + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    print(json.dumps(asyncio.run(Listeners(plan).run())), flush=True)


if __name__ == "__main__":
    main()
