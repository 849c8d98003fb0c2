"""Methods a model is compared with: interpolation, regression, and residuals of other times.

Each rival makes one field from its coarse version: (y, x), or (members, y, x). Rivals learn from
the training split alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr

import flexclim
from benchmarks.skill import structure
from benchmarks.skill.analogues import Library
from benchmarks.skill.cases import Case
from benchmarks.skill.fields import STATICS, Split
from benchmarks.skill.regression import Regression
from flexclim.grids.conservation import BlockMeans
from flexclim.grids.discovery import find_grid
from flexclim.grids.operators import Method

MEMBERS = 8
BICUBIC = "bicubic"
LINEAR = "linear regression, 5 x 5"
ANYWHERE = "bicubic + real residuals, anywhere"
SAME = "bicubic + real residuals, same point"
KNOWN = "regression + residuals of analogues"
# Every n-th training field stocks the library of analogues: neighbouring times are much alike.
STOCKED = 2


class Study:
    """A case with its fields, and what rivals learn from its training split when first asked.

    Parameters
    ----------
    case
        Which data set and factor.
    folder
        Of the data.
    """

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.folder = case, folder

    @cached_property
    def split(self) -> Split:
        """The fields."""
        return self.case.split(self.folder)

    def truth(self, index: int) -> xr.Dataset:
        """Return one field to score."""
        return self.split.test[index]

    def coarse(self, index: int) -> xr.Dataset:
        """Return its block means."""
        return self._coarsened(self.truth(index))

    @cached_property
    def around(self) -> bool:
        """Whether columns go around the globe."""
        return find_grid(self.coarse(0), "cell").domain.wrap

    @cached_property
    def extremes(self) -> dict[str, float]:
        """Absolute values that one cell in a thousand of the fields to score exceeds."""
        return {
            name: float(
                np.quantile(np.abs(np.stack([f[name].values for f in self.split.test])), 0.999)
            )
            for name in self.case.variables
        }

    def interpolated(self, coarse: xr.Dataset, name: str, method: Method) -> np.ndarray:
        """Return a coarse field (y, x) on the fine grid."""
        fine = flexclim.interpolate(coarse[[name]], self.case.factor, method, grid="cell")
        return plane(fine, name)

    def interpolated_field(self, index: int, name: str) -> xr.DataArray:
        """Return bicubic interpolation of one field to score, (time, y, x)."""
        values = self.interpolated(self.coarse(index), name, "bicubic")
        truth = self.truth(index)[name]
        return truth.copy(data=values[None].astype(truth.dtype))

    def regimes(self, index: int) -> dict[str, xr.DataArray]:
        """Return labels of the cells of one field, by kind; none where the case asks for none."""
        if not self.case.regimes:
            return {}
        truth = self.truth(index)[self.case.variables[0]]
        wind = structure.strengths(self.coarse(index), truth, self.case.factor)
        return {"surface": self._surfaces, "wind": wind}

    @cached_property
    def _surfaces(self) -> xr.DataArray:
        truth = self.truth(0)[self.case.variables[0]]
        return structure.surfaces(self.folder / STATICS, truth)

    def block_means(self, index: int) -> BlockMeans:
        """Return what restores block means."""
        grid = find_grid(self.coarse(index), "cell")
        return BlockMeans(grid.domain, self.case.factor, grid.refined(self.case.factor).row_sines)

    @cached_property
    def pairs(self) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
        """Coarse and fine planes of the training split, by variable."""
        coarse = [self._coarsened(fine) for fine in self.split.train]
        return {
            name: [
                (np.asarray(low, float), np.asarray(high, float))
                for c, f in zip(coarse, self.split.train, strict=True)
                for low, high in zip(c[name].values, f[name].values, strict=True)
            ]
            for name in self.case.variables
        }

    @cached_property
    def residuals(self) -> dict[str, list[np.ndarray]]:
        """What bicubic interpolation misses of the training split, by variable."""
        return self._residuals(self.split.train)

    @property
    def placed(self) -> bool:
        """Whether there are residuals of the place of each field."""
        return self.split.fixed or bool(self.split.same_place)

    def same_place(self, index: int) -> dict[str, list[np.ndarray]]:
        """Return residuals of training times at the place of a field to score."""
        if self.split.fixed:
            return self.residuals
        return self._residuals(self.split.same_place[index])

    @cached_property
    def regressions(self) -> dict[str, Regression]:
        """The linear regression of each variable."""
        factor, wrap = self.case.factor, self.around
        return {
            name: Regression.fit(planes, factor, wrap=wrap) for name, planes in self.pairs.items()
        }

    @cached_property
    def libraries(self) -> dict[str, Library]:
        """The library of analogues of each variable."""
        return {
            name: Library.stock(planes[::STOCKED], self.regressions[name])
            for name, planes in self.pairs.items()
        }

    def _residuals(self, fields: list[xr.Dataset]) -> dict[str, list[np.ndarray]]:
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.case.variables}
        for fine in fields:
            coarse = self._coarsened(fine)
            smooth = flexclim.interpolate(coarse, self.case.factor, grid="cell")
            for name, planes in found.items():
                planes += list(fine[name].values - smooth[name].values)
        return found

    def _coarsened(self, fine: xr.Dataset) -> xr.Dataset:
        return flexclim.coarsen(fine, self.case.factor, grid="cell")


def plane(fields: xr.Dataset, name: str) -> np.ndarray:
    """Return the only time of a variable, (y, x)."""
    return np.asarray(fields[name].values, float)[0]


Rival = Callable[[Study, int, str], np.ndarray | None]


def bilinear(study: Study, index: int, name: str) -> np.ndarray:
    return study.interpolated(study.coarse(index), name, "bilinear")


def bicubic(study: Study, index: int, name: str) -> np.ndarray:
    return study.interpolated(study.coarse(index), name, "bicubic")


def conserving(study: Study, index: int, name: str) -> np.ndarray:
    coarse, means = plane(study.coarse(index), name), study.block_means(index)
    fine = bicubic(study, index, name).astype(float)
    if study.case.wet is not None:
        fine = np.maximum(fine, 0.0)
    correct = means.add if study.case.wet is None else means.multiply
    correct(fine, coarse)
    return fine


def regression(study: Study, index: int, name: str) -> np.ndarray:
    return study.regressions[name].predict(plane(study.coarse(index), name))


def mean_residual(study: Study, index: int, name: str) -> np.ndarray | None:
    if not study.placed:
        return None
    return bicubic(study, index, name) + np.mean(study.same_place(index)[name], axis=0)


def same_point(study: Study, index: int, name: str) -> np.ndarray | None:
    if not study.placed:
        return None
    pool = study.same_place(index)[name]
    chosen = _random(study, index).choice(len(pool), MEMBERS, replace=len(pool) < MEMBERS)
    return bicubic(study, index, name) + np.stack([pool[number] for number in chosen])


def random_place(study: Study, index: int, name: str) -> np.ndarray:
    """Add residuals of other times and places, moved by whole blocks."""
    base, pool, factor = bicubic(study, index, name), study.residuals[name], study.case.factor
    random, members = _random(study, index), []
    for number in random.choice(len(pool), MEMBERS, replace=len(pool) < MEMBERS):
        residual = pool[number]
        if study.around:
            moved = factor * int(random.integers(residual.shape[1] // factor))
            residual = np.roll(residual, moved, axis=1)
        room = [
            (there - here) // factor for there, here in zip(residual.shape, base.shape, strict=True)
        ]
        row, column = (factor * int(random.integers(blocks + 1)) for blocks in room)
        members.append(base + residual[row:, column:][: base.shape[0], : base.shape[1]])
    return np.stack(members)


def analogues(study: Study, index: int, name: str) -> np.ndarray:
    return study.libraries[name].predict(plane(study.coarse(index), name), MEMBERS)


def _random(study: Study, index: int) -> np.random.Generator:
    """Return the numbers of one field: the same for all its variables."""
    return np.random.default_rng([study.case.factor, index])


RIVALS: dict[str, Rival] = {
    "bilinear": bilinear,
    BICUBIC: bicubic,
    "bicubic, conserving": conserving,
    LINEAR: regression,
    "bicubic + mean residual of the point": mean_residual,
    ANYWHERE: random_place,
    SAME: same_point,
    KNOWN: analogues,
}


def make(study: Study, rival: str, index: int, name: str) -> np.ndarray | None:
    """Return what a rival makes of one field, without negative rain; None where it can't."""
    made = RIVALS[rival](study, index, name)
    return made if made is None or study.case.wet is None else np.maximum(made, 0.0)
