"""The wrapper's run of a trace when no callback handler listens: opening one would cost more than all the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.callbacks.manager import (
        AsyncCallbackManager,
        AsyncCallbackManagerForChainRun,
        CallbackManager,
        CallbackManagerForChainRun,
    )


class UnheardRun:
    """Stands for a run that nobody hears of. A handler of the version's own sees what is below it, without it.

    Args:
        callbacks: What the wrapper was called with; the version is called with it in turn.
    """

    handlers: tuple[BaseCallbackHandler, ...] = ()
    run_id = None

    def __init__(self, callbacks: CallbackManager) -> None:
        self._callbacks = callbacks

    def get_child(self) -> CallbackManager:
        """Return the callbacks for the version."""
        return self._callbacks

    def on_chain_end(self, outputs: Any, **told: Any) -> None:
        """Do nothing."""

    def on_chain_error(self, error: BaseException, **told: Any) -> None:
        """Do nothing."""


class AsyncUnheardRun:
    """Same as :class:`UnheardRun`, for the asynchronous methods."""

    handlers: tuple[BaseCallbackHandler, ...] = ()
    run_id = None

    def __init__(self, callbacks: AsyncCallbackManager) -> None:
        self._callbacks = callbacks

    def get_child(self) -> AsyncCallbackManager:
        """Return the callbacks for the version."""
        return self._callbacks

    async def on_chain_end(self, outputs: Any, **told: Any) -> None:
        """Do nothing."""

    async def on_chain_error(self, error: BaseException, **told: Any) -> None:
        """Do nothing."""


if TYPE_CHECKING:
    Run = CallbackManagerForChainRun | UnheardRun
    AsyncRun = AsyncCallbackManagerForChainRun | AsyncUnheardRun
