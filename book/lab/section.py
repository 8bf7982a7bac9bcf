"""A section as something that can be run: its parameters, and the sweeps behind its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Section", "Sweep"]


@dataclass(frozen=True)
class Sweep:
    """Configurations, and the ``run(configs, workers=..., ...)`` that makes their records.

    ``on_device``: whether ``run`` takes a device, which what is measured untrained does not.
    ``reads_all``: whether its records depend on which records the sweeps before it have made.
    """

    run: Callable[..., list[dict[str, Any]]]
    configs: Sequence[Any]
    on_device: bool = True
    reads_all: bool = False


@dataclass(frozen=True)
class Section:
    """One section of the book.

    Attributes:
        name: for instance "clusterability/03_cnns", as its notebook is called.
        parameters: the dataclass of its parameters; the defaults are quick.
        sweeps: parameters -> what the notebook runs, in its order.
    """

    name: str
    parameters: type
    sweeps: Callable[[Any], Iterable[Sweep]]
