"""Runs the Python snippets of the documents, where Sybil is installed."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("sybil") is not None:
    from sybil import Sybil
    from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

    pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], patterns=["*.md"]).pytest()
