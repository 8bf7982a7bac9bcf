"""Does the graph know anything that the learning rate does not? The question, fixed beforehand.

A random forest predicts the final accuracy from the settings alone (learning rate and dropout,
no training), and from the settings with the degree signatures of epochs 1 to 5, as changes since
before training. Both are judged out of fold, no learning rate being on both sides. What counts
is by how many points the second's mean absolute error is smaller, with a 95% interval from
10,000 draws of learning rates with replacement; see ``measures.gain``. The accuracy curve of
the same epochs, added to the settings in the same way, shows whether the test could see a gain.
"""

from __future__ import annotations

from dataclasses import dataclass

from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.cnn_dynamics import settings, zoo
from book.papers.cnn_dynamics.s03_predicting import experiment as predictions
from book.papers.cnn_dynamics.s03_predicting.experiment import PredictionConfig
from book.papers.cnn_dynamics.settings import OneGridParameters

__all__ = ["CONTROL", "GRAPH", "HORIZON", "SETTINGS", "KnowledgeParameters", "configs"]

HORIZON = 5
SETTINGS = "settings"
GRAPH = "settings+change.rolled.degree"
CONTROL = "settings+accuracy"
# What every table shows beside the graph.
ALONE = (
    "settings",
    "change.rolled.degree",
    "rolled.degree",
    "change.rolled.eigenvector",
    "norms",
    "weights",
    "accuracy",
    "loss",
    "start.rolled.degree",
)
TOGETHER = (GRAPH, "settings+norms", CONTROL, "settings+accuracy+change.rolled.degree")
# What is asked where time is short.
FIRST = (SETTINGS, "change.rolled.degree", "accuracy", GRAPH, CONTROL)
# Final accuracy (%) above which a network has learned anything: half as much again as chance.
LEARNERS = {"tiny_imagenet": 1.5}
LEARNED = 15.0


@dataclass(frozen=True)
class KnowledgeParameters(OneGridParameters):
    """Parameters of ``cnn_dynamics/04_what_it_knows``; the defaults are quick."""

    horizon: int = parameter(5, "epochs that are seen (fixed beforehand: 5)", at_least=1)
    repeats: int = parameter(1, "repeats of the folds (paper scale: 5)", at_least=1)
    draws: int = parameter(5, "balanced draws of the classifier (paper scale: 20)", at_least=2)
    every: bool = parameter(False, "all sets of features, both kinds of folds, and learners alone")


def configs(parameters: KnowledgeParameters) -> list[PredictionConfig]:
    """Every predictor of the section: the registered ones first."""
    p = parameters
    seen = predictions.up_to(p.horizon, p)
    shared = {**predictions.grid_of(p, p.network), "epochs_seen": seen}
    learned = LEARNERS.get(p.data, LEARNED)
    found = [
        PredictionConfig(
            **shared, features=names, model=model, learners=learners, repeats=p.repeats
        )
        for model in (("forest by rate", "forest") if p.every else ("forest by rate",))
        for learners in ((0.0, learned) if p.every else (0.0,))
        for names in ((*ALONE, *TOGETHER) if p.every else FIRST)
    ]
    threshold = settings.threshold(p.data, p.network, p.images)
    found += [
        PredictionConfig(
            **shared, features=names, model="svm", threshold=threshold, repeats=p.draws
        )
        for names in ALONE
    ]
    return found


def sweeps(parameters: KnowledgeParameters) -> list[Sweep]:
    """What the section runs: the grid, then the predictors."""
    return [
        Sweep(zoo.run, settings.chunks(parameters, parameters.network)),
        Sweep(predictions.run, configs(parameters), on_device=False, reads_all=True),
    ]


SECTION = Section("cnn_dynamics/04_what_it_knows", KnowledgeParameters, sweeps)
