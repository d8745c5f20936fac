"""A plan: what it refuses, when two are equal, what differs, what holds without data, its JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import Plan, Stage
from agent_canary.plan import (
    Cost,
    FailureRate,
    FirstToken,
    Latency,
    Rate,
    SafetyMargin,
    SampleRatio,
    Score,
    Threshold,
    guardrail_from_json,
)
from tests.plan.plan_strategies import DURATIONS, plans

POLICIES = ["keep_salt", "default_guardrails", "promote", "delta", "on_no_data", "on_inconclusive", "patience"]
HINT = ": FailureRate(), Latency() and SampleRatio() roll back by default, give rollback_on= to choose others"


@given(plans())
def test_json_gives_the_plan_back(plan: Plan) -> None:
    """Through text and back it is equal, with the same parts in the same order."""
    again = Plan.from_json(json.loads(json.dumps(plan.to_json(), allow_nan=False)))
    assert again == plan
    assert hash(again) == hash(plan)
    assert again.stages == plan.stages
    assert [guardrail.name for guardrail in again.rollback_on] == [guardrail.name for guardrail in plan.rollback_on]
    assert again.required == plan.required
    assert [getattr(again, policy) for policy in POLICIES] == [getattr(plan, policy) for policy in POLICIES]
    assert plan.difference(again) == []


@given(plans(), plans())
def test_plans_differ_exactly_when_a_sentence_says_so(one: Plan, other: Plan) -> None:
    """The sentences are empty for equal plans, and only for them."""
    assert (one.difference(other) == []) == (one == other)
    assert (one.canonical_json() == other.canonical_json()) == (one == other)


@given(plans(), st.randoms())
def test_the_order_of_guardrails_means_nothing(plan: Plan, random: Any) -> None:
    """Two processes that list them in another order have the same plan; the order of stages counts."""
    rollback_on, hold_on = list(plan.rollback_on), list(plan.hold_on)
    random.shuffle(rollback_on)
    random.shuffle(hold_on)
    assert replace(plan, rollback_on=rollback_on, hold_on=hold_on) == plan


CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "keep_salt": st.booleans(),
    "default_guardrails": st.booleans(),
    "promote": st.sampled_from(["when_not_failing", "when_not_worse"]),
    "delta": st.floats(0, 1, exclude_min=True),
    "on_no_data": st.sampled_from(["hold", "promote", "pause", "rollback"]),
    "on_inconclusive": st.sampled_from(["hold", "promote", "pause", "rollback"]),
    "patience": DURATIONS,
}


@given(plans(), st.sampled_from(POLICIES), st.data())
def test_a_policy_that_differs_is_said_and_nothing_else(plan: Plan, policy: str, data: st.DataObject) -> None:
    """One sentence for the one policy that was changed; none when it was changed to what it was."""
    other = replace(plan, **{policy: data.draw(CHANGES[policy])})
    same = getattr(other, policy) == getattr(plan, policy)
    sentences = plan.difference(other)
    assert (sentences == []) == same == (plan == other)
    assert same or (len(sentences) == 1 and sentences[0].startswith(f"{policy} is "))


def test_the_spelling_of_numbers_means_nothing() -> None:
    """Integer and float seconds make the same plan."""
    assert Plan([Stage(1, 300)]) == Plan([Stage(1.0, 300.0)])


def test_a_plan_is_equal_to_no_other_thing() -> None:
    """Not even to its own JSON."""
    plan = Plan([Stage(0.1)])
    assert plan != plan.to_json()


def test_failures_latency_and_the_split_roll_back_by_default() -> None:
    """Without a choice of guardrails the library chooses, and says that it did."""
    plan = Plan([Stage(0.1)])
    assert plan.rollback_on == (FailureRate(), Latency(), SampleRatio())
    assert plan.default_guardrails is True


def test_a_policys_defaults() -> None:
    """Inconclusive holds nobody; missing data holds, and after a day it still does."""
    plan = Plan([Stage(0.1)])
    assert [getattr(plan, policy) for policy in POLICIES] == [
        False,
        True,
        "when_not_failing",
        0.01,
        "hold",
        "hold",
        86400.0,
    ]


def test_patience_may_be_seconds() -> None:
    """Or a timedelta; it is kept in seconds."""
    assert (
        Plan([Stage(0.1)], patience=60).patience == Plan([Stage(0.1)], patience=timedelta(minutes=1)).patience == 60.0
    )


def test_all_that_is_watched_is_in_one_place() -> None:
    """Guardrails first, then signals."""
    assert Plan([Stage(0.1)], [Rate("a"), Cost()], [Score("b")]).guardrails == (Rate("a"), Cost(), Score("b"))


def test_the_same_guardrail_named_is_another_plan() -> None:
    """A guardrail that the user named holds while it has no data, so the plans do not mean the same."""
    assert Plan([Stage(0.1)], Plan([Stage(0.1)]).rollback_on) != Plan([Stage(0.1)])


def test_no_guardrail_at_all_may_be_chosen() -> None:
    """An empty list means none, not the default."""
    assert Plan([Stage(0.1)], []).rollback_on == ()


@pytest.mark.parametrize(
    ("plan", "required"),
    [
        (Plan([Stage(0.1)]), set()),
        (Plan([Stage(0.1)], [FailureRate()]), {"failures"}),
        (Plan([Stage(0.1)], [FailureRate(), SafetyMargin(0.05, 50)], [Rate("refusal")]), {"failures", "refusal"}),
        (Plan([Stage(0.1)], None, [Rate("refusal")]), {"refusal"}),
        (
            Plan([Stage(0.1)], [Latency(0.95), SampleRatio()], [Score("judge"), Cost()]),
            {"latency_p95", "judge", "cost"},
        ),
        (Plan([Stage(0.1)], [Threshold("judge", at_least=0.8)], [Threshold("p95_ms", 900), SampleRatio()]), set()),
        (Plan([Stage(0.1)]).with_guardrail(SafetyMargin(0.05, 50)), set()),
    ],
)
def test_what_the_user_named_is_required(plan: Plan, required: set[str]) -> None:
    """Named guardrails and all signals hold while they have no data; defaults, fixed rules and the split do not."""
    assert plan.required == required


def test_one_more_guardrail_changes_nothing_else() -> None:
    """The rest of the plan stays, also whether its guardrails are the default ones."""
    plan = Plan([Stage(0.1)], hold_on=[Rate("refusal")], keep_salt=True, promote="when_not_worse", patience=60)
    more = plan.with_guardrail(SafetyMargin(0.05, 50))
    assert more.rollback_on == (*plan.rollback_on, SafetyMargin(0.05, 50))
    assert (more.stages, more.hold_on) == (plan.stages, plan.hold_on)
    assert [getattr(more, policy) for policy in POLICIES] == [getattr(plan, policy) for policy in POLICIES]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Plan([]), "stages must have at least one Stage, got none"),
        (lambda: Plan(Stage(0.1)), f"stages must be a list or another iterable of items, got {Stage(0.1)!r}"),
        (lambda: Plan("ab"), "stages must be a list or another iterable of items, got 'ab'"),
        (lambda: Plan([0.1]), "stages must hold Stage objects, got 0.1"),
        (
            lambda: Plan([Stage(0.05), Stage(0.25), Stage(0.1)]),
            (
                "stages must be non-decreasing in percent, got 0.1 in "
                "stage 3 after 0.25 in stage 2: put them in rising order"
            ),
        ),
        (
            lambda: Plan([Stage(0.1)], [0.05]),
            ("rollback_on must hold guardrails such as FailureRate() or Rate(...), got 0.05"),
        ),
        (
            lambda: Plan([Stage(0.1)], [FailureRate]),
            (f"rollback_on must hold guardrails such as FailureRate() or Rate(...), got {FailureRate!r}"),
        ),
        (
            lambda: Plan([Stage(0.1)], hold_on=FailureRate()),
            (f"hold_on must be a list or another iterable of items, got {FailureRate()!r}"),
        ),
        (
            lambda: Plan([Stage(0.1)], [Rate("a"), Rate("a", 2)]),
            ("guardrails must have unique names over rollback_on and hold_on, got ['a'] repeated"),
        ),
        (
            lambda: Plan([Stage(0.1)], [FailureRate()], [FailureRate(2)]),
            ("guardrails must have unique names over rollback_on and hold_on, got ['failures'] repeated"),
        ),
        (
            lambda: Plan([Stage(0.1)], hold_on=[FailureRate(2)]),
            f"guardrails must have unique names over rollback_on and hold_on, got ['failures'] repeated{HINT}",
        ),
        (
            lambda: Plan([Stage(0.1)], hold_on=[Latency(0.95)]),
            (
                "guardrails must watch different quantiles over rollback_on and hold_on, got ['latency_p95'] "
                f"repeated{HINT}"
            ),
        ),
        (
            lambda: Plan([Stage(0.1)], [Cost(), Cost(0.5)], [Cost(0.99)]),
            (
                "guardrails must watch different quantiles over rollback_on and hold_on, got ['cost_p50', 'cost_p99'] "
                "repeated"
            ),
        ),
        (lambda: Plan([Stage(0.1)], keep_salt="yes"), "keep_salt must be True or False, got 'yes'"),
        (
            lambda: Plan([Stage(0.1)]).with_guardrail(FailureRate(2)),
            f"guardrails must have unique names over rollback_on and hold_on, got ['failures'] repeated{HINT}",
        ),
        (
            lambda: Plan([Stage(0.1)], promote="always"),
            "promote must be one of ['when_not_failing', 'when_not_worse'], got 'always'",
        ),
        (lambda: Plan([Stage(0.1)], delta=0), "delta must be a number above 0 and at most 1, got 0"),
        (lambda: Plan([Stage(0.1)], delta=1.5), "delta must be a number above 0 and at most 1, got 1.5"),
        (
            lambda: Plan([Stage(0.1)], on_no_data=None),
            "on_no_data must be one of ['hold', 'promote', 'pause', 'rollback'], got None",
        ),
        (
            lambda: Plan([Stage(0.1)], on_inconclusive="ROLLBACK"),
            "on_inconclusive must be one of ['hold', 'promote', 'pause', 'rollback'], got 'ROLLBACK'",
        ),
        (lambda: Plan([Stage(0.1)], patience=-1), "patience must be finite seconds >= 0 or a timedelta, got -1"),
        (lambda: Plan([Stage(0.1)], patience=None), "patience must be finite seconds >= 0 or a timedelta, got None"),
    ],
)
def test_a_bad_plan_is_refused(make: Any, message: str) -> None:
    """The message names the parameter and what was found."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


def test_different_quantiles_may_stand_beside_each_other() -> None:
    """Of one amount, or the same of different amounts."""
    watched = [Latency(0.5), Latency(0.95), Latency(0.99, 2.0), FirstToken(), Cost()]
    assert Plan([Stage(0.1)], watched).guardrails == tuple(watched)


def test_equal_percents_may_follow_each_other() -> None:
    """Percents never decrease; a longer bake at the same percent is fine."""
    assert len(Plan([Stage(0.5), Stage(0.5), Stage(1.0)]).stages) == 3


@pytest.mark.parametrize("missing", ["stages", "rollback_on", "hold_on", "keep_salt", "default_guardrails"])
def test_json_without_a_part_is_refused(missing: str) -> None:
    """A guess about an agreement would be worse than an error."""
    data = Plan([Stage(0.1)]).to_json()
    del data[missing]
    with pytest.raises(ValueError, match=f"plan must have '{missing}', got only"):
        Plan.from_json(data)


def test_json_of_a_later_release_is_read() -> None:
    """Keys that this release does not know are ignored."""
    plan = Plan([Stage(0.1)])
    assert Plan.from_json({**plan.to_json(), "gradual_rollback": True}) == plan


def test_json_of_the_first_release_is_read() -> None:
    """It knew neither the policies nor the guardrails of this one; it means what it meant then."""
    first = {
        "stages": [
            {
                "percent": 0.1,
                "min_duration_seconds": 300.0,
                "min_samples": 100,
                "success_threshold": 0.99,
                "max_p95_ms": None,
            }
        ],
        "rollback_on": [{"type": "failure_rate", "name": "failures", "tolerance": 1.2}],
        "hold_on": [],
        "keep_salt": False,
        "default_guardrails": True,
    }
    plan = Plan.from_json(first)
    assert plan == Plan([Stage(0.1)], [FailureRate()], default_guardrails=True)
    assert plan.required == frozenset()


def test_what_differs_is_said_in_sentences() -> None:
    """Policies, stages by number, and guardrails by name, each with both values."""
    here = Plan(
        [Stage(0.05, min_scored=0.5), Stage(0.25)],
        [FailureRate(1.5), Rate("refusal"), Latency(0.95)],
        [Rate("tone")],
        keep_salt=True,
        promote="when_not_worse",
        on_no_data="pause",
    )
    stored = Plan(
        [Stage(0.05, 600, 100, 0.95)],
        [FailureRate(), Rate("tone"), Latency(0.95, 1.5, 60)],
        default_guardrails=True,
        patience=3600,
    )
    assert here.difference(stored) == [
        "default_guardrails is False here, True in the stored plan",
        "keep_salt is True here, False in the stored plan",
        "on_no_data is 'pause' here, 'hold' in the stored plan",
        "patience is 86400 s here, 3600 s in the stored plan",
        "promote is 'when_not_worse' here, 'when_not_failing' in the stored plan",
        "the number of stages is 2 here, 1 in the stored plan",
        "stage 1: min_duration_seconds is 300 here, 600 in the stored plan",
        "stage 1: min_scored is 0.5 here, 0 in the stored plan",
        "stage 1: success_threshold is 0.99 here, 0.95 in the stored plan",
        "guardrail 'failures': tolerance is 1.5 here, 1.2 in the stored plan",
        "guardrail 'latency_p95': tolerance is 1.1 here, 1.5 in the stored plan",
        "guardrail 'latency_p95': warm_up is 0 s here, 60 s in the stored plan",
        "guardrail 'refusal' is only here, not in the stored plan",
        "guardrail 'tone' only holds here, rolls back in the stored plan",
    ]


def test_what_is_only_in_the_other_plan_is_said() -> None:
    """From the other side the same guardrail is only in the stored plan."""
    here, stored = Plan([Stage(0.05)], []), Plan([Stage(0.05)], [Rate("refusal")])
    assert here.difference(stored) == ["guardrail 'refusal' is only in the stored plan, not here"]


def test_truth_and_one_differ() -> None:
    """They are equal in Python, not in JSON."""
    one, other = (
        Plan([Stage(0.05)], [guardrail_from_json({"type": "of_tomorrow", "name": "new", "strict": strict})])
        for strict in (True, 1)
    )
    assert one.difference(other) == ["guardrail 'new': strict is True here, 1 in the stored plan"]


def test_a_key_that_one_plan_lacks_is_absent_there() -> None:
    """A guardrail of a later release with one parameter more is not the same."""
    old, new = (
        Plan([Stage(0.05)], [guardrail_from_json({"type": "of_tomorrow", "name": "new", **more})])
        for more in ({}, {"horizon": 5})
    )
    assert old.difference(new) == ["guardrail 'new': horizon is absent here, 5 s in the stored plan"]
