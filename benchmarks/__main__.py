"""Run all benchmarks, or those that are named: ``python -m benchmarks [NAME ...]``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# They write into cards and docs, take hours, or want arguments: only where they are named.
TOOLS = (
    "ablation",
    "coverage",
    "figures",
    "gpu",
    "kinetic_energy",
    "objective",
    "prognosis",
    "rounding",
)


def main() -> int:
    """Run each benchmark in a process of its own, so that none sees another's memory."""
    folder = Path(__file__).parent
    files = (*folder.glob("[!_]*.py"), *folder.glob("[!_]*/__main__.py"))
    known = sorted(file.stem if file.parent == folder else file.parent.name for file in files)
    wanted = sys.argv[1:] or [name for name in known if name not in TOOLS]
    if unknown := sorted(set(wanted) - set(known)):
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = 0
    for name in wanted:
        print(f"== {name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
