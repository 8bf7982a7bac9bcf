"""What people write in YAML: claims' tests, quantities, findings, answers, parameters."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

__all__ = ["read"]


class _Loader(yaml.CSafeLoader):
    """Refuses a key that occurs twice, which YAML itself lets pass: the last one would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        if doubled := sorted({str(name) for name in names if names.count(name) > 1}):
            where = node.start_mark.line + 1
            raise ValueError(f"line {where}: {', '.join(doubled)} occurs more than once")
        return super().construct_mapping(node, deep)


def read(path: Path) -> Any:
    """What the file holds; None for an empty one.

    Raises:
        ValueError: no YAML, or a key that occurs twice (names the file and the line).
    """
    try:
        return yaml.load(path.read_text("utf8"), _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
