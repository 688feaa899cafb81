"""Volume-preserving representations of images, as NumPyro transforms.

Each is a linear bijection with determinant ±1, so that a density of its coefficients is a density
of the pixels, and log likelihoods in different representations can be compared. Each maps **from
pixels to coefficients**; its ``.inv`` maps back. A density of pixels whose coefficients are
independent, each with its own shape and scale, is therefore

.. code-block:: python

    TransformedDistribution(GeneralRobust(alpha, loc, scale).to_event(2), CDF97().inv)

with alpha, loc and scale of the shape of the image; loc holds coefficients, ``CDF97()(mean)``.
"""

from robust_dist.transforms.colours import ScaledYUV
from robust_dist.transforms.cosines import DCT
from robust_dist.transforms.wavelets import CDF97, LeGall53

__all__ = ["CDF97", "DCT", "LeGall53", "ScaledYUV"]
