"""Small fields over many times, and slices of a lazy global field, as ratios of one run.

    python -m benchmarks.regions [--model flex-nano] [--rounds 3] [--spacing 1]

Each part runs alone, too: ``python -m benchmarks.regions.small_fields`` and ``slices``.
"""

from __future__ import annotations

import argparse

from benchmarks.regions.slices import globe, slices, windows_anywhere
from benchmarks.regions.small_fields import small_fields
from flexclim.execution.allocation import keep_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="flex-nano")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spacing", type=float, default=1.0)
    options = parser.parse_args()
    keep_memory()  # as the command line does
    print(small_fields(options.model, options.rounds).markdown(), flush=True)
    coarse = globe(options.spacing)
    print(slices(coarse, options.model).markdown())
    print(windows_anywhere(coarse, options.model))


if __name__ == "__main__":
    main()
