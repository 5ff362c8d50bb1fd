"""Elementwise functions whose every result is the same wherever in a tensor its number stands.

Torch computes exponentials of powers of two and sigmoids by vector instructions for as many numbers
as fill two vectors, and what is left at a tensor's end by others, with other last bits. A row whose
width is no multiple of two vectors then has other bits in other company, and rounding to bfloat16
makes these visible. Widths that are none take functions which have no such end.
"""

import math

from jaxtyping import Float
from torch import Tensor

TWO_VECTORS = 32
"""Float32 numbers in two of the widest vectors (AVX-512)."""


def power_of_two_(x: Float[Tensor, "*R N"]) -> Float[Tensor, "*R N"]:
    """2^x, in place."""
    if x.shape[-1] % TWO_VECTORS == 0:
        return x.exp2_()
    return x.mul_(math.log(2.0)).exp_()


def sigmoid_(x: Float[Tensor, "*R N"]) -> Float[Tensor, "*R N"]:
    """σ(x), in place."""
    if x.shape[-1] % TWO_VECTORS == 0:
        return x.sigmoid_()
    return x.neg_().exp_().add_(1.0).reciprocal_()
