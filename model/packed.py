"""Affine maps with weights laid out for the processor: the one place that calls private operators.

`torch.ops.mkldnn._reorder_linear_weight` and `_linear_pointwise` are what TorchInductor emits for a
frozen `nn.Linear` on CPUs; they hand the product to oneDNN with weights packed once instead of at
every call. Being private they may change with torch, hence the pinned minor version in
`pyproject.toml` and `tests/model/test_packed.py`. A native kernel would take their place here.

What is relied upon beyond speed: a row of the result does not depend on how many rows there are, to
the last bit, so that a sentence gets the same answer alone and in any batch.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_pack = torch.ops.mkldnn._reorder_linear_weight.default
_product = torch.ops.mkldnn._linear_pointwise.default


def serving_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, float32 elsewhere.

    Emulated bfloat16 is slower than float32, so oneDNN's "supported" is not enough.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    capabilities = torch.cpu.get_capabilities()
    native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if native else torch.float32


class PackedLinear:
    """y = W x + b for any number of rows, in bfloat16 (accumulated in float32) or in float32."""

    def __init__(
        self, weight: Float[Tensor, "N K"], bias: Float[Tensor, " N"] | None, dtype: torch.dtype
    ) -> None:
        self._dtype = dtype
        weight = weight.detach().to(dtype).contiguous()
        has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self._packed = weight.device.type == "cpu" and has_onednn
        self._weight: Tensor = _pack(weight) if self._packed else weight
        self._bias = None if bias is None else bias.detach().to(dtype).contiguous()

    def __call__(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """The product, in this map's own precision."""
        x = x.to(self._dtype)
        if not self._packed:
            return F.linear(x, self._weight, self._bias)
        product: Tensor = _product(x, self._weight, self._bias, "none", [], "")
        return product
