"""A new prompt behind a Flask app: every answer is 200 OK, but users like it less, so it is rolled back.

The users log in in a ``before_request`` function; their thumbs come later, by another request. Runs without a network,
by Flask's test client; the clock is moved by hand.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

from flask import Flask, Response, g, request

from agent_canary import AgentCanary, FailureRate, Rate, Rollout, RolloutStatus, Stage
from agent_canary.testing import ManualClock
from agent_canary_flask import FlaskCanary

clock = ManualClock()
canary = AgentCanary(
    "prompt-1",
    "prompt-2",
    Rollout([Stage(0.20), Stage(1.0)], rollback_on=[FailureRate(), Rate("thumb", higher_is_better=True, horizon=60.0)]),
    name="support-prompt",
    secret=os.environ.get("CANARY_SECRET", "signs the ids, which travel through browsers"),
    clock=clock,
    autopilot=False,  # only here, where the clock is moved by hand: else a thread ticks every second
)
extension = FlaskCanary(canary=canary, key=lambda: g.user)


def create_app() -> Flask:
    """Make the app; it may be made several times in one process."""
    app = Flask(__name__)
    app.config["AGENT_CANARY_EXCLUDE"] = ["/feedback", "/static"]
    extension.init_app(app)

    @app.before_request
    def log_in() -> None:
        g.user = request.headers["X-User"]

    @app.get("/chat")
    def chat() -> Response:
        def words() -> Iterator[str]:
            for word in ("it", "is", "on", "its", "way"):
                clock.advance(0.01)
                yield f"{word} "

        # The id is how the thumb finds its answer later, in any worker.
        headers = {"X-Answer": g.agent_canary.id, "X-Agent-Version": g.agent_canary.version}
        return Response(words(), headers=headers, mimetype="text/plain")

    @app.post("/feedback")
    def feedback() -> tuple[str, int]:
        thumb = canary.score(request.form["answer"], "thumb", float(request.form["thumb"]))
        return ("", 204) if thumb else ("not an answer of ours", 400)

    return app


client = create_app().test_client()
thumbs: Counter[tuple[str, bool]] = Counter()
for number in range(20_000):
    who = {"X-User": f"user {number * 7919 % 2000}"}
    answer = client.get("/chat", headers=who, buffered=True)
    version = answer.headers["X-Agent-Version"]
    is_liked = number % 20 != 0 if version == "prompt-1" else number % 4 != 0
    thumbs[version, is_liked] += 1
    client.post("/feedback", headers=who, data={"answer": answer.headers["X-Answer"], "thumb": int(is_liked)})
    clock.advance(0.2)
    if number % 20 == 0:
        canary.tick()
    if canary.rollout.status is RolloutStatus.ROLLED_BACK:
        break

for version in canary.versions:
    print(f"{version}: all {canary.metrics(version).total} answers were 200 OK, {thumbs[version, False]} thumbs down")
print(canary.rollout.status.value, "because", canary.rollout.history[-1].reason)
forged = client.post("/feedback", headers={"X-User": "mallory"}, data={"answer": "made up", "thumb": 0})
print("a made-up answer's thumb:", forged.status_code, forged.text)
