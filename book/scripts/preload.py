"""Importing this imports what the kernels of all pages import; see ``book.scripts.warm``."""

import importlib
import os

# Read once, by what is imported here.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
for _name in (
    "IPython.display", "PIL.Image", "ipykernel.kernelapp", "ipywidgets", "matplotlib.pyplot",
    "modgraph_lib._torchvision", "pandas.io.formats.style", "papermill", "scipy.stats", "seaborn",
    "sklearn.cluster", "sklearn.linear_model", "torch._dynamo",
):  # fmt: skip
    importlib.import_module(_name)
importlib.import_module("book.lab.registry").experiments()
