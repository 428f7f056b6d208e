"""What is on every machine: Python's `re` in a loop, `wc`, `grep` and `tail`; and GoAccess, where it is installed."""

import json
import os
import re
import subprocess
import sys
from collections import Counter

from common import number
from log_answer import FIRST, NO_DATE, PATTERN, save
from meter import Arrivals, Watch, inside, source

WC = ("wc", "-l")
GREP = ("grep", "-a", "-c", '" 404 ')
GOACCESS = ("--log-format=COMBINED", "--hour-spec=min", "--date-spec=min", "--no-global-config", "--no-progress")
READ = 1 << 20


def loop() -> None:
    match = re.compile(PATTERN.replace(r"\[", rf"\[(?!{NO_DATE})", 1).encode()).match
    groups: Counter[tuple[bytes, bytes]] = Counter()
    sizes: Counter[tuple[bytes, bytes]] = Counter()
    paths: Counter[bytes] = Counter()
    watch = Watch()
    with open(source(), "rb") as lines:
        for line in lines:
            found = match(line)
            if found and line.endswith(b'"\n'):
                minute, path, status, size = found.groups()
                key = (minute, status)
                groups[key] += 1
                if size != b"-":
                    sizes[key] += int(size)
                paths[path] += 1
    watch.tell()
    first = [(path.decode(), n) for path, n in paths.most_common(2 * FIRST)]
    save(((minute.decode(), status, n, sizes[minute, status]) for (minute, status), n in groups.items()), first)


def lines_of(command: tuple[str, ...], what: str) -> None:
    """A program that answers with one number."""
    watch = Watch()
    answer = subprocess.run([*command, source()], check=False, capture_output=True, text=True)
    if not answer.stdout:
        sys.exit(f"error: {answer.stderr}")
    watch.tell(counted={what: int(answer.stdout.split()[0])})


def goaccess() -> None:
    """It takes a date that the month does not have and a line that is cut, and has no table of minutes and statuses."""
    path = inside("report.json")
    watch = Watch()
    subprocess.run(["goaccess", source(), *GOACCESS, "-o", path], check=True, stdin=subprocess.DEVNULL)
    with open(path, encoding="utf-8") as file:
        told = json.load(file)
    by_status: Counter[str] = Counter()
    for group in told["status_codes"]["data"]:
        for one in group.get("items", [group]):
            by_status[one["data"].split()[0]] += one["hits"]["count"]
    statuses = {f"lenient_{status}": count for status, count in by_status.items()}
    counted = {"lenient": told["general"]["valid_requests"], **statuses}
    watch.tell(counted=counted, how="counts by minute and by status, not by both; 31 February is a day")


def tail() -> None:
    """Count what `tail -F` says, as it says it."""
    wanted, arrivals, watch = number(2), Arrivals(), Watch()
    command = ["tail", "-n", "+1", "-F", source()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        with open(inside("ready"), "w", encoding="ascii"):
            pass
        while arrivals.count < wanted:
            some = os.read(process.stdout.fileno(), READ)
            if not some:
                sys.exit("error: tail has ended")
            arrivals.add(some.count(b"\n"))
        process.terminate()
    arrivals.save()
    watch.tell(counted=arrivals.count, how="counts the lines, and looks at none")


def main() -> None:
    if sys.argv[1] == "follow":
        tail()
        return
    what = os.environ["BENCH_WITH"]
    if what == "re":
        loop()
    elif what == "goaccess":
        goaccess()
    else:
        lines_of(*{"wc": (WC, "lines"), "grep": (GREP, "not_found")}[what])


if __name__ == "__main__":
    main()
