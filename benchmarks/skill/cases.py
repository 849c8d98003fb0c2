"""The data sets, each at one factor, and the fields sampled with each number of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.skill import wind_fields
from benchmarks.skill.fields import WET, Split, era5, mrms
from flexclim.verify.core.transforms import Kind


@dataclass(frozen=True, kw_only=True)
class Case:
    """One data set at one factor.

    ``file`` is scored; ``steps`` gives, for each number of sampler steps, how many fields are
    sampled with it (None: all); ``wet`` is the amount from which a cell of a non-negative
    field counts as wet; ``regimes`` says whether to count ranks by surface and by wind.
    """

    name: str
    title: str
    file: str
    variables: tuple[str, ...]
    factor: int
    load: Callable[[Path], Split]
    steps: Mapping[int, int | None]
    spectrum: Kind = "zonal"
    wet: float | None = None
    regimes: bool = False

    def split(self, folder: Path) -> Split:
        """Read the fields; those of one file are read once."""
        return self.load(folder).select(list(self.variables))


GFS: dict[str, Any] = {"file": "gfs_wind_1deg_2018.nc", "load": wind_fields.gfs_2018}
WIND: dict[str, Any] = {"variables": ("u10", "v10"), "factor": 4}
MRMS: dict[str, Any] = {
    "file": "mrms_precip_1km_201609.nc",
    "load": mrms,
    "variables": ("qpe_01h",),
    "spectrum": "radial",
    "wet": WET,
}
ERA5: dict[str, Any] = {
    "file": "era5_1deg_t2m_msl_tp.nc",
    "load": era5,
    "factor": 4,
}
BOTH: dict[int, int | None] = {1: None, 2: None}
CASES = [
    Case(
        name="gfs-wind-x4",
        title="GFS 10 m wind, September 2018, 1 degree, x4",
        steps=BOTH | {4: 2, 8: 2},
        regimes=True,
        **GFS,
        **WIND,
    ),
    Case(
        name="gfs-wind-2026-x4",
        title="GFS 10 m wind, August 2026, 1 degree, x4",
        file="gfs_wind_1deg_2014_2026.nc",
        load=wind_fields.gfs_2026,
        steps=BOTH,
        regimes=True,
        **WIND,
    ),
    Case(
        name="gfs-wind-2014-x4",
        title="GFS 10 m wind, all seasons of 2014 and 2015, 1 degree, x4",
        file="gfs_wind_1deg_2014_2026.nc",
        load=wind_fields.gfs_2014,
        steps={2: None},
        regimes=True,
        **WIND,
    ),
    Case(
        name="gfs-quarter-x4",
        title="GFS 10 m wind, December 2025, 0.25 degree, x4",
        file="gfs_wind_0p25_202512.nc",
        load=wind_fields.gfs_quarter,
        steps={2: None},
        spectrum="radial",
        **WIND,
    ),
    Case(
        name="gfs-japan-x4",
        title="GFS 10 m wind around Japan, August 2026, 0.25 degree, x4",
        file="gfs_wind_0p25_japan_2026.nc",
        load=wind_fields.gfs_japan,
        steps={2: None},
        spectrum="radial",
        **WIND,
    ),
    Case(
        name="hrrr-wind-x4",
        title="HRRR 10 m wind, August 2026, 6 km, x4",
        file="hrrr_wind_6km_202608.nc",
        load=wind_fields.hrrr,
        steps={2: None},
        spectrum="radial",
        **WIND,
    ),
    Case(
        name="gfs-wind-x2",
        title="GFS 10 m wind (u), September 2018, 1 degree, x2",
        variables=("u10",),
        factor=2,
        steps=BOTH,
        **GFS,
    ),
    Case(
        name="gfs-wind-x8",
        title="GFS 10 m wind (u), September 2018, 1 degree, x8",
        variables=("u10",),
        factor=8,
        steps=BOTH,
        **GFS,
    ),
    Case(
        name="arome-wind-x4",
        title="AROME 10 m wind, November 2015, 2.5 km, x4",
        file="arome_wind_2p5km_201511.nc",
        variables=("x_wind_10m", "y_wind_10m"),
        factor=4,
        load=wind_fields.arome,
        steps=BOTH | {4: 3, 8: 3},
        spectrum="radial",
    ),
    Case(
        name="mrms-rain-x4",
        title="MRMS hourly precipitation, 22 September 2016, 1 km, x4",
        factor=4,
        steps=BOTH | {4: 3, 8: 3},
        **MRMS,
    ),
    Case(
        name="mrms-rain-x8",
        title="MRMS hourly precipitation, 22 September 2016, 1 km, x8",
        factor=8,
        steps=BOTH,
        **MRMS,
    ),
    Case(
        name="era5-t2m-x4",
        title="ERA5 2 m temperature, 27 March 2026, 1 degree, x4",
        variables=("t2m",),
        steps=BOTH | {4: 1, 8: 1},
        **ERA5,
    ),
    Case(
        name="era5-msl-x4",
        title="ERA5 mean sea level pressure, 27 March 2026, 1 degree, x4",
        variables=("msl",),
        steps=BOTH,
        **ERA5,
    ),
    Case(
        name="era5-tp-x4",
        title="ERA5 hourly precipitation, 27 March 2026, 1 degree, x4",
        variables=("qpe_01h",),
        steps=BOTH,
        wet=WET,
        **ERA5,
    ),
]
