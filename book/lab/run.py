"""A section's experiments without its notebook: ``python -m book.lab run SECTION``.

The same rows as through papermill, from the same functions. Records appear one network after the
other, so that a run that was stopped, by its budget or by a kill, goes on where it was.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import joblib

from book.lab import claim as claims
from book.lab import parameters as guard
from book.lab import registry, yaml_files
from book.lab.budget import BudgetSpent, alarm
from book.lab.section import Section, Sweep
from book.lab.store import REPOSITORY
from modgraph_lib import cache, training

__all__ = ["SCALES", "read_parameters", "run", "section_of"]

SCALES = ("quick", "laptop", "paper")
PARAMETERS = REPOSITORY / "notebooks" / "params"
WAIT = 2.0  # seconds until a network that another run has claimed is looked at again


def section_of(name: str) -> Section:
    """The section of this name.

    Raises:
        ValueError: there is none (says which comes nearest, and lists them).
    """
    known = {section.name: section for section in registry.sections()}
    if name not in known:
        hint = guard.suggestion(name, list(known), cutoff=0.3)
        raise ValueError(f"no section {name!r}.{hint} There are: {', '.join(known)}")
    return known[name]


def read_parameters(
    section: Section, scale: str = "quick", changes: Mapping[str, Any] | None = None
) -> Any:
    """Parameters of a section at a scale, with changes by name; checked as in a notebook.

    Raises:
        ValueError: an unknown scale, or one without a file for this section.
        parameters.ParameterError: a name or value that the section refuses.
    """
    if scale not in SCALES:
        raise ValueError(f"scale is one of {', '.join(SCALES)}; got {scale!r}")
    fields = dataclasses.fields(section.parameters)
    values = {field.name: guard.default_of(field) for field in fields}
    path = PARAMETERS / scale / f"{section.name}.yaml"
    if scale != "quick":
        if not path.is_file():
            raise ValueError(f"no parameters of {section.name} at scale {scale}: {path}")
        values |= yaml_files.read(path) or {}
    return guard.read({**values, **(changes or {})}, section.parameters)


def run(
    section: Section,
    parameters: Any,
    *,
    budget: float | None = None,
    shard: tuple[int, int] = (1, 1),
    workers: int | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Make every record of a section; True once all are there, False if the budget ran out.

    Safe beside other runs on the same cache: each network is claimed by one of them, and a run
    waits for what others have claimed before it goes on to the next sweep.

    Args:
        parameters: as ``read_parameters`` gives them; their ``device`` and ``workers`` decide
            where and how many at a time, if the section has them.
        budget: seconds. Nothing is begun after them, and a network that is not finished then is
            left to its checkpoint.
        shard: (i, n), the i-th of n parts, counted from 1. What reads the records of all networks
            is left to a run of the whole.
        workers: processes at a time, in place of the section's parameter.
        say: takes one line of progress at a time.
    """
    start = time.monotonic()
    workers = workers or getattr(parameters, "workers", 0) or None
    device = getattr(parameters, "device", "auto")
    at_once = _at_once(workers) if training.pick_device(device) == "cpu" else 10**6
    parts, left = _parts(list(section.sweeps(parameters)), *shard)
    total = sum(len(configs) for _, groups in parts for configs in groups.values())
    done, waited = 0, False
    try:
        with alarm(budget):
            for sweep, groups in parts:
                options = {"device": device} if sweep.on_device else {}
                while groups:
                    with claims.kept_alive() as held:
                        names = _claim_some(groups, at_once, held)
                        configs = [config for name in names for config in groups.pop(name)]
                        if configs:
                            sweep.run(configs, workers=workers, **options)
                    done += len(configs)
                    if configs:
                        say(f"{section.name}: {done} of {total} records, {_clock(start)}")
                    elif not waited:
                        say(f"{section.name}: waiting for {len(groups)} networks of other runs")
                    waited = not configs
                    time.sleep(WAIT if waited else 0)
    except BudgetSpent:
        say(
            f"{section.name}: stopped after {_clock(start)} with {done} of {total} records; the "
            "same command goes on from there"
        )
        return False
    if left:
        say(f"{section.name}: {left} records read all parts; run once more without --shard")
    return True


def _at_once(workers: int | None) -> int:
    """Networks that are claimed and begun together on CPUs.

    A cluster is given four for each of its threads, so that few wait for the slowest of a batch.
    """
    backend, _ = joblib.parallel.get_active_backend()
    if type(backend).__name__ == "DaskDistributedBackend":
        return 4 * joblib.effective_n_jobs(-1)
    return workers or joblib.cpu_count()


def _parts(
    given: list[Sweep], index: int, count: int
) -> tuple[list[tuple[Sweep, dict[str, list[Any]]]], int]:
    """Each sweep with the i-th of n parts of its configurations, and how many must wait.

    Configurations are grouped by the name of the network that they start from. A network goes to
    one part with all that is measured on it, in whichever sweep.
    """
    place: dict[str, int] = {}
    found, left = [], 0
    for sweep in given:
        if sweep.reads_all and count > 1:
            left += len(sweep.configs)
            continue
        groups: dict[str, list[Any]] = {}
        for config in sweep.configs:
            name = _name(config)
            if place.setdefault(name, len(place)) % count == index - 1:
                groups.setdefault(name, []).append(config)
        found.append((sweep, groups))
    return found, left


def _name(config: Any) -> str:
    """What is claimed for a configuration: its network, or the one whose weights that inherits."""
    network = getattr(config, "train", config)
    while getattr(network, "parent", None) is not None:
        network = network.parent
    return cache.config_key(type(network).__name__, 1, network)[:32]


def _claim_some(names: Iterable[str], most: int, held: list[claims.Claim]) -> list[str]:
    """Claim up to so many of these names, into ``held``; those that were free."""
    taken = []
    for name in names:
        if len(taken) == most:
            break
        if (found := claims.claim(name)) is not None:
            held.append(found)
            taken.append(name)
    return taken


def _clock(start: float) -> str:
    seconds = int(time.monotonic() - start)
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
