"""`penstock quality profile`, `suggest` and `drift`: what is in data, rules for it, and how it changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.bars import show_of
from penstock.cli.console import answer_in_json, clean, console, counted, glyph, say, write_json
from penstock.cli.help import JSON, QUIET, Command, examples
from penstock.cli.quality_data import data_of
from penstock.cli.quality_profiles_view import write_drift, write_profile
from penstock.cli.quality_view import save
from penstock.core.errors import ConfigurationError
from penstock.quality.profiles import Limits, Profile, drift, suggest
from penstock.quality.profiles.drift import opened

_FILE = typer.Argument(metavar="FILE", help="A file, a pattern, an address, a dataset, or a saved profile (.json).")


def add(app: typer.Typer) -> None:
    """Add these commands to the group."""
    app.command(
        "profile",
        cls=Command,
        epilog=examples(
            "penstock quality profile orders.parquet  # what is in it",
            "penstock quality profile orders.csv --html profile.html  # a page to send around",
            "penstock quality profile 'orders/*.parquet' --out monday.json  # to compare and to merge later",
            "penstock quality profile monday.json tuesday.json  # of both together",
        ),
    )(profile)
    app.command(
        "suggest",
        cls=Command,
        epilog=examples(
            "penstock quality suggest orders.parquet  # rules for it, with reasons",
            "penstock quality suggest orders.csv --out rules.yaml  # for `penstock quality check`",
            "penstock quality suggest monday.json --json  # from a saved profile, for programs",
        ),
    )(suggested)
    app.command(
        "drift",
        cls=Command,
        epilog=examples(
            "penstock quality drift monday.parquet tuesday.parquet  # exit code 1 where a column drifted",
            "penstock quality drift monday.json tuesday.parquet --json  # against a saved profile",
            "penstock quality drift a.csv b.csv --limit psi=0.1 --limit null_share=0.01  # what is too much",
        ),
    )(drifted)


def profile(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help=f"{_FILE.help} Several are taken together.")],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as a page, too.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Save it as JSON, to compare and merge.")] = None,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Look at data in one pass, however large it is: types, nulls, different values, distributions, shapes of text.

    Figures with ≈ are estimates. Several files, or saved profiles of parts, give the profile of all of them.
    """
    if json:
        answer_in_json()
    if out is not None and out.suffix != ".json":
        raise ConfigurationError(f"{out} is no name for a saved profile.", hint="profiles are saved as .json")
    found = _opened(files[0], quiet or json)
    for file in files[1:]:
        found = found.merge(_opened(file, quiet or json))
    if html is not None:
        save(html, found.to_html())
    if out is not None:
        save(out, found.to_json())
    if json:
        write_json(plain(found.as_dict()))
    else:
        write_profile(found, quiet, [each for each in (html, out) if each is not None])


def suggested(
    file: Annotated[str, _FILE],
    out: Annotated[Path | None, typer.Option(metavar="RULES", help="Write the rules to a .yaml file.")] = None,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Suggest rules for data, each with its reason. The data follows all of them.

    Rules that nearly all rows follow say `mostly`, and warn: rows that do not follow them are worth a look.
    """
    if json:
        answer_in_json()
    if out is not None and out.suffix not in (".yaml", ".yml"):
        raise ConfigurationError(f"{out} is no name for these rules.", hint="they are written as .yaml")
    found = suggest(_opened(file, quiet or json) if _is_saved(file) else _named(file))
    if out is not None:
        save(out, found.to_yaml())
    if json:
        write_json(plain([{"rule": each.rule.as_config(), "reason": each.reason} for each in found.suggestions]))
    elif out is None:
        console().file.write(found.to_yaml())
    elif not quiet:
        say(f"{glyph('Completed')} {counted(len(found.rules), 'rule')} written to {clean(out)}")


def drifted(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=_FILE.help)],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The same, of later.")],
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="How much is too much: null_share, psi, ks, js, categories, outside."),
    ] = None,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Say how data changed between two files or saved profiles. The exit code is 1 where a column drifted."""
    if json:
        answer_in_json()
    limits = _limits(limit or [])
    report = drift(_opened(before, quiet or json), _opened(after, quiet or json), limits=limits)
    if json:
        write_json(plain(report.as_dict()))
    else:
        write_drift(report, quiet)
    return 1 if report.drifted else 0


def _opened(file: str, quiet: bool) -> Profile:
    show = show_of(clean(file), quiet=quiet)
    show.start()
    try:
        return opened(_named(file), lambda rows: show.tell([counted(rows, "row")], None))
    finally:
        show.stop()


def _named(file: str) -> Any:
    return file if _is_saved(file) else data_of(file)


def _is_saved(file: str) -> bool:
    return Path(file).suffix.lower() == ".json"


def _limits(given: list[str]) -> Limits:
    found: dict[str, float] = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise ConfigurationError(f"{text!r} is no limit.", hint="such as --limit psi=0.1") from None
        if name not in Limits.__struct_fields__:
            known = ", ".join(Limits.__struct_fields__)
            raise ConfigurationError(f"There is no limit {name!r}.", hint=f"there are: {known}")
    return Limits(**found)


def plain(value: Any) -> Any:
    """Values as JSON has them: moments and the like as text."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
