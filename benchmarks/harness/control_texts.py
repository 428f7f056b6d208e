"""What the page says of the API, besides numbers."""

TITLES = {
    "api-start": "A server: until it is ready, and while nobody asks",
    "api-create": "Workflows made through the API",
    "api-trigger": "Runs asked for through the API",
    "api-read": "A run with 1,000 task runs, read through the API",
    "api-listing": "The listing of very many runs through the API",
    "api-hooks": "Webhooks taken in",
    "api-rate": "Webhooks that come at a fixed rate",
    "api-hook-start": "From a webhook to the first line of the run that it starts",
    "api-listeners": "Very many listeners to the events",
}

THINGS = {
    "api-create": "workflows",
    "api-trigger": "runs",
    "api-read": "readings",
    "api-listing": "runs",
    "api-hooks": "webhooks",
    "api-rate": "a second",
    "api-hook-start": "webhooks",
    "api-listeners": "listeners",
}

_LOAD = """\
Requests come from a process of its own over connections that stay open; another is sent on each as soon as the one
before is answered. A request that the server refuses because it is busy (503), or hangs up on, is sent again after 50
ms; its time goes on, and how often that was needed is told. The server and what asks it share the two cores. """

METHODS = {
    "api-start": """\
From the start of its processes, in a home whose tables are made, until it answers that it is ready, asked every five
milliseconds. Five seconds later the CPU time of all its processes is read for twenty seconds, and their resident
memory, added up: what several processes share counts for each of them.
""",
    "api-create": f"""\
{_LOAD}Sixteen connections, or as many as the tool bears, make workflows of two tasks, or what the tool has for
them, without a schedule, after 20 that are not counted. What is then in its database is counted: each that was answered
has to be there.
""",
    "api-trigger": """\
The same with runs of one workflow. Nothing executes them.
""",
    "api-read": """\
Four connections read a run with its 1,000 task runs, which have completed. A reading is as many requests as the tool
needs for it; every answer is looked at.
""",
    "api-listing": """\
The database is filled with runs (Penstock: as in the listing above; the others: see below), the server is started, and
one connection asks for pages of 50 runs, the newest first: the newest, by state, by workflow, pages behind many others,
of an hour, and by three of these together; of each kind 60, or as many of these as take twenty seconds, but at least
five. Every run on every page is looked at: whether it was asked for, and the order. Shown is p50 / p95 of each kind;
the worst of them counts.
""",
    "api-hooks": """\
Sixteen connections, or as many as the tool bears, tell of pushes to a repository, each of another one. Penstock takes
them in at a webhook: it checks the signature that GitHub makes, makes an event of the body, and answers when both are
stored. The others are told of events, as many at once as one request tells of here. The time ends when all are
answered, or when all are on record where that is later.
""",
    "api-rate": """\
The same for twenty seconds at a rate that the server has no say in. The time of each counts from when it was due, not
from when it could be sent: where the server stalls, all that waits is charged with it.
""",
    "api-hook-start": """\
The whole server, with its worker. Pushes come one after the other with random pauses between; an automation makes a
run of a workflow of each. Measured is from sending one to the first line of the first task. With few, p99 is the
longest.
""",
    "api-listeners": """\
One process opens so many connections to the stream of events, and then tells of twenty things, one every half second.
The lag is from sending one until each listener has it; it includes that this one process reads them all.
Prefect's server has at most a hundred requests under way, and a listener is one: it is compared with ninety.
""",
}
