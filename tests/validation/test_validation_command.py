"""The command measures, keeps results, goes on where it was broken off, and writes the document."""

from __future__ import annotations

from pathlib import Path

import pytest

from validation import __main__ as command
from validation.groups import GROUPS
from validation.result import Results

BROKEN = "always fails, 1 % of 20,000 users, 50 a second"
TINY = ["--only", "fast_kill", "--cell", BROKEN, "--runs", "2", "--processes", "1"]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return results in an empty folder."""
    return Results(tmp_path / "results")


def test_a_few_runs_from_end_to_end(results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A canary that always fails is caught in each run, by a process of its own; nothing is kept."""
    assert command.main(TINY, results, tmp_path) == 0
    printed = capsys.readouterr().out
    assert "1 settings, 2 rollouts, 1 processes" in printed
    assert "caught 100 %" in printed
    assert results.read("fast_kill") == {}
    assert not list(tmp_path.iterdir())


def test_a_long_run_is_kept_and_written_and_not_done_twice(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second time, what is missing is nothing."""
    assert command.main([*TINY, "--full", "--write"], results, tmp_path) == 0
    kept = results.read("fast_kill")
    assert kept[BROKEN].runs == 2
    assert f"| {BROKEN} |" in (tmp_path / "error-rates.md").read_text(encoding="utf-8")
    assert (tmp_path / "plots" / "detection.svg").read_text(encoding="utf-8").startswith("<?xml")

    capsys.readouterr()
    assert command.main([*TINY, "--full", "--write", "--missing"], results, tmp_path) == 0
    assert "0 settings, 0 rollouts" in capsys.readouterr().out
    assert results.read("fast_kill") == kept


def test_the_document_can_be_written_anew_from_what_was_kept(results: Results, tmp_path: Path) -> None:
    """Byte for byte, the plots too."""
    command.main([*TINY, "--full", "--write"], results, tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert command.main(["--render"], results, tmp_path) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == written


def test_results_of_the_quick_run_are_not_kept(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    """--write wants --full."""
    with pytest.raises(SystemExit):
        command.main(["--write"], results)
    assert "say --full too" in capsys.readouterr().err


def test_what_is_measured_can_be_chosen(results: Results) -> None:
    """By group and by a part of the name; the quick run leaves most out."""

    def names(*arguments: str) -> list[str]:
        return [task.cell.name for task in command._tasks(command._parser().parse_args(arguments), results)]

    assert len(names("--full")) > 100
    assert 15 < len(names()) < 40
    assert names("--only", "goals", "--cell", "judge") == ["judge - 0.05 with a standard deviation of 0.2"]
    assert names("--full", "--only", "sample_ratio") == [cell.name for cell in command.cells_of("sample_ratio")]
    assert set(GROUPS) == {"amounts", "failures", "fast_kill", "goals", "latency", "sample_ratio", "scores", "together"}


def test_a_long_run_has_more_runs_where_errors_are_measured(results: Results) -> None:
    """400 of harmless cells, 200 of others, four times as many of restarted ones; --runs says otherwise."""

    def runs(cell: str, *arguments: str) -> int:
        options = command._parser().parse_args(["--full", "--only", "failures", "--cell", cell, *arguments])
        (task,) = command._tasks(options, results)
        return task.runs

    assert runs("0.1 % fail, 2,000 users") == 400
    assert runs("1 to 5 %, 20,000 users") == 200
    assert runs("restarted with the new salt after a false alarm") == 1600
    assert runs("1 to 5 %, 20,000 users", "--runs", "7") == 7
