"""A version's stream passed on chunk by chunk: measured, traced, and seen by the version's code only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.utils import Input, Output

from .upstream import END, AsyncUpstream, ChunkSum, Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from langchain_core.runnables import RunnableConfig

    from .turn import Turn
    from .unheard import AsyncRun, Run


def relay(
    turn: Turn[Input, Output],
    run: Run,
    open_stream: Callable[[RunnableConfig], Iterator[Output]],
    upstream: Upstream[Any] | None = None,
) -> Generator[Output, None, None]:
    """Yield the chunks of the version's stream.

    The assignment is current in each step and never between steps, where the consumer runs. It ends with the last
    chunk. A consumer that stops reading cancels it, and the trace's run ends with what it has read; so does an error
    of the steps before this one, which is not the version's.
    """
    total = _listen(run, upstream)
    active = turn.assignment.active()
    streams: list[Iterator[Output]] = []
    try:
        with active:
            streams.append(open_stream(turn.child_config(run)))
            streams.append(_tapped(run, streams[0]))
        while True:
            with active:
                chunk = next(streams[1], END)
            if chunk is END:
                break
            turn.assignment.first_token()
            turn.note(chunk)
            total.add(chunk)
            yield chunk
    except BaseException as error:
        _end(turn, error, upstream)
        try:
            with active:
                _close(streams)
        finally:
            if isinstance(error, GeneratorExit):
                run.on_chain_end(total.value, **_traced(upstream))
            else:
                run.on_chain_error(error, **_traced(upstream))
        raise
    turn.succeed()
    run.on_chain_end(total.value, **_traced(upstream))


async def arelay(
    turn: Turn[Input, Output],
    run: AsyncRun,
    open_stream: Callable[[RunnableConfig], AsyncIterator[Output]],
    upstream: AsyncUpstream[Any] | None = None,
) -> AsyncGenerator[Output, None]:
    """Same as :func:`relay`, for an asynchronous stream."""
    total = _listen(run, upstream)
    active = turn.assignment.active()
    streams: list[AsyncIterator[Output]] = []
    try:
        with active:
            streams.append(open_stream(turn.child_config(run)))
            streams.append(_atapped(run, streams[0]))
        while True:
            with active:
                chunk = await anext(streams[1], END)
            if chunk is END:
                break
            turn.assignment.first_token()
            turn.note(chunk)
            total.add(chunk)
            yield chunk
    except BaseException as error:
        _end(turn, error, upstream)
        try:
            with active:
                await _aclose(streams)
        finally:
            if isinstance(error, GeneratorExit):
                await run.on_chain_end(total.value, **_traced(upstream))
            else:
                await run.on_chain_error(error, **_traced(upstream))
        raise
    turn.succeed()
    await run.on_chain_end(total.value, **_traced(upstream))


def _listen(
    run: Run | AsyncRun,
    upstream: Upstream[Any] | AsyncUpstream[Any] | None,
) -> ChunkSum:
    """Return where the answer is added up; sums are kept only when a callback handler will see them."""
    wanted = any(not handler.ignore_chain for handler in run.handlers)
    if upstream is not None:
        upstream.total.wanted = wanted
    return ChunkSum(wanted)


def _end(turn: Turn[Any, Any], error: BaseException, upstream: Upstream[Any] | AsyncUpstream[Any] | None) -> None:
    if upstream is not None and upstream.error is not None:
        turn.assignment.cancel()
    else:
        turn.end(error)


def _traced(upstream: Upstream[Any] | AsyncUpstream[Any] | None) -> dict[str, Any]:
    return {} if upstream is None else {"inputs": upstream.total.value}


def _tapped(run: Run, source: Iterator[Output]) -> Iterator[Output]:
    """Let the handler of ``stream_log`` and ``stream_events``, if there is one, see each chunk of the root run."""
    for handler in run.handlers:
        tap = getattr(handler, "tap_output_iter", None)
        if tap is not None:
            tapped: Iterator[Output] = tap(run.run_id, source)
            return tapped
    return source


def _atapped(run: AsyncRun, source: AsyncIterator[Output]) -> AsyncIterator[Output]:
    """Same as :func:`_tapped`, for ``astream_log`` and ``astream_events``."""
    for handler in run.handlers:
        tap = getattr(handler, "tap_output_aiter", None)
        if tap is not None:
            tapped: AsyncIterator[Output] = tap(run.run_id, source)
            return tapped
    return source


def _close(streams: list[Iterator[Any]]) -> None:
    for stream in streams:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


async def _aclose(streams: list[AsyncIterator[Any]]) -> None:
    for stream in streams:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
