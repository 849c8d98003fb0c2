"""Train small models of perfect prognosis and print their scores beside a regression.

python -m benchmarks.prognosis colder-half /tmp/prognosis
python -m benchmarks.prognosis meteonet /tmp/prognosis --data "$FLEXCLIM_DATA"
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.prognosis import colder_half, meteonet


def main() -> None:
    """Run one of the two comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("task", choices=["colder-half", "meteonet"])
    parser.add_argument("folder", type=Path, help="where data and runs are written")
    parser.add_argument("--data", type=Path, default=os.environ.get("FLEXCLIM_DATA", "data"))
    parser.add_argument("--steps", type=int, default=150, help="training steps")
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--every", type=int, default=6, help="times between those that are scored")
    parser.add_argument("--no-base", action="store_true", help="predict the whole temperature")
    given = parser.parse_args()
    folder = given.folder / given.task
    if given.task == "meteonet":
        model = meteonet.train(given.data, folder / "run", meteonet.small(given.steps))
        scores = meteonet.compare(given.data, model, given.members, given.every)
    else:
        model = colder_half.train(folder, given.steps, None if given.no_base else "t@850")
        scores = colder_half.compare(folder, model, given.members, given.every)
    print(scores.to_dataframe().round(4).to_string())


if __name__ == "__main__":
    main()
