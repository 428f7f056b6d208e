"""`penstock server`."""

from __future__ import annotations

import gc
from typing import Annotated, Any

import typer

from penstock.cli.console import answer_in_json, counted, write_json_line
from penstock.cli.duty import attend, show_for
from penstock.cli.help import Command, Group, examples
from penstock.cli.serve import DRAIN, LINES, PLAIN, QUIET, environment
from penstock.cli.session import executing, log_lines
from penstock.core.clock import iso, now_us
from penstock.core.extras import LateExtra, require
from penstock.orchestrator.services import DEFAULT_SLOTS
from penstock.orchestrator.worker import WorkerOptions

_server: Any = LateExtra("penstock.control.server", "server")
_settings: Any = LateExtra("penstock.control.settings", "server")

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)


@app.callback()
def _server_group() -> None:
    """Serve the API, make the runs of schedules and execute them, all in one."""


@app.command(
    cls=Command,
    epilog=examples(
        "penstock server start  # at http://127.0.0.1:4300",
        "penstock server start --port 8080 --limit 4  # elsewhere, four runs at once",
        "curl http://127.0.0.1:4300/health/ready  # is it there?",
    ),
)
def start(
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Where it listens; an address of this machine only, unless everybody signs in."
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="N", min=0, max=65_535, help="4300 when left out.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="So many runs at once.")] = DEFAULT_SLOTS,
    drain: Annotated[float, DRAIN] = 30.0,
    quiet: Annotated[bool, QUIET] = False,
    plain: Annotated[bool, PLAIN] = False,
    json: Annotated[bool, LINES] = False,
) -> int:
    """Bring up the API, a scheduler and a worker of the pool `default`.

    Unless it is set up so that everybody signs in (auth = "required"), it listens on this machine only. Ctrl-C or
    SIGTERM stops it when the runs under way have ended, a second time puts them back into their queue at once; until
    then requests are answered.

    Exit codes: 0 stopped as asked, 2 a mistake (nothing was served).
    """
    if json:
        answer_in_json()
    for module in ("fastapi", "httptools", "uvicorn"):
        require(module, "server")
    settings = _settings.load_server_settings(host=host, port=port)
    log_lines()
    with executing() as penstock, _server.serving(penstock, settings) as url:
        how = WorkerOptions(
            slots=limit,
            drain_seconds=drain,
            lease_seconds=penstock.settings.lease_seconds,
            environment=environment(silent=quiet or json),
        )
        greeting = [f"Serving {url}/api/v1, at most {counted(limit, 'run')} at once. Ctrl-C stops."]
        if settings.auth == "required" and not penstock.journal.credentials(kind="account"):
            greeting.append("Nobody can sign in yet: penstock users create-admin NAME")
        gc.freeze()  # what is there now stays: to look through it again and again would have everybody wait
        show = show_for(penstock, how, f"server at {url}", greeting=greeting, quiet=quiet, plain=plain, as_json=json)
        if json:
            write_json_line({"event": "serving", "at": iso(now_us()), "url": url})
        attend(penstock, how, show, with_scheduler=True)
    return 0


command = typer.main.get_command(app)
