"""The grid of networks, watched epoch by epoch: what sections 2 to 4 rest on."""

from __future__ import annotations

from book.lab.section import Section, Sweep
from book.papers.cnn_dynamics import settings, zoo
from book.papers.cnn_dynamics.settings import GridParameters

__all__ = ["sweeps"]


def sweeps(parameters: GridParameters) -> list[Sweep]:
    """What the section runs."""
    return [Sweep(zoo.run, settings.chunks(parameters))]


SECTION = Section("cnn_dynamics/02_training", GridParameters, sweeps)
