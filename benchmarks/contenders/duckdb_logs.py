"""DuckDB: the lines as a table of one column, a regular expression, and both groupings of what it finds."""

import duckdb
from log_answer import FIRST, NAMES, NO_DATE, PATTERN, save
from meter import Watch, inside, source

LINES = """
    read_csv(?, columns = {'line': 'VARCHAR'}, header = false, delim = '\x1e', quote = '', escape = '',
             auto_detect = false, ignore_errors = true, max_line_size = 10000000)
"""


def query() -> str:
    names = ", ".join(f"'{name}'" for name in NAMES)
    pattern = PATTERN.replace("'", "''")
    return f"""
        WITH fields AS (
            SELECT regexp_extract(line, '{pattern}', [{names}]) AS f FROM {LINES} WHERE line LIKE '%"'
        ), requests AS (
            SELECT f.minute AS minute, f.path AS path, f.status AS status, TRY_CAST(f.bytes AS bigint) AS sent
            FROM fields WHERE f.status <> '' AND NOT starts_with(f.minute, '{NO_DATE}')
        )
        SELECT minute, status, path, count(*) AS n, coalesce(sum(sent), 0) AS sent
        FROM requests GROUP BY GROUPING SETS ((minute, status), (path))
    """


def main() -> None:
    watch = Watch()
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"SET temp_directory = '{inside('spill')}'")
        rows = connection.execute(query(), [source()]).fetchall()
    paths = sorted(((row[2], row[3]) for row in rows if row[0] is None), key=lambda pair: -pair[1])[: 2 * FIRST]
    groups = [(minute, status, n, sent) for minute, status, _, n, sent in rows if minute is not None]
    watch.tell()
    save(groups, paths)


if __name__ == "__main__":
    main()
