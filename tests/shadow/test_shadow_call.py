"""What users get, what the shadow gets, and what is made of both; plain callers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import copy
import logging
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_canary import AgentCanary, current_assignment, is_shadow
from agent_canary.shadow import ShadowDeployment, ShadowOutcome, ShadowResult
from agent_canary.testing import ManualClock, disabled

Make = Callable[..., ShadowDeployment[..., Any]]

WAIT_SECONDS = 10

user = contextvars.ContextVar("user", default="nobody")


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the shadow as a plain function."""
    return function


def coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the shadow as a coroutine function."""

    async def shadow(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    return shadow


def hidden_coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the shadow as a plain function that returns a coroutine, as a lambda around an async client does."""
    shadow = coroutine(function)
    return lambda *args, **kwargs: shadow(*args, **kwargs)


KINDS = pytest.mark.parametrize("kind", [plain, coroutine, hidden_coroutine])


def counts(shadow: ShadowDeployment[..., Any]) -> dict[str, int]:
    """Wait for the end of all shadows, and return the outcomes that occurred."""
    shadow.shutdown(timeout=WAIT_SECONDS)
    status = shadow.status()
    assert status["pending"] == status["overdue"] == 0
    return {outcome.value: status[outcome.value] for outcome in ShadowOutcome if status[outcome.value]}


# What users get


@KINDS
def test_the_answer_is_stables(make_shadow: Make, kind: Any) -> None:
    """The user gets stable's own object, whatever the shadow answers to the same arguments."""
    answer = ["stable"]
    answers: list[str] = []

    def answer_aside(prompt: str, *, loud: bool) -> list[str]:
        answers.append(f"{prompt} {loud}")
        return answers

    shadow = make_shadow(lambda prompt, *, loud: answer, kind(answer_aside))
    assert shadow.call("hello", loud=True) is answer
    assert counts(shadow) == {"mismatch": 1}
    assert answers == ["hello True"]


@KINDS
def test_what_stable_raises_is_unchanged(make_shadow: Make, kind: Any, results: list[ShadowResult]) -> None:
    """The user gets the very exception; the shadow is asked all the same, since it may do better."""
    error = LookupError("no such order")

    def stable(_: str) -> str:
        raise error

    shadow = make_shadow(stable, kind(lambda _: "found"))
    with pytest.raises(LookupError) as caught:
        shadow.call("order")
    assert caught.value is error
    assert counts(shadow) == {"mismatch": 1}
    assert (results[0].stable_error, results[0].stable_value, results[0].shadow_value) == (error, None, "found")


@pytest.mark.parametrize(("raised", "outcome"), [(LookupError, "match"), (KeyError, "error")])
def test_two_exceptions_match_by_their_type(make_shadow: Make, raised: Any, outcome: str) -> None:
    """A shadow that refuses as stable does behaves alike; one that fails otherwise is in error."""

    def stable(_: str) -> str:
        raise LookupError("stable's words")

    def shadow_fn(_: str) -> str:
        raise raised("the shadow's words")

    shadow = make_shadow(stable, shadow_fn)
    with pytest.raises(LookupError, match="stable's words"):
        shadow.call("order")
    assert counts(shadow) == {outcome: 1}


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_nobody_waits_for_an_answer_after_a_cancellation(make_shadow: Make, raised: Any) -> None:
    """When stable was interrupted, the shadow is not asked."""

    def stable(_: str) -> str:
        raise raised

    shadow = make_shadow(stable, lambda _: "answer")
    with pytest.raises(raised):
        shadow.call("hello")
    assert counts(shadow) == {}


@KINDS
@pytest.mark.parametrize(
    "error",
    [
        ValueError("wrong"),
        KeyboardInterrupt(),
        SystemExit(1),
        GeneratorExit(),
        StopIteration(),
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        BaseExceptionGroup("both", [ValueError(), KeyboardInterrupt()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_exception_of_the_shadow_gets_out(make_shadow: Make, kind: Any, error: BaseException) -> None:
    """Whatever a shadow raises is counted and nothing else; the next shadow runs as ever."""
    answers = iter([error, None])

    def shadow_fn(_: str) -> str:
        raised = next(answers)
        if raised is not None:
            raise raised
        return "answer"

    shadow = make_shadow(lambda _: "answer", kind(shadow_fn), max_workers=1)
    assert [shadow.call("hello"), shadow.call("hello")] == ["answer", "answer"]
    assert counts(shadow) == {"error": 1, "match": 1}
    assert shadow.status()["errors"] == {"shadow_fn": 1}


def test_a_wrong_signature_is_an_error_of_the_shadow(make_shadow: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A shadow that cannot be called with these arguments is counted, and logged once."""
    shadow = make_shadow(lambda prompt: prompt, lambda: "answer", name="support")
    with caplog.at_level(logging.ERROR, "agent_canary"):
        assert [shadow.call("hello"), shadow.call("hello")] == ["hello", "hello"]
        assert counts(shadow) == {"error": 2}
    assert len(caplog.records) == 1
    assert "rollout 'support': shadow_fn failed: TypeError(" in caplog.text


def test_an_awaitable_is_passed_on(make_shadow: Make) -> None:
    """A coroutine that stable returns reaches the user untouched, and is not mirrored: that is for acall."""

    async def stable(prompt: str) -> str:
        return prompt

    shadow = make_shadow(stable, lambda prompt: prompt)
    assert asyncio.run(shadow.call("hello")) == "hello"
    assert counts(shadow) == {"dropped": 1}
    assert shadow.status()["errors"] == {"comparing": 1}


@pytest.mark.parametrize("stream", [lambda: iter("abc"), lambda: (letter for letter in "abc")])
def test_a_stream_is_passed_on(make_shadow: Make, stream: Callable[[], Iterator[str]]) -> None:
    """An iterator that stable returns reaches the user complete, since nobody else looked at it."""
    shadow = make_shadow(lambda _: stream(), lambda _: "abc", comparator=lambda ours, theirs: "".join(ours) == theirs)
    assert "".join(shadow.call("hello")) == "abc"
    assert counts(shadow) == {"dropped": 1}


# What the shadow gets


@KINDS
def test_the_shadow_cannot_change_the_users_arguments(make_shadow: Make, kind: Any) -> None:
    """Arguments are copied deeply: what the shadow changes is its own."""
    messages = [{"role": "user", "tags": {"a"}}]
    options = {"tools": ["search"]}

    def shadow_fn(messages: Any, *, options: Any) -> str:
        messages[0]["tags"].add("b")
        messages.clear()
        options["tools"].append("delete")
        return "answer"

    shadow = make_shadow(lambda messages, *, options: "answer", kind(shadow_fn))
    shadow.call(messages, options=options)
    assert counts(shadow) == {"match": 1}
    assert (messages, options) == ([{"role": "user", "tags": {"a"}}], {"tools": ["search"]})


def test_stable_cannot_change_the_shadows_arguments(make_shadow: Make, results: list[ShadowResult]) -> None:
    """The shadow is asked what stable was asked, not what stable made of it."""

    def stable(messages: list[str]) -> int:
        messages.append("answer")
        return 1

    shadow = make_shadow(stable, len)
    messages = ["question"]
    shadow.call(messages)
    messages.append("next question")
    assert counts(shadow) == {"match": 1}
    assert results[0].args == (["question"],)


def test_what_arguments_share_stays_shared(make_shadow: Make) -> None:
    """All arguments are copied in one go, so that the shadow sees the same shape as stable."""
    history: list[str] = []
    state = {"history": history}

    def is_shared(state: Any, *, history: Any) -> bool:
        return state["history"] is history

    shadow = make_shadow(is_shared, is_shared)
    assert shadow.call(state, history=history)
    assert counts(shadow) == {"match": 1}


def test_without_a_copy_there_is_no_shadow(make_shadow: Make, caplog: pytest.LogCaptureFixture) -> None:
    """An argument that refuses to be copied would be the user's own, so the shadow is not called; it is logged once."""
    called: list[object] = []
    shadow = make_shadow(lambda lock: "answer", called.append)
    with caplog.at_level(logging.ERROR, "agent_canary"):
        assert [shadow.call(threading.Lock()), shadow.call([threading.Lock()])] == ["answer", "answer"]
    assert counts(shadow) == {"dropped": 2}
    assert not called
    assert shadow.status()["errors"] == {"copying the arguments": 2}
    assert len(caplog.records) == 1


def test_the_user_says_what_may_be_shared(make_shadow: Make) -> None:
    """With copy=, each argument but texts and numbers is passed through it, and so is the answer."""
    lock, copied = threading.Lock(), list[Any]()

    def share_locks(value: Any) -> Any:
        copied.append(value)
        return value if value is lock else copy.deepcopy(value)

    def shadow_fn(seen: Any, text: str, *, messages: Any) -> list[bool]:
        return [seen is lock]

    shadow = make_shadow(lambda *_, **__: [True], shadow_fn, copy=share_locks)
    messages = ["hello"]
    shadow.call(lock, "text", messages=messages)
    assert counts(shadow) == {"match": 1}
    assert copied == [lock, messages, [True]]


def test_the_shadow_sees_copied_context_variables(make_shadow: Make) -> None:
    """The shadow sees the variables as they were before stable was called, and what it sets is seen by nobody."""
    seen: list[str] = []

    def stable(_: str) -> str:
        user.set("stable's")
        return "answer"

    def shadow_fn(_: str) -> str:
        seen.append(user.get())
        user.set("shadow's")
        return "answer"

    def compare(ours: str, theirs: str) -> bool:
        seen.append(user.get())
        return ours == theirs

    shadow = make_shadow(stable, shadow_fn, compare, max_workers=1)
    token = user.set("alice")
    shadow.call("hello")
    assert user.get() == "stable's"
    user.reset(token)
    shadow.call("hello")
    assert counts(shadow) == {"match": 2}
    assert seen == ["alice", "alice", "nobody", "nobody"]
    user.set("nobody")


@KINDS
def test_the_shadow_knows_that_it_is_one(make_shadow: Make, kind: Any) -> None:
    """Inside, also in tasks and in threads with a copied context, is_shadow is true and no assignment is current."""
    seen: list[tuple[bool, object]] = []

    def look() -> None:
        seen.append((is_shadow(), current_assignment()))

    async def look_in_a_task() -> None:
        await asyncio.create_task(asyncio.to_thread(look))

    def shadow_fn(_: str) -> str:
        look()
        for target in (look, lambda: asyncio.run(look_in_a_task())):
            thread = threading.Thread(target=contextvars.copy_context().run, args=(target,))
            thread.start()
            thread.join()
        return "answer"

    canary = AgentCanary("v1", "v2", autopilot=False)
    shadow = make_shadow(lambda _: "answer", kind(shadow_fn))
    with canary.assign("alice") as assignment:
        shadow.call("hello")
        assert not is_shadow()
        assert current_assignment() is assignment
        assert counts(shadow) == {"match": 1}
    assert seen == [(True, None)] * 3


def test_a_shadow_has_no_shadow(make_shadow: Make) -> None:
    """What a shadow calls is not mirrored again."""
    inner = make_shadow(lambda _: "inner", lambda _: "inner's shadow")
    outer = make_shadow(inner.call, inner.call)
    assert outer.call("hello") == "inner"
    assert counts(outer) == {"match": 1}
    assert counts(inner) == {"mismatch": 1}


@pytest.mark.parametrize(("rate", "share"), [(0, 0.0), (1, 1.0), (0.25, 0.25)])
def test_a_share_of_calls_is_mirrored(make_shadow: Make, rate: float, share: float) -> None:
    """The sample rate is a coin for each call; what it does not choose is in no count."""
    random.seed(7)
    shadow = make_shadow(lambda n: n, lambda n: n, sample_rate=rate, max_queue=1000)
    assert [shadow.call(n) for n in range(1000)] == list(range(1000))
    assert counts(shadow).get("match", 0) == pytest.approx(1000 * share, abs=50)
    assert shadow.status()["submitted"] == shadow.status()["match"]


def test_the_sample_rate_may_be_changed(make_shadow: Make) -> None:
    """Mirroring can be stopped and resumed while requests go on."""
    shadow = make_shadow(lambda n: n, lambda n: n)
    for rate in (1.0, 0.0, 1.0):
        shadow.sample_rate = rate
        shadow.call(1)
    assert counts(shadow) == {"match": 2}
    assert shadow.status()["sample_rate"] == 1.0


# What is made of both


@pytest.mark.parametrize(
    ("comparator", "outcome"),
    [
        (None, "mismatch"),
        (lambda ours, theirs: ours.lower() == theirs, "match"),
        (lambda ours, theirs: [], "mismatch"),
        (lambda ours, theirs: None, "ignored"),
    ],
)
def test_the_comparator_decides(make_shadow: Make, comparator: Any, outcome: str) -> None:
    """It gets stable's and the shadow's answer; true is a match, None is no verdict; equality is the default."""
    shadow = make_shadow(lambda _: "ANSWER", lambda _: "answer", comparator)
    shadow.call("hello")
    assert counts(shadow) == {outcome: 1}


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(2)], ids=repr)
def test_a_raising_comparator_is_counted(
    make_shadow: Make, error: BaseException, caplog: pytest.LogCaptureFixture, results: list[ShadowResult]
) -> None:
    """The answers are told all the same; the first error is logged."""

    def compare(ours: str, theirs: str) -> bool:
        raise error

    shadow = make_shadow(lambda _: "a", lambda _: "b", compare)
    with caplog.at_level(logging.ERROR, "agent_canary"):
        assert [shadow.call("hello"), shadow.call("hello")] == ["a", "a"]
        assert counts(shadow) == {"comparator_error": 2}
    assert shadow.status()["errors"] == {"comparator": 2}
    assert len(caplog.records) == 1
    assert [(result.stable_value, result.shadow_value) for result in results] == [("a", "b")] * 2


def test_the_comparator_runs_as_a_shadow(make_shadow: Make) -> None:
    """A comparator that asks a model is no user's request."""
    seen: list[bool] = []
    shadow = make_shadow(lambda _: "a", lambda _: "a", lambda ours, theirs: seen.append(is_shadow()))
    shadow.call("hello")
    assert counts(shadow) == {"ignored": 1}
    assert seen == [True]


def test_users_may_change_their_answer(make_shadow: Make, gate: Any) -> None:
    """What is compared is the answer as stable gave it."""

    def shadow_fn(_: str) -> dict[str, int]:
        gate.wait()
        return {"order": 7}

    shadow = make_shadow(lambda _: {"order": 7}, shadow_fn)
    answer = shadow.call("hello")
    answer["request"] = 1
    gate.open()
    assert counts(shadow) == {"match": 1}


def test_an_answer_that_cannot_be_copied_is_compared_as_it_is(make_shadow: Make) -> None:
    """The comparator gets the user's own object, and the reason is counted."""
    lock = threading.Lock()
    shadow = make_shadow(lambda _: lock, lambda _: lock, lambda ours, theirs: ours is theirs is lock)
    assert shadow.call("hello") is lock
    assert counts(shadow) == {"match": 1}
    assert shadow.status()["errors"] == {"copying the answer": 1}


@KINDS
def test_the_hook_is_told_everything(
    make_shadow: Make, kind: Any, clock: ManualClock, results: list[ShadowResult]
) -> None:
    """The result holds both answers, the shadow's arguments and both latencies; its text holds no value."""

    def stable(prompt: str, *, user: str) -> str:
        clock.advance(0.25)
        return "secret stable"

    def shadow_fn(prompt: str, *, user: str) -> str:
        clock.advance(2.0)
        return "secret shadow"

    shadow = make_shadow(stable, kind(shadow_fn), timeout=3.0)
    shadow.call("secret prompt", user="secret alice")
    assert counts(shadow) == {"mismatch": 1}
    assert results == [
        ShadowResult(
            outcome=ShadowOutcome.MISMATCH,
            args=("secret prompt",),
            kwargs={"user": "secret alice"},
            stable_value="secret stable",
            stable_error=None,
            stable_latency_ms=250.0,
            shadow_value="secret shadow",
            shadow_error=None,
            shadow_latency_ms=2000.0,
        )
    ]
    assert "secret" not in repr(results)


def test_the_hook_is_told_what_the_shadow_raised(make_shadow: Make, results: list[ShadowResult]) -> None:
    """An error of the shadow is in the result as it was raised."""
    error = ValueError("wrong")

    def shadow_fn(_: str) -> str:
        raise error

    shadow = make_shadow(lambda _: "answer", shadow_fn)
    shadow.call("hello")
    assert counts(shadow) == {"error": 1}
    assert (results[0].shadow_error, results[0].shadow_value) == (error, None)


def test_the_hook_is_no_shadow(make_shadow: Make) -> None:
    """The hook may write where shadows may not; it sees the user's context variables, but not the user's assignment."""
    seen: list[object] = []
    shadow = make_shadow(
        lambda _: "a", lambda _: "a", on_result=lambda _: seen.extend((is_shadow(), current_assignment(), user.get()))
    )
    token = user.set("alice")
    with AgentCanary("v1", "v2", autopilot=False).assign("alice"):
        shadow.call("hello")
    user.reset(token)
    assert counts(shadow) == {"match": 1}
    assert seen == [False, None, "alice"]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(2)], ids=repr)
def test_a_raising_hook_is_counted(make_shadow: Make, error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Outcomes are counted all the same, and the first error is logged."""

    def on_result(_: ShadowResult) -> None:
        raise error

    shadow = make_shadow(lambda _: "a", lambda _: "a", on_result=on_result, max_workers=1)
    with caplog.at_level(logging.ERROR, "agent_canary"):
        assert [shadow.call("hello"), shadow.call("hello")] == ["a", "a"]
        assert counts(shadow) == {"match": 2}
    assert shadow.status()["errors"] == {"on_result": 2}
    assert len(caplog.records) == 1


def test_the_status_is_complete(make_shadow: Make) -> None:
    """Without calls everything is zero, and there is no match rate; then it is the matches' share."""
    shadow = make_shadow(lambda n: n, lambda n: min(n, 2))
    assert shadow.status() == {
        "submitted": 0,
        "pending": 0,
        "match": 0,
        "mismatch": 0,
        "ignored": 0,
        "error": 0,
        "comparator_error": 0,
        "timed_out": 0,
        "dropped": 0,
        "overdue": 0,
        "match_rate": None,
        "sample_rate": 1.0,
        "errors": {},
    }
    for n in range(4):
        shadow.call(n)
    assert counts(shadow) == {"match": 3, "mismatch": 1}
    assert shadow.status()["match_rate"] == 0.75
    assert shadow.status()["submitted"] == 4


def test_nothing_is_mirrored_while_everything_is_switched_off(make_shadow: Make) -> None:
    """The switch that sends every request to stable stops shadow calls too, and they go on after it."""
    calls: list[int] = []
    shadow = make_shadow(lambda number: number, calls.append)
    with disabled():
        assert shadow.call(1) == 1
    assert shadow.call(2) == 2
    counts(shadow)
    assert calls == [2]
