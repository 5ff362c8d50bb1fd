"""Affine maps with weights laid out for the processor: the one place that calls private operators.

`torch.ops.mkldnn._reorder_linear_weight` and `_linear_pointwise` are what TorchInductor emits for a
frozen `nn.Linear` on CPUs; they hand the product to oneDNN with weights packed once instead of at
every call. Being private they may change with torch, hence the pinned minor version in
`pyproject.toml` and `tests/model/test_packed.py`. A native kernel would take their place here.

What is relied upon beyond speed: a row of the result does not depend on how many rows there are, to
the last bit, so that a sentence gets the same answer alone and in any batch.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_pack = torch.ops.mkldnn._reorder_linear_weight.default
_product = torch.ops.mkldnn._linear_pointwise.default

EVERY_NUMBER_UP_TO = 16
"""Rows of which every number has a kernel of its own; the most that a vector register pays for."""


def serving_device() -> torch.device:
    """A GPU where PyTorch sees one (`CUDA_VISIBLE_DEVICES`), else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def serving_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, float32 elsewhere.

    Emulated bfloat16 is slower than float32, so oneDNN's "supported" is not enough. A GPU's
    products give a row other last bits in other company: bfloat16 would turn these into other
    tokens, so it has float32 too.
    """
    if device.type != "cpu":
        return torch.float32
    capabilities = torch.cpu.get_capabilities()
    native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if native else torch.float32


@dataclass(frozen=True, slots=True)
class Affine:
    """W x + b before it is packed: layers can be scaled and put side by side."""

    weight: Float[Tensor, "N K"]
    bias: Float[Tensor, " N"]

    @classmethod
    def of(cls, layer: nn.Linear) -> "Affine":
        """The map of a layer, whether it has a bias or not."""
        weight = layer.weight.detach()
        bias = weight.new_zeros(weight.shape[0]) if layer.bias is None else layer.bias.detach()
        return cls(weight, bias)

    @classmethod
    def joined(cls, *maps: "Affine") -> "Affine":
        """Maps that read the same vector as one, their outputs side by side."""
        return cls(torch.cat([one.weight for one in maps]), torch.cat([one.bias for one in maps]))

    def scaled(self, scale: Float[Tensor, " N"] | float) -> "Affine":
        """The map times `scale`, which may differ from output to output."""
        rows = torch.as_tensor(scale, device=self.bias.device).expand_as(self.bias)
        return Affine(self.weight * rows[:, None], self.bias * rows)

    def packed(self, dtype: torch.dtype) -> "PackedLinear":
        """The same, laid out for the processor."""
        return PackedLinear(self.weight, self.bias, dtype)


class PackedLinear:
    """y = W x + b for any number of rows, in bfloat16 (accumulated in float32) or in float32."""

    def __init__(
        self, weight: Float[Tensor, "N K"], bias: Float[Tensor, " N"] | None, dtype: torch.dtype
    ) -> None:
        self._dtype = dtype
        weight = weight.detach().to(dtype, copy=True).contiguous()
        has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self._packed = weight.device.type == "cpu" and has_onednn
        self._weight: Tensor = _pack(weight) if self._packed else weight
        self._bias = None if bias is None else bias.detach().to(dtype, copy=True).contiguous()

    def __call__(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """The product, in this map's own precision."""
        if not self._packed:
            return F.linear(x.to(self._dtype), self._weight, self._bias)
        rows = x.shape[0]
        padded = kernel_rows(rows)
        if padded == rows:
            return self._product(x.to(self._dtype))
        wider = x.new_zeros(padded, x.shape[1], dtype=self._dtype)
        wider[:rows] = x
        return self._product(wider)[:rows]

    def _product(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        product: Tensor = _product(x, self._weight, self._bias, "none", [], "")
        return product


def kernel_rows(rows: int) -> int:
    """With how many rows a product of so many is made: up to an eighth more, for few kernels.

    oneDNN compiles a kernel for every number of rows that it meets: a millisecond, and 0.28 MB in
    each of its two caches of 1,024. A service meets every number; these are eight an octave.
    """
    if rows <= EVERY_NUMBER_UP_TO:
        return rows
    step = 1 << ((rows - 1).bit_length() - 4)
    return -(-rows // step) * step
