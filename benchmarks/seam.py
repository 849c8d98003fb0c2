"""Whether tile borders show in what flex-nano makes of GFS wind (u10, global, x4).

    python -m benchmarks.seam [--times 21] [--members 4]

September 2018, block means of 4 x 4 degrees downscaled again. Prints `verify.seam`, averaged over
times and members, for gradients across borders and variance in overlaps: as it is (coasts and
storm tracks move it too), divided by that of the truth at the same borders, and divided by that
of the same members sampled with the borders elsewhere.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import xarray as xr

import flexclim
from benchmarks.borders import moved_borders
from flexclim import verify


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=21)
    parser.add_argument("--members", type=int, default=4)
    options = parser.parse_args()
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    wind = xr.open_dataset(folder / "gfs_wind_1deg_2018.nc")["u10"]
    truth = wind.isel(time=slice(0, 21, max(1, 21 // options.times))).load()
    coarse = flexclim.coarsen(truth, 4)
    fine = flexclim.downscale(coarse, 4, members=options.members)
    with moved_borders():
        elsewhere = flexclim.downscale(coarse, 4, members=options.members)
    print(f"{truth.sizes['time']} times x {options.members} members")
    for name, reference in {
        "as it is": None,
        "over the truth's": truth,
        "over that with borders elsewhere": elsewhere,
    }.items():
        found = verify.seam(fine, reference=reference)
        ratios = (f"{kind} {float(found[kind]):.4f}" for kind in ("gradient", "variance"))
        print(f"{name:34}{', '.join(ratios)}")


if __name__ == "__main__":
    main()
