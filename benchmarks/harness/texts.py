"""What the page says besides numbers."""

from harness import control_texts, data_texts, trust_texts

HEADER = """# Benchmarks

This page is written by `make bench` (`python benchmarks/run.py`); nothing on it is written by hand. Each
tool runs in an environment of its own, in interleaved rounds: in every round each contender is measured
once, so that a slow minute of the machine is shared by all. Numbers are medians over the rounds, with
the smallest and the largest in brackets; nothing is subtracted. Ratios are to Penstock in the same run:
above 1x the other takes longer.
"""

TITLES = {
    "import": "Import",
    "hello": "Hello: a fresh process that runs a durable flow of one task",
    "sequential": "Sequential tasks that do nothing",
    "mapped": "Mapped tasks of 10 ms, 50 at once",
    "postgres": "The journal in PostgreSQL",
    "kill": "Steps repeated after a kill",
    "trigger": "From a trigger to the first line of the task",
    "drain": "Queued runs drained",
    "schedules": "Schedules that come due",
    "soak": "Memory over many runs",
    "listing": "The listing of very many runs",
    "dask": "Mapped tasks of 1 ms on a Dask cluster",
    "dask-frames": "Frames of 100 MB on a Dask cluster",
    "on-prefect": "The same flow on a Prefect server",
    "on-airflow": "The same flow in Airflow",
}

THINGS = {
    "dask-frames": "frames",
    "trigger": "triggers",
    "drain": "runs",
    "schedules": "schedules",
    "soak": "runs",
    "listing": "runs",
}
THINGS |= data_texts.THINGS | trust_texts.THINGS | control_texts.THINGS

METHODS = {
    "import": """\
Wall time of `python -c "import X"`, three times a round, with compiled bytecode and after one run that
is not counted.
""",
    "hello": """\
Wall time from the start of the process to its exit, in a home where the tool's tables are already made.
*Preparing* is what making that home took, once. *On record* asks the tool's own store after the exit.
""",
    "sequential": """\
Time between the first and the last task body, divided by the tasks between them, measured inside the
process: the *mean*. The *median* is that of the times between one body and the next. A *bare commit* is one
small row committed to SQLite in WAL mode by bare Python: without fsync, or with it for the contenders that
fsync each commit. Memory is the peak resident memory of that process alone (a server beside it is not
counted). *On record* are the task runs that the tool's own store holds as completed, of those that were
executed: when the process has ended, and in the end, when no more have come for ten seconds.
""",
    "mapped": """\
Time from the call that maps the tasks to the last result, inside the process. *On record* is as above.
""",
    "on-airflow": """\
An Airflow of its own for each sample: API server, scheduler with the LocalExecutor, DAG processor, SQLite, four tasks
at once. Half of the tasks come one after the other, each with what the one before gave; the others begin together.
Penstock's flow has one more, the verdict. The time is from the request to the end that Airflow has on record, after a
run of two tasks. *CPU* is that of all of its processes. *Parsed* is the time that Airflow's Python takes for a DAG file
of 100 tasks, when what it imports is there already.
""",
    "on-prefect": """\
A Prefect server of its own for each sample, and a flow whose tasks add one to a number: half of them one after the
other, the others submitted at once. Both flows are the same text but for their import. The time is that of the whole
flow, inside a process that has run it with two tasks before.
""",
    "dask": """\
A scheduler and two workers of one thread, processes on this machine, that have imported what they need. The time is
from the call that maps the tasks to the last result, in the flow's process or in that of Dask's client; for a flow the
connection to the cluster is part of it. Dask alone keeps no record.
""",
    "dask-frames": """\
The same cluster. Each frame is made by one task, changed by a second and summed up by a third, on the cluster; the sums
come back.
""",
    "postgres": """\
As above, with the records in PostgreSQL: tasks called one after the other, and tasks submitted all at
once (the total time divided by the tasks). A *bare commit* is one autocommitted INSERT through psycopg.
""",
    "kill": """\
A flow of ten steps is ended by SIGKILL in its fifth step, after the step's side effect, and continued
the way the tool continues. Each step leaves a line in a file; counted is what ran twice. One is the
least there can be: the step in flight.
""",
    "trigger": """\
A scheduler and a worker (or what the tool has for them) are up, and have executed two runs that are not counted. Then
runs are asked for through the tool's own interface, one after the other with random pauses between; measured is from
the call until the first line of the task, which tells its moment through a pipe. With few triggers p99 is the longest.
""",
    "drain": """\
Runs of a flow that does nothing are queued while nobody takes them; then the worker is started. Measured is from the
first line of the first run until the last one is on record as completed. The CPU time is that of all processes of the
tool, those that have ended included, and of the PostgreSQL server where there is one. Every run tells its number, so
that those executed twice or not at all are counted.
""",
    "schedules": """\
Deployments with one schedule each, on one scheduler whose runs nobody executes. First none is due, and the CPU time of
all processes is read (*idle*, as a share of one core). Then they come due one after the other within a minute, and
then all of them in one instant. The *lag* is from the due instant until another process sees the run in the database.
""",
    "soak": """\
A worker and a scheduler execute runs in batches of 50; between them, while none is under way, the resident memory of
all their processes is read. The slope is that of a straight line through all points but the first fifth, with its
confidence interval of 95 %: where it includes zero, no growth can be told from the noise.
""",
    "listing": """\
A journal is filled with runs that look like those of a company (20 flows, 50 deployments, tags, parameters, failures
with messages, one in ten with a subflow run), and opened anew. Then pages of 50 runs are asked for, 60 of each kind,
each for something else, common and rare: the newest runs, by state, flow, tag, parameter, words or an hour of time, by
several of these together, and the page after another one. Shown is p50 / p95 of each kind; the worst of them counts.
""",
}
TITLES |= data_texts.TITLES | trust_texts.TITLES | control_texts.TITLES
METHODS |= data_texts.METHODS | trust_texts.METHODS | control_texts.METHODS
