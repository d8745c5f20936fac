"""The app: reads scans with the version that the canary assigns, and takes its users' feedback."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent_canary import AgentCanary
from agent_canary_asgi import CanaryMiddleware

from .agents import Agent, AgentError
from .traffic import REQUEST_HEADER, USER_HEADER, VERSION_HEADER


def build_app(canary: AgentCanary, agents: Mapping[str, Agent]) -> Starlette:
    """Return the app.

    Args:
        canary: Decides who gets which version.
        agents: By version.
    """

    async def read(request: Request) -> Response:
        assignment = request.state.agent_canary
        digit = agents[assignment.version].read(await request.json(), request.headers[REQUEST_HEADER])
        return JSONResponse({"digit": digit, "assignment": assignment.id})

    async def feedback(request: Request) -> Response:
        judged = await request.json()
        booked = canary.score(judged["assignment"], "wrong", judged["wrong"])
        return Response(status_code=204 if booked else 422)

    return Starlette(
        routes=[Route("/read", read, methods=["POST"]), Route("/feedback", feedback, methods=["POST"])],
        middleware=[
            Middleware(
                CanaryMiddleware,
                canary=canary,
                key=lambda scope: Headers(scope=scope).get(USER_HEADER),
                response_header=VERSION_HEADER,
                exclude="/feedback",
            )
        ],
        exception_handlers={AgentError: _apologise},
    )


async def _apologise(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=500)
