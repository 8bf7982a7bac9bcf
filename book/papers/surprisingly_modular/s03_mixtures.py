"""What the section ``surprisingly_modular/03_mixtures`` runs; the successor paper shares it."""

from __future__ import annotations

from book.lab.section import Section, Sweep
from book.papers.ncut import mixtures, mlps, second_looks
from book.papers.ncut.mixtures import MixturesParameters

__all__ = ["SECTION", "sweeps"]


def sweeps(parameters: MixturesParameters) -> list[Sweep]:
    """What the section runs, in its order."""
    train = mixtures.lines_with_dropout(parameters)
    looks = [second_looks.LookConfig(train, stage) for stage in second_looks.STAGES]
    return [
        Sweep(mlps.run, mixtures.mixture_networks(parameters)),
        Sweep(second_looks.DROPOUT_MODES.run, looks),
    ]


SECTION = Section("surprisingly_modular/03_mixtures", MixturesParameters, sweeps)
