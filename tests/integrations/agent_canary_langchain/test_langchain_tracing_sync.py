"""The tree of runs that callback handlers see, in the synchronous methods. The asynchronous twin has the same tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.runnables import RunnableGenerator, RunnableLambda


def tree(run: Any) -> Any:
    """Return the names of a run and, nested, of its children."""
    return (run.name, *(tree(child) for child in run.child_runs))


def walk(run: Any) -> Iterator[Any]:
    """Yield a run and all below it."""
    yield run
    for child in run.child_runs:
        yield from walk(child)


def double(value: int) -> int:
    return 2 * value


def test_the_versions_runs_are_below_the_wrappers(wrap: Any, recorder: Any, alice: Any) -> None:
    """The wrapper has one run, with the input and the answer; the version's tree hangs below it."""
    version = RunnableLambda(double) | RunnableLambda(double)
    assert wrap(version).invoke(1, {**alice, "callbacks": [recorder]}) == 4
    assert tree(recorder.root) == ("CanaryRunnable<agent>", ("RunnableSequence", ("double",), ("double",)))
    assert recorder.root.inputs == {"input": 1}
    assert recorder.root.outputs == {"output": 4}
    assert recorder.all_ended


def test_each_run_is_tagged_with_the_version(wrap: Any, recorder: Any, alice: Any) -> None:
    """The wrapper's run and every one below it name version and rollout; what the user tagged stays."""
    version = RunnableLambda(double) | RunnableLambda(double).with_config(tags=["second"])
    config = {**alice, "callbacks": [recorder], "tags": ["mine"], "metadata": {"my": "own"}}
    wrap(version).invoke(1, config)
    runs = list(walk(recorder.root))
    assert len(runs) == 4
    for run in runs:
        assert {"mine", "version:v2"} <= set(run.tags)
        assert run.extra["metadata"]["my"] == "own"
        assert run.extra["metadata"]["agent_canary_version"] == "v2"
        assert run.extra["metadata"]["agent_canary_rollout"] == "agent"
    assert "second" in runs[-1].tags
    assert config["tags"] == ["mine"]
    assert config["metadata"] == {"my": "own"}


def test_a_versions_own_handler_sees_its_runs_only(wrap: Any, recorder: Any, alice: Any) -> None:
    """Where nobody else listens, the version's run has no parent that was never told of."""
    version = (RunnableLambda(double) | RunnableLambda(double)).with_config(callbacks=[recorder])
    assert wrap(version).invoke(1, alice) == 4
    assert list(wrap(version).stream(1, alice)) == [4]
    for root in recorder.roots:
        assert tree(root) == ("RunnableSequence", ("double",), ("double",))
        assert root.parent_run_id is None
        assert "version:v2" in root.tags
    assert len(recorder.roots) == 2


def test_nothing_else_is_tagged(wrap: Any, recorder: Any, alice: Any) -> None:
    """The steps of a chain around the wrapper carry no version."""
    chain = RunnableLambda(double) | wrap(double) | RunnableLambda(double)
    assert chain.invoke(1, {**alice, "callbacks": [recorder]}) == 8
    assert tree(recorder.root) == (
        "RunnableSequence",
        ("double",),
        ("CanaryRunnable<agent>", ("double",)),
        ("double",),
    )
    tagged = ["version:v2" in run.tags for run in walk(recorder.root)]
    assert tagged == [False, False, True, True, False]


def test_run_name_and_run_id_are_the_wrappers(wrap: Any, recorder: Any, alice: Any) -> None:
    """What a caller names is the outermost run, as with any Runnable."""
    run_id = uuid.uuid4()
    wrap(double).invoke(1, {**alice, "callbacks": [recorder], "run_name": "support", "run_id": run_id})
    assert tree(recorder.root) == ("support", ("double",))
    assert recorder.root.id == run_id
    assert recorder.root.child_runs[0].id != run_id
    recorder.roots.clear()
    wrap(double, name="named").invoke(1, {**alice, "callbacks": [recorder]})
    assert tree(recorder.root) == ("named", ("double",))


def test_an_error_ends_both_runs(wrap: Any, recorder: Any, alice: Any) -> None:
    """The version's run and the wrapper's tell it."""

    def fail(value: Any) -> Any:
        raise LookupError("no such tool")

    with pytest.raises(LookupError):
        wrap(fail).invoke(1, {**alice, "callbacks": [recorder]})
    assert [run.error.partition("(")[0] for run in walk(recorder.root)] == ["LookupError", "LookupError"]
    assert recorder.all_ended


def test_a_stream_is_one_tree(wrap: Any, recorder: Any, probe: Any, alice: Any) -> None:
    """The wrapper's run has the whole answer."""
    assert list(wrap(probe.streaming("a", "b")).stream(1, {**alice, "callbacks": [recorder]})) == ["a", "b"]
    assert tree(recorder.root)[0] == "CanaryRunnable<agent>"
    assert recorder.root.inputs == {"input": 1}
    assert [run.outputs for run in walk(recorder.root)] == [{"output": "ab"}] * 2
    assert recorder.all_ended


def test_a_stream_that_cannot_be_added_up_is_its_last_chunk(wrap: Any, recorder: Any, probe: Any, alice: Any) -> None:
    """As LangChain's own runs tell it."""
    version = probe.streaming({"state": 1}, {"state": 2}, {"state": 3})
    assert len(list(wrap(version).stream(1, {**alice, "callbacks": [recorder]}))) == 3
    assert recorder.root.outputs == {"state": 3}


def test_a_stream_that_fails_ends_its_runs(wrap: Any, recorder: Any, probe: Any, alice: Any) -> None:
    """With the error, and not before it."""
    stream = wrap(probe.streaming("a", LookupError("late"))).stream(1, {**alice, "callbacks": [recorder]})
    next(stream)
    assert not recorder.roots
    with pytest.raises(LookupError):
        next(stream)
    assert all("LookupError" in run.error for run in walk(recorder.root))
    assert recorder.all_ended


def test_a_stream_that_is_closed_ends_its_runs(wrap: Any, recorder: Any, probe: Any, alice: Any) -> None:
    """The wrapper's with what was read, and without an error."""
    stream = wrap(probe.streaming("a", "b", "c")).stream(1, {**alice, "callbacks": [recorder]})
    next(stream)
    next(stream)
    stream.close()
    assert recorder.root.error is None
    assert recorder.root.outputs == {"output": "ab"}
    assert recorder.all_ended


def test_a_transform_tells_its_whole_input(wrap: Any, recorder: Any, alice: Any) -> None:
    """The run begins with the first piece, after the step before, and ends with all of them."""

    def letters(values: Iterator[str]) -> Iterator[str]:
        for value in values:
            yield from value

    def shout(values: Iterator[str]) -> Iterator[str]:
        for value in values:
            yield value.upper()

    chain = RunnableGenerator(letters) | wrap(RunnableGenerator(shout))
    assert list(chain.stream("abc", {**alice, "callbacks": [recorder]})) == ["A", "B", "C"]
    assert tree(recorder.root) == ("RunnableSequence", ("letters",), ("CanaryRunnable<agent>", ("shout",)))
    wrapper = recorder.root.child_runs[1]
    assert (wrapper.inputs, wrapper.outputs) == ({"input": "abc"}, {"output": "ABC"})
    assert recorder.all_ended


def test_a_batch_is_a_tree_for_each_input(wrap: Any, recorder: Any, alice: Any, bob: Any) -> None:
    """Each is tagged with its own version."""
    configs = [{**config, "callbacks": [recorder]} for config in (alice, bob)]
    wrap(double, stable=double).batch([1, 2], configs)
    tags = sorted(tag for root in recorder.roots for tag in root.tags)
    assert tags == ["version:v1", "version:v2"]


def test_wrappers_inside_each_other_are_tagged_both(make_canary: Any, wrap: Any, recorder: Any, alice: Any) -> None:
    """What runs in the inner version carries both versions, and the inner one's metadata."""
    inner = type(wrap(double))(make_canary("r1", "r2", name="retrieval"), {"r1": double, "r2": double})
    wrap(RunnableLambda(double) | inner).invoke(1, {**alice, "callbacks": [recorder]})
    innermost = list(walk(recorder.root))[-1]
    assert {"version:v2", "version:r2"} <= set(innermost.tags)
    assert innermost.extra["metadata"]["agent_canary_version"] == "r2"
    outer = recorder.root.child_runs[0].child_runs[0]
    assert "version:r2" not in outer.tags
