"""What training minimises.

Legend: B patches, M members, T channels of the residual, C of the inputs, H W rows and columns of
a tile.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flexclim.models.settings import SUPERRES
from flexclim.nn.configuration import Method
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex
from flexclim.nn.sampler import sample, time_grid
from flexclim.train.loop.own_units import OwnUnits


class DenoisingLoss(nn.Module):
    """Mean loss of the network's output at given times and noise."""

    def __init__(self, network: Flex, diffusion: Diffusion) -> None:
        super().__init__()
        self.network, self.diffusion = network, diffusion

    def forward(
        self,
        inputs: Tensor,
        residual: Tensor,
        label: Tensor,
        noise: Tensor,
        t: Tensor,
        task: str = SUPERRES,
    ) -> Tensor:
        """Return the mean over (B, C, H, W) inputs and (B, T, H, W) residuals at times (B,).

        A residual that is not known (NaN) is 0 for the network and costs nothing.
        """
        residual, known = filled(residual)
        features = self.network.encode(task, inputs, label)
        output = self.network(self.diffusion.diffuse(residual, noise, t), t, features, label)
        return self.diffusion.losses(output.float(), residual, noise, t, known).mean()


class EnsembleLoss(nn.Module):
    """The few-step sampler, run with gradients, judged by the fair CRPS of its members.

    Parameters
    ----------
    steps, method
        Of the sampler.
    gradient
        Weight of the CRPS of differences between neighbouring cells.
    mean
        Weight of the squared error of the first step's estimate, which keeps that estimate the
        conditional mean.
    spectrum
        Weight of the log-spectral distance.
    past
        Snapshots that forecasts read.
    lowest
        (T,) what the network reads where a target is as low as it may be, -inf where it may be
        anything; None: all may. Roll-outs stay above, as forecasts do.
    physical, units
        Weight of the CRPS in the targets' own units, and what brings them there.
    """

    lowest: Tensor | None

    def __init__(
        self,
        network: Flex,
        diffusion: Diffusion,
        *,
        steps: int,
        method: Method,
        gradient: float,
        mean: float,
        spectrum: float = 0.0,
        past: int = 1,
        lowest: Tensor | None = None,
        physical: float = 0.0,
        units: OwnUnits | None = None,
    ) -> None:
        super().__init__()
        self.past, self.physical, self.units = past, physical, units
        self.register_buffer("lowest", lowest, persistent=False)
        self.network, self.diffusion, self.steps = network, diffusion, steps
        self.method: Method = method
        self.gradient, self.mean, self.spectrum = gradient, mean, spectrum

    def forward(
        self,
        inputs: Tensor,
        residual: Tensor,
        label: Tensor,
        noise: Tensor,
        t: Tensor,
        task: str = SUPERRES,
        scale: Tensor | None = None,
        base: Tensor | None = None,
        amplitude: Tensor | None = None,
    ) -> Tensor:
        """Return the mean over patches; noise is (B, S, M, T, H, W), ``t`` is not used.

        Where the residual is not known (NaN) members count as right. With noise for S > 1 steps
        members of a forecast go on from what they made; the residual is then S steps ahead. Only
        the last step has gradients (as Brandstetter et al. 2022, arXiv 2202.03376): it learns to
        be right after the errors of those before. ``scale`` (B, T) is the residual's unit in that
        of the input; ``base`` and ``amplitude`` (B, T, H, W) are what it adds to and its unit,
        in transformed units.
        """
        patches, _, count = noise.shape[:3]
        made = noise.new_zeros(patches, count, *noise.shape[3:])
        *before, last = noise.unbind(1)
        for one in before:
            with torch.no_grad():
                change, _ = self._sample(inputs, label, one, task)
            if inputs.shape[0] == patches:  # from now on each member goes on by itself
                inputs, label = (x.repeat_interleave(count, 0) for x in (inputs, label))
            assert scale is not None
            unit = scale.repeat_interleave(count, 0)
            inputs, change = rolled(inputs, change.flatten(0, 1), unit, self.past, self.lowest)
            made = made + change.reshape(made.shape)
        members, first = (made + one for one in self._sample(inputs, label, last, task))
        residual, known = filled(residual)
        members, first = members * known[:, None], first * known[:, None]
        loss = ensemble_loss(members, first, residual[:, None], self.gradient, self.mean)
        if self.spectrum:
            loss = loss + self.spectrum * spectral_loss(members, residual)
        if self.physical:
            assert self.units is not None
            assert base is not None
            assert amplitude is not None
            scaling = base[:, None], amplitude[:, None]
            fields, truth = (self.units(one, *scaling) for one in (members, residual[:, None]))
            loss = loss + self.physical * crps_loss(fields, truth, self.gradient)
        return loss

    def _sample(
        self, inputs: Tensor, label: Tensor, noise: Tensor, task: str
    ) -> tuple[Tensor, Tensor]:
        """Sample (B, M, ...) members, of inputs (B, ...) or of each member's own (B M, ...)."""
        own = noise if inputs.shape[0] == noise.shape[0] else noise.flatten(0, 1)[:, None]
        members, first = sample_members(
            self.network, self.diffusion, inputs, label, own, self.steps, self.method, task
        )
        return members.reshape(noise.shape), first.reshape(noise.shape)


def rolled(
    inputs: Tensor, change: Tensor, scale: Tensor, past: int, lowest: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return what the next step of a roll-out reads, and by how much the last snapshot changed.

    Parameters
    ----------
    inputs
        (B, C, H, W): K snapshots of T targets, the last one last, and static channels, which stay.
    change
        (B, T, H, W), what is added to the last snapshot.
    scale
        (B, T), the change's unit in that of the inputs.
    past
        K.
    lowest
        (T,), what the new snapshot stays above; None: nothing.
    """
    targets = change.shape[1]
    end = past * targets
    last, unit = inputs[:, end - targets : end], scale[:, :, None, None]
    if lowest is not None:
        change = change.maximum((lowest[:, None, None] - last) / unit)
    return torch.cat([inputs[:, targets:end], last + unit * change, inputs[:, end:]], 1), change


def filled(residual: Tensor) -> tuple[Tensor, Tensor]:
    """Return a residual with 0 in place of NaN, and 1 where it is known, else 0."""
    known = ~residual.isnan()
    return torch.where(known, residual, 0.0), known.to(residual.dtype)


def sample_members(
    network: Flex,
    diffusion: Diffusion,
    inputs: Tensor,
    label: Tensor,
    noise: Tensor,
    steps: int,
    method: Method,
    task: str = SUPERRES,
) -> tuple[Tensor, Tensor]:
    """Run the few-step sampler on a batch of tiles, with gradients where they are enabled.

    Parameters
    ----------
    inputs, label
        (B, C, H, W) and (B, L).
    noise
        (B, M, T, H, W) standard normal.

    Returns
    -------
    members, first
        (B, M, T, H, W) the sampled residuals, and the clean residuals estimated at the first step.
    """
    patches, members = noise.shape[:2]
    index = torch.arange(patches, device=noise.device).repeat_interleave(members)
    features = network.encode(task, inputs, label).take(index)
    estimates = []

    def estimate(state: Tensor, time: float) -> Tensor:
        t = state.new_full((state.shape[0],), time)
        output = network(state, t, features, label[index])
        estimates.append(diffusion.clean(output.float(), state, t))
        return estimates[-1]

    result = sample(estimate, noise.flatten(0, 1), diffusion, time_grid(steps), method)
    return result.reshape(noise.shape), estimates[0].reshape(noise.shape)


def fair_crps(members: Tensor, truth: Tensor) -> Tensor:
    """Return the mean fair CRPS (Ferro 2014) of (B, M, ...) members against (B, 1, ...) truth."""
    count = members.shape[1]
    error = (members - truth).abs().mean(1)
    ordered = members.sort(dim=1).values
    rank = torch.arange(count, device=members.device, dtype=members.dtype)
    weight = (2 * rank - count + 1).reshape(-1, *[1] * (members.ndim - 2))
    spread = (ordered * weight).sum(1) / (count * (count - 1))
    return (error - spread).mean()


def ensemble_loss(
    members: Tensor, first: Tensor, truth: Tensor, gradient: float, mean: float
) -> Tensor:
    """Return the fair CRPS of members, of their gradients, and the error of the first estimate.

    Parameters
    ----------
    members, first
        (B, M, ..., H, W) from :func:`sample_members`.
    truth
        (B, 1, ..., H, W).
    gradient, mean
        Weights; see :class:`EnsembleLoss`.
    """
    return crps_loss(members, truth, gradient) + mean * (first - truth).square().mean()


def crps_loss(members: Tensor, truth: Tensor, gradient: float) -> Tensor:
    """Return the fair CRPS of members plus ``gradient`` times that of their gradients."""
    loss = fair_crps(members, truth)
    for axis in (-2, -1):
        differences = fair_crps(members.diff(dim=axis), truth.diff(dim=axis))
        loss = loss + gradient / 2 * differences
    return loss


def spectral_loss(members: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared difference of log power in rings, in units of (10 dB)^2.

    Power is averaged over patches, members and rings before the logarithm, so the loss asks for
    the right variance at each scale and not for the right phases. So it depends on which patches
    share a part.

    Parameters
    ----------
    members
        (B, M, T, H, W).
    truth
        (B, T, H, W).
    """
    power = ring_power(members).mean((0, 1))
    wanted = ring_power(truth).mean(0)
    # Where nothing is known both are 0, and alike.
    ratio = power.clamp_min(1e-12) / wanted.clamp_min(1e-12)
    return ratio.clamp_min(1e-6).log10().square().mean()


def ring_power(fields: Tensor) -> Tensor:
    """Return (..., R) mean power of (..., H, W) fields in rings of wavenumber 1 .. R.

    A Hann window hides that patches don't wrap; R is half of the shorter side.
    """
    height, width = fields.shape[-2:]
    side = min(height, width)
    windows = [torch.hann_window(size, device=fields.device) for size in (height, width)]
    tapered = (fields - fields.mean((-2, -1), keepdim=True)) * windows[0][:, None] * windows[1]
    power = torch.fft.fft2(tapered.float()).abs().square().flatten(-2)
    rows, columns = (torch.fft.fftfreq(size, device=fields.device) for size in (height, width))
    ring = ((rows[:, None].square() + columns.square()).sqrt() * side).round().long().flatten()
    inside = (ring >= 1) & (ring <= side // 2)
    index = ring[inside] - 1
    sums = power.new_zeros(*power.shape[:-1], side // 2).index_add(-1, index, power[..., inside])
    return sums / index.bincount()
