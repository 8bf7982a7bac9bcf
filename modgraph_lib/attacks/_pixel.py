"""Attacks that change a few pixels and only look at the network's answers.

Each takes a model, images (N, C, H, W) that may be moved within 0..1, and labels (N,).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

__all__ = ["local_search", "one_pixel", "single_pixel"]


def single_pixel(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, *, seed: int, trials: int
) -> torch.Tensor:
    """Pixels in random order, all channels set to 0 and then to 1, until one fools.

    Source: Narodytska and Kasiviswanathan, Simple Black-Box Adversarial Perturbations for Deep
    Networks (2016), algorithm 1.
    """
    rng = np.random.default_rng(seed)
    found = images.clone()
    height, width = images.shape[2:]
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = rng.permutation(height * width)[:trials]
        rows, columns = np.divmod(np.repeat(place, 2), width)
        values = image.new_tensor([0.0, 1.0]).repeat(len(place))
        changed = _with_pixels(image, rows, columns, values[:, None].expand(-1, len(image)))
        fools = (_answers(model, changed).argmax(1) != label).nonzero().flatten()
        if len(fools):
            found[number] = changed[fools[0]]
    return found


def one_pixel(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    seed: int,
    population: int,
    generations: int,
) -> torch.Tensor:
    """One pixel anywhere in any colour, found by differential evolution; ends once it fools.

    Each generation a child a + (b - c) / 2 of three random candidates takes its parent's place if
    the label's probability is lower. scipy does it.

    Source: Su, Vargas and Sakurai, One Pixel Attack for Fooling Deep Neural Networks (2019).
    """
    rng = np.random.default_rng(seed)
    found = images.clone()
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        changed = _evolve(model, image, int(label), population, generations, rng)
        if changed is not None:
            found[number] = changed
    return found


def _evolve(model, image, label, population, generations, rng) -> torch.Tensor | None:
    from scipy.optimize import differential_evolution  # slow to import

    channels, height, width = image.shape
    fooling: list[torch.Tensor] = []

    def probability(candidates: np.ndarray) -> np.ndarray:
        rows, columns = np.minimum(candidates[:2].astype(int), [[height - 1], [width - 1]])
        colours = torch.as_tensor(candidates[2:].T).to(image)
        changed = _with_pixels(image, rows, columns, colours)
        answers = _answers(model, changed)
        shares = answers.softmax(1)[:, label]
        fools = answers.argmax(1) != label
        if fools.any() and not fooling:
            fooling.append(changed[shares.where(fools, torch.full_like(shares, 2.0)).argmin()])
        return shares.double().cpu().numpy()

    place = rng.random((population, 2)) * [height, width]
    colour = rng.normal(0.5, 0.5, (population, channels)).clip(0, 1)
    differential_evolution(
        probability,
        [(0, height), (0, width), *[(0, 1)] * channels],
        init=np.hstack([place, colour]),
        strategy="rand1bin",
        mutation=0.5,
        recombination=1.0,
        maxiter=generations,
        tol=0,
        polish=False,
        vectorized=True,
        updating="deferred",
        callback=lambda *_, **__: bool(fooling),
        rng=rng,
    )
    return fooling[0] if fooling else None


def local_search(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    seed: int,
    p: float,
    r: float,
    half_side: int,
    pixels: int,
    rounds: int,
    start_share: float,
    most: int,
    starting_over: bool,
) -> torch.Tensor:
    """Rounds of trying pixels one by one, changing the best few, and looking around them.

    Source: Narodytska and Kasiviswanathan, Simple Black-Box Adversarial Perturbations for Deep
    Networks (2016), algorithms 2 and 3.

    Args:
        p: a pixel on trial takes p times its sign, on the scale -1/2..1/2 (then within 0..1).
        r: a pixel that is changed is multiplied by r on that scale, and comes back in at the other
            end where it leaves.
        half_side: of the square around a changed pixel whose pixels are tried next.
        pixels: changed a round.
        start_share: share of the pixels tried first; most: pixels tried a round at most.
        starting_over: as AdverTorch, every round changes the clean image again, and a single pixel
            on trial that fools is kept; otherwise changes add up, as in the source.
    """
    rng = np.random.default_rng(seed)
    found = images.clone()
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        found[number] = _search(
            model, image, label, rng, p, r, half_side, pixels, rounds, start_share, most,
            starting_over,
        )  # fmt: skip
    return found


def _search(model, image, label, rng, p, r, half_side, pixels, rounds, share, most, starting_over):
    height, width = image.shape[1:]
    clean = image - 0.5
    current, best, nearest = clean, image, float("inf")
    count = min(most, max(1, int(share * height * width)))
    places = np.stack(np.divmod(rng.permutation(height * width)[:count], width), 1)
    for _ in range(rounds):
        base = clean if starting_over else current
        places = rng.permutation(places)[:most]
        rows, columns = places.T
        extreme = p * base[:, rows, columns].sign().T
        tried = (_with_pixels(base, rows, columns, extreme) + 0.5).clamp(0, 1)
        answers = _answers(model, tried)
        if starting_over:
            fools = answers.argmax(1) != label
            distance = (tried - image).square().flatten(1).sum(1)
            distance = distance.where(fools, torch.full_like(distance, float("inf")))
            if distance.min() < nearest:
                best, nearest = tried[distance.argmin()], float(distance.min())
        chosen = answers.softmax(1)[:, label].argsort(stable=True)[:pixels].cpu().numpy()
        rows, columns = places[chosen].T
        current = base.clone()
        current[:, rows, columns] = _cyclic(r * base[:, rows, columns])
        changed = current + 0.5
        if _answers(model, changed[None]).argmax(1)[0] != label:
            distance = float((changed - image).square().sum())
            return changed if distance < nearest else best
        places = _around(places[chosen], half_side, height, width)
    return best


def _cyclic(values: torch.Tensor) -> torch.Tensor:
    """Values that leave -1/2..1/2 come back in at the other end."""
    return torch.where(values > 0.5, values - 1, torch.where(values < -0.5, values + 1, values))


def _around(places: np.ndarray, half_side: int, height: int, width: int) -> np.ndarray:
    """All pixels of the squares around ``places`` (n, 2), each once."""
    reach = np.arange(-half_side, half_side + 1)
    offsets = np.stack(np.meshgrid(reach, reach, indexing="ij"), -1).reshape(1, -1, 2)
    near = np.unique((places[:, None] + offsets).reshape(-1, 2), axis=0)
    return near[((near >= 0) & (near < [height, width])).all(1)]


def _with_pixels(image, rows, columns, values) -> torch.Tensor:
    """Copies (n, C, H, W) of an image, the i-th with values (n, C) at rows[i], columns[i]."""
    copies = image.expand(len(rows), *image.shape).clone()
    copies[torch.arange(len(rows)), :, torch.as_tensor(rows), torch.as_tensor(columns)] = values
    return copies


def _answers(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(images)
