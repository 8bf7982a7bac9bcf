"""Pictures of executed notebooks: of two dots to a pixel, in as few bytes as they need."""

from __future__ import annotations

import base64
import io

from nbformat import NotebookNode
from PIL import Image

__all__ = ["light", "lighten", "width"]

COLOURS = 256


def width(output: NotebookNode) -> str:
    """The width at which a picture of two dots to a pixel is shown, "" where none is said."""
    pixels = output.get("metadata", {}).get("image/png", {}).get("width")
    return f"{pixels}px" if pixels else ""


def lighten(notebook: NotebookNode) -> None:
    """Give every output the lighter copy of its picture, in place."""
    for output in (one for cell in notebook.cells for one in cell.get("outputs", ())):
        data = output.get("data", {})
        if "image/png" in data:
            picture = light(base64.b64decode(data["image/png"]))
            data["image/png"] = base64.b64encode(picture).decode()


def light(png: bytes) -> bytes:
    """The picture with a palette of 256 colours, a third of the bytes; as it was if that is less.

    Charts have few colours, and the shades of their edges; nothing that is seen is lost.
    """
    with Image.open(io.BytesIO(png)) as picture:
        stream = io.BytesIO()
        palette = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        palette.save(stream, "PNG", optimize=True)
    return min(png, stream.getvalue(), key=len)
