"""Tiles out of a field and back."""

import numpy as np
import pytest

from flexclim.grids.domain import Domain
from flexclim.planning.tiles import plan_tiles
from flexclim.sampling.fusion import frame_field, unframe, window

DOMAINS = [
    Domain(shape=(32, 32)),
    Domain(shape=(40, 56)),
    Domain(shape=(40, 72), wrap=True),
    Domain(shape=(32, 16), wrap=True),  # narrower than a window
    Domain(shape=(37, 72), wrap=True, kind="point", north="pole_row", south="pole_row"),
]


def plan_of(domain):
    return plan_tiles(domain, (32, 32), 4, 8)


def framed(field, plan, **options):
    rows, columns, turned = plan.frame()
    return frame_field(field, plan, (rows, columns, turned), **options)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: f"{d.shape}")
def test_windows_put_together_are_the_field(domain):
    """Weights of all windows add to 1 in each cell, around the globe too."""
    plan = plan_of(domain)
    field = np.random.default_rng(0).normal(size=(2, *domain.shape))
    whole = framed(field, plan)
    canvas = np.zeros_like(whole)
    row_weights, column_weights = plan.rows.weights(), plan.columns.weights()
    for index in range(plan.count):
        row, column = divmod(index, len(plan.columns.starts))
        weights = row_weights[row][:, None] * column_weights[column]
        window(canvas, plan, index)[...] += window(whole, plan, index) * weights
    top, left = plan.rows.before, plan.columns.before
    inside = whole[:, top : top + domain.shape[0], left : left + domain.shape[1]]
    np.testing.assert_array_equal(inside, field)
    np.testing.assert_allclose(unframe(canvas, plan), field, atol=1e-12)


def test_a_vector_turns_across_a_pole():
    plan = plan_of(DOMAINS[-1])
    ones = np.ones(DOMAINS[-1].shape)
    assert (framed(ones, plan) == 1).all()
    turned = framed(ones, plan, vector=True)
    assert plan.rows.before
    assert (turned[: plan.rows.before] == -1).all()
    height = DOMAINS[-1].shape[0]
    assert (turned[plan.rows.before : plan.rows.before + height] == 1).all()


def test_a_field_of_one_window_is_not_copied():
    field = np.zeros((32, 32))
    assert framed(field, plan_of(DOMAINS[0])) is field
