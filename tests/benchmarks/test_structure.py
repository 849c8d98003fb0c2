import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from benchmarks.skill import structure
from flexclim import verify

SHAPE = (16, 24)
COORDS = {
    "time": pd.DatetimeIndex(["2014-07-03T18"]),
    "latitude": 50.0 - np.arange(SHAPE[0]),
    "longitude": 5.0 + np.arange(SHAPE[1]),
}


@pytest.fixture
def fields():
    """Return members, truth and base of both components."""
    rng = np.random.default_rng(0)

    def dataset(*lead):
        dims = ["realization", *COORDS][-len(lead) - 3 :] if lead else list(COORDS)
        size = (*lead, 1, *SHAPE)
        return xr.Dataset(
            {n: xr.DataArray(rng.normal(size=size), COORDS, dims) for n in ("u10", "v10")}
        )

    truth = dataset()
    base = flexclim.interpolate(flexclim.coarsen(truth, 4, grid="cell"), 4, grid="cell")
    return dataset(8), truth, base.assign_coords(truth.coords)


def test_statistics_are_those_of_verify(fields):
    forecast, truth, base = (each["u10"] for each in fields)
    found = structure.measure(forecast, truth, base, {})
    mine, theirs = forecast - base, truth - base
    lag = verify.lag_correlation(mine, theirs)
    np.testing.assert_allclose(found["lag"], lag.forecast)
    np.testing.assert_allclose(found["truth_lag"], lag.truth)
    step = verify.increments(mine, theirs)
    for lead in ("", "truth_"):
        square, fourth = (np.array(found[f"{lead}{key}"]) for key in ("square", "fourth"))
        np.testing.assert_allclose(square, step[f"{lead}variance"])
        np.testing.assert_allclose(fourth / square**2, step[f"{lead}kurtosis"])
    noise = verify.two_cell_noise(mine, theirs)
    np.testing.assert_allclose(found["noise"], noise.forecast)
    tail = verify.quantiles(abs(mine), abs(theirs), levels=[0.99, 0.999])
    np.testing.assert_allclose(found["truth_tail"], tail.truth)
    about = (forecast - forecast.mean("realization")) * (9 / 7) ** 0.5
    tail = verify.quantiles(abs(about), abs(truth - forecast.mean("realization")), [0.99, 0.999])
    np.testing.assert_allclose(found["spread_tail"], tail.forecast)
    np.testing.assert_allclose(found["error_tail"], tail.truth)
    spread = verify.spread(forecast, truth) * (9 / 8) ** 0.5
    assert float((about**2).weighted(np.cos(np.deg2rad(truth.latitude))).mean() ** 0.5) == (
        pytest.approx(float(spread), rel=1e-3)
    )
    assert found["energy"] == pytest.approx(float(verify.energy_score(forecast, truth)))
    assert found["variogram"] == pytest.approx(
        float(verify.variogram_score(forecast, truth, estimator="fair"))
    )
    low = verify.spread_error(forecast, truth, bins=6, halves=True).isel(spread_bin=0)
    assert found["low_halves"] == pytest.approx([float(low.error) ** 2, float(low.spread) ** 2])
    assert found["time"] == "2014-07-03T18"
    both = structure.vectors(fields[0], fields[1])
    score = verify.energy_score(fields[0], fields[1], patch=1, vector=("u10", "v10"))
    assert both["vector"] == pytest.approx(float(score))


def test_a_single_field_has_scores_of_patches_alone(fields):
    _, truth, base = (each["u10"] for each in fields)
    found = structure.measure(base, truth, base, {})
    assert set(found) == {"time", "energy", "variogram"}
    apart = (base - truth).values[0].reshape(2, 8, 3, 8).swapaxes(1, 2)
    distance = np.sqrt((apart**2).mean(axis=(2, 3)))
    weights = np.cos(np.deg2rad(truth.latitude.values)).reshape(2, 8).mean(axis=1)
    expected = np.average(distance.mean(axis=1), weights=weights)
    assert found["energy"] == pytest.approx(expected, rel=1e-3)


def test_labels_of_cells_count_alone(fields):
    forecast, truth, base = (each["u10"] for each in fields)
    labels = xr.full_like(truth[0], "", dtype="<U4").drop_vars("time")
    labels[:4], labels[4:, :3] = "calm", "low"
    found = structure.measure(forecast, truth, base, {"kind": labels})["regimes"]
    assert set(found) == {"calm", "low"}
    assert found["calm"]["share"] == pytest.approx(4 / 16)
    part = verify.rank_histogram(forecast[:, :, :4], truth[:, :4])
    np.testing.assert_allclose(found["calm"]["ranks"], part, atol=1e-12)
    error = verify.rmse(forecast[:, :, :4], truth[:, :4])
    assert found["calm"]["square"] == pytest.approx(float(error) ** 2, rel=1e-3)


def test_calm_and_storm_are_those_of_the_coarse_wind(fields):
    truth = fields[1]["u10"]
    wind = xr.zeros_like(truth[:, :4, :6])
    coarse = xr.Dataset({"u10": wind.copy(), "v10": wind.copy()})
    coarse["u10"][0, 0, 0], coarse["v10"][0, 0, 0], coarse["u10"][0, 1] = 9.0, 9.0, 5.0
    labels = structure.strengths(coarse, truth, 4)
    assert (labels[0, :4, :4] == "storm").all()
    assert (labels[0, 4:8] == "").all()
    assert (labels == "calm").sum() == 16 * 24 - 16 - 4 * 24


def test_coasts_have_land_and_sea_beside_them(tmp_path):
    land = np.zeros((7, 8))
    land[2:, 2:] = 1
    height = np.where(land > 0, 100.0, 0.0)
    height[5, 5] = 1500
    dims = {"latitude": np.arange(3.0, -4, -1), "longitude": np.arange(8) * 45.0}
    static = xr.Dataset({n: (list(dims), v) for n, v in (("lsm", land), ("orog", height))}, dims)
    static.to_netcdf(tmp_path / "static.nc")
    like = xr.DataArray(np.zeros((7, 8)), dims, list(dims))
    found = structure.surfaces(tmp_path / "static.nc", like)
    letters = ["".join(name[0] for name in row) for row in found.values]
    assert letters == ["s" * 8, "c" * 8, "c" * 8, *["cccllllc"] * 2, "cccllmlc", "cccllllc"]
