"""The table on the terminal, and RESULTS.md."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

import benchmarks.__main__ as command
from benchmarks.environment import Environment
from benchmarks.ratios import Spread
from benchmarks.report import BUSY, markdown, number, summary, terminal
from benchmarks.rounds import Effort
from benchmarks.rows import MIB, Row, Rows, Skipped, duration

MET = Row("route", "a hash", Spread(0.9, 0.8, 1.1, 100), at_most=1.0, absolute="630 ns against 700 ns", reason="unused")
MISSED = Row("memory", "the peak", Spread.fixed(12.5), MIB, at_most=4.0, reason="tables fill up")
SCALE = Row("for scale: Unleash", "a hash", Spread(35.0, 34.0, 36.0, 100))
SKIPPED = Skipped("shadow", "it does not exist")
GROUPS: dict[str, Rows] = {"routing": [MET, SCALE], "memory": [MISSED, SKIPPED]}
ENVIRONMENT = Environment("2026-01-02", "CPython 3.11.7", "Linux x86_64", 2, 0.25, {"starlette": "1.0"})


@pytest.mark.parametrize(
    ("median", "at_most", "verdict"), [(0.9, 1.0, "met"), (1.0, 1.0, "met"), (1.0001, 1.0, "missed"), (9.0, None, "")]
)
def test_a_budget_is_met_up_to_and_with_it(median: float, at_most: float | None, verdict: str) -> None:
    """A hair above is missed; a row for scale has no verdict."""
    row = Row("", "", Spread.fixed(median), at_most=at_most)

    assert row.verdict == verdict
    assert row.is_missed is (verdict == "missed")


def test_the_terminal_shows_each_row_with_its_verdict() -> None:
    """A row has its numbers on one line and where they come from on the next."""
    lines = terminal("routing", [MET]).splitlines()

    assert lines[0].split() == ["routing", "measured", "at", "most", "10", "to", "90", "%"]
    assert lines[1].split() == ["route", "0.900", "×", "1", "×", "met", "0.800", "to", "1.100"]
    assert lines[2:] == ["      a hash: 630 ns against 700 ns"]


def test_the_terminal_says_why_a_budget_is_missed() -> None:
    """The reason stands below a missed row only."""
    assert "tables fill up" in terminal("memory", [MISSED])
    assert "unused" not in terminal("routing", [MET])


def test_the_terminal_says_what_was_not_measured() -> None:
    """A skipped row has its reason."""
    assert "not measured: it does not exist" in terminal("memory", [SKIPPED])


def test_the_summary_counts_budgets_and_not_rows_for_scale() -> None:
    """One of two is met."""
    assert summary(GROUPS) == "1 of 2 budgets met, 1 missed; 1 rows not measured"


def test_the_results_have_every_row_once() -> None:
    """Budgets, rows for scale, and what was not measured, each in its section."""
    text = markdown(GROUPS, ENVIRONMENT, "full")

    assert "| route | a hash | 0.900 × | 1 × | **met** | 0.800 to 1.100 | 630 ns against 700 ns |" in text
    assert "| memory | the peak | 12.5 MiB | 4 MiB | **missed** |  |  |" in text
    assert "- memory: tables fill up" in text
    assert "| Unleash | a hash | 35.0 × | 34.0 to 36.0 |  |" in text
    assert "- shadow: it does not exist" in text


def test_the_results_say_when_and_with_what_they_came_about() -> None:
    """Date, Python, processors, load, releases and the effort."""
    text = markdown(GROUPS, ENVIRONMENT, "quick")

    assert "a quick run" in text
    assert "2026-01-02, CPython 3.11.7, Linux x86_64, 2 processors, load before the run 0.2" in text
    assert "starlette 1.0." in text


@pytest.mark.parametrize(("load", "warns"), [(None, False), (1.0, False), (1.1, True)])
def test_results_of_a_busy_machine_say_so(load: float | None, warns: bool) -> None:
    """More than one wanted one of two processors: wall-clock rows are not to be trusted."""
    text = markdown(GROUPS, replace(ENVIRONMENT, load=load), "full")

    assert (BUSY in text) is warns


def test_tables_of_the_results_have_as_many_cells_in_each_line() -> None:
    """No cell breaks a table, even with a vertical bar in a name."""
    groups: dict[str, Rows] = {"a": [Row("x | y", "z", Spread.fixed(1.0), at_most=1.0), MET]}
    table = [line for line in markdown(groups, ENVIRONMENT, "full").splitlines() if line.startswith("|")]

    assert len({line.replace("\\|", "").count("|") for line in table[:4]}) == 1


def test_results_without_a_miss_give_no_reasons() -> None:
    """Sections that would be empty are left out."""
    text = markdown({"routing": [MET]}, ENVIRONMENT, "full")

    assert "Why budgets are missed" not in text
    assert "Not measured" not in text


@pytest.mark.parametrize(
    ("value", "text"), [(1.0004, "1.000 ×"), (1.004, "1.004 ×"), (12.345, "12.3 ×"), (4321.0, "4,321.0 ×")]
)
def test_numbers_have_three_digits_below_ten(value: float, text: str) -> None:
    """Just above a budget of 1 does not look like 1.0."""
    assert number(value, "×") == text


@pytest.mark.parametrize(("seconds", "text"), [(6.3e-7, "630 ns"), (1.25e-5, "12.5 µs"), (0.05, "50.0 ms")])
def test_durations_have_the_unit_that_fits(seconds: float, text: str) -> None:
    """Nanoseconds, microseconds or milliseconds."""
    assert duration(seconds) == text


def test_the_environment_names_this_python() -> None:
    """The version is the one that runs, and our own distribution is among the packages."""
    here = Environment.here()

    assert ".".join(map(str, sys.version_info[:3])) in here.python
    assert here.processors >= 1
    assert "agent-canary-rollout" in here.packages


@pytest.fixture
def _measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def measured(name: str, _effort: Effort) -> Rows:
        if name == "shadow":
            raise RuntimeError("broken")
        return [MET]

    monkeypatch.setattr(command, "run_apart", measured)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "RESULTS.md")


@pytest.mark.usefixtures("_measured")
def test_results_are_written_only_when_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without --write changes nothing."""
    monkeypatch.setattr(command, "GROUPS", ("routing",))

    assert command.main([]) == 0
    assert not command.RESULTS.exists()

    assert command.main(["--write"]) == 0
    assert "| route |" in command.RESULTS.read_text(encoding="utf-8")


@pytest.mark.usefixtures("_measured")
def test_a_group_that_fails_is_an_error_and_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """The other groups are still measured and shown."""
    assert command.main(["--write"]) == 1

    printed = capsys.readouterr()
    assert "failed: shadow" in printed.err
    assert "memory" in printed.out
    assert not command.RESULTS.exists()


@pytest.mark.usefixtures("_measured")
def test_part_of_the_groups_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    """RESULTS.md is one whole run."""
    with pytest.raises(SystemExit):
        command.main(["--write", "--only", "routing"])

    assert "cannot go with --only" in capsys.readouterr().err


@pytest.mark.usefixtures("_measured")
def test_groups_can_be_measured_by_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    """--only names them."""
    assert command.main(["--only", "routing"]) == 0

    assert "memory" not in capsys.readouterr().out
