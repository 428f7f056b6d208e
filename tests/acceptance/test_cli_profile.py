"""`--profile`: the same project with other settings, from the command line to the processes of a worker."""

from __future__ import annotations

import json

import pytest
from tests.acceptance.cli_lab import Cli

pytestmark = pytest.mark.acceptance

FLOW = """
import os
from pathlib import Path
from penstock import flow, task

@task
def first() -> str:
    Path("steps").open("a").write(f"first {os.environ.get('WHERE')} ")
    return os.environ.get("WHERE", "nowhere")

@task
def second() -> str:
    if Path("deadly").exists():
        os._exit(9)
    return os.environ.get("WHERE", "nowhere")

@flow
def nightly(place: str = "default", times: int = 1) -> list:
    return [place, times, first(), second()]
"""
PROJECT = """
[tool.penstock.profiles.servers]
home = "their home"

[tool.penstock.profiles.servers.environment]
WHERE = "servers"
API_TOKEN = "hunter2"

[tool.penstock.profiles.servers.parameters.nightly]
place = "${PLACE:-a server}"
times = 3

[tool.penstock.profiles.near.environment]
WHERE = "near"

[tool.penstock.profiles.far]
database_url = "postgresql://etl:open@far/shop"
environment = { PENSTOCK_CONNECTION_LAKE = { type = "s3", secret_access_key = "sesame" } }
"""


@pytest.fixture
def project(cli: Cli) -> Cli:
    """A project with profiles, whose home is where its pyproject.toml says."""
    (cli.folder / "pyproject.toml").write_text(PROJECT)
    (cli.folder / "nightly.py").write_text(FLOW)
    del cli.environ["PENSTOCK_HOME"]
    return cli


def test_a_run_with_a_profile_and_one_without(project: Cli) -> None:
    assert project.json("run", "nightly.py")["result"] == ["default", 1, "nowhere", "nowhere"]
    with_it = ["a server", 3, "servers", "servers"]
    assert project.json("run", "nightly.py", "--profile", "servers")["result"] == with_it
    assert project.json("--profile=servers", "run", "nightly.py")["result"] == with_it
    assert project.run("run", "nightly.py", "--json", PENSTOCK_PROFILE="servers").json["result"] == with_it
    assert len(project.json("runs", "list")["runs"]) == 1
    there = project.json("runs", "list", "--profile", "servers", "--tag", "profile:servers")["runs"]
    assert len(there) == 3
    assert (project.folder / "their home" / "journal.db").exists()


def test_what_is_given_goes_before_the_profile(project: Cli) -> None:
    (project.folder / "p.json").write_text(json.dumps({"times": 5}))
    command = ["run", "nightly.py", "--json", "--profile", "servers", "--params-file", "p.json"]
    assert project.run(*command).json["result"] == ["a server", 5, "servers", "servers"]
    found = project.run(*command, "-p", "place=here", WHERE="mine", PLACE="other").json["result"]
    assert found == ["here", 5, "mine", "mine"]
    assert project.run(*command, PLACE="other").json["result"][0] == "other"


def test_a_run_is_resumed_with_the_profile_that_it_was_begun_with(project: Cli) -> None:
    (project.folder / "deadly").touch()
    project.run("run", "nightly.py", "--profile", "near", code=9)
    (project.folder / "deadly").unlink()
    (project.folder / "pyproject.toml").write_text(PROJECT + "[tool.penstock.profiles.beside]\n")
    other = project.json("runs", "resume", "last", "--profile", "beside", code=2)["error"]
    assert "begun with the profile near, not with beside" in other["message"]
    assert other["hint"] == "go on with it as it began: --profile near"
    assert project.json("runs", "resume", "last")["result"] == ["default", 1, "near", "near"]
    assert (project.folder / "steps").read_text() == "first near "
    assert project.json("runs", "fork", "last", "--from", "first")["result"] == ["default", 1, "near", "near"]


def test_a_deployment_and_a_worker(project: Cli) -> None:
    project.run("deploy", "nightly.py:nightly", "--profile", "servers")
    deployed = project.json("deployments", "show", "nightly", "--profile", "servers")["deployment"]
    assert deployed["parameters"] == {"place": "a server", "times": 3}
    assert deployed["tags"] == ["profile:servers"]
    project.run("deployments", "run", "nightly", "--profile", "servers")
    project.run("worker", "start", "--until-idle", "--quiet", "--profile", "servers")
    (run,) = project.json("runs", "list", "--profile", "servers")["runs"]
    assert run["state"] == "Completed"
    assert (project.folder / "steps").read_text() == "first servers "
    assert project.json("runs", "list")["runs"] == []


def test_the_process_of_a_run_has_the_profile_of_its_worker_in_whatever_folder(project: Cli) -> None:
    other = Cli(project.folder / "other", project.home)
    other.folder.mkdir()
    (other.folder / "pyproject.toml").write_text("[tool.penstock]\n")
    (other.folder / "nightly.py").write_text(FLOW)
    del other.environ["PENSTOCK_HOME"]
    there = f"servers@{project.folder / 'pyproject.toml'}"
    other.run("deploy", "nightly.py:nightly", PENSTOCK_PROFILE=there)
    project.run("deployments", "run", "nightly", "--profile", "servers")
    project.run("worker", "start", "--until-idle", "--quiet", "--profile", "servers")
    last = project.run("runs", "show", "last", "--json", "--profile", "servers").json["run"]
    assert (last["state"], last["parameters"]["place"]) == ("Completed", "a server")
    assert (other.folder / "steps").read_text() == "first servers "
    assert not (other.folder / ".penstock").exists()


def test_what_is_declared_in_the_project(project: Cli) -> None:
    table = '[tool.penstock.deployments.late]\nflow = "nightly.py"\nparameters = { times = 7 }\n'
    (project.folder / "pyproject.toml").write_text(PROJECT + table)
    project.run("deploy", "--profile", "servers")
    deployed = project.json("deployments", "show", "late", "--profile", "servers")["deployment"]
    assert deployed["parameters"] == {"place": "a server", "times": 7}


def test_profiles_are_listed_and_shown_without_their_secrets(project: Cli) -> None:
    found = project.json("profile", "list", "--profile", "near")
    assert (found["profiles"], found["profile"]) == (["servers", "near", "far"], "near")
    told = project.run("profile", "list").out
    assert "their home" not in told
    assert "WHERE" in told
    shown = project.json("profile", "show", "servers")["profile"]
    assert shown["settings"] == {"home": "their home"}
    assert shown["environment"] == {"WHERE": "servers", "API_TOKEN": "***"}
    assert shown["parameters"] == {"nightly": {"place": "${PLACE:-a server}", "times": 3}}
    for name in ("servers", "far"):
        text = (
            project.run("profile", "show", name, WHERE="mine").out + project.run("profile", "show", name, "--json").out
        )
        assert not {word for word in ("hunter2", "sesame", ":open@") if word in text}
    assert "the environment has its own" in project.run("profile", "show", "servers", WHERE="mine").out
    (project.folder / "pyproject.toml").write_text("[tool.penstock]\n")
    assert "has no profiles" in project.run("profile", "list").out


@pytest.mark.parametrize(
    ("arguments", "told", "hint"),
    [
        (("runs", "list", "--profile", "nere"), "There is no profile 'nere' in ", "did you mean near?"),
        (("profile", "show", "nere"), "There is no profile 'nere' in ", "did you mean near?"),
        (("runs", "list", "--profile"), "--profile names no profile.", "penstock profile list shows them"),
        (("--profile", "--json", "runs", "list"), "--profile names no profile.", "penstock profile list shows them"),
    ],
)
def test_mistakes(project: Cli, arguments: tuple[str, ...], told: str, hint: str) -> None:
    answer = project.run(*arguments, code=2)
    assert told in answer.err
    assert hint in answer.err
    assert "Traceback" not in answer.err


def test_what_stands_behind_two_dashes_is_left_alone(project: Cli) -> None:
    told = project.run("runs", "show", "--", "--profile", code=2).err
    assert "There is no run '--profile'" in told
