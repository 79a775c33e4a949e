"""`make bench`: runs every benchmark, or those named, each in a process of its own.

python -m benchmarks [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_A_BENCHMARK = {"__main__", "report", "databases", "cars", "servers", "load_generator"}
NOT_A_BENCHMARK |= {"eventsourcing_replay"}  # run by one of them


def main(chosen: list[str]) -> int:
    """The exit status: 0 when all programs ran, 2 for a name nobody knows, else the failure's."""
    here = Path(__file__).parent
    programs = sorted({path.stem for path in here.glob("*.py")} - NOT_A_BENCHMARK)
    unknown = sorted(set(chosen) - set(programs))
    if unknown:
        print(
            f"no benchmark {', '.join(unknown)}; there are: {', '.join(programs)}", file=sys.stderr
        )
        return 2
    for program in chosen or programs:
        finished = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{program}"], cwd=here.parent, check=False
        )
        if finished.returncode:
            print(f"benchmark {program} ended with {finished.returncode}", file=sys.stderr)
            return finished.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
