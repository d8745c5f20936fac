"""The document and the terminal state what was counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent_canary import FailureRate
from validation import terminal, wording
from validation.arm import Arm, Failing
from validation.cell import Cell, Goal
from validation.report import PLOTS, markdown, summary, unexplained
from validation.result import Result, Results
from validation.tables import above_alpha
from validation.tally import Caught, Tally
from validation.users import Users

CAUGHT = Caught((60.0, 1200.0, 1800.0), (100.0, 683.0, 2079.0), (90.0, 587.0, 1500.0), 9.87, 9.5)
ARM = Arm(failing=Failing(0.01))
HARMLESS = Cell("like stable", Users(100), ARM, guardrails=(FailureRate(),))
HARMFUL = Cell(
    "1 to 5 %",
    Users(100),
    ARM,
    Arm(failing=Failing(0.05)),
    harmless=False,
    alphas=(0.01,),
    goals=(Goal("caught", 0.92), Goal("failed answers", 9.0)),
)
AGAIN = replace(HARMLESS, name="once more", alphas=(0.2,), again=True)
CELLS = {"failures": (HARMLESS, HARMFUL, AGAIN), "latency": ()}
TITLES = {"failures": "Failing answers", "latency": "Latency"}


def seen(rolled_back: int, completed: int, runs: int = 400, caught: Caught | None = CAUGHT) -> Tally:
    """Return a tally."""
    return Tally(runs, rolled_back, completed, 40.25, 30.0, {"failures": rolled_back}, caught if rolled_back else None)


def result(cell: Cell, library: dict[float, Tally], **more: object) -> Result:
    """Return a result."""
    plain = Result(cell.name, "abc", 400, "1.2.3", "CPython 3.11.7", "2026-01-02", 720.0, library)
    return replace(plain, **more)


LIKE_STABLE = result(HARMLESS, {0.05: seen(11, 389), 0.01: seen(2, 398)}, original=seen(130, 0), fixed=seen(400, 0))
WORSE = result(HARMFUL, {0.01: seen(376, 24)}, original=seen(25, 276), fixed=seen(400, 0))
ONCE_MORE = result(AGAIN, {0.2: seen(6, 20, runs=26)})
RESULTS = {"failures": {each.cell: each for each in (LIKE_STABLE, WORSE, ONCE_MORE)}, "latency": {}}


def document(**cells: Cell) -> str:
    """Return the document, with other cells in their places."""
    chosen = [
        cells.get(name, cell) for name, cell in zip(("harmless", "harmful", "again"), CELLS["failures"], strict=True)
    ]
    return markdown(RESULTS, {"failures": chosen, "latency": ()}, TITLES)


def test_the_document_says_when_and_with_what_it_came_about() -> None:
    """Version, date, Python, how many rollouts and how long they took."""
    text = document()
    assert "for agent_canary 1.2.3 on 2026-01-02 (CPython 3.11.7): 1,200 rollouts in 3 settings, 0.6 hours" in text


def test_a_harmless_setting_has_its_false_rollbacks_with_their_errors() -> None:
    """At both alphas, how many completed, and beside it what the rules did."""
    line = "| like stable | 400 | 2.8 % ± 0.82 | 0.5 % ± 0.35 | 99.5 % | 32 % ± 2.3 | 100 % (above 99.0 %) |"
    assert line in document()


def test_a_worse_setting_has_power_delay_and_harm() -> None:
    """Answers, users and minutes until the rollback, failed answers, and the rules' share and harm."""
    line = (
        "| 1 to 5 % | 400 | 94 % ± 1.2 | 683 (100 to 2,079) | 587 (90 to 1,500) | 20 | 9.9 (9.5) "
        "| 6.2 %, 69 %, 40 | 100 %, 0 %, 40 |"
    )
    assert line in document()


def test_promises_are_met_or_missed() -> None:
    """A line for each."""
    text = document()
    assert "| 1 to 5 % | caught in at least 92 % | 94 % ± 1.2 | **met** | 400 |" in text
    assert "| 1 to 5 % | at most 9 failed canary answers, on average | 9.87 | **missed** | 400 |" in text
    assert "1 of 2 promises are met" in text


def test_restarted_runs_have_a_table_of_their_own() -> None:
    """Of 26 that were restarted 6 were rolled back again."""
    assert "| once more | 26 | 20 % | 23 % ± 8.3 |" in document()


def test_what_is_above_alpha_is_shown_and_explained() -> None:
    """In the table, in short, and with its note."""
    bad = replace(LIKE_STABLE, library={0.05: seen(40, 360), 0.01: seen(12, 388)})
    cell = replace(HARMLESS, note="It rains.")
    text = markdown({"failures": {bad.cell: bad}}, {"failures": (cell,)}, TITLES)
    assert above_alpha(cell, bad) == (0.05, 0.01)
    assert "| like stable **(above alpha)** [note] | 400 |" in text
    assert "0 of 1 harmless settings are within alpha" in text
    assert "above it are: *like stable*" in text
    assert "- *like stable*: It rains." in text


def test_what_is_above_alpha_without_a_word_is_found() -> None:
    """And so is a promise that is not kept."""
    bad = replace(LIKE_STABLE, library={0.05: seen(40, 360), 0.01: seen(2, 398)})
    assert unexplained([(HARMLESS, bad)]) == ["above alpha: like stable"]
    assert unexplained([(replace(HARMLESS, note="It rains."), bad), (HARMLESS, LIKE_STABLE)]) == []
    assert unexplained([(HARMFUL, WORSE)]) == [
        "promise not kept: 1 to 5 %: at most 9 failed canary answers, on average"
    ]


def test_all_harmless_rollouts_are_pooled() -> None:
    """At the default alpha; restarted ones are not among them."""
    text = summary([(HARMLESS, LIKE_STABLE), (HARMFUL, WORSE), (AGAIN, ONCE_MORE)])
    assert "2 of all 400 harmless rollouts were rolled back: 0.5 % ± 0.35." in text


def test_tables_have_as_many_cells_in_each_line() -> None:
    """No name breaks one."""
    text = document(harmless=replace(HARMLESS, note="why"))
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|") or not line).split("\n\n")
    assert sum(1 for table in tables if table.strip()) == 4
    for table in tables:
        assert len({line.count("|") for line in table.strip().splitlines()}) <= 1


def test_the_document_shows_every_plot() -> None:
    """By its path in the documents' folder."""
    text = document()
    assert all(f"](plots/{name})" in text for name in PLOTS)


def test_the_terminal_says_what_was_counted() -> None:
    """A harmless cell's errors, a worse one's delay, the rules, and promises."""
    assert "rolled back 2.8 % ± 0.82 at alpha 5 %, 0.5 % ± 0.35 at alpha 1 %; completed 99.5 %" in terminal.line(
        HARMLESS, LIKE_STABLE
    )
    told = terminal.line(HARMFUL, WORSE)
    assert (
        "caught 94 % ± 1.2, after 683 (100 to 2,079) canary answers, 587 users, 20 minutes; 9.9 answers failed" in told
    )
    assert "the original's rule: rolled back 6.2 %, to everybody 69 %, 40.2 answers failed" in told
    assert "MISSED: at most 9 failed canary answers, on average (9.87)" in told


@pytest.mark.parametrize(
    ("count", "runs", "text"),
    [(0, 400, "0 % (below 0.95 %)"), (1, 400, "0.25 % ± 0.25"), (400, 400, "100 % (above 99.0 %)"), (0, 0, "no runs")],
)
def test_a_share_has_an_error_even_where_nothing_was_counted(count: int, runs: int, text: str) -> None:
    """Then it is the end of its interval."""
    assert wording.rate(count, runs) == text


def test_results_are_kept_by_cell_in_the_cells_order(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A new result takes the place of an old one; what is no cell any more goes."""
    results = Results(tmp_path_factory.mktemp("results"))
    names = [HARMLESS.name, HARMFUL.name]
    results.write("failures", names, WORSE)
    results.write("failures", names, LIKE_STABLE)
    results.write("failures", names, replace(WORSE, runs=7))
    found = results.read("failures")
    assert list(found) == names
    assert found[HARMFUL.name] == replace(WORSE, runs=7)
    assert found[HARMLESS.name] == LIKE_STABLE
    results.write("failures", names[:1], LIKE_STABLE)
    assert list(results.read("failures")) == names[:1]
    assert results.read("latency") == {}
