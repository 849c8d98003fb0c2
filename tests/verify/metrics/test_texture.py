import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify


@pytest.fixture
def fields():
    """Return members and truth on a global grid with gaps, and their weights."""
    rng = np.random.default_rng(1)
    coords = {"time": [0, 1], "lat": [60.0, 30.0, 0.0, -30.0, -60.0], "lon": np.arange(6) * 60.0}
    truth = xr.DataArray(rng.normal(size=(2, 5, 6)), coords, list(coords), attrs={"units": "m"})
    forecast = xr.DataArray(
        rng.normal(size=(3, 2, 5, 6)), coords, ["member", *coords], attrs={"units": "m"}
    )
    truth[0, 1, 2] = np.nan
    forecast[2, 1, 3, 3] = np.nan
    return forecast, truth


def planes(forecast, truth):
    """Yield (source, field, weight) plane by plane, with NaN where any value is missing."""
    edges = np.deg2rad([75, 45, 15, -15, -45, -75])
    weight = np.broadcast_to(-np.diff(np.sin(edges))[:, None], (5, 6))
    for time in range(2):
        known = truth[time].notnull().values & forecast[:, time].notnull().all("member").values
        yield "truth", np.where(known, truth[time].values, np.nan), weight
        for member in forecast.values[:, time]:
            yield "forecast", np.where(known, member, np.nan), weight


def neighbours(axis, lag):
    """Yield pairs of cells ``lag`` apart; columns wrap around."""
    for row, column in np.ndindex(5, 6):
        if axis == "y" and row + lag < 5:
            yield (row, column), (row + lag, column)
        if axis == "x":
            yield (row, column), (row, (column + lag) % 6)


@pytest.mark.parametrize("axis", ["y", "x"])
def test_lag_correlation_by_brute_force(fields, axis):
    sums = {"forecast": np.zeros(3), "truth": np.zeros(3)}
    for source, field, weight in planes(*fields):
        known = ~np.isnan(field)
        field = field - np.average(field[known], weights=weight[known])
        for one, two in neighbours(axis, 2):
            if known[one] and known[two]:
                products = field[one] * field[two], field[one] ** 2, field[two] ** 2
                sums[source] += np.array(products) * (weight[one] + weight[two]) / 2
    found = verify.lag_correlation(*fields).sel(axis=axis, lag=2)
    for source, (both, left, right) in sums.items():
        assert float(found[source]) == pytest.approx(both / (left * right) ** 0.5, rel=1e-12)


def test_anisotropy_is_the_ratio_of_semivariograms(fields):
    found = verify.lag_correlation(*fields, lags=1, dim=())
    assert found.truth.dims == ("time", "axis", "lag")
    rough = 1 - found.forecast
    np.testing.assert_allclose(
        found.forecast_anisotropy, rough.sel(axis="x") / rough.sel(axis="y"), rtol=1e-12
    )


def test_correlation_of_a_smooth_field_is_that_of_its_kernel():
    """Of white noise averaged over three columns, 2/3 and 1/3 along x, 0 along y."""
    noise = np.random.default_rng(0).normal(size=(400, 400))
    field = sum(np.roll(noise, shift, axis=1) for shift in (-1, 0, 1))
    found = verify.lag_correlation(*[xr.DataArray(field, dims=["y", "x"])] * 2)
    np.testing.assert_allclose(found.truth.sel(axis="x"), [2 / 3, 1 / 3], atol=0.01)
    np.testing.assert_allclose(found.truth.sel(axis="y"), 0, atol=0.01)
    assert float(found.truth_anisotropy.sel(lag=1)) == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("axis", ["y", "x"])
def test_increments_by_brute_force(fields, axis):
    sums = {"forecast": np.zeros(3), "truth": np.zeros(3)}
    for source, field, weight in planes(*fields):
        for one, two in neighbours(axis, 1):
            step = field[two] - field[one]
            if not np.isnan(step):
                sums[source] += np.array([step**2, step**4, 1]) * (weight[one] + weight[two]) / 2
    found = verify.increments(*fields).sel(axis=axis)
    second, fourth = {}, {}
    for source, (square, quartic, total) in sums.items():
        second[source], fourth[source] = square / total, quartic * total / square**2
    assert float(found.variance) == pytest.approx(second["forecast"], rel=1e-12)
    assert float(found.truth_kurtosis) == pytest.approx(fourth["truth"], rel=1e-12)
    assert float(found.variance_ratio) == pytest.approx(second["forecast"] / second["truth"])
    assert float(found.kurtosis_ratio) == pytest.approx(fourth["forecast"] / fourth["truth"])
    assert found.variance.attrs["units"] == "(m)2"


def test_increments_of_white_noise_are_gaussian():
    noise = np.random.default_rng(0).normal(size=(2, 300, 300))
    members = xr.DataArray(noise, dims=["member", "y", "x"])
    found = verify.increments(members, members[0])
    np.testing.assert_allclose(found.variance, 2, rtol=0.02)
    np.testing.assert_allclose(found.kurtosis, 3, rtol=0.03)


def test_two_cell_noise_by_brute_force(fields):
    sums = {"forecast": np.zeros((2, 3)), "truth": np.zeros((2, 3))}
    kernel = np.array([-1, 2, -1]) / 4
    for source, field, weight in planes(*fields):
        for row, column in np.ndindex(5, 6):
            inside = 0 < row < 4
            rows, columns = [row - 1, row, row + 1], np.arange(column - 1, column + 2) % 6
            parts = [
                kernel @ field[rows, column] if inside else np.nan,
                kernel @ field[row, columns],
                kernel @ field[np.ix_(rows, columns)] @ kernel if inside else np.nan,
            ]
            for place, part in enumerate(parts):
                if not np.isnan(part):
                    sums[source][:, place] += np.array([part**2, 1]) * weight[row, column]
    found = verify.two_cell_noise(*fields)
    for source, (total, weight) in sums.items():
        np.testing.assert_allclose(found[source], total / weight, rtol=1e-12)
    np.testing.assert_allclose(found.ratio, found.forecast / found.truth)


def test_waves_of_two_cells_keep_their_variance_and_waves_of_four_a_quarter():
    for length, share in ((2, 1.0), (4, 0.25)):
        wave = np.cos(2 * np.pi * np.arange(8) / length) * np.ones((8, 1))
        field = xr.DataArray(wave, dims=["y", "x"])
        found = verify.two_cell_noise(field, field).truth
        variance = 1.0 if length == 2 else 0.5
        inner = wave[0, 1:-1]
        assert float(found.sel(axis="x")) == pytest.approx(share * np.mean(inner**2))
        assert np.mean(inner**2) == pytest.approx(variance, abs=0.01)
        np.testing.assert_allclose(found.sel(axis=["y", "both"]), 0, atol=1e-30)


@pytest.mark.parametrize("shape", [(2, 2), (2, 5), (5, 2)])
def test_waves_of_two_cells_need_three(shape):
    field = xr.DataArray(np.ones(shape), dims=["y", "x"])
    with pytest.raises(FlexclimError, match=f"have {shape[0]} x {shape[1]} cells. Give at least"):
        verify.two_cell_noise(field, field)


@pytest.mark.parametrize("lags", [(), (5,), [1, 9]])
def test_lags_fit_the_grid(fields, lags):
    with pytest.raises(FlexclimError, match="are no distances within 5 x 6 cells"):
        verify.lag_correlation(*fields, lags=lags)
