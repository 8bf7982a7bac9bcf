"""The grid of networks, watched epoch by epoch: what sections 2 to 4 rest on."""

from __future__ import annotations

from book.lab.section import Section, Sweep
from book.papers.cnn_dynamics import zoo
from book.papers.cnn_dynamics.settings import OneGridParameters, chunks

__all__ = ["SECTION"]


SECTION = Section(
    "cnn_dynamics/02_training", OneGridParameters, lambda p: [Sweep(zoo.run, chunks(p, p.network))]
)
