import tracemalloc

import numpy as np
import pytest

from flexclim.grids.conservation import BlockMeans
from flexclim.grids.domain import Domain
from flexclim.grids.operators import block_mean

DOMAINS = [
    Domain(shape=(7, 9)),
    Domain(shape=(7, 9), kind="point"),
    Domain(shape=(8, 12), wrap=True),
    Domain(shape=(9, 12), kind="point", wrap=True, north="pole_row", south="pole_row"),
]

GLOBE = Domain(shape=(91, 180), kind="point", wrap=True, north="pole_row", south="pole_row")


def row_sines(domain):
    """Return rows that cover latitudes between 1.4 radians south and north."""
    edges = np.sin(np.linspace(-1.4, 1.4, 2 * domain.shape[0] + 1))
    return np.stack([edges[:-1:2], edges[1::2], edges[2::2]], axis=1)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("domain", DOMAINS, ids=str)
@pytest.mark.parametrize("multiply", [False, True])
def test_block_means_are_those_of_the_coarse_field(domain, factor, multiply):
    random = np.random.default_rng(0)
    fine_domain = domain.refine(factor)
    sines = row_sines(fine_domain)
    truth = random.gamma(0.3, size=fine_domain.shape)
    truth[factor : 4 * factor, 2 * factor : 5 * factor] = 0.0
    coarse = block_mean(truth, fine_domain, factor, sines)
    assert coarse[2, 3] == 0
    result = np.maximum(random.normal(size=fine_domain.shape), 0)
    means = BlockMeans(domain, factor, sines)
    correct = means.multiply if multiply else means.add
    correct(result, coarse)
    error = np.abs(block_mean(result, fine_domain, factor, sines) - coarse).max()
    assert error < 1e-5 * coarse.std()
    if multiply:
        assert result.min() >= 0
        if domain.kind == "cell":
            rows, columns = slice(2 * factor, 3 * factor), slice(3 * factor, 4 * factor)
            assert (result[rows, columns] == 0).all()


@pytest.mark.parametrize("domain", [Domain(shape=(90, 150), kind="point"), GLOBE], ids=str)
@pytest.mark.parametrize("factor", [2, 4, 5])
def test_blocks_that_share_cells_get_exact_means(domain, factor):
    fine_domain = domain.refine(factor)
    latitudes = np.linspace(-np.pi / 2, np.pi / 2, fine_domain.shape[0])[:, None]
    half = (latitudes[1] - latitudes[0]) / 2 * np.array([-1, 0, 1])
    sines = np.sin((latitudes + half).clip(-np.pi / 2, np.pi / 2))
    random = np.random.default_rng(0)
    fine, coarse = random.normal(size=fine_domain.shape), random.normal(size=domain.shape)
    BlockMeans(domain, factor, sines).add(fine, coarse)
    np.testing.assert_allclose(block_mean(fine, fine_domain, factor, sines), coarse, atol=1e-13)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("domain", DOMAINS, ids=str)
def test_fractions_stay_between_their_bounds(domain, factor):
    random = np.random.default_rng(0)
    fine_domain = domain.refine(factor)
    sines = row_sines(fine_domain)
    truth = random.beta(1.5, 0.7, size=fine_domain.shape)
    truth[factor : 3 * factor, factor : 3 * factor] = 1.0
    coarse = block_mean(truth, fine_domain, factor, sines)
    result = np.clip(truth + random.normal(0, 0.3, size=fine_domain.shape), 0, 1)
    means = BlockMeans(domain, factor, sines)
    means.multiply(result, coarse, 1.0)
    assert 0 <= result.min() <= result.max() <= 1
    error = np.abs(block_mean(result, fine_domain, factor, sines) - coarse).max()
    # Blocks of points share cells if the factor is even, and may exclude each other near 1.
    assert error < (0.01 if domain.kind == "point" and factor % 2 == 0 else 1e-12)


def test_what_exceeds_the_bound_goes_to_the_other_cells():
    """0.2, 0.6, 1 and 1 have mean 0.7; times 8/7 two exceed 1 and leave 0.0714 for the others."""
    means = BlockMeans(Domain(shape=(1, 1)), 2)
    fine = np.array([[0.2, 0.6], [1.0, 1.0]])
    means.multiply(fine, np.array([[0.8]]), 1.0)
    first, second = 1.6 / 7, 4.8 / 7
    room, lacking = 2 - first - second, 3.2 - 2 - first - second
    wanted = [one + (1 - one) * lacking / room for one in (first, second)]
    np.testing.assert_allclose(fine, [wanted, [1, 1]], rtol=1e-14)
    assert fine.mean() == pytest.approx(0.8)


def test_bounds_far_away_change_no_bit():
    fine = np.random.default_rng(0).gamma(1.0, size=(8, 8))
    coarse = np.random.default_rng(1).gamma(1.0, size=(4, 4))
    both = fine.copy(), fine.copy()
    means = BlockMeans(Domain(shape=(4, 4)), 2)
    means.multiply(both[0], coarse)
    means.multiply(both[1], coarse, 1e6)
    np.testing.assert_array_equal(*both)


def test_a_field_with_the_right_means_stays_as_it_is():
    domain = Domain(shape=(6, 8))
    fine = np.random.default_rng(1).gamma(1.0, size=(24, 32))
    coarse = block_mean(fine, domain.refine(4), 4)
    means = BlockMeans(domain, 4)
    for correct in (means.add, means.multiply):
        corrected = fine.copy()
        correct(corrected, coarse)
        np.testing.assert_allclose(corrected, fine, atol=1e-12)


@pytest.mark.parametrize("multiply", [False, True])
def test_a_field_is_corrected_in_place(multiply, monkeypatch):
    """All arrays by the way are smaller than the field, also together."""
    monkeypatch.setattr("flexclim.grids.operators.AT_ONCE", 2**14)
    coarse = Domain(shape=(160, 160), kind="point")
    means = BlockMeans(coarse, 4)
    correct = means.multiply if multiply else means.add
    fine = np.random.default_rng(0).gamma(1.0, size=coarse.refine(4).shape)
    values = np.random.default_rng(1).gamma(1.0, size=coarse.shape)
    correct(fine, values)  # what is kept is made
    tracemalloc.start()
    correct(fine, values + 1)
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert highest < fine.nbytes


@pytest.mark.parametrize("kind", ["cell", "point"])
def test_nothing_of_the_size_of_a_field_is_kept(kind):
    """What regions of a large field keep would add up."""
    coarse = Domain(shape=(30, 40), kind=kind)
    means = BlockMeans(coarse, 4)
    for correct in (means.add, means.multiply):
        correct(np.ones(coarse.refine(4).shape), np.ones(coarse.shape))
    kept = [one if isinstance(one, tuple) else (one,) for one in vars(means).values()]
    sizes = [part.size for parts in kept for part in parts if isinstance(part, np.ndarray)]
    assert 0 < max(sizes) <= 160


@pytest.mark.parametrize("highest", [None, np.inf, 3.0])
def test_means_of_curvilinear_cells(highest):
    rng = np.random.default_rng(0)
    domain, areas = Domain(shape=(3, 4), wrap=True), rng.uniform(0.5, 2, (6, 8))
    coarse, fine = rng.uniform(0, 2, (3, 4)), rng.uniform(0, 3, (6, 8))
    means = BlockMeans(domain, 2, areas=areas)
    means.add(fine, coarse) if highest is None else means.multiply(fine, coarse, highest)
    total = (fine * areas).reshape(3, 2, 4, 2).sum(axis=(1, 3))
    np.testing.assert_allclose(total / areas.reshape(3, 2, 4, 2).sum(axis=(1, 3)), coarse)
    if highest is not None:
        assert 0 <= fine.min() <= fine.max() <= highest
    part = slice(2, 6), slice(0, 4)
    some = BlockMeans(domain, 2, part=part).weighted(areas)
    np.testing.assert_allclose(some.mean(fine[part]), coarse[1:, :2])
