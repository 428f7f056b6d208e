"""`penstock connection`: created with and without a terminal, listed, shown, tested, sealed anew and deleted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.cli_lab import Answer, Cli
from tests.acceptance.json_api import JsonApi, Reply, serving

pytestmark = pytest.mark.acceptance


def piped(cli: Cli, text: str, *args: object, code: int = 0) -> Answer:
    """A command that reads this from standard input."""
    done = subprocess.run(
        cli.command(*args), cwd=cli.folder, env=cli.environ, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "sesame" not in done.stdout + done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


def create(cli: Cli, name: str = "warehouse", *more: object, code: int = 0) -> Answer:
    fields = ("--host", "127.0.0.1", "--port", 1, "--user", "etl", "--password", "-")
    return piped(cli, "open sesame\n", "connection", "create", "postgres", name, *fields, *more, code=code)


def test_no_connections_yet_and_no_journal_is_made(cli: Cli) -> None:
    assert "There are no connections yet" in cli.run("connection", "list").out
    assert cli.json("connection", "list") == {"connections": []}
    for command in ("show", "test", "delete"):
        answer = cli.run("connection", command, "warehouse", code=2)
        assert "There is no connection 'warehouse'" in answer.err
        assert "PENSTOCK_CONNECTION_WAREHOUSE" in answer.err
    assert not cli.home.exists()


def test_its_life(cli: Cli) -> None:
    assert "Saved the connection warehouse" in create(cli).out
    (listed,) = cli.json("connection", "list")["connections"]
    assert (listed["name"], listed["type"], listed["from"]) == ("warehouse", "postgres", "saved")
    shown = cli.run("connection", "show", "warehouse").out
    assert "password                 ***" in shown
    fields = cli.json("connection", "show", "warehouse")["connection"]["fields"]
    assert (fields["host"], fields["port"], fields["password"], fields["sslmode"]) == ("127.0.0.1", 1, "***", "prefer")
    assert "already" in create(cli, code=2).err
    assert "Overwrote" in create(cli, "warehouse", "--overwrite").out
    before = listed["key"]
    assert cli.json("connection", "rotate-key")["connections"] == 1
    (listed,) = cli.json("connection", "list")["connections"]
    assert listed["key"] != before
    assert "nobody to ask" in cli.run("connection", "delete", "warehouse", code=2).err
    assert cli.json("connection", "delete", "warehouse", "--yes") == {"deleted": "warehouse"}
    assert cli.json("connection", "list") == {"connections": []}
    told = cli.run("events", "list", "--json").out
    assert "ConnectionDeleted" in told
    assert "sesame" not in told


def test_in_a_terminal_secrets_are_asked_for_and_not_shown(cli: Cli) -> None:
    terminal = cli.terminal("connection", "create", "postgres", "warehouse", "--host", "db")
    terminal.read_until("password of the postgres connection (empty for none): ")
    terminal.type("open sesame\n")
    assert terminal.end() == 0
    assert "sesame" not in terminal.text
    assert cli.json("connection", "show", "warehouse")["connection"]["fields"]["password"] == "***"
    terminal = cli.terminal("connection", "create", "postgres", "trusted", "--host", "db")
    terminal.read_until("none): ")
    terminal.type("\n")
    assert terminal.end() == 0
    assert cli.json("connection", "show", "trusted")["connection"]["fields"]["password"] is None
    terminal = cli.terminal("connection", "delete", "trusted")
    terminal.read_until("Delete the connection trusted for good?")
    terminal.type("n\n")
    assert terminal.end() == 2
    assert len(cli.json("connection", "list")["connections"]) == 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("postgres", "w", "--password", "hush"), "--password: is a secret, and everybody"),
        (("postgres", "w", "--password=hush"), "--password-file FILE"),
        (("postgres", "w", "--url", "postgresql://u:hush@h"), "--url: holds a password"),
        (("sql", "w", "--url", "mysql://u:hush@h"), "--url: holds a password"),
        (("postgres", "w", "--port", "x", "--nothing", "1"), "--nothing: is not a field"),
        (("postgres", "w", "--port", "x", "--pool-min", "-2"), "2 mistakes in the postgres connection"),
        (("postgres", "w", "--port"), "--port: needs a value"),
        (("postgres", "w", "stray"), "an argument: is too much"),
        (("postgres", "--host", "h", "w"), "The type and the name come first"),
        (("postgres", "W"), "cannot be the name of a connection"),
        (("nothing", "w"), "There is no connection type 'nothing'"),
        (("http", "w", "--auth", "bearer", "--base-url", "https://x"), "token: is missing: auth is bearer"),
        (("postgres", "w", "--password-file", "nowhere"), "nowhere cannot be read"),
        (("http", "w", "--base-url", "https://x", "--verify=perhaps"), "verify: must be true or false"),
    ],
)
def test_what_cannot_be_created(cli: Cli, given: tuple[str, ...], says: str) -> None:
    answer = cli.run("connection", "create", *given, code=2)
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert "hush" not in answer.out + answer.err
    assert not (cli.home / "connections.key").exists(), "nothing was saved"


def test_values_from_files_flags_and_urls(cli: Cli) -> None:
    (cli.folder / "url").write_text("mysql+pymysql://u:open%20sesame@h/d\n")
    cli.run("connection", "create", "sql", "old", "--url-file", "url")
    cli.run("connection", "create", "sql", "file", "--url", "sqlite:///x.db")
    cli.run("connection", "create", "postgres", "plain", "--url", "postgresql://u@h/d", "--sslmode", "require")
    flags = ("--base-url", "https://x", "--no-verify", "--headers", '{"a": "b"}')
    made = cli.json("connection", "create", "http", "api", *flags)["connection"]["fields"]
    assert (made["verify"], made["headers"]) == (False, {"a": "b"})
    shown = cli.json("connection", "show", "old")["connection"]["fields"]
    assert shown["url"] == "mysql+pymysql://u:***@h/d"
    assert "sslmode                  require" in cli.run("connection", "show", "plain").out


def test_health(cli: Cli, api: JsonApi) -> None:
    create(cli)
    answer = cli.run("connection", "test", "warehouse", code=1)
    assert "✗ warehouse (postgres) failed: " in answer.out
    assert "Connection refused" in answer.out
    assert "Hint: check host and port" in answer.out
    found = cli.json("connection", "test", "warehouse", code=1)
    assert (found["ok"], found["error"]["code"]) == (False, "connection-failed")
    cli.run("connection", "create", "http", "api", "--base-url", api.url, "--health-path", "/posts")
    assert "✓ api  answered 200" in cli.run("connection", "test", "api").out
    good = cli.json("connection", "test", "api")
    assert (good["ok"], good["told"]) == (True, "answered 200")
    assert good["seconds"] > 0


@pytest.fixture
def api() -> Any:
    with serving({"/posts": [Reply([])]}) as api:
        yield api


def test_the_environment(cli: Cli) -> None:
    create(cli)
    (cli.folder / "pyproject.toml").write_text("")
    (cli.folder / ".env").write_text("PENSTOCK_CONNECTION_API='https://anna:sesame@api.example'\n")
    around = {"PENSTOCK_CONNECTION_WAREHOUSE": "postgresql://u:sesame@elsewhere/d"}
    listed = cli.run("connection", "list", **around).out
    assert "environment PENSTOCK_CONNECTION_WAREHOUSE (goes before the saved one)" in listed
    assert ".env PENSTOCK_CONNECTION_API" in listed
    shown = cli.run("connection", "show", "warehouse", **around).out
    assert "elsewhere" in shown
    assert "sesame" not in listed + shown
    assert "unset PENSTOCK_CONNECTION_API" in cli.run("connection", "delete", "api", code=2).err


def test_types(cli: Cli) -> None:
    told = " ".join(cli.run("connection", "types").out.split())
    assert "snowflake A Snowflake warehouse. Not tested with a real one." in told
    fields = cli.run("connection", "types", "postgres").out
    assert "--sslmode" in fields
    assert "verify-full" in fields
    (found,) = cli.json("connection", "types", "http")["types"]
    assert {field["option"] for field in found["fields"] if field["required"]} == {"--base-url"}
    assert "no connection type 'x'" in cli.run("connection", "types", "x", code=2).err


def test_a_key_of_the_environment(cli: Cli) -> None:
    key, other = (cli.run("connection", "new-key").out.strip() for _ in range(2))
    assert key != other
    assert len(cli.json("connection", "new-key")["key"]) == len(key)
    cli.environ["PENSTOCK_KEY"] = key
    create(cli)
    assert not (cli.home / "connections.key").exists()
    cli.environ["PENSTOCK_KEY"] = other
    answer = cli.run("connection", "show", "warehouse", code=2)
    assert "is sealed with the key" in answer.err
    assert "Nothing is lost" in answer.err
    cli.environ["PENSTOCK_KEY"] = f"{other},{key}"
    assert cli.json("connection", "rotate-key")["connections"] == 1
    cli.environ["PENSTOCK_KEY"] = other
    cli.run("connection", "show", "warehouse")


FLOW = """
import json
from penstock import flow, task
from penstock.connections import Connection, PostgresConnection
from penstock.task_runners import ProcessPoolTaskRunner

@task
def host(connection: Connection) -> str:
    return f"{connection.host} {connection.password.reveal()[:4]}"

@task
def loaded() -> Connection:
    return Connection.load("warehouse")

@flow
def plain() -> list[str]:
    connection = loaded()
    return [host(connection), repr(connection)]

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def processes() -> str:
    return host.submit(PostgresConnection.load("warehouse")).result()

@flow
async def later() -> str:
    return host(await Connection.load("warehouse"))

@flow
def given(connection: PostgresConnection) -> str:
    return host(connection)
"""


def test_in_flows(cli: Cli) -> None:
    """A connection is passed, returned and sent to processes by its name: no secret is in the journal or a result."""
    create(cli)
    (cli.folder / "flows.py").write_text(FLOW)
    expected = "127.0.0.1 open"
    assert cli.json("run", "flows.py:plain")["result"][0] == expected
    assert cli.json("run", "flows.py:processes")["result"] == expected
    assert cli.json("run", "flows.py:later")["result"] == expected
    script = (
        "import flows; from penstock.connections import Connection; print(flows.given(Connection.load('warehouse')))"
    )
    program = [*cli.command()[:1], "-c", script]
    done = subprocess.run(program, cwd=cli.folder, env=cli.environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == expected, done.stderr
    kept = b"".join(file.read_bytes() for file in Path(cli.home).rglob("*") if file.is_file())
    assert b"warehouse" in kept
    assert b"sesame" not in kept
    shown = json.dumps(cli.json("runs", "show", "last"))
    assert "password=***" in shown
