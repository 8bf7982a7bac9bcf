"""Shrinking images the way the n-cut papers' data script does, without scikit-image.

Two steps, each along one axis at a time (scikit-image 0.15 ``resize`` with its defaults):
a Gaussian blur of standard deviation (factor - 1) / 2, where factor is old size over new size,
with mirrored edges, computed in the images' own uint8 (so every pass truncates); then linear
interpolation at pixel centres. For 32 -> 28 the blur's deviation is 1/14 and its kernel, cut at
four deviations, is a single 1: no blur takes place.

Agreement, measured against scikit-image 0.26 on MNIST and CIFAR-10 test images: CIFAR-10 in
grey within 1e-12 of a grey level before rounding; halves and 7x7 images equal to the last digit
when that release is given our uint8 blur. Its own blur, by now in floating point, changes an
eighth of the pixels of halves by one grey level, and 7x7 images by at most 1.6 levels.
"""

import numpy as np
from scipy import ndimage

LUMA = (0.2125, 0.7154, 0.0721)
_CHUNK = 2_000  # images held as floats at a time


def blur(images: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Anti-aliasing along ``axis`` before it is shrunk to ``size``; uint8 in, uint8 out."""
    deviation = max(0.0, (images.shape[axis] / size - 1) / 2)
    if deviation == 0:
        return images
    return ndimage.gaussian_filter1d(images, deviation, axis=axis, mode="mirror", output=np.uint8)


def interpolate(images: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Linear interpolation along ``axis`` at the centres of ``size`` equal cells; float64 out."""
    old = images.shape[axis]
    centres = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    low = np.minimum(centres.astype(int), max(old - 2, 0))
    weight = centres - low
    shape = [1] * images.ndim
    shape[axis] = size
    weight = weight.reshape(shape)
    return (
        np.take(images, low, axis=axis) * (1 - weight)
        + np.take(images, np.minimum(low + 1, old - 1), axis=axis) * weight
    )


def shrink(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """The last two axes of uint8 ``images`` resized to (height, width); float64, unrounded."""
    rows, columns = images.ndim - 2, images.ndim - 1
    images = blur(blur(images, height, rows), width, columns)
    return interpolate(interpolate(images, height, rows), width, columns)


def to_grey(images: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) to (N, H, W) by the luma weights .2125, .7154, .0721; float64."""
    red, green, blue = (images[:, channel] * LUMA[channel] for channel in range(3))
    return red + green + blue


def grey_28(images: np.ndarray, size: int = 28) -> np.ndarray:
    """Colour images (N, 3, 32, 32) uint8 as (N, size, size) uint8: resized first, then grey.

    The papers' arrays keep fractions of a grey level; here they are rounded, a difference of at
    most half a level in 255.
    """
    small = np.empty((len(images), size, size), dtype=np.uint8)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        small[part] = np.rint(to_grey(shrink(images[part], size, size)))
    return small


def shrink_uint8(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Grey images (N, H, W) uint8 resized and rounded; uint8."""
    small = np.empty((len(images), height, width), dtype=np.uint8)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        small[part] = np.rint(shrink(images[part], height, width))
    return small


def halve_width(images: np.ndarray) -> np.ndarray:
    """(N, H, W) uint8 squeezed to (N, H, W/2) uint8, scaled so that the largest value is 255.

    Raises ValueError for an odd width or for all-black images.
    """
    if images.shape[-1] % 2:
        raise ValueError(f"halves need an even width, got {images.shape[-1]}")
    width = images.shape[-1] // 2
    small = np.empty((*images.shape[:-1], width))
    axis = images.ndim - 1
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        # To 0..1 first, by this very product: it decides which way halves are rounded below.
        small[part] = interpolate(blur(images[part], width, axis) * (1 / 255), width, axis)
    peak = small.max(initial=0.0)
    if peak == 0:
        raise ValueError("halves need at least one image that is not all black")
    small *= 255
    small /= peak
    return np.rint(small, out=small).astype(np.uint8)
