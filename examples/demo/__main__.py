"""The demo's entry point: ``python -m examples.demo``, from the root of the checkout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the rollouts; return 0 only if all of them ended as they should."""
    try:
        return _play(arguments)
    except KeyboardInterrupt:
        print("Interrupted. Server and clients have ended.", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"The demo needs {error.name}. Run it by `tox run -e demo`, which installs everything.", file=sys.stderr)
        return 2


def _play(arguments: Sequence[str] | None) -> int:
    # Imported here, so that what is missing can be told.
    from .performance import perform
    from .scenes import SCENES

    parser = argparse.ArgumentParser(
        prog="python -m examples.demo",
        description="Three rollouts of an agent that reads handwritten digits, on real HTTP traffic, in a minute.",
    )
    parser.add_argument("--only", choices=[scene.name for scene in SCENES], help="play one rollout only")
    only = parser.parse_args(arguments).only
    return perform([scene for scene in SCENES if only in (None, scene.name)])


if __name__ == "__main__":
    sys.exit(main())
