"""What a planned ensemble will take: forward passes, time, memory and size, before any work."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
import xarray as xr

from flexclim import stores
from flexclim.execution.batch_size import feature_bytes, pass_bytes
from flexclim.execution.progress import duration_text
from flexclim.execution.workers import active_client, workers_of
from flexclim.models.facts import rows_html, rows_text
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.pass_counts import passes_at, passes_of_field
from flexclim.planning.plan import SamplingPlan
from flexclim.sampling.downscaling_graph import REGIONS_AT_ONCE
from flexclim.sampling.output import check_keep_bits
from flexclim.sampling.planes import Plan, sampler_of
from flexclim.sampling.planned_ensemble import PlannedEnsemble
from flexclim.stores.formats import check_format
from flexclim.stores.layout import HELD_BYTES, choose_layout, lazy_names
from flexclim.stores.store import threads_for

# Bytes for each fine cell of a member while it is sampled: noise, state, sum of tiles, residual,
# and the field in float64. And for each fine cell of an input: scaled in float32, and its base.
MEMBER_CELL_BYTES, INPUT_CELL_BYTES = 28, 12
# The size of compressed fields over that in memory: without rounding, and the bits that sign and
# exponent of rounded values add.
COMPRESSED, OTHER_BITS = {2: 0.95, 3: 0.85}, {2: 9, 3: 3}  # by Zarr format
UNITS = ("B", 1), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a downscaling will take.

    Parameters
    ----------
    models
        By variable: the model and why it was chosen.
    grid
        Of the input.
    sizes
        Of the output, by dimension.
    device, precision
        Where and how the network runs.
    passes
        Forward passes of the network, each of a batch of tiles.
    seconds
        Time of all passes, from one that was timed. Reading, host-side work that passes do not
        hide and writing come in addition.
    memory_bytes
        Peak memory of a run that writes a store, above that of Python and the model.
    output_bytes
        Size of the result in memory.
    disk_bytes, shards
        Size of a compressed store, and its number of files with values.
    """

    models: dict[str, str]
    grid: str
    sizes: dict[str, int]
    device: str
    precision: str
    passes: int
    seconds: float
    memory_bytes: int
    output_bytes: int
    disk_bytes: int
    shards: int

    def __repr__(self) -> str:
        return rows_text("flexclim estimate", self._rows())

    def _repr_html_(self) -> str:
        return rows_html("flexclim estimate", self._rows())

    def _rows(self) -> dict[str, str]:
        models: dict[str, list[str]] = {}
        for name, model in self.models.items():
            models.setdefault(model, []).append(name)
        chosen = "; ".join(f"{', '.join(names)}: {model}" for model, names in models.items())
        sizes = " x ".join(f"{name} {size}" for name, size in self.sizes.items())
        return {
            "Model": chosen,
            "Input": self.grid,
            "Output": sizes,
            "Forward passes": f"{self.passes} on {self.device} in {self.precision}",
            "Time": f"about {duration_text(self.seconds)} of forward passes",
            "Memory": f"about {size_text(self.memory_bytes)} beside the model, and "
            f"{size_text(self.output_bytes)} for a result in memory",
            "Store": f"about {size_text(self.disk_bytes)} in {self.shards} shards",
        }


def estimate_of(
    planned: PlannedEnsemble, keep_bits: int | None = None, zarr_format: int | None = None
) -> Estimate:
    """Estimate what an ensemble takes; a forward pass of each model is timed.

    Parameters
    ----------
    keep_bits
        Mantissa bits that a store keeps; None: all.
    zarr_format
        Version of the Zarr format; None: 3.
    """
    fields, first = planned.fields[planned.returned], planned.plans[0].sampling
    time = stores.time_dimension(fields)
    keep_bits = check_keep_bits(keep_bits)
    form = check_format(zarr_format) or 3
    share = 1 if keep_bits is None else (keep_bits + OTHER_BITS[form]) / 32
    share = min(COMPRESSED[form], share)
    passes, seconds, timed = 0, 0.0, dict[tuple[str, int], tuple[float, float]]()
    plans = [(stage, plan) for stage in planned.stages for plan in stage.plans]
    for stage, plan in plans:
        one = plan.sampling
        assert isinstance(plan, DownscalingPlan)
        first_input = stage.source[one.inputs[0]]
        if plan.blocks is None or planned.output is None:
            count = passes_of_field(plan, first_input.sizes)
        else:
            count = passes_at(plan, planned.output.used) * _planes(first_input, one)
        if (key := (one.model.sha256, one.batch)) not in timed:
            timed[key] = _seconds_per_pass(one)
        network, encoder = timed[key]
        passes += count.network
        seconds += count.network * network + count.encoder * encoder
    source = planned.stages[0].source
    return Estimate(
        models={
            output: f"{group.model.name}, {group.reason}"
            for group in planned.groups
            for output in group.outputs.values()
        },
        grid=source.grid.summary if source.cells is None else source.cells.text(),
        sizes={str(dim): size for dim, size in fields.sizes.items()},
        device=first.device,
        precision=first.precision,
        passes=passes,
        seconds=seconds,
        memory_bytes=max(_memory(plan, fields) for _, plan in plans),
        output_bytes=sum(fields[name].nbytes for name in planned.returned),
        disk_bytes=int(share * sum(fields[name].nbytes for name in planned.returned)),
        shards=sum(_shards(fields[name], time, form) for name in lazy_names(fields)),
    )


def _planes(field: xr.DataArray, plan: SamplingPlan) -> int:
    """Return how many planes a field has for each member."""
    return math.prod(field.sizes[dim] for dim in plan.dims[:-2])


def _seconds_per_pass(plan: SamplingPlan) -> tuple[float, float]:
    """Return seconds per pass of the network and of its encoder, with all workers of a cluster."""
    client = active_client()
    if client is None:
        return time_passes(plan)
    workers = len(workers_of(client))
    network, encoder = client.submit(time_passes, plan, pure=False).result()
    return network / workers, encoder / workers


def time_passes(plan: SamplingPlan) -> tuple[float, float]:
    """Return seconds per pass of the network and of its encoder on this machine."""
    # Any part has the same passes; that of the whole field may be too large to prepare.
    return sampler_of(replace(plan, active=())).time_passes()


def _memory(plan: Plan, fields: xr.Dataset) -> int:
    """Estimate the peak memory of a run that writes a store, in bytes, above that of the model."""
    parts = plan.parts if isinstance(plan, DownscalingPlan) else [plan]
    shared = plan.sampling
    network, cpu = shared.settings.network, shared.device == "cpu"
    cells = max(math.prod(part.sampling.tiles.domain.shape) for part in parts)
    members = max(map(len, shared.member_groups)) * len(shared.targets)
    task = cells * (MEMBER_CELL_BYTES * members + INPUT_CELL_BYTES * len(shared.inputs))
    if shared.keeps_features:
        task += shared.tiles.count * feature_bytes(network, shared.precision)
    task *= shared.planes_per_task
    planes = _planes(next(iter(fields.data_vars.values())), shared)
    count = -(-planes // shared.planes_per_task) * len(parts)
    at_once = min(count * len(shared.member_groups), threads_for(fields, shared.device))
    if len(parts) > 1 and cpu:
        at_once = min(at_once, REGIONS_AT_ONCE)
    passes = torch.get_num_threads() * shared.batch * pass_bytes(network, shared.precision)
    held = min(sum(field.nbytes for field in fields.values()), HELD_BYTES * at_once)
    return task * at_once + (passes if cpu else 0) + held


def _shards(field: xr.DataArray, time: str | None, zarr_format: Literal[2, 3]) -> int:
    sides = choose_layout(field, time, zarr_format).files
    return math.prod(-(-size // side) for size, side in zip(field.shape, sides, strict=True))


def size_text(size: float) -> str:
    """Return bytes with a unit.

    >>> [size_text(size) for size in (12, 4_300_000, 8.1e11)]
    ['12 B', '4.3 MB', '810 GB']
    """
    unit, scale = next(one for one in reversed(UNITS) if size >= one[1] or one[1] == 1)
    return f"{size / scale:.3g} {unit}"
