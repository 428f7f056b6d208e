"""A process that forks workers on demand, so that each test process costs milliseconds instead of an import.

It holds no journal and no thread, so that what it forks is as good as new. Requests come as JSON lines on stdin and are
answered on stdout: `start` forks a worker and tells its id, `wait` waits for one and tells how it ended.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - imported once here, for all workers
import faulthandler
import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any


def work(request: dict[str, Any]) -> None:
    """In the fork: call the function, write down what it returns or raises, and end like any Python program."""
    os.setsid()
    os.chdir(request["folder"])
    errors = os.open(request["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream, handle in ((0, nothing), (1, nothing), (2, errors)):
        os.dup2(handle, stream)
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
    os.environ.update(request["environ"])
    module, _, name = request["call"].partition(":")
    code = 0
    try:
        answer = {"value": getattr(importlib.import_module(module), name)(**request["kwargs"])}
    except SystemExit as error:
        answer = {"exit": str(error.code)}
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        traceback.print_exc()
        answer = {"error": type(error).__name__, "text": str(error), "kinds": [k.__name__ for k in type(error).__mro__]}
        code = 1
    beside = Path(request["answer"] + ".new")
    beside.write_text(json.dumps(answer))
    beside.rename(request["answer"])
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Serve requests until stdin closes."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    children: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "start":
            child = os.fork()
            if child == 0:
                work(request)
            children.add(child)
            reply = child
        else:
            _, status = os.waitpid(request["pid"], 0)
            children.discard(request["pid"])
            reply = os.waitstatus_to_exitcode(status)
        print(json.dumps(reply), flush=True)
    for child in children:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
