from dataclasses import replace

import numpy as np
import pytest
import torch

from flexclim.models.channels import Target
from flexclim.nn.diffusion import Diffusion
from flexclim.sampling.local_scaling import Scaled
from flexclim.sampling.network_inputs import physical
from flexclim.train.data.batches import Batch
from flexclim.train.loop import losses
from flexclim.train.loop.losses import EnsembleLoss, fair_crps
from flexclim.train.loop.physical_units import PhysicalUnits

TARGETS = (
    Target(name="rain", transform="log1p", unit=0.1, non_negative=True),
    Target(name="snow", transform="sqrt", unit=2.0),
    Target(name="wind"),
)


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    residual, base = random.normal(size=(2, 4, 3, 16, 16)).astype("float32")
    residual[0, :, :8] = np.nan
    amplitude = random.uniform(0.1, 1, base.shape).astype("float32")
    none = np.zeros((4, 1), "float32")
    return Batch(base[:, :1], residual, none, none, base=base, amplitude=amplitude)


def tensors(batch):
    return (torch.from_numpy(one) for one in (batch.residual, batch.base, batch.amplitude))


def test_units_are_those_of_downscaling(batch):
    residual, base, amplitude = tensors(batch)
    found = PhysicalUnits(TARGETS, (1.0, 2.0, 4.0))(residual, base, amplitude).numpy()
    scaled = Scaled(batch.base, batch.base, batch.amplitude)
    wanted = physical(scaled, batch.residual, TARGETS) / np.array([1, 2, 4])[:, None, None]
    wanted[:, 0] = wanted[:, 0].clip(0)
    assert (wanted[:, 0] == 0).any()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_sizes_are_errors_of_interpolation(batch):
    units = PhysicalUnits.of(TARGETS, batch)
    error = np.nan_to_num(np.abs(batch.amplitude * batch.residual))[:, 2].mean()
    assert units.sizes[2] == pytest.approx(error, rel=1e-5)
    flat = replace(batch, residual=np.zeros_like(batch.residual))
    assert PhysicalUnits.of(TARGETS, flat).sizes == [1, 1, 1]


def test_an_answer_out_of_all_proportion_is_a_number(batch):
    residual, base, amplitude = tensors(batch)
    answer = torch.full_like(residual, 1e6).requires_grad_()
    fields = PhysicalUnits(TARGETS, (1.0, 1.0, 1.0))(answer, base, amplitude)
    fields.sum().backward()
    assert fields.isfinite().all()
    assert answer.grad.isfinite().all()


def test_the_crps_in_own_units_is_added(batch, monkeypatch):
    residual, base, amplitude = tensors(batch)
    members = torch.randn(4, 3, *residual.shape[1:])
    monkeypatch.setattr(losses, "sample_members", lambda *_: (members, members))
    units = PhysicalUnits.of(TARGETS, batch)

    def loss(weight):
        settings = {"steps": 1, "method": "euler", "gradient": 0.0, "mean": 0.0}
        made = EnsembleLoss(
            torch.nn.Identity(), Diffusion(), physical=weight, units=units, **settings
        )
        label, t = torch.zeros(4, 1), torch.zeros(4)
        return made(base, residual, label, members[:, None], t, base=base, amplitude=amplitude)

    known = ~residual.isnan()[:, None]
    truth = residual.nan_to_num()[:, None]
    where = base[:, None], amplitude[:, None]
    wanted = fair_crps(units(members * known, *where), units(truth, *where))
    torch.testing.assert_close(loss(2.0) - loss(0.0), 2 * wanted)
