"""Import torchvision beside a CPU build of torch.

The torchvision wheel on the package index is a CUDA build. Next to a CPU build of torch its
extension library cannot be opened, so its operators are never registered, and then
``import torchvision`` stops with "operator torchvision::nms does not exist": of all its
operators, ``nms`` and ``qnms`` are the two whose shape functions are registered without asking
first whether the extension is there. Declaring these two schemas is enough for the import;
data sets, transforms and models then work, and only the detection operators themselves
(which nothing here uses) stay unavailable.

Use it in place of a plain import::

    from modgraph_lib._torchvision import torchvision

With a torchvision that matches torch, the extension loads and nothing is declared.
"""

import importlib.util
from pathlib import Path

import torch

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def _load_extension() -> None:
    """Open torchvision's own operator library if it can be opened; silent when it cannot."""
    spec = importlib.util.find_spec("torchvision")  # locates the package, does not run it
    if spec is None:
        raise ImportError("torchvision is not installed: pip install torchvision")
    for folder in spec.submodule_search_locations or ():
        for library in [*Path(folder).glob("_C*.so"), *Path(folder).glob("_C*.pyd")]:
            try:
                torch.ops.load_library(str(library))
            except (ImportError, OSError):  # the mismatch this module is about
                continue


def declare_missing_operators() -> torch.library.Library | None:
    """Declare the operators torchvision needs for its import, where they are absent.

    Returns the library that holds the declarations, which must be kept alive, or None when
    every operator exists already.
    """
    _load_extension()
    missing = [name for name in _SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    if not missing:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in missing:
        library.define(_SCHEMAS[name])
    return library


_declared = declare_missing_operators()

import torchvision  # noqa: E402  (only possible after the declarations)

__all__ = ["declare_missing_operators", "torchvision"]
