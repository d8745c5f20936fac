"""What the distribution promises about itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import agent_canary

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[Any]] = PROJECT["dependency-groups"]
INTEGRATIONS = sorted(path.name for path in (ROOT / "integrations").iterdir() if (path / "__init__.py").exists())


def test_the_core_has_no_dependencies() -> None:
    """Nothing is installed with it."""
    assert PROJECT["project"]["dependencies"] == []


def test_the_version_is_the_packages() -> None:
    """The distribution takes it from the package."""
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/agent_canary/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", agent_canary.__version__)


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"all", "wsgi"}))
def test_a_lower_bound_is_what_the_oldest_environment_installs(extra: str) -> None:
    """Each `>=` of an extra stands as `==` in the dependency group of the tests with the oldest frameworks."""
    oldest = [requirement for requirement in GROUPS[f"oldest-{extra}"] if isinstance(requirement, str)]
    assert EXTRAS[extra]
    for requirement in EXTRAS[extra]:
        assert requirement.replace(">=", "==") in oldest


@pytest.mark.parametrize("package", INTEGRATIONS)
def test_every_integration_is_in_the_wheel_and_has_an_extra_and_an_environment(package: str) -> None:
    """And it is typed, and has a page of its own."""
    name = package.removeprefix("agent_canary_")
    assert f"integrations/{package}" in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert name in EXTRAS
    assert name in EXTRAS["all"][0]
    assert f"tests/integrations/{package}" in (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert (ROOT / "integrations" / package / "py.typed").exists()
    assert (ROOT / "integrations" / package / "README.md").exists()


def test_no_page_tells_anyone_to_install_somebody_elses_package() -> None:
    """The name on the package index is agent-canary-rollout; agent-canary is another project."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("integrations/*/*.md")]
    assert len(pages) > 5
    for page in pages:
        assert not re.search(r"pip install [\"']?agent[-_]canary(?!-rollout)\b", page.read_text(encoding="utf-8"))
