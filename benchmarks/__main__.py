"""The command line: measure, print the table, and write ``RESULTS.md`` when told to."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from .environment import Environment
from .groups import GROUPS, run_apart
from .report import BUSY, markdown, summary, terminal
from .rounds import FULL, QUICK, SMOKE, Effort
from .rows import Rows

RESULTS = Path(__file__).with_name("RESULTS.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when everything could be measured, whether or not a budget is missed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("--write writes the whole of RESULTS.md, so it cannot go with --only")
    environment = Environment.here()
    print(f"agent_canary benchmarks, {environment}\n", flush=True)
    if environment.is_busy:
        print(f"{BUSY}\n", flush=True)
    groups, failed = _measure(options.only or GROUPS, options.effort)
    print(summary(groups))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    if options.write:
        RESULTS.write_text(markdown(groups, environment, options.effort.name), encoding="utf-8")
        print(f"written to {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    return 0


def _measure(names: Sequence[str], effort: Effort) -> tuple[dict[str, Rows], list[str]]:
    groups: dict[str, Rows] = {}
    failed: list[str] = []
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        started = time.monotonic()
        try:
            groups[name] = run_apart(name, effort)
        except Exception as error:
            traceback.print_exception(error)
            failed.append(name)
            continue
        print(terminal(name, groups[name]))
        print(f"  ({time.monotonic() - started:.0f} s)\n", flush=True)
    return groups, failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description="What agent_canary costs, in ratios.")
    names = ", ".join(GROUPS)
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", help=f"measure these: {names}")
    efforts = parser.add_mutually_exclusive_group()
    for effort, text in ((QUICK, "under a minute, wider spreads"), (SMOKE, "see that everything runs; no numbers")):
        efforts.add_argument(f"--{effort.name}", dest="effort", action="store_const", const=effort, help=text)
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    parser.set_defaults(effort=FULL)
    return parser


if __name__ == "__main__":
    sys.exit(main())
