"""A FastAPI dependency for sticky keys that are known only inside the app."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from agent_canary import Assignment, treat_as_cancellation
from agent_canary.adapting import StickyKey
from agent_canary.errors import MissingExtraError

if TYPE_CHECKING:
    from agent_canary import AgentCanary

RequestKey = Callable[[Request], StickyKey | Awaitable[StickyKey | None] | None]

treat_as_cancellation(ClientDisconnect)


def canary_assignment(canary: AgentCanary, *, key: RequestKey) -> Callable[[Request], AsyncGenerator[Assignment, None]]:
    """Make a FastAPI dependency that yields the request's assignment.

    Same as ``AgentCanary.assign``, the key taken from the request: for the logged-in user, whom a middleware does not
    know. ``Depends(canary_assignment(canary, key=user_of))``, and the endpoint runs ``assignment.version``. Below a
    :class:`~agent_canary_asgi.CanaryMiddleware` of the same canary it yields the middleware's assignment, whatever the
    key: exclude these paths there.

    A dependency sees less than the middleware:

    * It ends by exceptions. An endpoint that returns a response with status 503 has succeeded; raise
      ``HTTPException(503)`` instead. One below 500, and a request that fails validation, are successes, as answers with
      these statuses are.
    * FastAPI decides when it ends. Since 0.118, and before 0.106: after the answer and its background tasks, whose time
      and errors count. From 0.106 to 0.117, and with ``Depends(..., scope="function")`` (0.121): when the endpoint
      returns, before a streamed body.
    * A client that leaves is seen by Starlette's ``ClientDisconnect`` only; a stream that it leaves unread succeeds.

    Args:
        canary: Who decides.
        key: Gets the request and returns the sticky key, or None; plain or async. An exception in it is counted, and
            the request gets stable.

    Raises:
        MissingExtraError: FastAPI is not installed.
    """
    try:
        from fastapi.exceptions import RequestValidationError
    except ModuleNotFoundError as error:
        raise MissingExtraError("canary_assignment is a FastAPI dependency: pip install fastapi") from error

    async def agent_canary_assignment(request: Request) -> AsyncGenerator[Assignment, None]:
        sticky_key = await canary.failsafe.acall("key", key, request)
        assignment = canary.assign(sticky_key, request.scope, adapter=True)
        with assignment.active():
            try:
                yield assignment
            except HTTPException as error:
                if error.status_code >= 500:
                    assignment.fail(f"status {error.status_code}")
                else:
                    assignment.succeed()
                raise
            except RequestValidationError:
                assignment.succeed()
                raise
            except BaseException as error:
                assignment.end(error)
                raise
            assignment.succeed()

    return agent_canary_assignment
