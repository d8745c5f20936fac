"""Totals: sums that merge by addition, subtract, and survive JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_canary.metrics import Histogram
from agent_canary.metrics.totals import LARGEST_SCORE, MAX_SCORE_NAMES, ScoreSums, Totals, checked_score

COUNTS = st.integers(0, 10**12)
MILLISECONDS = st.lists(st.integers(0, 10**6).map(float), max_size=20).map(Histogram)
HISTOGRAMS = ("latency", "first_token", "cost", "tokens")
WHOLE_NUMBERS = st.integers(-(10**6), 10**6).map(float)


@st.composite
def totals(draw: st.DrawFn) -> Totals:
    """Totals of whole numbers, whose sums are exact in any order."""
    drawn = Totals(
        succeeded=draw(COUNTS),
        failed=draw(COUNTS),
        cancelled=draw(COUNTS),
        timed_out=draw(COUNTS),
        latency=draw(MILLISECONDS),
        first_token=draw(MILLISECONDS),
        cost=draw(MILLISECONDS),
        tokens=draw(MILLISECONDS),
        input_tokens=draw(COUNTS),
        output_tokens=draw(COUNTS),
        cost_usd=float(draw(st.integers(0, 10**6))),
    )
    for name, values in draw(
        st.dictionaries(st.text(min_size=1), st.lists(WHOLE_NUMBERS, min_size=1, max_size=5), max_size=4)
    ).items():
        for value in values:
            drawn.add_score(name, value)
    return drawn


TOTALS = totals()
few = settings(max_examples=40, deadline=None)


def sum_of(*parts: Totals) -> Totals:
    """All parts merged into new totals."""
    total = Totals()
    for part in parts:
        total.merge(part)
    return total


def test_new_totals_are_empty() -> None:
    """No requests: success rate 1.0 and a p95 of 0.0, as in the original."""
    assert (Totals().total, Totals().success_rate, Totals().p95_ms) == (0, 1.0, 0.0)


def test_rates_are_of_what_succeeded_and_failed() -> None:
    """What was cancelled is neither, and a timeout is among the failures."""
    seen = Totals(succeeded=3, failed=1, cancelled=5, timed_out=1, latency=Histogram([100.0] * 3 + [1000.0]))
    assert seen.total == 4
    assert seen.success_rate == 0.75
    assert seen.p95_ms == pytest.approx(1000.0, rel=0.0055)


@few
@given(TOTALS, TOTALS)
def test_merging_adds_every_part(one: Totals, other: Totals) -> None:
    """Counts, histograms, scores by name, tokens and cost."""
    both = sum_of(one, other)
    for part in ("succeeded", "failed", "cancelled", "timed_out", "input_tokens", "output_tokens", "cost_usd"):
        assert getattr(both, part) == getattr(one, part) + getattr(other, part)
    for part in HISTOGRAMS:
        assert getattr(both, part).count == getattr(one, part).count + getattr(other, part).count
        assert getattr(both, part).sum == getattr(one, part).sum + getattr(other, part).sum
    for name in one.scores | other.scores:
        nothing = ScoreSums()
        mine, theirs = one.scores.get(name, nothing), other.scores.get(name, nothing)
        assert both.scores[name] == ScoreSums(
            mine.count + theirs.count, mine.total + theirs.total, mine.squares + theirs.squares
        )


@few
@given(TOTALS, TOTALS, TOTALS)
def test_workers_merge_in_any_order(one: Totals, two: Totals, three: Totals) -> None:
    """Addition: neither order nor grouping matters."""
    assert sum_of(one, two, three) == sum_of(three, sum_of(two, one))


@few
@given(TOTALS, TOTALS)
def test_subtracting_a_past_state_gives_what_has_come_since(past: Totals, news: Totals) -> None:
    """The difference to an earlier copy is what was merged in between."""
    now = sum_of(past, news)
    now.subtract(past)
    assert now == news


@few
@given(TOTALS, TOTALS)
def test_merging_and_subtracting_leave_the_other_as_it_was(one: Totals, other: Totals) -> None:
    """Nothing is shared with what was merged, scores included."""
    kept = other.copy()
    total = sum_of(one, other)
    for name in list(total.scores):
        total.add_score(name, 1.0)
    for part in HISTOGRAMS:
        getattr(total, part).record_many([1.0])
    assert other == kept
    total.subtract(other)
    assert other == kept


@pytest.mark.parametrize(
    ("earlier", "named"),
    [
        (Totals(succeeded=4), "succeeded"),
        (Totals(input_tokens=1), "input_tokens"),
        *[(Totals(**{part: Histogram([5.0])}), "histogram") for part in HISTOGRAMS],
        (Totals(scores={"judge": ScoreSums(2, 1.0, 1.0)}), "score 'judge'"),
        (Totals(scores={"other": ScoreSums(1, 1.0, 1.0)}), "score 'other'"),
    ],
    ids=["count", "input", *HISTOGRAMS, "score", "another score"],
)
def test_what_is_no_past_state_cannot_be_subtracted(earlier: Totals, named: str) -> None:
    """It is refused with the part's name, and nothing is changed."""
    now = Totals(succeeded=3, latency=Histogram([1.0]), scores={"judge": ScoreSums(1, 1.0, 1.0)})
    before = now.copy()
    with pytest.raises(ValueError, match=named):
        now.subtract(earlier)
    assert now == before


@few
@given(TOTALS)
def test_a_copy_is_independent(seen: Totals) -> None:
    """No histogram and no score of it is shared."""
    kept = Totals.from_json(seen.to_json())
    twin = seen.copy()
    assert twin == seen
    for part in HISTOGRAMS:
        getattr(twin, part).record_many([1.0])
    for sums in twin.scores.values():
        sums.add(1.0)
    twin.scores["new"] = ScoreSums()
    assert seen == kept


@few
@given(TOTALS)
def test_json_brings_everything_back(seen: Totals) -> None:
    """Through the text and back they are equal."""
    assert Totals.from_json(json.loads(json.dumps(seen.to_json()))) == seen


@given(st.lists(st.floats(-1e90, 1e90), min_size=1, max_size=20), st.floats(0, 1e300))
def test_json_keeps_floats_to_the_last_bit(values: list[float], cost: float) -> None:
    """Sums of scores and costs are not rounded."""
    seen = Totals(cost_usd=cost)
    for value in values:
        seen.add_score("rating", value)
    assert Totals.from_json(json.loads(json.dumps(seen.to_json(), allow_nan=False))) == seen


def test_scores_have_a_mean() -> None:
    """Number, sum and sum of squares; a mean of nothing is 0."""
    seen = Totals()
    for value in (1, 0, True, 0.5):
        seen.add_score("judge", value)
    assert seen.scores == {"judge": ScoreSums(4, 2.5, 2.25)}
    assert seen.scores["judge"].mean == 0.625
    assert ScoreSums().mean == 0.0


def test_names_of_scores_are_bounded() -> None:
    """Names made from data, such as a user's, cannot fill the memory; known names go on."""
    seen = Totals()
    for number in range(MAX_SCORE_NAMES):
        seen.add_score(f"score {number}", 1.0)
    with pytest.raises(ValueError, match="name must be one of at most 64 names of scores, got one more: 'another'"):
        seen.add_score("another", 1.0)
    seen.add_score("score 0", 1.0)
    assert len(seen.scores) == MAX_SCORE_NAMES
    assert seen.scores["score 0"].count == 2


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        1.1 * LARGEST_SCORE,
        -1.1 * LARGEST_SCORE,
        10**400,
        "0.5",
        b"1",
        None,
        [1],
    ],
)
def test_a_score_that_is_no_number_is_refused(value: Any) -> None:
    """The error names the score, the range and the value, and nothing is recorded."""
    seen = Totals()
    with pytest.raises(ValueError, match=r"score 'judge' must be a number in \[-1e\+100, 1e\+100\], got"):
        seen.add_score("judge", value)
    assert seen == Totals()


@pytest.mark.parametrize("name", ["", None, 5, b"judge"])
def test_a_score_must_have_a_name(name: Any) -> None:
    """A text that is not empty."""
    with pytest.raises(ValueError, match="name must be the score's name, a text that is not empty, got"):
        checked_score(name, 1.0)


@pytest.mark.parametrize("value", [0, 1, True, False, 0.25, -3.5, LARGEST_SCORE, -LARGEST_SCORE])
def test_a_score_becomes_a_float(value: float) -> None:
    """Yes and no are 1.0 and 0.0."""
    assert checked_score("judge", value) == float(value)
    assert type(checked_score("judge", value)) is float


def test_the_largest_scores_have_finite_squares() -> None:
    """A billion of the largest value do not overflow."""
    sums = ScoreSums()
    sums.add(LARGEST_SCORE)
    assert sums.squares * 1e9 < float("inf")


def test_differences_of_scores_never_have_negative_squares() -> None:
    """What rounding leaves is taken as nothing."""
    now, earlier = ScoreSums(2, 0.2, 0.01), ScoreSums(1, 0.1, 0.010000000000000002)
    now.subtract(earlier)
    assert now == ScoreSums(1, 0.1, 0.0)
    now.subtract(ScoreSums(1, 0.3, 0.0))
    assert now == ScoreSums()


def with_(**parts: Any) -> Callable[[dict[str, Any]], object]:
    """Replace parts."""
    return lambda data: {**data, **parts}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *[
            (
                lambda data, part=part: {name: value for name, value in data.items() if name != part},
                f"an object with '{part}'",
            )
            for part in Totals().to_json()
        ],
        (lambda data: [data], "an object with 'succeeded'"),
        (with_(failed=-1), "totals failed must be an integer >= 0, got -1"),
        (with_(cancelled=1.5), "totals cancelled must be an integer >= 0"),
        (with_(input_tokens=True), "totals input_tokens must be an integer >= 0"),
        (with_(cost_usd=-0.01), "totals cost_usd must be a finite number >= 0"),
        (with_(cost_usd=float("nan")), "totals cost_usd must be a finite number >= 0"),
        *[(with_(**{part: []}), "an object with 'scale'") for part in HISTOGRAMS],
        (with_(scores=[]), "totals scores must be an object"),
        (with_(scores={"judge": 1}), r"score 'judge' must be \[count, total, squares\]"),
        (with_(scores={"judge": [1, 2.0]}), r"score 'judge' must be \[count, total, squares\]"),
        (with_(scores={"judge": [1.0, 2.0, 4.0]}), "count of score 'judge' must be an integer"),
        (with_(scores={"judge": [1, float("nan"), 4.0]}), "total of score 'judge' must be a finite number"),
        (with_(scores={"judge": [1, "2", 4.0]}), "total of score 'judge' must be a finite number"),
        (with_(scores={"judge": [1, True, 4.0]}), "total of score 'judge' must be a finite number"),
        (with_(scores={"judge": [1, 2.0, -4.0]}), "squares of score 'judge' must be a finite number >= 0"),
    ],
)
def test_json_that_is_not_ours_is_refused(damage: Callable[[dict[str, Any]], object], message: str) -> None:
    """The error says which part, and what it should be."""
    with pytest.raises(ValueError, match=message):
        Totals.from_json(damage(Totals(scores={"judge": ScoreSums(1, 2.0, 4.0)}).to_json()))
