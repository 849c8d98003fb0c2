import pytest
import torch

from flexclim.train.loop.crps import fair_crps


def test_fair_crps_by_hand():
    members = torch.tensor([[1.0, 4.0, 7.0]])[..., None]
    truth = torch.tensor([[3.0]])[..., None]
    # Mean distance to the truth (2 + 1 + 4) / 3; mean distance of pairs (3 + 6 + 3) / 3, halved.
    assert float(fair_crps(members, truth)) == pytest.approx(7 / 3 - 2)
