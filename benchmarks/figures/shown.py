"""What one picture shows, and which windows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from flexclim import verify
from flexclim.verify.core.transforms import Kind

WINDOW = 48  # cells a side


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One variable of a few test fields: (time, y, x), members with ``realization`` first.

    ``given`` is what the model was given, a coarse field or the last snapshot, on cells of
    ``step`` cells of the truth; ``simple`` is the simplest method to beat, named ``rival``.
    """

    name: str
    title: str
    truth: xr.DataArray
    given: xr.DataArray
    simple: xr.DataArray
    members: xr.DataArray
    given_title: str
    rival: str
    how: str
    step: int = 1
    spectrum: Kind = "radial"

    @property
    def fill(self) -> Literal["mean"] | None:
        """What spectra have in place of missing values of the truth."""
        return "mean" if bool(self.truth.isnull().any()) else None

    def window(self, time: int, place: tuple[int, int], index: int | str) -> xr.DataArray:
        """Cut what one map shows: of ``given``, ``truth`` or the member of a number."""
        field = self.members[index] if isinstance(index, int) else getattr(self, index)
        step = self.step if index == "given" else 1
        row, column = (start // step for start in place)
        side = WINDOW // step
        part = (slice(row, row + side), slice(column, column + side))
        return field.isel(dict(zip(field.dims[-2:], part, strict=True))).isel(time=time)

    def places(self) -> tuple[tuple[int, tuple[int, int]], tuple[int, tuple[int, int]]]:
        """Return time and corner of the window of median CRPS, and of the worst."""
        crps = verify.crps(self.members, self.truth, dim=()).transpose("time", ...).values
        found = []
        for time, plane in enumerate(crps):
            for row in range(0, plane.shape[0] - WINDOW + 1, WINDOW):
                for column in range(0, plane.shape[1] - WINDOW + 1, WINDOW):
                    part = plane[row : row + WINDOW, column : column + WINDOW]
                    if np.isfinite(part).any():
                        found.append((float(np.nanmean(part)), time, (row, column)))
        found.sort()
        return found[len(found) // 2][1:], found[-1][1:]

    def scores(self) -> dict[str, float]:
        """Return what the table below the picture holds."""
        rmse, mae = verify.rmse(self.simple, self.truth), verify.mae(self.simple, self.truth)
        distance = verify.log_spectral_distance(
            self.members, self.truth, kind=self.spectrum, fill=self.fill
        )
        return {
            f"RMSE of the ensemble mean relative to {self.rival}'s": float(
                verify.rmse(self.members, self.truth) / rmse
            ),
            f"fair CRPS relative to {self.rival}'s MAE": float(
                verify.crps(self.members, self.truth) / mae
            ),
            "spread/skill": float(verify.spread_skill(self.members, self.truth)),
            "log-spectral distance, dB": float(distance),
        }
