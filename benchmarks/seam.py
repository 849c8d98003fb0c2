"""Whether tile borders show in what a model makes of wind, or of rain (x4, 2 steps).

    python -m benchmarks.seam [--model flex-nano] [--times 21] [--members 4]
    python -m benchmarks.seam --rain [--model flex-rain] [--times 4] [--members 2]

Block means are downscaled again: of GFS wind (u10, global, September 2018), or of boxes of MRMS
rain, so many in each of the 12 test hours. Prints `verify.seam` of all times and members, for
gradients across borders and variance in overlaps: as it is (coasts, storm tracks and edges of
coarse cells move it too), divided by that of the truth at the same borders, and divided by that of
the same members sampled with the borders elsewhere; in brackets what 90 of 100 draws of times
hold. Of rain it tells as well how gradients at the edges of coarse cells compare with others.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import flexclim
from benchmarks.skill.borders import moved_borders
from benchmarks.skill.fields import rain_boxes, spread_out
from flexclim import verify

FACTOR, DRAWS = 4, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rain", action="store_true", help="boxes of MRMS rain, not GFS wind")
    parser.add_argument("--model", help="[flex-nano, with --rain flex-rain]")
    parser.add_argument("--times", type=int, help="[21, with --rain 4 boxes an hour]")
    parser.add_argument("--members", type=int, help="[4, with --rain 2]")
    parser.add_argument("--overlap", type=int, help="cells that windows share [as the model says]")
    options = parser.parse_args()
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    asked: dict[str, Any]
    if options.rain:
        name, members, asked = "flex-rain", 2, {"grid": "cell", "non_negative": True}
        truth = boxes(folder, options.times or 4)
    else:
        name, members, asked = "flex-nano", 4, {}
        truth = wind(folder, options.times or 21)
    model, members = flexclim.load_model(options.model or name), options.members or members
    coarse = flexclim.coarsen(truth, FACTOR, grid=asked.get("grid"))
    asked |= {"model": model, "members": members, "overlap": options.overlap}
    fine = flexclim.downscale(coarse, FACTOR, **asked).compute()
    with moved_borders():
        elsewhere = flexclim.downscale(coarse, FACTOR, **asked).compute()
    print(f"{model.name}, {truth.sizes['time']} times x {members} members")
    tell("as it is", fine)
    tell("over the truth's", fine, truth)
    tell("over that with borders elsewhere", fine, elsewhere)
    if options.rain:
        tell_edges("edges of coarse cells", fine)
        tell_edges("... in the truth", truth)


def tell(what: str, field: xr.DataArray, reference: xr.DataArray | None = None) -> None:
    """Print ratios, and how far they vary when times are drawn anew."""
    random, count = np.random.default_rng(0), field.sizes["time"]
    draws = [np.sort(random.integers(0, count, count)) for _ in range(DRAWS)]
    found = [
        verify.seam(
            field.isel(time=times),
            reference=None if reference is None else reference.isel(time=times),
        )
        for times in (np.arange(count), *draws)
    ]
    parts = []
    for kind in ("gradient", "variance"):
        all_times, *drawn = (float(one[kind]) for one in found)
        low, high = np.quantile(drawn, [0.05, 0.95])
        parts.append(f"{kind} {all_times:.4f} ({low:.3f} to {high:.3f})")
    print(f"{what:34}{', '.join(parts)}", flush=True)


def tell_edges(what: str, field: xr.DataArray) -> None:
    """Print how much larger gradients are at edges of coarse cells than inside."""
    rows, columns = (range(FACTOR, size, FACTOR) for size in field.shape[-2:])
    edges = verify.seam(field, rows=rows, columns=columns, overlap=0)
    print(f"{what:34}gradient {float(edges['gradient']):.4f}")


def wind(folder: Path, times: int) -> xr.DataArray:
    """Read u10 of so many times of September."""
    field = xr.open_dataset(folder / "gfs_wind_1deg_2018.nc")["u10"]
    return field.isel(time=spread_out(21, times)).load()


def boxes(folder: Path, an_hour: int) -> xr.DataArray:
    """Read boxes of rain as times of one place: a seam does not ask where it is."""
    found = [box["qpe_01h"] for box in rain_boxes(folder, an_hour)]
    hours = found[0].time.values + np.arange(len(found)) * np.timedelta64(1, "h")
    here = {dim: found[0][dim] for dim in found[0].dims[-2:]}
    moved = [
        box.assign_coords(here | {"time": [hour]}) for box, hour in zip(found, hours, strict=True)
    ]
    return xr.concat(moved, "time")


if __name__ == "__main__":
    main()
