"""What the page says of logs, rules and profiles, besides numbers."""

TITLES = {
    "logs": "A log: minutes by status, bytes and the first paths",
    "logs-large": "The same of a log five times as large",
    "follow": "A log that is written on: the lag at 50,000 lines a second",
    "validator": "Twelve rules over ten million rows",
    "profile": "What is in ten million rows",
}

THINGS = {"logs": "MB", "logs-large": "MB", "follow": "lines", "validator": "rows", "profile": "rows"}

METHODS = {
    "logs": """\
An access log in the combined format, made by `penstock logs generate` with a seed: a week of a shop, twenty
anomalies, and 200 lines that mean nothing among them. Asked are the requests and bytes of each status in each minute,
and the ten paths that were asked for most. An environment of its own reads the log with plain Python and compares
each answer whole: one request in a wrong minute, and the tool is out. Penstock does its full analysis: clients,
sessions, agents, referrers, robots, scanners and anomalies, too, and says of every line where it has gone. The others
do what is asked, with a regular expression that was tuned for them (plain ASCII classes, dates not looked at). `wc`
and `grep` are the limits: they count lines. The time is that inside the process, without imports; that of the whole
process is told beside it. The memory is the largest peak of a process, for Dask the sum of its processes; of the
programs it is at least that of the Python that starts them. The file is in the cache of the system.
""",
    "logs-large": """\
As above. It is measured once: what counts here is the memory, which does not differ from one time to the next, and
that a log which is five times as large takes five times as long.
""",
    "follow": """\
500 lines are written at the end of a log every 10 ms, for half a minute, while the tool follows it. The lag of a line
is from when it was written until the tool says that it is counted; all lines are weighed alike. Penstock does its
full analysis and keeps it in a journal, so that nothing is lost or counted twice when it is killed.
""",
    "validator": """\
Orders made by a formula (eight columns of numbers, texts and moments; Parquet), of which some break six of twelve
rules: nulls (2), unique, ranges (3), a set, a regular expression, lengths, one column against another, a mean, the
number of rows. Who reads the file into memory is timed with that. How many rows break each rule is counted by an
environment of its own, and every tool has to say the same. Two ways of counting values that come twice are taken: all
the rows, or those beyond the first. Penstock also looks for some of the failing rows, to show them.
""",
    "profile": """\
The same file. Smallest and largest values, nulls and rows are compared with exact ones where a tool tells them, and
the number of different values may be off by a tenth.
""",
}
