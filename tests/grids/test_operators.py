import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import interpolate as scipy_interpolate

import flexclim
from flexclim.errors import GridError
from flexclim.grids.domain import Domain
from flexclim.grids.operators import axis_blocks, block_mean, extend, interpolate

METHODS = ["nearest", "bilinear", "bicubic"]
SEEDS = st.integers(0, 2**32 - 1)


def global_cells(height, width):
    return Domain(shape=(height, width), wrap=True, north="pole_edge", south="pole_edge")


def global_points(height, width):
    return Domain(
        shape=(height, width), kind="point", wrap=True, north="pole_row", south="pole_row"
    )


def looped_mean(field, domain, factor, sines):
    """Average cell by cell: the definition, in loops."""
    height, width = domain.shape
    point = domain.kind == "point"
    coarse = domain.coarsen(factor)
    result = np.full(coarse.shape, np.nan)
    half = factor // 2
    for i in range(coarse.shape[0]):
        for j in range(coarse.shape[1]):
            total = weight = 0.0
            inner = range(-half, half + 1) if point else range(factor)
            for di in inner:
                for dj in inner:
                    row, column = i * factor + di, j * factor + dj
                    if domain.wrap:
                        column %= width
                    if not (0 <= row < height and 0 <= column < width):
                        continue
                    upper, centre, lower = sines[row]
                    share = abs(upper - lower)
                    if point and factor % 2 == 0:
                        if abs(di) == half:
                            share = abs((lower if di < 0 else upper) - centre)
                        share *= 0.5 if abs(dj) == half else 1
                    if not np.isnan(field[row, column]):
                        total += share * field[row, column]
                        weight += share
            if weight:
                result[i, j] = total / weight
    return result


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.8])
@pytest.mark.parametrize(
    ("domain", "factor"),
    [
        (Domain(shape=(6, 9)), 3),
        (Domain(shape=(8, 12)), 4),
        (Domain(shape=(9, 13), kind="point"), 4),
        (Domain(shape=(7, 10), kind="point"), 3),
        (global_cells(6, 12), 2),
        (global_points(9, 16), 2),
        (global_points(7, 12), 3),
        (Domain(shape=(9, 12), kind="point", wrap=True), 4),
    ],
)
def test_block_mean_is_the_mean_over_loops(domain, factor, missing):
    rng = np.random.default_rng(0)
    field = rng.normal(size=domain.shape)
    field[rng.random(domain.shape) < missing] = np.nan
    edges = np.cumsum(rng.uniform(0.1, 1, 2 * domain.shape[0] + 1))
    sines = np.stack([edges[:-1:2], edges[1::2], edges[2::2]], axis=1)
    expected = looped_mean(field, domain, factor, sines)
    np.testing.assert_allclose(block_mean(field, domain, factor, sines), expected, rtol=1e-12)


def test_block_mean_by_hand():
    field = np.array([[1.0, 3.0, np.nan, np.nan], [5.0, np.nan, np.nan, np.nan]])
    means = block_mean(field, Domain(shape=(2, 4)), 2, np.array([[4, 3.2, 3], [3, 2, 0]]))
    np.testing.assert_allclose(means, [[(1 + 3 + 3 * 5) / 5, np.nan]])


def test_block_mean_of_points_takes_half_of_the_ends():
    field = np.arange(5.0)[None, :] + np.zeros((5, 1))
    means = block_mean(field, Domain(shape=(5, 5), kind="point"), 2)
    # Ends (0 + 1/2) / 1.5 and its mirror; inside, blocks are centred on the point.
    np.testing.assert_allclose(means[1], [1 / 3, 2, 4 - 1 / 3])


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("north_first", [True, False])
def test_block_means_of_points_are_means_over_exact_boxes(factor, north_first):
    """A point stands for the box around it; boxes of coarse points cut through those of fine ones.

    The reference cuts every box in two at its latitude and adds up the halves in each coarse box.
    """
    latitudes = np.linspace(90, -90, 12 * factor + 1)
    step = latitudes[0] - latitudes[1]
    values = np.random.default_rng(0).normal(size=latitudes.size)
    halves = np.stack([latitudes + step / 4, latitudes - step / 4], axis=1).ravel()
    edges = np.clip(halves[:, None] + step / 4 * np.array([-1, 1]), -90, 90)
    area = np.diff(np.sin(np.deg2rad(edges)))[:, 0]
    expected = [
        np.average(np.repeat(values, 2)[inside], weights=area[inside])
        for inside in (abs(halves - middle) < factor * step / 2 for middle in latitudes[::factor])
    ]
    order = slice(None, None, 1 if north_first else -1)
    field = xr.DataArray(
        np.tile(values[order, None], (1, 2 * factor)),
        {"lat": latitudes[order], "lon": np.arange(2 * factor) * 180 / factor},
        ("lat", "lon"),
    )
    np.testing.assert_allclose(flexclim.coarsen(field, factor)[order, 0], expected, rtol=1e-12)


def test_the_pole_s_share_of_its_block():
    field = xr.DataArray(
        np.repeat((np.arange(90, -91, -1) == 90.0)[:, None], 4, axis=1).astype(float),
        {"lat": np.arange(90.0, -91, -1), "lon": np.arange(0.0, 360, 90)},
        ("lat", "lon"),
    )
    share = (1 - np.sin(np.deg2rad(89.5))) / (1 - np.sin(np.deg2rad(89)))
    assert share == pytest.approx(0.25, abs=1e-4)
    assert float(flexclim.coarsen(field, 2)[0, 0]) == pytest.approx(share, rel=1e-12)


def test_block_mean_keeps_infinity_apart_from_missing():
    field = np.ones((2, 4), np.float32)
    field[0, 0], field[0, 2] = np.inf, np.nan
    means = block_mean(field, Domain(shape=(2, 4)), 2)
    assert means.dtype == np.float32
    np.testing.assert_array_equal(means, [[np.inf, 1]])


def test_block_mean_of_whole_numbers_is_a_float():
    assert block_mean(np.array([[1, 2], [2, 2]], np.int16), Domain(shape=(2, 2)), 2) == 1.75


@given(seed=SEEDS, factor=st.integers(2, 4))
@settings(max_examples=20, deadline=None)
def test_the_area_weighted_mean_is_conserved(seed, factor):
    rng = np.random.default_rng(seed)
    domain = global_cells(3 * factor, 4 * factor)
    edges = np.sin(np.linspace(-np.pi / 2, np.pi / 2, domain.shape[0] + 1))
    area = np.diff(edges)
    sines = np.stack([edges[:-1], edges[1:], edges[1:]], axis=1)
    field = rng.normal(size=(2, *domain.shape)) + 5
    coarse_area = area.reshape(-1, factor).sum(axis=1)
    before = np.average(field.mean(axis=-1), axis=-1, weights=area)
    after = np.average(
        block_mean(field, domain, factor, sines).mean(axis=-1), axis=-1, weights=coarse_area
    )
    np.testing.assert_allclose(after, before, rtol=1e-12)


def test_axis_blocks_of_points_cover_every_inner_point_once():
    for factor in (2, 3, 4, 5):
        shares = axis_blocks(4 * factor + 1, factor, point=True, wrap=False).sum(axis=0)
        half = factor // 2
        np.testing.assert_array_equal(shares[: -half or None], 1)
        wrapped = axis_blocks(4 * factor, factor, point=True, wrap=True).sum(axis=0)
        np.testing.assert_array_equal(wrapped, 1)


def fine_positions(domain, factor):
    """Return the coarse row and column numbers of fine cells, as centres align."""
    height, width = domain.refine(factor).shape
    if domain.kind == "point":
        return np.arange(height) / factor, np.arange(width) / factor
    return (np.arange(height) + 0.5) / factor - 0.5, (np.arange(width) + 0.5) / factor - 0.5


def keys(t, a=-0.75):
    """Cubic convolution kernel of Keys (1981), equation 4 with 15's constraints, any a."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


@pytest.mark.parametrize(
    "domain",
    [
        Domain(shape=(5, 6)),
        Domain(shape=(5, 6), kind="point"),
        global_cells(4, 6),
        global_points(5, 6),
    ],
)
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bicubic_is_keys_kernel_over_loops(domain, factor):
    field = np.random.default_rng(1).normal(size=domain.shape)
    frame = extend(field, domain, 2)
    result = interpolate(field, domain, factor, "bicubic")
    rows, columns = fine_positions(domain, factor)
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            top, left = int(np.floor(y)), int(np.floor(x))
            value = sum(
                keys(y - k) * keys(x - m) * frame[k + 2, m + 2]
                for k in range(max(top - 1, -2), top + 3)
                for m in range(max(left - 1, -2), left + 3)
                if keys(y - k) and keys(x - m)
            )
            assert result[i, j] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize(
    "domain", [Domain(shape=(5, 6)), Domain(shape=(5, 6), kind="point"), global_points(5, 6)]
)
def test_bilinear_is_scipys(domain, factor):
    field = np.random.default_rng(2).normal(size=domain.shape)
    height, width = domain.shape
    reference = scipy_interpolate.RegularGridInterpolator(
        (np.arange(-1, height + 1), np.arange(-1, width + 1)), extend(field, domain, 1)
    )
    rows, columns = fine_positions(domain, factor)
    expected = reference(tuple(np.meshgrid(rows, columns, indexing="ij")))
    np.testing.assert_allclose(interpolate(field, domain, factor, "bilinear"), expected, atol=1e-12)


def test_nearest_repeats_cells():
    field = np.random.default_rng(3).normal(size=(3, 4))
    for factor in (2, 3, 4):
        expected = np.kron(field, np.ones((factor, factor)))
        result = interpolate(field, Domain(shape=(3, 4)), factor, "nearest")
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("method", "error"), [("bilinear", 1e-12), ("bicubic", 0.35)])
@pytest.mark.parametrize("kind", ["cell", "point"])
def test_linear_fields_inside(method, error, kind):
    """Exact when bilinear; a kernel with a = -3/4 strays by 7 % of a cell's slope."""
    domain, factor = Domain(shape=(9, 8), kind=kind), 4
    y, x = np.indices(domain.shape)
    rows, columns = fine_positions(domain, factor)
    result = interpolate(2.0 * y - 3.0 * x + 1, domain, factor, method)
    expected = 2 * rows[:, None] - 3 * columns + 1
    inner = (slice(2 * factor, -2 * factor),) * 2
    np.testing.assert_allclose(result[inner], expected[inner], atol=error)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["cell", "point"])
def test_constants_are_exact_everywhere(method, kind):
    domain = Domain(shape=(3, 4), kind=kind)
    fine = interpolate(np.full(domain.shape, 7.0), domain, 4, method)
    np.testing.assert_allclose(fine, 7, rtol=1e-14)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("domain", [Domain(shape=(5, 6), kind="point"), global_points(5, 6)])
def test_points_are_kept(domain, method):
    field = np.random.default_rng(4).normal(size=domain.shape)
    fine = interpolate(field, domain, 4, method)
    np.testing.assert_allclose(fine[::4, ::4], field, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_missing_values_spread_to_their_stencils_only(method):
    field = np.ones((7, 7), np.float32)
    field[3, 3] = np.nan
    fine = interpolate(field, Domain(shape=(7, 7)), 2, method)
    assert fine.dtype == np.float32
    lost = np.flatnonzero(np.isnan(fine).any(axis=0))
    reach = {"nearest": 0, "bilinear": 1, "bicubic": 3}[method]
    assert lost.tolist() == list(range(6 - reach, 8 + reach))
    np.testing.assert_allclose(fine[~np.isnan(fine)], 1, rtol=1e-6)


def solid_body(latitude, longitude):
    """Return the eastward and northward wind of a rotation about an axis in the equator."""
    return -np.sin(latitude) * np.cos(longitude), np.sin(longitude) + 0 * latitude


@pytest.mark.parametrize("domain", [global_cells(36, 72), global_points(37, 72)])
def test_components_change_sign_across_the_pole(domain):
    """A wind straight across the pole is smooth on the sphere, and its components turn."""
    height, width = domain.shape
    factor = 4

    def wind(rows, columns, height, width):
        offset = 0.5 if domain.kind == "cell" else 0.0
        span = height if domain.kind == "cell" else height - 1
        latitude = np.pi / 2 - (rows[:, None] + offset) * np.pi / span
        return solid_body(latitude, (columns + offset) * 2 * np.pi / width)

    coarse = wind(np.arange(height), np.arange(width), height, width)
    fine_shape = domain.refine(factor).shape
    fine = wind(np.arange(fine_shape[0]), np.arange(fine_shape[1]), *fine_shape)
    for component, truth in zip(coarse, fine, strict=True):
        turned = interpolate(component, domain, factor, "bicubic", vector=True)
        assert np.abs(turned - truth).max() < 0.01
        plain = interpolate(component, domain, factor, "bicubic")
        assert np.abs(plain - truth).max() > 0.1


@given(
    seed=SEEDS,
    shift=st.integers(0, 7),
    method=st.sampled_from(METHODS),
    kind=st.sampled_from(["cell", "point"]),
)
@settings(max_examples=30, deadline=None)
def test_rolling_a_global_field_rolls_its_interpolation(seed, shift, method, kind):
    domain = global_cells(5, 8) if kind == "cell" else global_points(5, 8)
    field = np.random.default_rng(seed).normal(size=domain.shape)
    rolled = interpolate(np.roll(field, shift, -1), domain, 3, method)
    np.testing.assert_allclose(
        rolled, np.roll(interpolate(field, domain, 3, method), 3 * shift, -1), atol=1e-12
    )


@given(seed=SEEDS, method=st.sampled_from(["bilinear", "bicubic"]))
@settings(max_examples=20, deadline=None)
def test_flipping_rows_flips_means_and_interpolation(seed, method):
    field = np.random.default_rng(seed).normal(size=(6, 8))
    for domain, means in ((global_cells(6, 8), True), (Domain(shape=(6, 8), kind="point"), False)):
        np.testing.assert_allclose(
            interpolate(field[::-1], domain, 2, method),
            interpolate(field, domain, 2, method)[::-1],
            atol=1e-12,
        )
        if means:
            np.testing.assert_allclose(
                block_mean(field[::-1], domain, 2), block_mean(field, domain, 2)[::-1], atol=1e-12
            )


@pytest.mark.parametrize("method", METHODS)
def test_leading_dimensions_are_planes(method):
    field = np.random.default_rng(5).normal(size=(2, 3, 4, 6))
    domain = Domain(shape=(4, 6))
    fine = interpolate(field, domain, 2, method)
    assert fine.shape == (2, 3, 8, 12)
    np.testing.assert_array_equal(fine[1, 2], interpolate(field[1, 2], domain, 2, method))
    coarse = block_mean(field, domain, 2)
    np.testing.assert_array_equal(coarse[1, 2], block_mean(field[1, 2], domain, 2))


def test_a_factor_that_does_not_fit_names_the_nearest_crop():
    with pytest.raises(GridError, match="nearest crop that fits is 148 x 80"):
        block_mean(np.zeros((151, 81)), Domain(shape=(151, 81)), 4)
