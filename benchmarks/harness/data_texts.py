"""What the page says of the topics of data, besides numbers."""

TITLES = {
    "csv-lake": "CSV to Delta",
    "csv-duckdb": "CSV to DuckDB",
    "retail-lake": "Online Retail to Delta",
    "retail-duckdb": "Online Retail to DuckDB",
    "api-lake": "A paginated API to Delta",
    "api-duckdb": "A paginated API to DuckDB",
    "postgres-lake": "PostgreSQL to Delta, full load",
    "cdc": "Changes of PostgreSQL: a backlog",
    "cdc-lag": "Changes of PostgreSQL: the lag at 5,000 a second",
    "kafka-lake": "Kafka to Delta",
    "timeseries": "Points into a time series database",
    "history": "Commits into one table, the longer its history is",
    "linear": "From ten thousand rows to ten million",
}

LOADED = ("csv-lake", "csv-duckdb", "retail-lake", "retail-duckdb", "api-lake", "api-duckdb", "postgres-lake", "linear")
THINGS = {
    **dict.fromkeys(LOADED, "rows"),
    "cdc": "changes",
    "cdc-lag": "changes",
    "kafka-lake": "messages",
    "timeseries": "points",
    "history": "commits",
}

METHODS = {
    "csv-lake": """\
Orders made by a formula (nine columns: numbers, decimals, texts with commas and quotes, nulls, moments, truth values),
from a CSV file into a table that is not there yet. The time is that inside the process, without imports; that of the
whole process is told beside it. Memory is the largest peak of any process of the tool. After each run an environment of
its own counts what is in the table (rows, sums of three columns, nulls): a wrong result is a failure.
""",
    "csv-duckdb": """\
As above, into a table of a DuckDB file.
""",
    "retail-lake": """\
As above, with real data: Online Retail of the UCI repository, 541,909 rows in a gzip file. Most invoices are numbers
and some are not. Python's own csv module says what is right.
""",
    "retail-duckdb": """\
As above, into a table of a DuckDB file.
""",
    "api-lake": """\
The same orders as JSON, a thousand on a page, from a server on the same machine that has its pages ready. Nothing is
compressed, and connections are kept. Bare Python fetches the pages and does nothing with them.
""",
    "api-duckdb": """\
As above, into a table of a DuckDB file.
""",
    "postgres-lake": """\
The same orders in a table of PostgreSQL with a primary key, into a Delta table that is not there yet.
""",
    "cdc": """\
The tool makes its slot and is ended. Then changes are made, in transactions of 1,000 (600 inserts, 300 updates, 100
deletes), and the tool is started again. The rate is that between the first time and the last time that it has something
in its hands, which leaves out its start; the whole time has it. What it does with the changes is not the same, and told
in the table. Tables that the changes were carried out on are compared with the one that they are from, and changes that
are only counted have to be as many.
""",
    "cdc-lag": """\
Transactions of 50 changes are committed evenly while the tool reads. The lag is from asking for the commit to when the
change has landed, for a tool that only counts to when it has counted it; all changes are weighed alike. The tool is
not warmed up before.
""",
    "kafka-lake": """\
The same orders as JSON messages in a topic of four partitions, read from beginning to end. The bare consumer takes
the messages from its client one by one, counts them and forgets them.
""",
    "timeseries": """\
Points of 100 series with two fields, from a CSV file into VictoriaMetrics, which takes writes as InfluxDB 2 does. All
samples are read back and added up.
""",
    "history": """\
One commit of ten rows after another into the same table. Told are the first commit, the mean of the first hundred, and
of the hundreds that end with the thousandth and the ten thousandth (with the upkeep that commits do by themselves), the
medians of the same, and how long it takes to open the pipe then. The process is the same all the time.
""",
    "linear": """\
CSV files of growing size, as above, into an empty table.
""",
}
