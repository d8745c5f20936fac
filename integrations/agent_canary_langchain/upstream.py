"""The stream of inputs that a version transforms, kept apart from the version that reads it.

A version pulls its inputs while it runs, so the steps before it run inside of it. They must neither see its
assignment nor fail it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from typing import Any, Generic, TypeVar

Chunk = TypeVar("Chunk")

END: Any = object()
"""What comes after a stream's last chunk."""


class ChunkSum:
    """A stream's chunks added up, as LangChain adds them: where they cannot be added, the last one counts.

    Attributes:
        wanted: Whether anybody asks for the sum; nothing is kept otherwise.
        value: The sum so far; None before the first chunk.
    """

    def __init__(self, wanted: bool = False) -> None:
        self.wanted = wanted
        self.value: Any = None

    def add(self, chunk: object) -> None:
        """Add one chunk. Its own ``+`` may raise anything."""
        if not self.wanted:
            return
        try:
            self.value = chunk if self.value is None else self.value + chunk
        except Exception:
            self.value = chunk


class Upstream(Generic[Chunk]):
    """The inputs of a ``transform``, read in the context of its consumer.

    Attributes:
        error: What the steps before the version raised, if they did.
        total: The inputs so far, for the trace.
    """

    def __init__(self, source: Iterator[Chunk]) -> None:
        self.error: BaseException | None = None
        self.total = ChunkSum()
        self._source = iter(source)
        self._context = copy_context()
        self._ahead: list[Any] = []

    def begin(self, *, whole: bool) -> Any:
        """Read the first chunk, or all of them into one, before the version begins; None when there is none.

        The time until then is that of the steps before.
        """
        first = next(self._source, END)
        if first is END:
            return None
        read = ChunkSum(wanted=True)
        read.add(first)
        if whole:
            for chunk in self._source:
                read.add(chunk)
        self._ahead.append(read.value)
        return read.value

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        try:
            chunk: Chunk = self._ahead.pop() if self._ahead else self._context.run(next, self._source, END)
        except BaseException as error:
            self.error = error
            raise
        if chunk is END:
            raise StopIteration
        self.total.add(chunk)
        return chunk


class AsyncUpstream(Generic[Chunk]):
    """Same as :class:`Upstream`, for ``atransform``."""

    def __init__(self, source: AsyncIterator[Chunk]) -> None:
        self.error: BaseException | None = None
        self.total = ChunkSum()
        self._source = aiter(source)
        self._context = copy_context()
        self._ahead: list[Any] = []

    async def begin(self, *, whole: bool) -> Any:
        """Same as :meth:`Upstream.begin`."""
        first = await anext(self._source, END)
        if first is END:
            return None
        read = ChunkSum(wanted=True)
        read.add(first)
        if whole:
            async for chunk in self._source:
                read.add(chunk)
        self._ahead.append(read.value)
        return read.value

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        try:
            chunk: Chunk = self._ahead.pop() if self._ahead else await self._advance()
        except BaseException as error:
            self.error = error
            raise
        if chunk is END:
            raise StopAsyncIteration
        self.total.add(chunk)
        return chunk

    async def _advance(self) -> Any:
        return await asyncio.create_task(_anext(self._source), context=self._context)


async def _anext(source: AsyncIterator[Any]) -> Any:
    return await anext(source, END)
