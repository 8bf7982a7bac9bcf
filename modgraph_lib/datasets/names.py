"""Data sets as prose writes them."""

from __future__ import annotations

import re

__all__ = ["data_name"]

WORDS = {
    "digits": "Digits 8×8",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10_grey": "CIFAR-10 grey",
    "cifar10": "CIFAR-10",
    "lines": "LINES",
    "random": "noise",
    "random_memorisation": "noise, 3,000 images",
    "polynomials": "polynomials",
    "mnist_7x7": "MNIST 7×7",
}
PAIR = re.compile(r"(.+)_(halves|stack)(?:_(same|diff))?")


def data_name(data: str) -> str:
    """Name of a data set as prose writes it: "MNIST halves-diff", "LINES + MNIST, separate".

    >>> names.data_name("lines+mnist:separate")
    'LINES + MNIST, separate'
    """
    if data in WORDS:
        return WORDS[data]
    if pair := PAIR.fullmatch(data):
        base, form, kind = pair.groups()
        return f"{data_name(base)} {form}" + (f"-{kind}" if kind else "")
    if "+" in data:
        parts = data.removesuffix(":separate").split("+")
        words = " + ".join(data_name(part) for part in parts)
        return f"{words}, separate" if data.endswith(":separate") else words
    return data
