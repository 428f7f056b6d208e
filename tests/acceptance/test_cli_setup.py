"""Everything but running: help, completion, version, doctor, init, db, flows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import typer
from tests.acceptance.cli_lab import FLOWS, Cli

from penstock.cli.root import app as root
from penstock.cli.root import command_of

pytestmark = pytest.mark.acceptance

GROUPS = {
    "runs": "list show logs resume fork pause cancel delete answer approve reject",
    "flows": "list show",
    "deployments": "list show run pause resume delete",
    "workflows": "create apply list show versions rollback clone enable disable trigger dry-run export delete",
    "import": "prefect airflow",
    "schedule": "preview",
    "backfill": "run resume list cancel",
    "server": "start",
    "users": "create-admin create list role disable enable password link delete",
    "keys": "create list revoke rotate",
    "audit": "list verify export",
    "worker": "start list",
    "pools": "list show set pause resume delete queue",
    "limits": "list show set apply delete reset",
    "dataset": "list show preview history compact vacuum forget",
    "connection": "create list show test delete types rotate-key new-key",
    "profile": "list show",
    "cache": "list invalidate clear",
    "automations": "declare list show pause resume delete test",
    "alerts": "list retry test silence silences",
    "events": "list follow emit",
    "webhook": "create list show delete test deliveries delivery redeliver",
    "artifacts": "list show",
    "quality": "check rules history quarantined retry profile suggest drift outliers anomalies writings",
    "logs": "analyze follow generate",
    "db": "upgrade status purge vacuum",
}
ALONE = "run deploy serve engines ingest sql login logout init doctor version"
COMMANDS = [
    *((name,) for name in ALONE.split()),
    *((group, name) for group, names in GROUPS.items() for name in names.split()),
]


def test_the_front_page(cli: Cli) -> None:
    told = cli.run("--help").out
    for part in ("Usage  penstock", "Exit codes:", "130  stopped by Ctrl-C", "Examples", "penstock init shop"):
        assert part in told
    for command in ("run", "runs", "flows", "init", "doctor", "db", "version"):
        assert re.search(rf"^ +{command} +\S", told, re.MULTILINE)
    assert cli.run().out.strip() == told.strip()
    assert "resume" in cli.run("runs").out


def test_every_command_is_looked_at_here() -> None:
    app: Any = typer.main.get_command(root)
    for name in app.list_commands(None):
        command: Any = command_of(name)
        below = {(name, each) for each in getattr(command, "commands", {})} or {(name,)}
        assert below <= set(COMMANDS)
        assert len(below) == sum(each[0] == name for each in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_by_example(cli: Cli, command: tuple[str, ...]) -> None:
    told = cli.run(*command, "--help").out
    assert f"Usage  penstock {' '.join(command)}" in told
    assert re.search(rf"Examples\n +.*penstock {' '.join(command)}", told)
    assert "--json" in told
    assert not any(line != line.rstrip() for line in told.splitlines())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("runz",), "No such command 'runz'"),
        (("run",), "Missing argument 'TARGET'"),
        (("run", "x.py", "--nope"), "No such option: --nope"),
        (("runs", "list", "--limit", "many"), "Invalid value for '--limit'"),
        (("runs", "list", "--limit", "0"), "Invalid value for '--limit'"),
        (("runs", "fork", "last"), "Missing option '--from'"),
        (("version", "extra"), "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line(cli: Cli, arguments: tuple[str, ...], told: str) -> None:
    answer = cli.run(*arguments, code=2)
    assert told in answer.err
    assert "--help" in answer.err
    assert "Traceback" not in answer.err
    assert cli.json(*arguments, code=2)["error"]["code"] == "usage"


def test_version(cli: Cli) -> None:
    found = cli.json("version")
    assert set(found) == {"penstock", "python", "sqlite"}
    assert cli.run("version").out.startswith(f"penstock {found['penstock']}  (Python {found['python']}")
    assert cli.run("--version").out.strip() == found["penstock"]


def test_completion(cli: Cli) -> None:
    run = cli.json("run", f"{FLOWS}:hello", "--name", "amber-otter")["run"]
    cli.run("run", f"{FLOWS}:hello", "--name", "$(touch pwned) `x`")

    def completed(words: str) -> list[str]:
        count = len(words.split(" ")) - 1
        answer = cli.run(_PENSTOCK_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(count))
        return answer.out.split("\n")[:-1] if answer.out.strip() else []

    assert completed("penstock ru") == ["run", "runs"]
    assert set(completed("penstock runs show ")) >= {"amber-otter", run["id"][-8:]}
    assert completed(f"penstock runs show {run['id'][:20]}")[-1:] == [run["id"]]
    assert not any("touch" in word for word in completed("penstock runs show "))
    assert completed("penstock runs list --state cr") == ["crashed"]
    assert completed("penstock runs fork amber-otter --from ") == ["greet#1"]
    assert completed("penstock flows show ") == ["hello"]
    assert "$(" not in cli.run(_PENSTOCK_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="penstock runs show ").out


def test_completion_makes_no_journal(cli: Cli) -> None:
    cli.run(_PENSTOCK_COMPLETE="complete_bash", COMP_WORDS="penstock runs show ", COMP_CWORD="3")
    assert not cli.home.exists()


def test_doctor(cli: Cli) -> None:
    found = cli.json("doctor")
    assert not any("UI" in each["feature"] for each in found["extras"]), "there is none yet"
    assert found["ok"] is True
    assert [check["name"] for check in found["checks"]] == ["python", "sqlite", "home", "disk", "journal"]
    extras = {extra["name"]: extra for extra in found["extras"]}
    assert extras["postgres"]["install"] == 'pip install "penstock[postgres]"'
    assert not cli.home.exists()
    cli.run("run", f"{FLOWS}:hello")
    told = cli.run("doctor").out
    assert "1 run," in told
    assert "sound" in told
    assert "All is well." in told


def test_doctor_finds_a_damaged_journal(cli: Cli) -> None:
    cli.run("run", f"{FLOWS}:hello")
    cli.run("db", "vacuum")
    file = cli.home / "journal.db"
    data = bytearray(file.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page + 8 : page + 400] = b"\xff" * 392
    file.write_bytes(data)
    assert cli.json("doctor", code=1)["ok"] is False
    told = cli.run("doctor", code=1)
    assert "✗ journal" in told.out
    assert "Hint:" in told.out
    assert "1 problem: journal." in told.out


def test_doctor_finds_a_wrong_setting(cli: Cli) -> None:
    answer = cli.run("doctor", code=1, PENSTOCK_DURABILITY="maybe")
    assert "durability is 'maybe'" in answer.out


def test_doctor_finds_a_home_that_is_a_file(cli: Cli) -> None:
    cli.home.write_text("")
    answer = cli.run("doctor", code=1)
    assert "is no folder" in answer.out


def test_init_makes_a_project_that_runs(cli: Cli) -> None:
    made = cli.json("init", "my-shop")
    project = cli.folder / "my-shop"
    assert {"flow.py", "sources/orders.py", "tests/test_pipeline.py", "pyproject.toml"} <= set(made["files"])
    assert sorted(path.name for path in project.iterdir() if path.is_dir()) == [
        "analytics",
        "data",
        "exports",
        "sources",
        "tests",
        "transforms",
    ]
    inside = Cli(project, project / ".penstock")
    inside.environ.pop("PENSTOCK_HOME")
    outcome = inside.json("run", "flow.py")
    assert outcome["run"]["flow"] == "my-shop"
    assert outcome["result"] == {"orders.csv": 18, "sales_by_month.csv": 3, "best_customers.csv": 3}
    assert (project / "output" / "sales_by_month.csv").read_text().splitlines()[1] == "2026-01,6,591.79"
    assert (project / ".penstock" / "journal.db").is_file()
    assert inside.json("flows", "show", "flow.py")["parameters"]["properties"]["top"]["default"] == 3
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=inside.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "2 passed" in tests.stdout
    assert len(inside.json("runs", "list")["runs"]) == 1  # its tests keep out of its journal


def test_init_never_overwrites(cli: Cli) -> None:
    (cli.folder / "shop").mkdir()
    (cli.folder / "shop" / "mine.txt").write_text("mine")
    assert "nothing was written" in cli.run("init", "shop", code=2).err
    assert os.listdir(cli.folder / "shop") == ["mine.txt"]
    (cli.folder / "file").write_text("")
    cli.run("init", "file", code=2)
    os.symlink("nowhere", cli.folder / "link")
    cli.run("init", "link", code=2)
    assert sorted(os.listdir(cli.folder)) == ["file", "link", "shop"]
    (cli.folder / "empty").mkdir()
    cli.run("init", "empty")
    assert (cli.folder / "empty" / "flow.py").is_file()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a b", "1shop", "-x", "shop-", "é", "penstock", "a" * 61, "a\nb"]
)
def test_init_refuses_names(cli: Cli, name: str) -> None:
    cli.run("init", "--", name, code=2)
    assert os.listdir(cli.folder) == []


def test_db(cli: Cli) -> None:
    assert cli.json("db", "status")["exists"] is False
    assert not cli.home.exists()
    made = cli.json("db", "upgrade")
    assert made["before"] is None
    assert "is up to date" in cli.run("db", "upgrade").out
    cli.run("run", f"{FLOWS}:hello", "-p", "times=50")
    status = cli.json("db", "status")
    assert (status["exists"], status["runs"], status["task_runs"]) == (True, 1, 50)
    assert status["layout"] == made["after"]
    assert "task runs" in cli.run("db", "status").out
    cli.run("runs", "delete", "last", "--yes")
    vacuumed = cli.json("db", "vacuum")
    assert vacuumed["bytes_after"] <= vacuumed["bytes_before"]


def test_a_password_is_not_shown(cli: Cli) -> None:
    url = "postgresql://me:secret@127.0.0.1:9/nothing"
    for command in (("doctor",), ("db", "status"), ("runs", "list")):
        process = cli.start(*command, PENSTOCK_DATABASE_URL=url)
        answer = cli.end(process)
        assert answer.code in (1, 2)
        assert "secret" not in answer.out + answer.err
        assert "Traceback" not in answer.err


def test_flows_of_a_file_and_of_the_journal(cli: Cli) -> None:
    declared = cli.json("flows", "list", str(FLOWS))["flows"]
    assert {"name": "hello", "variable": "hello", "target": f"{FLOWS}:hello"}.items() <= declared[0].items()
    assert "Greet somebody." in cli.run("flows", "list", str(FLOWS)).out
    cli.run("run", f"{FLOWS}:hello")
    cli.run("run", f"{FLOWS}:hello")
    (flow,) = cli.json("flows", "list")["flows"]
    assert (flow["flow"], flow["runs"], flow["last_state"]) == ("hello", 2, "Completed")
    assert "Greet somebody." in cli.run("flows", "show", "hello").out
    assert "declares no flow" in cli.run("flows", "list", "json").out
    assert cli.run("flows", "show", "nothing", code=2).err


def test_parameters_as_json_schema(cli: Cli) -> None:
    shown = cli.json("flows", "show", f"{FLOWS}:typed")
    schema = shown["parameters"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["text", "count"]
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert properties["text"] == {"type": "string"}
    assert properties["count"] == {"type": "integer"}
    assert properties["share"] == {"type": "number", "default": 0.5}
    assert properties["kind"] == {"enum": ["big", "small"], "default": "big"}
    assert properties["cities"] == {"type": "array", "items": {"type": "string"}, "default": ["Oslo"]}
    assert properties["folder"] == {"type": "string", "format": "path", "default": "out"}
    assert properties["loud"] == {"type": "boolean", "default": False}
    place = schema["$defs"]["Place"]
    assert place["properties"]["city"] == {"type": "string"}
    assert {"$ref": "#/$defs/Place"} in properties["place"]["anyOf"]
    told = cli.json("flows", "show", f"{FLOWS}:hello")["parameters"]["properties"]
    assert (told["name"]["description"], told["times"]["description"]) == ("who.", "how often.")


def test_schema_of_pydantic_models_and_of_what_it_cannot_describe(cli: Cli) -> None:
    pytest.importorskip("pydantic")
    (cli.folder / "models.py").write_text(
        "from typing import Annotated\n"
        "from pydantic import BaseModel, Field\n"
        "from penstock import flow\n"
        "class Order(BaseModel):\n    amount: float\n"
        "class Odd:\n    pass\n"
        "@flow\n"
        "def shop(order: Order, orders: list[Order], top: Annotated[int, Field(gt=0)] = 3, odd: Odd | None = None,\n"
        "         *rest: int, **more: str): ...\n"
    )
    schema = cli.json("flows", "show", "models.py")["parameters"]
    properties = schema["properties"]
    assert (properties["order"]["type"], properties["order"]["required"]) == ("object", ["amount"])
    assert properties["orders"] == {"type": "array", "items": {"$ref": "#/$defs/Order"}}
    assert (properties["top"]["exclusiveMinimum"], properties["top"]["default"]) == (0, 3)
    assert properties["odd"] == {"default": None}
    assert properties["rest"] == {"type": "array", "items": {"type": "integer"}}
    assert schema["additionalProperties"] is True
    assert set(schema["$defs"]) == {"Order"}


def test_a_pipe_that_closes_early(cli: Cli) -> None:
    for _ in range(3):
        cli.run("run", f"{FLOWS}:hello")
    process = cli.start("runs", "logs", "last")
    assert process.stdout is not None
    process.stdout.close()
    process.wait(60)
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_what_is_not_asked_for_is_not_imported(cli: Cli) -> None:
    """A command starts as fast as what it imports."""
    heavy = {"rich", "pydantic", "sqlalchemy", "alembic", "asyncio", "pandas", "polars"}
    program = (
        "import json, sys\nfrom penstock.cli.root import call\n"
        "call(sys.argv[1:])\nprint(json.dumps(sorted(sys.modules)))"
    )
    for arguments in (["version"], ["run", f"{FLOWS}:hello"], ["runs", "list", "--limit", "2", "--json"], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=cli.folder,
            env=cli.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        found = set(json.loads(done.stdout.splitlines()[-1]))
        assert heavy.isdisjoint(found - {"rich"} if arguments == ["--help"] else found)
        if arguments in (["version"], ["--help"]):
            assert not {"penstock.engine", "penstock.app", "penstock.journal"} & found
