"""How the two n-cut papers train their multi-layer perceptrons, data set by data set.

One table for everyone: the experiments take their configurations from it, and the ledger the
rows that may decide a claim. No heavy import, so that a reader of rows needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["BATCH_SIZE", "SHUFFLES", "WIDTH", "Setting", "of"]

WIDTH, BATCH_SIZE = 256, 128
# 320 shuffles for the 2020 paper's cluster counts, 50 for the 2021 paper's k = 12.
SHUFFLES = {2: 320, 4: 320, 7: 320, 10: 320, 12: 50}


@dataclass(frozen=True)
class Setting:
    """The papers' training run on one data set (defaults: MNIST).

    ``dropout`` is the rate where dropout is used at all. ``published_epochs`` are the epochs
    before pruning in the released code's runs with and without dropout.
    """

    inputs: int = 784
    outputs: int = 10
    epochs: int = 20
    prune_epochs: int = 20
    dropout: float = 0.5
    loss: str = "cross_entropy"
    reshuffle: bool = True
    published_epochs: tuple[int, int] = (20, 20)

    @property
    def nodes(self) -> int:
        """Nodes of the weight graph before isolated ones are left out."""
        return self.inputs + 4 * WIDTH + self.outputs


MLP = Setting()
SPECIAL = {
    "digits": replace(MLP, inputs=64),
    # Neural networks are surprisingly modular, section 3.1: pruned for 40 epochs, dropout 0.2.
    "cifar10_grey": replace(MLP, prune_epochs=40, dropout=0.2, published_epochs=(100, 20)),
    # section 3.2: 100 epochs, then 100 with pruning, the images always in the same order.
    "random_memorisation": replace(
        MLP, epochs=100, prune_epochs=100, reshuffle=False, published_epochs=(100, 100)
    ),
    # Clusterability in Neural Networks, appendix A.7.
    "polynomials": replace(MLP, inputs=2, outputs=512, loss="mse"),
}
CIFAR_MIXTURE = replace(MLP, prune_epochs=40, dropout=0.2, published_epochs=(30, 30))


def of(data: str) -> Setting:
    """The papers' setting for a data set name of ``datasets.load``."""
    if "+" in data and "cifar10" in data:
        return CIFAR_MIXTURE
    if data.startswith(("digits_", "digits+")):
        return SPECIAL["digits"]
    return SPECIAL.get(data, MLP)


def published_epochs(data: str, *, dropout: bool) -> int:
    """Epochs before pruning in the released code's scripts."""
    return of(data).published_epochs[0 if dropout else 1]
