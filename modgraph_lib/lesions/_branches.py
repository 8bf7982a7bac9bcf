"""The tree of lesions: where units are overwritten, and which lesions still share a branch."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import nn
from torch.nn import functional

__all__ = ["ON_ACCELERATORS", "ROW", "Branches", "Changed", "Masks", "Room", "Site", "row_numbers"]

ON_ACCELERATORS = 262_144  # rows at once where there is no small cache to stay in
ROW = 3_136  # numbers of a row; where a layer gives more, fewer rows are taken

CHANNELS_SECOND = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm,
)  # fmt: skip

Masks = Mapping[str, torch.Tensor]  # layer -> (lesions, units) bool


class Site:
    """Where the units of a layer are overwritten, and with what.

    Attributes:
        layer: module name.
        fill: (units,) or a single number put in place of a lesioned unit.
        axis: dimension of the layer's output that counts its units.
            None until a pass has shown which it is.
        path: names of the steps from the layer's output to what is overwritten.
    """

    def __init__(self, layer: str, module: nn.Module, kind: str) -> None:
        self.layer = layer
        self.axis: Any = None
        if isinstance(module, nn.Linear | nn.LayerNorm | nn.RMSNorm | nn.Embedding):
            self.axis = -1
        elif isinstance(module, CHANNELS_SECOND):
            self.axis = 1
        self.path: list[str] = []
        bias = getattr(module, "bias", None)
        self.fill = torch.zeros(())
        if kind == "weights" and bias is not None:
            self.fill = bias.detach()

    def only(self, kept: torch.Tensor | None) -> Site:
        """The same site on a layer of which some units are left out."""
        if kept is None or not self.fill.ndim:
            return self
        site = copy.copy(self)
        site.fill = self.fill[kept]
        return site

    def overwrite(
        self, output: torch.Tensor, masks: torch.Tensor, fill: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(G, b, ...) outputs with the units of masks (G, units) replaced by ``fill``."""
        shape = [1] * output.ndim
        shape[self.axis % (output.ndim - 1) + 1] = masks.shape[1]
        new = (self.fill if fill is None else fill).to(output).expand(masks.shape[1])
        return torch.where(masks.view(len(masks), *shape[1:]), new.view(shape), output)


@dataclass(frozen=True, eq=False)
class Changed:
    """Rows of several branches that differ from those of their parents in a few units.

    Attributes:
        base: (P * b, units, ...) values of the parents' branches.
        level: of the tree, that the parents are at.
        parents: (G,) parent of each branch.
        masks: (G, units) bool, the units that differ.
        fill: (units,) their new values.
        images: b.
    """

    base: torch.Tensor
    level: int
    parents: np.ndarray
    masks: torch.Tensor
    fill: torch.Tensor
    images: int
    site: Site

    def tensor(self) -> torch.Tensor:
        """(G * b, units, ...) written out."""
        parts = self.base.view(-1, self.images, *self.base.shape[1:])
        if len(parts) > 1:
            parts = parts[torch.from_numpy(self.parents).to(parts.device)]
        found = self.site.overwrite(parts, self.masks, self.fill)
        return found.reshape(-1, *self.base.shape[1:])

    def mapped(self, base: torch.Tensor, fill: torch.Tensor) -> Changed:
        """The same change after an elementwise step, from what it makes of both."""
        return replace(self, base=base, fill=fill)

    def part(self, first: int, last: int) -> Changed:
        """Some of the branches."""
        return replace(self, parents=self.parents[first:last], masks=self.masks[first:last])

    def narrows(self, module: nn.Module | None) -> TypeGuard[nn.Linear | nn.Conv2d]:
        """Whether ``through`` can pass this module."""
        if isinstance(module, nn.Linear):
            return self.base.ndim == 2
        if not isinstance(module, nn.Conv2d) or self.base.ndim != 4:
            return False
        return module.groups == 1 and module.padding_mode == "zeros"

    def through(
        self, module: nn.Linear | nn.Conv2d, whole: torch.Tensor, room: Room
    ) -> torch.Tensor:
        """(G * b, outputs, ...) of a kernel: the parents' outputs plus what the change adds.

        Args:
            module: one that ``narrows``.
            whole: (P * b, outputs, ...) what the module makes of ``base``.
            room: where to put them.
        """
        before = self.base.view(-1, self.images, *self.base.shape[1:])
        after = whole.view(-1, self.images, *whole.shape[1:])
        found = room.of(after, len(self.parents), *after.shape[1:])
        trailing = [1] * (self.base.ndim - 2)
        for branch, parent in enumerate(self.parents):
            units = self.masks[branch].nonzero().flatten()
            if not len(units):
                found[branch] = after[parent]
                continue
            if 2 * len(units) > self.masks.shape[1]:
                found[branch] = self._anew(branch, module, before[parent])
                continue
            new = self.fill[units].view(-1, *trailing)
            change = new - before[parent].index_select(1, units)
            weight = module.weight.index_select(1, units)
            if isinstance(module, nn.Linear):
                torch.addmm(after[parent], change, weight.T, out=found[branch])
            else:
                geometry: Any = (module.stride, module.padding, module.dilation)
                added = functional.conv2d(change, weight, None, *geometry)
                torch.add(after[parent], added, out=found[branch])
        return found.view(-1, *whole.shape[1:])

    def _anew(
        self, branch: int, module: nn.Linear | nn.Conv2d, before: torch.Tensor
    ) -> torch.Tensor:
        """Outputs of one branch from the units that did not change, where those are the fewer."""
        mask = self.masks[branch]
        if not isinstance(module, nn.Linear):
            return module(self.site.overwrite(before[None], mask[None], self.fill)[0])
        same = (~mask).nonzero().flatten()
        changed = functional.linear(self.fill * mask, module.weight, module.bias)
        return torch.addmm(
            changed, before.index_select(1, same), module.weight.index_select(1, same).T
        )


class Room:
    """Memory for one step's values, written anew by every block of lesions.

    Fresh memory of some megabytes has to be mapped page by page: 7 to 10% of the time of lesions
    in an MLP of width 256.
    """

    def __init__(self) -> None:
        self.kept: torch.Tensor | None = None

    def of(self, tensor: torch.Tensor, *shape: int) -> torch.Tensor:
        """A tensor of this kind and shape, filled with whatever stood there before."""
        size = math.prod(shape)
        if self.kept is None or self.kept.numel() < size or self.kept.dtype != tensor.dtype:
            self.kept = tensor.new_empty(size)
        return self.kept[:size].view(shape)


class Branches:
    """Which lesions still share a branch, and how branches map to those of earlier layers."""

    def __init__(self, lesions: int, images: int) -> None:
        self.of = np.zeros(lesions, dtype=np.int64)  # lesion -> branch
        self.ancestors = [np.zeros(1, dtype=np.int64)]  # level -> (branches,) branch at that level
        self.images = images

    @property
    def level(self) -> int:
        """How many layers have been lesioned so far."""
        return len(self.ancestors) - 1

    @property
    def count(self) -> int:
        """Branches there are now."""
        return len(self.ancestors[-1])

    def part(self, first: int, last: int) -> Branches:
        """Some of today's branches, as if there were no others; ``of`` is left out."""
        found = Branches(0, self.images)
        found.ancestors = [earlier[first:last] for earlier in self.ancestors[:-1]]
        found.ancestors.append(np.arange(last - first))
        return found

    def spread(self, tensor: torch.Tensor, level: int) -> torch.Tensor:
        """A tensor of an earlier level, one copy for each of today's branches."""
        if level == self.level:
            return tensor
        index = torch.from_numpy(self.ancestors[level]).to(tensor.device)
        parts = tensor.view(-1, self.images, *tensor.shape[1:])[index]
        return parts.reshape(-1, *tensor.shape[1:])

    def split(
        self, tensor: torch.Tensor, site: Site, mask: torch.Tensor, split_all: bool
    ) -> Changed:
        """A branch for each different (branch, lesion of this layer)."""
        rows = np.arange(len(mask)) if split_all else row_numbers(mask)
        pairs = np.stack([self.of, rows], axis=1)
        _, first, of = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
        parents = pairs[first, 0]
        level = self.level
        self.of = of.reshape(-1)
        self.ancestors = [earlier[parents] for earlier in self.ancestors]
        self.ancestors.append(np.arange(len(parents)))
        chosen = mask[torch.from_numpy(first).to(mask.device)]
        fill = site.fill.to(tensor).expand(mask.shape[1])
        return Changed(tensor, level, parents, chosen, fill, self.images, site)


def row_numbers(mask: torch.Tensor) -> np.ndarray:
    """(M,) a number for each row, equal for equal rows."""
    packed = np.packbits(mask.cpu().numpy(), axis=1)
    return np.unique(packed, axis=0, return_inverse=True)[1].reshape(-1)
