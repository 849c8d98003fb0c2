"""``downscale`` with flex-nano against the bare network passes that it needs.

    python -m benchmarks.downscale

GFS wind of September 2018 (u10, global, with both poles), 4 times brought from 4 degrees back to 1
with 8 members at 2 steps. The bare passes are the task encoder once a tile and time and the network
once a tile, member, time and step, in the same batches, on tensors that lie ready.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
import xarray as xr

import flexclim
from flexclim.checkpoint import Model
from flexclim.plan import FieldPlan, Options, plan_field

TIMES, MEMBERS, FACTOR = 4, 8, 4


def main() -> None:
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    wind = xr.open_dataset(folder / "gfs_wind_1deg_2018.nc")["u10"].isel(time=slice(0, TIMES))
    coarse = flexclim.coarsen(wind.load(), FACTOR)
    model = flexclim.load_model("flex-nano")
    options = Options(factor=FACTOR, members=MEMBERS)
    plan = plan_field(coarse.to_dataset(), ["u10"], ["u10"], model, options)
    tiles = len(plan.tiles.corners)
    flexclim.downscale(coarse.isel(time=slice(0, 1)), FACTOR, model=model, members=1)
    ratios = []
    for _ in range(3):
        bare = bare_passes(model, plan, tiles)
        began = time.perf_counter()
        flexclim.downscale(coarse, FACTOR, model=model, members=MEMBERS)
        whole = time.perf_counter() - began
        ratios.append(whole / bare)
        print(f"{tiles} tiles: bare passes {bare:.1f} s, downscale {whole:.1f} s")
    print(f"ratio {sorted(ratios)[1]:.3f} (median of 3)")


@torch.inference_mode()
def bare_passes(model: Model, plan: FieldPlan, tiles: int) -> float:
    """Return the seconds that the network alone takes."""
    batch, steps = plan.batch, plan.steps
    network = model.network_on(plan.device).to(memory_format=torch.channels_last)
    tile = torch.randn(batch, 1, *plan.tiles.tile).to(plan.device)
    tile = tile.contiguous(memory_format=torch.channels_last)
    label, t = torch.zeros(batch, 1, device=plan.device), torch.ones(batch, device=plan.device)
    features = network.encode("superres", tile, label)
    passes = MEMBERS * TIMES * steps * tiles / batch
    began = time.perf_counter()
    for _ in range(round(TIMES * tiles / batch)):
        network.encode("superres", tile, label)
    for _ in range(round(passes)):
        network(tile, t, features, label)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
