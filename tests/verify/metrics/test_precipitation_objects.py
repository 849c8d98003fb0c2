import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify


def field(values):
    lat, lon = 50 - 0.5 * np.arange(values.shape[-2]), 5 + 0.5 * np.arange(values.shape[-1])
    dims = ["time", "lat", "lon"][-values.ndim :]
    return xr.DataArray(values, {"lat": lat, "lon": lon}, dims, "pr", {"units": "mm d-1"})


def objects_of(wet):
    """Return the cells of each object by flooding, one after the other."""
    left, found = {tuple(map(int, cell)) for cell in np.argwhere(wet)}, []
    while left:
        waiting, cells = [left.pop()], []
        while waiting:
            row, column = waiting.pop()
            cells.append((row, column))
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            waiting += near
        found.append(cells)
    return found


def brute(values, area, steps, limit):
    """Return area mean, centre, scatter and scaled volume by loops over cells."""
    total = (values * area).sum()
    places = {cell: np.multiply(cell, steps) for cell in np.ndindex(values.shape)}
    centre = sum(values[cell] * area[cell] * place for cell, place in places.items()) / total
    masses, distances, volumes = [], [], []
    for cells in objects_of(values >= limit):
        mass = sum(values[cell] * area[cell] for cell in cells)
        middle = sum(values[cell] * area[cell] * places[cell] for cell in cells) / mass
        masses.append(mass)
        distances.append(np.linalg.norm(middle - centre))
        volumes.append(mass / max(values[cell] for cell in cells))
    weighted = (np.average(part, weights=masses) for part in (distances, volumes))
    return total / area.sum(), centre, *weighted


@pytest.mark.parametrize("threshold", [None, 2.0])
def test_sal_by_loops_over_cells(threshold):
    rng = np.random.default_rng(0)
    truth, forecast = (field(rng.gamma(0.2, 5, size=(9, 7)).round(2)) for _ in range(2))
    half = np.deg2rad(0.25)
    edges = np.deg2rad(truth.lat.values)
    area = (np.sin(edges + half) - np.sin(edges - half))[:, None] * np.ones(7)
    degree = np.deg2rad(1) * 6_371_229
    steps = 0.5 * degree, 0.5 * degree * np.cos(np.deg2rad(float(truth.lat.mean())))
    ours, theirs = (
        brute(
            one.values,
            area,
            steps,
            np.quantile(one.values[one.values > 0], 0.95) / 15 if threshold is None else threshold,
        )
        for one in (forecast, truth)
    )
    found = verify.sal(forecast, truth, threshold)
    across = np.hypot(9 * steps[0], 7 * steps[1])
    apart = np.linalg.norm(ours[1] - theirs[1]) + 2 * abs(ours[2] - theirs[2])
    assert float(found.location) == pytest.approx(apart / across, rel=1e-6)
    for name, at in (("amplitude", 0), ("structure", 3)):
        gap = 2 * (ours[at] - theirs[at]) / (ours[at] + theirs[at])
        assert float(found[name]) == pytest.approx(gap, rel=1e-6)


def test_one_peaked_object_and_two_flat_ones():
    """A cell of 4 is peaked beside four cells of 1, which hold as much rain."""
    peaked, flat, split = (field(np.zeros((6, 6))) for _ in range(3))
    peaked[2, 2], flat[2:4, 2:4] = 4.0, 1.0
    assert float(verify.sal(peaked, flat).structure) == pytest.approx(-2 * 3 / 5, rel=0.02)
    split[2, 0], split[2, 4] = 1.0, 1.0
    assert float(verify.sal(split, peaked).location) > 0.3  # only by the scatter of objects
    scaled = verify.sal(3 * flat, flat)
    assert float(scaled.amplitude) == pytest.approx(1.0)
    assert abs(float(scaled.structure)) + float(scaled.location) < 1e-12


def test_members_gaps_and_dry_fields():
    rng = np.random.default_rng(1)
    truth = field(rng.gamma(0.3, 5, size=(3, 6, 6)))
    members = xr.concat([truth, 2 * truth, truth.where(truth.time != 1, 0)], "realization")
    truth[2, 0, 0] = np.nan
    each = verify.sal(members, truth, dim=())
    np.testing.assert_allclose(each.amplitude, [2 / 9, 1 / 3, 2 / 9], rtol=1e-6)
    np.testing.assert_allclose(verify.sal(members, truth).amplitude, 1 / 4, rtol=1e-6)
    lazy = verify.sal(members.chunk(time=1, realization=1), truth.chunk(time=1))
    assert lazy.structure.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), verify.sal(members, truth))
    assert np.isnan(verify.sal(members, truth * 0).structure)
    both = verify.sal(members.to_dataset(name="pr"), truth.to_dataset(name="pr"))
    np.testing.assert_allclose(both["location.pr"], verify.sal(members, truth).location)


def test_what_is_no_rain_of_a_region_is_an_error():
    truth = field(np.ones((4, 6)))
    with pytest.raises(FlexclimError, match="sal is for precipitation, and a field is negative"):
        verify.sal(-truth, truth)
    globe = truth.assign_coords(lon=60.0 * np.arange(6))
    with pytest.raises(FlexclimError, match="sal is for regions, and the fields span the globe"):
        verify.sal(globe, globe)
    with pytest.raises(FlexclimError, match="threshold=0 is not"):
        verify.sal(truth, truth, threshold=0)
