"""Whether variables that are downscaled one by one hold together, with constraints and without.

    python -m benchmarks.variables [--model flex-nano] [--members 8]

Block means of hourly ARPEGE at 0.1 degree over two regions (one day) are downscaled again (x4):
temperature and dew point at three hours, minimum, mean and maximum temperature of the day, and wind
speed with its components. Of each pair it prints the share of cells in the wrong order, the
correlation of departures from bicubic interpolation in the truth and in the members, and the CRPS
of the first variable and of the difference of both; of wind the mean distance between the speed
and that of the components, and its CRPS.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import xarray as xr

import flexclim
from flexclim import verify

FACTOR, HOURS = 4, [0, 8, 16]
PAIRS = ("tasmin", "tas"), ("tas", "tasmax"), ("tasmin", "tasmax"), ("d2m", "t2m")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="flex-nano")
    parser.add_argument("--members", type=int, default=8)
    options = parser.parse_args()
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    print(f"{options.model}, x{FACTOR}, {options.members} members")
    for region in ("se", "nw"):
        hourly = xr.open_dataset(folder / f"meteonet_{region}_arpege_0p1.nc")
        for truth in truths(hourly):
            for constraints in (False, None):
                tell(region, truth, options.model, options.members, constraints)


def truths(hourly: xr.Dataset) -> list[xr.Dataset]:
    """Return the three sets of variables, cut to whole coarse cells."""
    whole = {dim: slice(hourly.sizes[dim] // FACTOR * FACTOR) for dim in ("latitude", "longitude")}
    hourly = hourly.isel(whole)
    of_day = {"tasmin": hourly.t2m.min("time"), "tas": hourly.t2m.mean("time")}
    day = xr.Dataset(of_day | {"tasmax": hourly.t2m.max("time")})
    for field in day.values():
        field.attrs = {"units": "K"}
    winds = hourly[["u10", "v10", "ws"]].rename(ws="si10").isel(time=HOURS)
    return [day, hourly[["d2m", "t2m"]].isel(time=HOURS), winds]


def tell(
    region: str, truth: xr.Dataset, model: str, members: int, constraints: bool | None
) -> None:
    """Downscale block means of the truth, and print how the variables hold together."""
    coarse = flexclim.coarsen(truth, FACTOR)
    fine = flexclim.downscale(coarse, FACTOR, model=model, members=members, constraints=constraints)
    places = {name: fine[name] for name in ("latitude", "longitude")}
    truth = truth.assign_coords(places)
    smooth = flexclim.interpolate(coarse, FACTOR).assign_coords(places)
    named = f"{region} {'without' if constraints is False else 'with':8}"
    if "si10" in truth:
        distance = float(np.abs(fine.si10 - np.hypot(fine.u10, fine.v10)).mean())
        crps = float(verify.crps(fine.si10, truth.si10))
        print(f"{named}si10, u10, v10  distance {distance:.4f}  CRPS {crps:.4f}", flush=True)
    for one, other in PAIRS:
        if one not in truth:
            continue
        broken = float((fine[one] > fine[other]).mean())
        correlations = [
            float(xr.corr(fields[one] - smooth[one], fields[other] - smooth[other]))
            for fields in (truth, fine)
        ]
        crps = float(verify.crps(fine[one], truth[one]))
        apart = float(verify.crps(fine[other] - fine[one], truth[other] - truth[one]))
        print(
            f"{named}{f'{one}, {other}':16}broken {broken:7.2%}  correlation truth "
            f"{correlations[0]:.2f} members {correlations[1]:.2f}  CRPS {crps:.4f} of the "
            f"difference {apart:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
