"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref

_GRACE_SECONDS = 1.0


class OwnLoop:
    """An event loop that a daemon thread runs until told to stop.

    Args:
        name: The thread's name.

    Attributes:
        loop: The event loop.

    Raises:
        OSError: No file descriptors are left.
        RuntimeError: No thread can be started.
    """

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self.loop.close()
            raise

    def stop(self, *, wait: bool = False) -> None:
        """Cancel all tasks and end the thread.

        Args:
            wait: Whether to return when it has ended, or after a second if a task refuses to be cancelled.
        """
        with contextlib.suppress(RuntimeError):  # it was stopped before
            self.loop.call_soon_threadsafe(self._stopping.set)
        if wait and self._thread is not threading.current_thread():
            self._thread.join(_GRACE_SECONDS)

    def stop_with(self, owner: object) -> None:
        """End the thread when nobody holds *owner* any more, who alone gives it work."""
        weakref.finalize(owner, self.stop).atexit = False

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._stopping.wait()
