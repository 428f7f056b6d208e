"""The table of dialects in docs/schedules.md, made of cron_dialects.toml; run as a program, it writes it there."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "schedules.md"
_BEGIN, _END = "<!-- table: dialects -->", "<!-- end: dialects -->"


def differences() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((HERE / "cron_dialects.toml").read_text(encoding="utf-8"))["difference"]
    return found


def with_table(page: str) -> str:
    """The page with its table made anew."""
    rows = [("", "others", "Penstock"), ("---",) * 3]
    rows += [(each["what"], each["others"], each["penstock"]) for each in differences()]
    table = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{table}\n\n{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
