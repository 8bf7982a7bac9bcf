"""Weights that a shortened network takes over from the network it was cut out of.

The community paper fine-tunes its pruned variants; its released code has no step in which a
variant receives weights, so this is the text's reading made exact.
Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from modgraph_lib.models import cifar_networks

__all__ = ["check_kept", "first_units", "inherit"]

Kept = Sequence[Sequence[int]]


def first_units(network: str) -> tuple[tuple[int, ...], ...]:
    """The first units of each stage, as many as a network has: what is kept unless said."""
    return tuple(tuple(range(count)) for count in cifar_networks.plan_of(network).counts)


def check_kept(network: str, parent: str, kept: Kept) -> None:
    """Raise ValueError where ``kept`` is no way to cut one network out of the other.

    Args:
        network, parent: names as ``cifar_networks.plan_of`` takes them, of one family.
        kept: units of each of the parent's stages, from 0 and rising; empty: the first ones.
    """
    plan, whole = cifar_networks.plan_of(network), cifar_networks.plan_of(parent)
    if plan.family != whole.family:
        raise ValueError(f"a {plan.family} cannot inherit from a {whole.family}")
    wanted = first_units(network)
    kept = kept or wanted
    if [len(units) for units in kept] != [len(units) for units in wanted]:
        raise ValueError(f"{network} has {plan.counts} units in its stages; kept names {kept}")
    for stage, (units, count) in enumerate(zip(kept, whole.counts, strict=True)):
        if list(units) != sorted(set(units)) or units[0] != 0 or units[-1] >= count:
            raise ValueError(
                f"stage {stage + 1} of {parent} has units 0 to {count - 1}, of which the first "
                f"stays; kept names {tuple(units)}"
            )


def inherit(
    child: cifar_networks.Vgg | cifar_networks.ResNet,
    parent: cifar_networks.Vgg | cifar_networks.ResNet,
    kept: Kept = (),
) -> tuple[str, ...]:
    """Copy weights and running statistics of every unit that both networks have, in place.

    Args:
        child: receives; parent: gives, and stays as it is.
        kept: units of each of the parent's stages that the child's are, from 0; empty: the
            first ones, which is pruning from the back.

    Returns:
        Names of the child's entries that stay as they were, because the parent has nothing of
        that shape in that place. A unit is taken over whole or not at all.

    Raises:
        ValueError: not one convolution fits (another family or width).
    """
    given = {
        place: parent.state_dict()[name] for name, place in cifar_networks.places(parent).items()
    }
    mine = child.state_dict()
    places = cifar_networks.places(child)
    fits: dict[object, bool] = {}
    found: dict[str, torch.Tensor | None] = {}
    for name, (place, part) in places.items():
        source = place
        if kept and not isinstance(place, str):
            source = (place[0], kept[place[0]][place[1]])
        tensor = given.get((source, part))
        found[name] = tensor
        fit = tensor is not None and tensor.shape == mine[name].shape
        fits[place] = fits.get(place, True) and fit
    fresh = tuple(name for name, (place, _) in places.items() if not fits[place])
    if not any(mine[name].ndim == 4 for name in set(mine) - set(fresh)):
        raise ValueError(
            "nothing fits: no convolution of the new network has the place and shape of one of "
            "its parent's; take a parent of the same family and width"
        )
    with torch.no_grad():
        for name in mine.keys() - set(fresh):
            mine[name].copy_(found[name])
    return fresh
