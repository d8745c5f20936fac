"""What an installation without the SDK says."""

from __future__ import annotations

import importlib
import sys

import pytest

from agent_canary import MissingExtraError


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.sdk"])
def test_a_missing_sdk_names_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Without the package, or with the API alone, the import says which extra to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "agent_canary_opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name == missing or name.startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r'pip install "agent-canary-rollout\[opentelemetry\]"') as caught:
        importlib.import_module("agent_canary_opentelemetry")
    assert (caught.value.name or "").startswith(missing)


def test_another_import_that_fails_is_not_disguised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of our own that is missing is no missing extra."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "agent_canary_opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "agent_canary_opentelemetry.tags", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("agent_canary_opentelemetry")
    assert not isinstance(caught.value, MissingExtraError)
