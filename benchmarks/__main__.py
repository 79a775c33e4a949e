"""`make bench`: runs every benchmark, or those named, each in a process of its own.

python -m benchmarks [NAME ...]
python -m benchmarks NAME OPTION ...

Options are those of the one program that is named. What takes more than a minute runs only when it
is named.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_A_BENCHMARK = {"__main__", "report", "databases", "cars", "servers", "load_generator", "tables"}
NOT_A_BENCHMARK |= {"eventsourcing_replay"}  # run by one of them
WHEN_NAMED = {"growth", "floors"}  # minutes


def main(arguments: list[str]) -> int:
    """The exit status: 0 when all programs ran, 2 for a name nobody knows, else the failure's."""
    here = Path(__file__).parent
    at = next((i for i, each in enumerate(arguments) if each.startswith("-")), len(arguments))
    chosen, options = arguments[:at], arguments[at:]
    programs = sorted({path.stem for path in here.glob("*.py")} - NOT_A_BENCHMARK | WHEN_NAMED)
    unknown = sorted(set(chosen) - set(programs))
    if unknown:
        print(
            f"no benchmark {', '.join(unknown)}; there are: {', '.join(programs)}", file=sys.stderr
        )
        return 2
    if options and len(chosen) != 1:
        print(f"{options[0]} belongs to one benchmark; name that one before it", file=sys.stderr)
        return 2
    for program in chosen or [each for each in programs if each not in WHEN_NAMED]:
        finished = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{program}", *options], cwd=here.parent, check=False
        )
        if finished.returncode:
            print(f"benchmark {program} ended with {finished.returncode}", file=sys.stderr)
            return finished.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
