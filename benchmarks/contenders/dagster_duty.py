"""Dagster on duty: the daemon with its run queue; runs are submitted as `dagster job launch` submits them.

That command would start a process for each run, and load the code again: here one process does it for all. Dagster's
web server, which does so too, has no release that goes with this version of Dagster.
"""

import sys

import plant
from common import mark, number, report
from dagster import Config, DagsterInstance, DagsterRunStatus, RunsFilter, in_process_executor, job, op
from plant import Plant


class Key(Config):
    key: str


@op
def first(config: Key) -> None:
    mark(config.key)


@job(executor_def=in_process_executor)
def asked() -> None:
    first()


def main() -> None:
    from dagster._cli import job as command
    from dagster._cli.workspace.cli_target import WorkspaceOpts, get_workspace_from_cli_opts
    from dagster.version import __version__

    topic = sys.argv[1]
    with Plant() as running, DagsterInstance.get() as instance:
        target = WorkspaceOpts(python_file=(__file__,))
        with get_workspace_from_cli_opts(instance, version=__version__, workspace_opts=target) as workspace:
            if topic == "prepare":
                report()
                return
            location = command.get_code_location_from_workspace(workspace, None)
            repository = command.get_remote_repository_from_code_location(location, None)
            remote = command.get_remote_job_from_remote_repo(repository, "asked")

            def ask(key: str) -> None:
                run = command._create_run(
                    instance=instance,
                    code_location=location,
                    remote_repo=repository,
                    remote_job=remote,
                    run_config={"ops": {"first": {"config": {"key": key}}}},
                    tags={},
                    op_selection=None,
                    run_id=None,
                )
                instance.submit_run(run.run_id, workspace)

            def take() -> None:
                running.start(plant.command("dagster-daemon"), "run", "-f", __file__)

            if topic == "drain":
                done = RunsFilter(statuses=[DagsterRunStatus.SUCCESS])
                plant.drain(running, ask, number(2), take, lambda: instance.get_runs_count(done))
            elif topic == "trigger":
                take()
                plant.trigger(ask, number(2))


if __name__ == "__main__":
    main()
