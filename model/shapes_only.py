"""Builds networks without weights, to see which there would be and of what shape."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

RANDOM_FILLS = (Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_)
"""What initialisation fills tensors with."""


@contextmanager
def shapes_only() -> Iterator[None]:
    """Let networks that are built meanwhile take no memory, however large they are."""
    with torch.device("meta"), _NothingToFill():
        yield


class _NothingToFill(TorchFunctionMode):
    """Leaves random numbers out where tensors hold nothing.

    For such tensors PyTorch has no kernels that draw them; what takes their place imports its whole
    compiler: two seconds of every start, 70 MB, and a hundred thousand objects for the collector.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever `func` gives
        kwargs = kwargs or {}
        if func in RANDOM_FILLS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
