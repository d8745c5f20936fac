"""Who asks, and when that is known."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from agent_canary import AgentCanary, Assignment, Outcome, Reason
from agent_canary_flask import FlaskCanary

MakeCanary = Callable[..., AgentCanary]


@pytest.fixture
def app(app: flask.Flask) -> flask.Flask:
    """Return an app whose view says the version, and why it is this one."""
    app.secret_key = "secret"
    app.add_url_rule("/", view_func=lambda: f"{flask.g.agent_canary.version} {flask.g.agent_canary.reason.value}")
    return app


# Wrong configuration


def test_neither_key_nor_cookie_is_refused(app: flask.Flask, canary: AgentCanary) -> None:
    """Without any identity nobody would get the canary: an error at construction that says what to do."""
    with pytest.raises(ValueError, match=r'give key=.*or cookie="agent_canary"'):
        FlaskCanary(app, canary)


def test_an_async_key_is_refused(app: flask.Flask, canary: AgentCanary) -> None:
    """A coroutine function cannot be the key; the error names where to await it."""

    async def key() -> str:
        return "alice"

    with pytest.raises(ValueError, match="await it in a before_request function"):
        FlaskCanary(app, canary, key=key)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["cookie", "response_header"])
def test_names_that_no_header_can_carry_are_refused(app: flask.Flask, canary: AgentCanary, option: str) -> None:
    """Cookie and response header must be tokens of HTTP, in the configuration too."""
    with pytest.raises(ValueError, match=option):
        FlaskCanary(app, canary, key=lambda: "alice", **{option: "a b"})  # type: ignore[arg-type]
    app.config[f"AGENT_CANARY_{option.upper()}"] = "a b"
    with pytest.raises(ValueError, match=option):
        FlaskCanary(app, canary, key=lambda: "alice")


# The key


class Keys:
    """Keys of all shapes."""

    @staticmethod
    def of_request(request: flask.Request) -> str:
        return request.headers["X-User"]

    @staticmethod
    def with_default(user: str = "") -> str:
        return user or flask.request.headers["X-User"]

    def __call__(self, request: flask.Request) -> str:
        return request.headers["X-User"]


@pytest.mark.parametrize(
    "key",
    [
        lambda: flask.request.headers["X-User"],
        lambda request: request.headers["X-User"],
        Keys.with_default,
        Keys.of_request,
        Keys(),
    ],
)
def test_the_key_decides(app: flask.Flask, canary: AgentCanary, key: Any) -> None:
    """The callable, with or without the request, is routed; no cookie is set for a client that it knows."""
    FlaskCanary(app, canary, key=key, cookie="c")
    client = app.test_client()
    assert client.get("/", headers={"X-User": "alice"}).text == "v2 targeting_match"
    answer = client.get("/", headers={"X-User": "bob"})
    assert answer.text == "v1 targeting_match"
    assert "Set-Cookie" not in answer.headers


def test_the_key_may_be_the_sessions(app: flask.Flask, canary: AgentCanary) -> None:
    """Flask's session is there when the key is asked for."""
    FlaskCanary(app, canary, key=lambda: flask.session.get("user"))
    client = app.test_client()
    assert client.get("/").text == "v1 default"
    with client.session_transaction() as session:
        session["user"] = "alice"
    assert client.get("/").text == "v2 targeting_match"


def test_a_login_after_the_extension_is_seen(app: flask.Flask, canary: AgentCanary) -> None:
    """The key is asked for after all ``before_request`` functions, wherever they were registered."""
    FlaskCanary(app, canary, key=lambda: flask.g.user)

    @app.before_request
    def log_in() -> None:
        flask.g.user = "alice"

    assert app.test_client().get("/").text == "v2 targeting_match"


def test_a_login_of_a_blueprint_is_seen(app: flask.Flask, canary: AgentCanary) -> None:
    """So are those of a blueprint in a blueprint, which Flask calls last."""
    FlaskCanary(app, canary, key=lambda: flask.g.user)
    outer, inner = flask.Blueprint("outer", "outer"), flask.Blueprint("inner", "inner")

    @inner.before_request
    def log_in() -> None:
        flask.g.user = "alice"

    inner.add_url_rule("/chat", view_func=lambda: flask.g.agent_canary.version)
    outer.register_blueprint(inner, url_prefix="/inner")
    app.register_blueprint(outer, url_prefix="/outer")
    assert app.test_client().get("/outer/inner/chat").text == "v2"


def test_no_key_gets_stable_and_counts(app: flask.Flask, canary: AgentCanary) -> None:
    """Nobody knows who asks: stable, and counted, every time."""
    FlaskCanary(app, canary, key=lambda: None)
    client = app.test_client()
    assert [client.get("/").text for _ in range(20)] == ["v1 default"] * 20
    canary.tick()
    assert canary.metrics("v1").total == 20


def test_a_key_that_raises_gets_stable(app: flask.Flask, canary: AgentCanary) -> None:
    """An error in the user's key is counted, and its requests are all answered by stable, without a cookie."""
    FlaskCanary(app, canary, key=lambda: flask.g.user.id, cookie="c")
    client = app.test_client()
    for _ in range(20):
        answer = client.get("/")
        assert (answer.status_code, answer.text) == (200, "v1 default")
        assert "Set-Cookie" not in answer.headers
    assert canary.failsafe.counts == {"key": 20}


def test_a_key_of_a_wrong_type_gets_stable(app: flask.Flask, canary: AgentCanary) -> None:
    """A key that is no text and no number does not fail the request."""
    FlaskCanary(app, canary, key=object)  # type: ignore[arg-type]
    assert app.test_client().get("/").text == "v1 error"


def test_overrides_see_the_environ(app: flask.Flask, make_canary: MakeCanary) -> None:
    """The environ is the context of overrides: a header can choose the version."""

    def override(key: object, environ: Any) -> str | None:
        return "v2" if environ.get("HTTP_X_PREVIEW") == "1" else None

    FlaskCanary(app, make_canary(overrides=override), key=lambda: "bob")
    assert app.test_client().get("/", headers={"X-Preview": "1"}).text == "v2 targeting_match"


# Opened earlier


def test_a_before_request_function_may_open_it(app: flask.Flask, canary: AgentCanary) -> None:
    """Who needs the version before the view opens the assignment by hand, once, with the key as it is then."""
    extension = FlaskCanary(app, canary, key=lambda: flask.g.user)
    opened: list[Assignment] = []

    @app.before_request
    def log_in() -> None:
        flask.g.user = "alice"
        opened.append(extension.assign())
        flask.g.user = "bob"

    @app.after_request
    def look(response: flask.Response) -> flask.Response:
        assert extension.assign() is flask.g.agent_canary is opened[0]
        return response

    assert app.test_client().get("/").text == "v2 targeting_match"
    assert opened[0].outcome is Outcome.SUCCEEDED


def test_opened_by_hand_it_counts_whatever_the_rules(app: flask.Flask, canary: AgentCanary) -> None:
    """The path rules say what is opened by itself; an early answer of who opened it counts too."""
    extension = FlaskCanary(app, canary, key=lambda: "alice", exclude="/")
    app.before_request(lambda: (extension.assign().version, 503))
    assert app.test_client().get("/nowhere").text == "v2"
    canary.tick()
    assert canary.metrics("v2").failures == 1


def test_it_cannot_be_opened_without_a_request(app: flask.Flask, canary: AgentCanary) -> None:
    """Outside of a request, in one that nobody serves, and in another app: errors that say what to do."""
    extension = FlaskCanary(app, canary, key=lambda: "alice")
    with pytest.raises(RuntimeError, match="outside of application context"):
        extension.assign()
    with app.test_request_context(), pytest.raises(RuntimeError, match=r"send it by app\.test_client"):
        extension.assign()
    with flask.Flask("other").test_request_context(), pytest.raises(RuntimeError, match=r"call init_app\(app\)"):
        extension.assign()


def test_a_view_called_without_a_server_still_runs(app: flask.Flask, canary: AgentCanary) -> None:
    """In a test's request context, dispatching runs the view, without an assignment."""
    FlaskCanary(app, canary, key=lambda: "alice")
    app.add_url_rule("/plain", "plain", view_func=lambda: str(flask.g.get("agent_canary")))
    with app.test_request_context("/plain"):
        assert app.full_dispatch_request().get_data(as_text=True) == "None"


# The answer's headers


def test_the_response_header_tells_the_version(app: flask.Flask, canary: AgentCanary) -> None:
    """The version is added to the answer, to an error's too."""
    FlaskCanary(app, canary, key=lambda: "alice", response_header="X-Agent-Version")
    app.add_url_rule("/raise", "raise", view_func=lambda: 1 / 0)
    client = app.test_client()
    assert client.get("/").headers["X-Agent-Version"] == "v2"
    assert client.get("/raise").headers["X-Agent-Version"] == "v2"
    assert "X-Agent-Version" not in client.get("/nowhere").headers


def test_the_cookie_is_set_once_and_comes_back(app: flask.Flask, canary: AgentCanary) -> None:
    """An anonymous client gets a cookie with its first answer, beside Flask's own, and keeps its version."""
    FlaskCanary(app, canary, cookie="who")
    app.add_url_rule("/session", "session", view_func=lambda: flask.session.setdefault("seen", "yes"))
    client = app.test_client()
    first = client.get("/session")
    who = [value for value in first.headers.getlist("Set-Cookie") if value.startswith("who=")]
    assert len(first.headers.getlist("Set-Cookie")) == 2
    assert re.fullmatch(r"who=[0-9a-f]{32}; Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax", who[0])
    versions = set()
    for _ in range(3):
        again = client.get("/")
        assert "Set-Cookie" not in again.headers
        versions.add(again.text)
    assert len(versions) == 1
    assert versions.pop().endswith(Reason.SPLIT.value)


def test_an_old_secret_keeps_the_identity(make_canary: MakeCanary) -> None:
    """After a rotation the client keeps its identity, and its cookie is signed anew; a forged one is replaced."""
    old, new = make_canary(secret="s1"), make_canary(secret=["s2", "s1"])
    app = flask.Flask("shop")
    app.add_url_rule("/", view_func=lambda: str(flask.g.agent_canary.unit))
    FlaskCanary(app, new, cookie="who")
    client = app.test_client()
    client.set_cookie("who", old.sign("a" * 32))
    assert client.get("/").text == str(new.assign("a" * 32).unit)
    cookie = client.get_cookie("who")
    assert cookie is not None
    assert cookie.value == make_canary(secret="s2").sign("a" * 32)
    client.set_cookie("who", "b" * 32)
    assert client.get("/").text != str(new.assign("b" * 32).unit)


def test_racing_first_requests_get_one_cookie(app: flask.Flask, canary: AgentCanary) -> None:
    """Six first requests of one client at once are given the same cookie and the same version."""
    FlaskCanary(app, canary, cookie="who")
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: app.test_client().get("/", headers={"User-Agent": "b"}), range(6)))
    assert len({answer.headers["Set-Cookie"] for answer in answers}) == 1
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize("is_outside", [True, False])
def test_a_proxy_fix_is_heeded(app: flask.Flask, canary: AgentCanary, is_outside: bool) -> None:
    """The client is whom ``ProxyFix`` says, installed before the extension or after."""
    if not is_outside:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    FlaskCanary(app, canary, cookie="who")
    if is_outside:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    headers = [{"X-Forwarded-For": f"192.0.2.{number}", "X-Forwarded-Proto": "https"} for number in range(2)]
    cookies = [app.test_client().get("/", headers=header).headers["Set-Cookie"] for header in headers]
    assert cookies[0] != cookies[1]
    assert all(cookie.endswith("; Secure") for cookie in cookies)
