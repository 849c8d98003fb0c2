"""Small fields over many times: cost of a fine cell, as ratios of one run.

python -m benchmarks.regions [--model flex-nano] [--rounds 3]
"""

from __future__ import annotations

import argparse

from benchmarks.regions.small_fields import small_fields
from flexclim.execution.allocation import keep_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="flex-nano")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keep_memory()  # as the command line does
    print(small_fields(options.model, options.rounds).markdown())


if __name__ == "__main__":
    main()
