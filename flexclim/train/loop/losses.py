"""The losses that training minimises.

Legend: B patches, M members, S steps of a roll-out, C input channels, T channels of the residual,
H W rows and columns of a tile.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flexclim.models.settings import SUPERRES
from flexclim.nn.configuration import Method
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex
from flexclim.nn.sampler import sample, time_grid
from flexclim.train.loop.crps import fair_crps
from flexclim.train.loop.physical_units import PhysicalUnits
from flexclim.train.loop.texture_loss import amplitude_loss, texture_loss


class DenoisingLoss(nn.Module):
    """Mean loss of the network's output at given diffusion times and noise."""

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
        """Return the mean loss for (B, C, H, W) inputs and (B, T, H, W) residuals at times (B,).

        A missing residual (NaN) is replaced by 0 and contributes nothing to the loss.
        """
        residual, known = filled(residual)
        features = self.network.encode(task, inputs, label)
        output = self.network(self.diffusion.diffuse(residual, noise, t), t, features, label)
        return self.diffusion.losses(output.float(), residual, noise, t, known).mean()


class EnsembleLoss(nn.Module):
    """Fair CRPS of members of the few-step sampler, with gradients through the sampler.

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
    texture, amplitude
        Weights of :func:`~flexclim.train.loop.texture_loss.texture_loss` and ``amplitude_loss``.
    one_step
        Weight of the same loss for the first step's estimates, which makes them members too.
    past
        Input snapshots of forecasts.
    lowest
        (T,) normalised lower bound of each target, -inf for none; default: no bounds. Roll-outs
        are clipped to it, as forecasts are.
    physical, units
        Weight of the CRPS in physical units, and the conversion to them.
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
        texture: float = 0.0,
        amplitude: float = 0.0,
        one_step: float = 0.0,
        past: int = 1,
        lowest: Tensor | None = None,
        physical: float = 0.0,
        units: PhysicalUnits | None = None,
    ) -> None:
        super().__init__()
        self.past, self.physical, self.units = past, physical, units
        self.register_buffer("lowest", lowest, persistent=False)
        self.network, self.diffusion, self.steps = network, diffusion, steps
        self.method: Method = method
        self.gradient, self.mean, self.spectrum = gradient, mean, spectrum
        self.texture, self.amplitude, self.one_step = texture, amplitude, one_step

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
        statics_ahead: Tensor | None = None,
        label_ahead: Tensor | None = None,
        nearest: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss over patches; ``t`` is not used.

        Parameters
        ----------
        residual
            (B, T, H, W), S steps ahead of the inputs; where it is NaN, members count as correct.
        noise
            (B, S, M, T, H, W). For S > 1 each member of a forecast continues from its own previous
            step.
        scale
            (B, T) unit of the residual over that of the input.
        base, amplitude
            (B, T, H, W) base to which the residual is added, and its unit, in transformed units.
        statics_ahead, label_ahead, nearest
            For S > 1: what the steps after the first read; see
            :class:`~flexclim.train.data.batches.Batch`.
        """
        ahead = statics_ahead, label_ahead, nearest
        inputs, label, change = self._rolled_out(inputs, label, noise, task, scale, *ahead)
        last = self._sample(inputs, label, noise[:, -1], task)
        members, first = (change + one for one in last)
        residual, known = filled(residual)
        members, first = members * known[:, None], first * known[:, None]
        loss = self._score(members, residual, base, amplitude)
        if self.mean:
            loss = loss + self.mean * (first - residual[:, None]).square().mean()
        if self.one_step:
            loss = loss + self.one_step * self._score(first, residual, base, amplitude)
        return loss

    def _score(
        self, members: Tensor, residual: Tensor, base: Tensor | None, amplitude: Tensor | None
    ) -> Tensor:
        """Return the loss of (B, M, T, H, W) members against the residual."""
        truth = residual[:, None]
        loss = crps_loss(members, truth, self.gradient)
        if self.spectrum:
            loss = loss + self.spectrum * spectral_loss(members, residual)
        if self.texture:
            loss = loss + self.texture * texture_loss(members, truth)
        if self.amplitude:
            loss = loss + self.amplitude * amplitude_loss(members, truth)
        if self.physical:
            assert self.units is not None
            assert base is not None
            assert amplitude is not None
            fields, target = (
                self.units(one, base[:, None], amplitude[:, None]) for one in (members, truth)
            )
            loss = loss + self.physical * crps_loss(fields, target, self.gradient)
        return loss

    @torch.no_grad()
    def _rolled_out(
        self,
        inputs: Tensor,
        label: Tensor,
        noise: Tensor,
        task: str,
        scale: Tensor | None,
        statics_ahead: Tensor | None,
        label_ahead: Tensor | None,
        nearest: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Forecast all steps but the last.

        They have no gradients: the last step learns to correct the errors of those before it
        (Brandstetter et al. 2022, arXiv 2202.03376).

        Returns
        -------
        inputs, label, change
            Inputs and labels of the last step, of each member for S > 1, and the change of each
            member so far, (B, M, T, H, W).
        """
        patches, _, count = noise.shape[:3]
        total = noise.new_zeros(patches, count, *noise.shape[3:])
        for step, one in enumerate(noise.unbind(1)[:-1]):
            change, _ = self._sample(inputs, label, one, task)
            assert scale is not None
            assert statics_ahead is not None
            assert label_ahead is not None
            assert nearest is not None
            if inputs.shape[0] == patches:  # from here on each member has its own inputs
                inputs = inputs.repeat_interleave(count, 0)
            unit, statics, label, filled_from = (
                part.repeat_interleave(count, 0)
                for part in (scale, statics_ahead[:, step], label_ahead[:, step], nearest)
            )
            inputs, change = rolled(
                inputs, change.flatten(0, 1), unit, self.past, self.lowest, statics, filled_from
            )
            total = total + change.reshape(total.shape)
        return inputs, label, total

    def _sample(
        self, inputs: Tensor, label: Tensor, noise: Tensor, task: str
    ) -> tuple[Tensor, Tensor]:
        """Sample (B, M, ...) members from inputs (B, ...) or, one per member, (B M, ...)."""
        own = noise if inputs.shape[0] == noise.shape[0] else noise.flatten(0, 1)[:, None]
        members, first = sample_members(
            self.network, self.diffusion, inputs, label, own, self.steps, self.method, task
        )
        return members.reshape(noise.shape), first.reshape(noise.shape)


def rolled(
    inputs: Tensor,
    change: Tensor,
    scale: Tensor,
    past: int,
    lowest: Tensor | None = None,
    statics: Tensor | None = None,
    nearest: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Advance the inputs of a roll-out by one step.

    Parameters
    ----------
    inputs
        (B, C, H, W): K snapshots of T targets in order of time, then static channels.
    change
        (B, T, H, W) change to add to the last snapshot.
    scale
        (B, T) unit of the change over that of the inputs.
    past
        K.
    lowest
        (T,) lower bound of the new snapshot; default: none.
    statics
        (B, S, H, W) static channels of the next step; default: those of ``inputs``.
    nearest
        (B, T, H, W) cells of the plane that gaps in the new snapshot are filled from; default: no
        gaps.

    Returns
    -------
    inputs, change
        Inputs of the next step, and the change after clipping.
    """
    targets = change.shape[1]
    end = past * targets
    last, unit = inputs[:, end - targets : end], scale[:, :, None, None]
    if lowest is not None:
        change = change.maximum((lowest[:, None, None] - last) / unit)
    new = last + unit * change
    if nearest is not None:
        new = new.flatten(-2).gather(-1, nearest.flatten(-2)).reshape(new.shape)
    statics = inputs[:, end:] if statics is None else statics
    return torch.cat([inputs[:, targets:end], new, statics], 1), change


def filled(residual: Tensor) -> tuple[Tensor, Tensor]:
    """Replace NaN by 0 in a residual; the second result is 1 where it was known, else 0."""
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
    """Run the few-step sampler on a batch of tiles, with gradients if they are enabled.

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


def crps_loss(members: Tensor, truth: Tensor, gradient: float) -> Tensor:
    """Return the fair CRPS of members plus ``gradient`` times that of their gradients."""
    loss = fair_crps(members, truth)
    for axis in (-2, -1):
        differences = fair_crps(members.diff(dim=axis), truth.diff(dim=axis))
        loss = loss + gradient / 2 * differences
    return loss


def spectral_loss(members: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared difference of log power in rings, in units of (10 dB)^2.

    Power is averaged over patches, members and rings before the logarithm, so the loss constrains
    the variance at each scale, not the phases. It therefore depends on which patches share a part.

    Parameters
    ----------
    members
        (B, M, T, H, W).
    truth
        (B, T, H, W).
    """
    power = ring_power(members).mean((0, 1))
    wanted = ring_power(truth).mean(0)
    # Where all values are missing, both are 0 and the ratio is 1.
    ratio = power.clamp_min(1e-12) / wanted.clamp_min(1e-12)
    return ratio.clamp_min(1e-6).log10().square().mean()


def ring_power(fields: Tensor) -> Tensor:
    """Return (..., R) mean power of (..., H, W) fields in rings of wavenumber 1 to R.

    A Hann window tapers the edges, as patches are not periodic. R is half the shorter side.
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
    return torch.as_tensor(sums / index.bincount())
