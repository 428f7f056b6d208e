"""Dagster: the daemon with its run queue; runs are submitted as `dagster job launch` submits them."""

import luck
from dagster import DagsterInstance, Definitions, In, Nothing, in_process_executor, job, op
from luck import Tool
from plant import Plant, command


@op
def one() -> None:
    luck.one()


@op(ins={"after": In(Nothing)})
def two() -> None:
    luck.two()


@op
def program() -> None:
    luck.program()


@job(name="job_kill", executor_def=in_process_executor)
def kill() -> None:
    two(one())


@job(name="job_quick", executor_def=in_process_executor)
def quick() -> None:
    one()


@job(name="job_program", executor_def=in_process_executor)
def of_program() -> None:
    program()


defs = Definitions(jobs=[kill, quick, of_program])


def main() -> None:
    from dagster._cli import job as cli
    from dagster._cli.workspace.cli_target import WorkspaceOpts, get_workspace_from_cli_opts
    from dagster.version import __version__

    with Plant() as running, DagsterInstance.get() as instance:
        target = WorkspaceOpts(python_file=(__file__,))
        with get_workspace_from_cli_opts(instance, version=__version__, workspace_opts=target) as workspace:
            location = cli.get_code_location_from_workspace(workspace, None)
            repository = cli.get_remote_repository_from_code_location(location, None)

            def ask(name: str, key: str) -> str:
                run = cli._create_run(
                    instance=instance,
                    code_location=location,
                    remote_repo=repository,
                    remote_job=cli.get_remote_job_from_remote_repo(repository, f"job_{name}"),
                    run_config={},
                    tags={},
                    op_selection=None,
                    run_id="00000000-0000-4000-8000-000000000001" if key == "same" else None,
                )
                return str(instance.submit_run(run.run_id, workspace).run_id)

            luck.put(
                Tool(
                    running,
                    lambda: running.start(command("dagster-daemon"), "run", "-f", __file__),
                    ask,
                    lambda: [run.status.value for run in instance.get_runs()],
                    lambda: instance.run_launcher.terminate(instance.get_runs()[0].run_id),
                )
            )


if __name__ == "__main__":
    main()
