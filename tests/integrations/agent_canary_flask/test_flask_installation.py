"""Apps, factories, configuration, and which requests count."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import flask
import pytest

from agent_canary import AgentCanary, MissingExtraError
from agent_canary_flask import FlaskCanary

MakeCanary = Callable[..., AgentCanary]


def speaking() -> str:
    """A view that says whether it counts."""
    return str(flask.g.get("agent_canary") and flask.g.agent_canary.version)


def app_of(name: str, **config: Any) -> flask.Flask:
    """Make an app."""
    app = flask.Flask(name)
    app.config.update(config)
    for path in ("/", "/chat", "/chat/7", "/health", "/search"):
        app.add_url_rule(path, endpoint=path.replace("/", "_") or "root", view_func=speaking)
    return app


def counted(canary: AgentCanary) -> int:
    """How many requests of both versions were booked."""
    canary.tick()
    return canary.metrics("v1").total + canary.metrics("v2").total


# Apps and factories


def test_several_apps_of_one_process_do_not_mix(make_canary: MakeCanary) -> None:
    """One extension in two apps of a factory: each has its own canary and its own configuration."""
    extension = FlaskCanary(key=lambda: "alice")
    canaries = {"one": make_canary(name="one"), "two": make_canary(name="two", overrides={"alice": "v1"})}

    def create_app(name: str) -> flask.Flask:
        app = app_of(name, AGENT_CANARY_RESPONSE_HEADER=f"X-{name}")
        extension.init_app(app, canaries[name])
        return app

    one, two = create_app("one"), create_app("two")
    first, second = one.test_client().get("/"), two.test_client().get("/")
    assert (first.text, second.text) == ("v2", "v1")
    assert (first.headers.get("X-one"), second.headers.get("X-two")) == ("v2", "v1")
    assert "X-one" not in second.headers
    assert [counted(canary) for canary in canaries.values()] == [1, 1]


def test_the_constructors_canary_is_every_apps(canary: AgentCanary) -> None:
    """Apps for which no other is named share it."""
    extension = FlaskCanary(canary=canary, key=lambda: "alice")
    for name in ("one", "two"):
        app = app_of(name)
        extension.init_app(app)
        assert app.test_client().get("/").text == "v2"
    assert counted(canary) == 2


def test_two_rollouts_share_an_app(make_canary: MakeCanary) -> None:
    """Two extensions, each for some paths, each with a cookie of its own."""
    app = app_of("shop")
    support, search = make_canary(name="support"), make_canary(name="search")
    FlaskCanary(app, support, key=lambda: "alice", include="/chat")
    FlaskCanary(app, search, key=lambda: "bob", include="/search")
    client = app.test_client()
    assert [client.get(path).text for path in ("/chat", "/search", "/health")] == ["v2", "v1", "None"]
    assert (counted(support), counted(search)) == (1, 1)


def test_no_canary_is_refused() -> None:
    """An error at installation that says where to give one."""
    with pytest.raises(ValueError, match=r"init_app\(app, canary\)"):
        FlaskCanary(app_of("shop"), key=lambda: "alice")


def test_a_second_installation_is_refused(make_canary: MakeCanary) -> None:
    """The same extension, or another for the same rollout, would count every request twice."""
    app = app_of("shop")
    extension = FlaskCanary(app, make_canary(), key=lambda: "alice")
    with pytest.raises(ValueError, match="already"):
        extension.init_app(app, make_canary(name="other"))
    with pytest.raises(ValueError, match="rollout 'default' already"):
        FlaskCanary(app, make_canary(), key=lambda: "alice")
    assert app.test_client().get("/").text == "v2"


# Configuration


def test_the_configuration_is_heeded(make_canary: MakeCanary) -> None:
    """All four keys, as ``from_prefixed_env`` and files give them."""
    canary = make_canary()
    app = app_of(
        "shop",
        AGENT_CANARY_COOKIE="who",
        AGENT_CANARY_RESPONSE_HEADER="X-Agent-Version",
        AGENT_CANARY_INCLUDE=["/chat", "/search"],
        AGENT_CANARY_EXCLUDE="/chat/7",
    )
    FlaskCanary(app, canary)
    client = app.test_client()
    answer = client.get("/chat")
    assert answer.headers["Set-Cookie"].startswith("who=")
    assert answer.headers["X-Agent-Version"] == answer.text
    assert [client.get(path).text == "None" for path in ("/chat/7", "/search", "/health")] == [True, False, True]


def test_an_argument_beats_the_configuration(canary: AgentCanary) -> None:
    """What the code says counts."""
    app = app_of("shop", AGENT_CANARY_COOKIE="configured", AGENT_CANARY_EXCLUDE="/")
    FlaskCanary(app, canary, cookie="given", exclude="/health")
    assert app.test_client().get("/").headers["Set-Cookie"].startswith("given=")


# Which requests count


def test_what_no_view_answers_does_not_count(canary: AgentCanary) -> None:
    """Neither pages that are not there, nor redirects of the router, nor OPTIONS, nor early answers."""
    app = app_of("shop")
    app.add_url_rule("/folder/", view_func=speaking)
    FlaskCanary(app, canary, cookie="who", response_header="v")

    @app.before_request
    def refuse() -> tuple[str, int] | None:
        return ("log in", 401) if "X-Refuse" in flask.request.headers else None

    client = app.test_client()
    answers = [
        client.get("/nowhere"),
        client.post("/chat"),
        client.get("/folder"),
        client.options("/chat"),
        client.get("/chat", headers={"X-Refuse": "1"}),
    ]
    assert [answer.status_code for answer in answers] == [404, 405, 308, 200, 401]
    assert not any("Set-Cookie" in answer.headers or "v" in answer.headers for answer in answers)
    assert counted(canary) == 0
    assert client.head("/chat").status_code == 200
    assert counted(canary) == 1


def test_a_view_for_options_counts(canary: AgentCanary) -> None:
    """An app that answers OPTIONS by a view of its own means it."""
    app = app_of("shop")
    app.add_url_rule("/own", view_func=speaking, methods=["OPTIONS"])
    FlaskCanary(app, canary, key=lambda: "alice")
    assert app.test_client().options("/own").text == "v2"
    assert counted(canary) == 1


@pytest.mark.parametrize(("path", "counts"), [("/chat", True), ("/chat/7", True), ("/health", False)])
def test_the_rules_see_path_and_request(canary: AgentCanary, path: str, counts: bool) -> None:
    """Strings are compared with the path as the client sees it, below a mount too; callables get the request."""
    seen: list[str] = []
    app = app_of("shop")
    rules: Any = ["/mount/chat", lambda request: seen.append(request.path)]
    FlaskCanary(app, canary, key=lambda: "alice", include=rules)
    answer = app.test_client().get(path, base_url="http://localhost/mount")
    assert answer.text == ("v2" if counts else "None")
    assert seen == ([] if counts else [path])


def test_what_does_not_count_passes_untouched(canary: AgentCanary) -> None:
    """Its body reaches the server as Flask made it."""
    app = app_of("shop")
    bodies: list[Any] = []
    flask_app = app.wsgi_app

    def noting(environ: Any, start_response: Any) -> Any:
        bodies.append(flask_app(environ, start_response))
        return bodies[0]

    app.wsgi_app = noting  # type: ignore[method-assign]
    FlaskCanary(app, canary, key=lambda: "alice", exclude="/health")
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/health", "wsgi.url_scheme": "http", "HTTP_HOST": "localhost"}
    body: Any = app(environ, lambda status, headers: print)
    assert body is bodies[0]
    assert not [name for name in environ if name.startswith("agent_canary")]
    body.close()


# What is missing


def test_a_missing_flask_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Flask the import says which extra brings it."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("flask", "agent_canary_flask")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flask", None)
    with pytest.raises(MissingExtraError, match=r'pip install "agent-canary-rollout\[flask\]"'):
        __import__("agent_canary_flask")
