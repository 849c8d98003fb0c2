"""The time scales of AR(1) noise that a store keeps."""

from flexclim.sampling.store_plan import _timescales


def test_each_downscaling_keeps_its_own():
    plan = {"noise_timescale_seconds": 60.0, "downscaling 1": {"noise_timescale_seconds": 300.0}}
    assert _timescales(plan) == {0: 300.0, 1: 60.0}


def test_noise_with_other_shares_is_that_of_the_card():
    shares = {"noise_constant_share": 0.2}
    plan = {"noise_timescale_seconds": 60.0}
    assert _timescales(plan) == {0: 60.0}
    assert _timescales(plan | shares) == {}
    assert _timescales(plan | {"variables": {"u10": shares, "v10": {}}}) == {}
