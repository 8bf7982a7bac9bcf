"""Checkpoints of unfinished runs and the cache of finished networks, all safetensors.

Nothing here is unpickled. Every file carries the SHA-256 of its tensors; a truncated or
altered one is reported in a line, ignored, and computed again.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from modgraph_lib import cache
from modgraph_lib.datasets import Dataset
from modgraph_lib.training.config import SgdConfig, TrainConfig

__all__ = [
    "EVERY_SECONDS",
    "Snapshot",
    "load",
    "load_network",
    "load_tensors",
    "network_key",
    "save",
    "save_tensors",
]

EVERY_SECONDS = 10.0
SCHEMA = 1


@dataclass(frozen=True)
class Snapshot:
    """Everything a run needs to go on as if it had never stopped."""

    phase: str
    epoch: int
    seconds: float
    running: list[dict[str, float | None]]
    parameters: list[torch.Tensor]
    buffers: dict[str, torch.Tensor]
    adam: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    masks: dict[int, torch.Tensor]
    finished: dict[str, tuple[dict[str, torch.Tensor], list[dict]]]


def network_key(configs: Sequence[TrainConfig], data: Dataset) -> str:
    """Key of a trained network (or stack): its configuration and the data's fingerprint."""
    return cache.config_key("training", SCHEMA, [*configs, data.fingerprint])


def save(path: Path, configs: Sequence[TrainConfig], data: Dataset, snapshot: Snapshot) -> None:
    """Write a snapshot atomically."""
    tensors: dict[str, torch.Tensor] = {}
    for index, value in enumerate(snapshot.parameters):
        tensors[f"parameter.{index}"] = value
        for part, moment in zip(("step", "mean", "square"), snapshot.adam[index], strict=True):
            tensors[f"adam.{part}.{index}"] = moment
    tensors |= {f"buffer.{name}": value for name, value in snapshot.buffers.items()}
    tensors |= {f"mask.{index}": mask for index, mask in snapshot.masks.items()}
    for phase, (weights, _) in snapshot.finished.items():
        tensors |= {f"finished.{phase}.{name}": weight for name, weight in weights.items()}
    facts = {
        "key": network_key(configs, data),
        "phase": snapshot.phase,
        "epoch": snapshot.epoch,
        "seconds": snapshot.seconds,
        "running": snapshot.running,
        "metrics": {phase: metrics for phase, (_, metrics) in snapshot.finished.items()},
    }
    save_tensors(path, tensors, facts)


def load(path: Path, configs: Sequence[TrainConfig], data: Dataset) -> Snapshot | None:
    """The snapshot at ``path``; None when there is none, it is damaged, or of another run."""
    found = load_tensors(path)
    if found is None or found[1].get("key") != network_key(configs, data):
        return None
    tensors, facts = found
    count = sum(name.startswith("parameter.") for name in tensors)
    return Snapshot(
        phase=facts["phase"],
        epoch=facts["epoch"],
        seconds=facts["seconds"],
        running=facts["running"],
        parameters=[tensors[f"parameter.{i}"] for i in range(count)],
        buffers=_strip(tensors, "buffer."),
        adam=[
            (tensors[f"adam.step.{i}"], tensors[f"adam.mean.{i}"], tensors[f"adam.square.{i}"])
            for i in range(count)
        ],
        masks={i: tensors[f"mask.{i}"] for i in range(count) if f"mask.{i}" in tensors},
        finished={
            phase: (_strip(tensors, f"finished.{phase}."), metrics)
            for phase, metrics in facts["metrics"].items()
        },
    )


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and JSON facts to one safetensors file, atomically, with their digest."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts_text = json.dumps(facts, sort_keys=True)
    header = {"facts": facts_text, "digest": _digest(plain, facts_text)}

    def write(temporary: Path) -> None:
        try:
            save_file(plain, temporary, header)
        except SafetensorError as error:  # hides that the disk is full, say
            raise OSError(str(error)) from None

    cache.write_atomically(path, write)


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Tensors and facts of a file written by ``save_tensors``; None when absent or damaged."""
    if not cache.present(path):
        return None
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header["digest"] != _digest(tensors, header["facts"]):
            raise ValueError("digest differs")
        return tensors, json.loads(header["facts"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{path} is damaged ({error}); it will be recomputed", stacklevel=2)
        path.unlink(missing_ok=True)
        return None


def load_network(
    path: Path, config: TrainConfig | SgdConfig
) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """``load_tensors`` of a finished network; None, too, where it is another configuration's.

    A file's name is the key of what it must hold. One that was copied or renamed by hand is told,
    and counts as absent: the network is trained, and takes the place its key gives it.
    """
    found = load_tensors(path)
    if found is None:
        return None
    wanted, held = cache.canonical(config), found[1].get("config")
    if wanted == held:
        return found
    names = wanted.keys() | (held or {}).keys()
    differ = sorted(n for n in names if wanted.get(n) != (held or {}).get(n))
    warnings.warn(
        f"{path} is another configuration's network ({', '.join(differ)} differ), though its "
        "name is this one's key; it will be trained and replaced",
        stacklevel=2,
    )
    return None


def _digest(tensors: dict[str, torch.Tensor], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def _strip(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
