"""Attacks that look into the network: FGSM, PGD, JSMA and that of Carlini and Wagner.

Each takes a model, images (N, C, H, W) that may be moved within 0..1, and labels (N,). FGSM and
PGD are those of the Adversarial Robustness Toolbox. Its JSMA takes the two largest gradients and
never looks at the other classes, and its Carlini-Wagner attack needs seconds an image on a CPU;
these two are written here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from modgraph_lib import noise

__all__ = ["carlini_wagner", "fgsm", "jsma", "pgd"]

FAR = 1e30  # a gradient that no pair can want
ALMOST_ONE = 0.999999  # keeps the inverse hyperbolic tangent finite


def fgsm(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, *, seed: int, eps: float
) -> torch.Tensor:
    """One step of length ``eps`` up the loss in every pixel.

    Source: Goodfellow, Shlens and Szegedy, Explaining and Harnessing Adversarial Examples (2015).
    """
    from art.attacks.evasion import FastGradientMethod

    with _toolbox(model, images) as classifier:
        found = FastGradientMethod(classifier, eps=eps, batch_size=len(images)).generate(
            images.cpu().numpy(), labels.cpu().numpy()
        )
    return torch.from_numpy(found).to(images).clamp(0, 1)


def pgd(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    seed: int,
    eps: float,
    step: float,
    steps: int,
) -> torch.Tensor:
    """Steps up the loss from a random start, never farther than ``eps`` in any pixel.

    Source: Madry and others, Towards Deep Learning Models Resistant to Adversarial Attacks (2018).
    """
    from art.attacks.evasion import ProjectedGradientDescentPyTorch

    # Where an image lies outside 0..1 only its nearest points in reach matter; the toolbox, which
    # projects last, would leave 0..1 again otherwise.
    start = images.clamp(-eps, 1 + eps)
    with _toolbox(model, images) as classifier, _numpy_seed(seed), noise.seeded(seed):
        attack = ProjectedGradientDescentPyTorch(
            classifier,
            eps=eps,
            eps_step=step,
            max_iter=steps,
            num_random_init=1,
            batch_size=len(images),
            verbose=False,
        )
        found = attack.generate(start.cpu().numpy(), labels.cpu().numpy())
    return torch.from_numpy(found).to(images).clamp(0, 1)


def jsma(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    seed: int,
    theta: float,
    gamma: float,
    towards: str,
) -> torch.Tensor:
    """Two pixel values at a time, those that a class most wants and the others least.

    Source: Papernot and others, The Limitations of Deep Learning in Adversarial Settings (2016),
    algorithms 1 and 3, which needs a class to go to.

    Args:
        theta: by how much a value moves; a value moves once.
        gamma: share of the values that may move.
        towards: "runner_up" is the likeliest wrong class of each image, "own" the label itself,
            where every image is already, so that nothing moves.

    Ends for an image once it is no longer given its label.
    """
    flat, shape = images.flatten(1).clone(), images.shape[1:]
    logits = _logits(model, images)
    target = labels if towards == "own" else _without(logits, labels).argmax(1)
    sign = 1.0 if theta > 0 else -1.0
    free = flat < 1 if theta > 0 else flat > 0
    going = (logits.argmax(1) == labels) & (target != labels)
    for _ in range(int(flat.shape[1] * gamma / 2)):
        rows = going.nonzero().flatten()
        if not len(rows):
            break
        wanted, others = _derivatives(model, flat[rows].view(-1, *shape), target[rows])
        pair, found = best_pair(sign * wanted, sign * others, free[rows])
        going[rows[~found]] = False
        rows, pair = rows[found], pair[found]
        if not len(rows):
            break
        moved = flat[rows].gather(1, pair) + theta
        flat[rows] = flat[rows].scatter(1, pair, moved).clamp(0, 1)
        free[rows] = free[rows].scatter(1, pair, False)
        predicted = _logits(model, flat[rows].view(-1, *shape)).argmax(1)
        going[rows] = predicted == labels[rows]
    return flat.view_as(images).clamp(0, 1)


def best_pair(
    wanted: torch.Tensor, others: torch.Tensor, free: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The pair p, q of free features with the largest -(a_p + a_q)(b_p + b_q).

    Only pairs with a_p + a_q > 0 and b_p + b_q < 0 count. Of a feature with two others that are
    at least as good in both a and b some better or equal pair makes no use; without those few are
    left, and all pairs of these are looked at. The matrix of all pairs is never made.

    Args:
        wanted, others: (N, M) the derivatives a and b; free: (N, M) bool.

    Returns:
        Features (N, 2), and (N,) whether there is such a pair at all.
    """
    a, order = wanted.where(free, torch.full_like(wanted, -FAR)).sort(dim=1, descending=True)
    b = others.where(free, torch.full_like(others, FAR)).gather(1, order)
    before = torch.full_like(b[:, :1], FAR)
    lowest = torch.cat([before, b.cummin(1).values[:, :-1]], 1)
    second = torch.cat([before, torch.maximum(b, lowest).cummin(1).values[:, :-1]], 1)
    kept = b < second
    most = max(2, int(kept.sum(1).max()))
    places = kept.float().topk(min(most, b.shape[1]), dim=1).indices
    a, b, kept = a.gather(1, places), b.gather(1, places), kept.gather(1, places)
    gain, loss = a[:, :, None] + a[:, None], b[:, :, None] + b[:, None]
    valid = (gain > 0) & (loss < 0) & kept[:, :, None] & kept[:, None]
    valid &= ~torch.eye(valid.shape[1], dtype=torch.bool, device=valid.device)
    score = torch.where(valid, -gain * loss, torch.full_like(gain, -1.0)).flatten(1)
    value, best = score.max(1)
    pair = torch.stack([best // valid.shape[1], best % valid.shape[1]], 1)
    return order.gather(1, places.gather(1, pair)), value > 0


def carlini_wagner(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    seed: int,
    steps: int,
    searches: int,
    rate: float,
    constant: float,
) -> torch.Tensor:
    """The nearest wrongly classified image, by Euclidean distance.

    Minimises |x' - x|^2 + c max(0, true logit - best other logit) with Adam over
    x' = (1 + tanh w) / 2, and searches the smallest c that still fools, from ``constant`` on
    by tens and then by halves.

    Source: Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks (2017).
    """
    start = torch.atanh((images.clamp(0, 1) * 2 - 1) * ALMOST_ONE)
    centre = (torch.tanh(start) + 1) / 2
    best, nearest = images.clone(), images.new_full((len(images),), float("inf"))
    low, high = images.new_zeros(len(images)), images.new_full((len(images),), float("inf"))
    weight = images.new_full((len(images),), constant)
    for _ in range(searches):
        shift = torch.zeros_like(start, requires_grad=True)
        adam = torch.optim.Adam([shift], lr=rate)
        fooled_once = torch.zeros_like(labels, dtype=torch.bool)
        last = float("inf")
        for step in range(steps):
            moved = (torch.tanh(start + shift) + 1) / 2
            logits = model(moved)
            distance = (moved - centre).square().flatten(1).sum(1)
            own = logits.gather(1, labels[:, None])[:, 0]
            lead = own - _without(logits, labels).amax(1)
            loss = (distance + weight * lead.clamp(min=0)).sum()
            if step % max(1, steps // 10) == 0:
                if loss.item() > last * 0.9999:  # no progress in a tenth of the steps
                    break
                last = loss.item()
            fooled = logits.argmax(1) != labels
            closer = fooled & (distance < nearest)
            best[closer], nearest[closer] = moved.detach()[closer], distance.detach()[closer]
            fooled_once |= fooled
            (shift.grad,) = torch.autograd.grad(loss, shift)
            adam.step()
        high = torch.where(fooled_once, torch.minimum(high, weight), high)
        low = torch.where(fooled_once, low, torch.maximum(low, weight))
        weight = torch.where(high.isinf(), weight * 10, (low + high) / 2)
    return best


def _derivatives(
    model: nn.Module, images: torch.Tensor, towards: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Derivatives (N, M) of the wanted logit, and of the sum of all others."""
    images = images.clone().requires_grad_()
    with torch.enable_grad():
        logits = model(images)
        own = logits.gather(1, towards[:, None]).sum()
        (of_all,) = torch.autograd.grad(logits.sum(), images, retain_graph=True)
        (of_own,) = torch.autograd.grad(own, images)
    return of_own.flatten(1), (of_all - of_own).flatten(1)


def _logits(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(images)


def _without(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Logits with the label's own out of the race."""
    return logits.scatter(1, labels[:, None], -float("inf"))


@contextmanager
def _toolbox(model: nn.Module, images: torch.Tensor) -> Iterator:
    """The model as the toolbox wants it; it knows the CPU and CUDA."""
    from art.estimators.classification import PyTorchClassifier

    classes = _logits(model, images[:1]).shape[1]
    yield PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(images.shape[1:]),
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        device_type="gpu" if images.is_cuda else "cpu",
    )


_ALONE = threading.RLock()


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """The toolbox draws from numpy's global generator: one thread at a time, and put back."""
    with _ALONE:
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
