"""Networks that are one layer after the other: their layers in order."""

from __future__ import annotations

from torch import nn

from modgraph_lib import _checks

__all__ = ["LAYERS", "NORMS", "is_chain", "is_plain", "layers_of", "steps"]

LAYERS = (nn.Conv2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def is_chain(model: nn.Module) -> bool:
    """Whether a module is a sequence, of sequences too, and calls its parts in that order alone.

    >>> from modgraph_lib.graphs import chain
    >>> chain.is_chain(models.lenet(seed=0)), chain.is_chain(nn.Linear(2, 2))
    (True, False)
    """
    return isinstance(model, nn.Sequential) and type(model).forward is nn.Sequential.forward


def is_plain(model: nn.Module) -> bool:
    """Whether it is a chain of layers, norms and what has no weights: nothing hides a layer.

    >>> from modgraph_lib.graphs import chain
    >>> chain.is_plain(nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)))
    False
    """
    known = (*LAYERS, *NORMS)
    return is_chain(model) and all(
        isinstance(part, known) or not list(part.parameters()) for _, part in steps(model)
    )


def steps(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Name and module of everything a chain does, in its order, sequences opened.

    Raises:
        ValueError: the network is no chain.

    >>> from modgraph_lib.graphs import chain
    >>> inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> [name for name, _ in chain.steps(nn.Sequential(inner, nn.Linear(2, 1)))]
    ['0.0', '0.1', '1']
    """
    if not is_chain(_checks.filled(model)):
        raise ValueError(
            f"{type(model).__name__} is no chain of layers (nn.Sequential): what it joins cannot "
            "be read off without running it"
        )
    found: list[tuple[str, nn.Module]] = []
    for name, part in model.named_children():
        if is_chain(part):
            found += [(f"{name}.{inner}", module) for inner, module in steps(part)]
        else:
            found.append((name, part))
    return found


def layers_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Convolutions and linear layers of a chain, in order.

    Raises:
        ValueError: no chain, or one without a layer.

    >>> from modgraph_lib.graphs import chain
    >>> [name for name, _ in chain.layers_of(models.lenet(seed=0))]
    ['1', '4', '8', '11', '14']
    """
    every = steps(model)
    found: list[tuple[str, nn.Module]] = [one for one in every if isinstance(one[1], LAYERS)]
    if not found:
        raise ValueError("the network has no convolution and no linear layer")
    return found
