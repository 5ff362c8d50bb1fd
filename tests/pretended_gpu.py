"""A second device on a machine that has none: what a GPU would refuse, it refuses.

Its tensors are on the host and deny it. Whatever mixes them with tensors of the host fails, as does
reading them as NumPy arrays. Graphs record the operations of a piece of work and repeat them on the
same memory, so whatever Python computed once stays as it was, and what would have to wait for a
GPU, or to bring something to it, cannot be recorded. What a GPU computes is not tried.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("lazy", 0)
"""A kind of device that PyTorch knows by name, and starts nothing for."""
COPIES = ("aten::copy_", "aten::_to_copy")
INDEXED = ("aten::index", "aten::index_put_", "aten::_index_put_impl_")
"""Tensors of the device may be indexed by those of the host."""
READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal")
"""Python cannot go on before it has their results."""


class GpuTensor(Tensor):
    """A tensor of the device; `held` has its numbers."""

    @staticmethod
    def __new__(cls, held):
        return Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=GPU,
        )

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, operation, _types, arguments=(), options=None):
        return run(operation, arguments, options or {})

    def numpy(self, *, force=False):
        if not force:
            raise TypeError("numpy reads the memory of the host")
        return self.detach().cpu().numpy()

    def tolist(self):
        return self.detach().cpu().tolist()


class PretendedGpu(TorchFunctionMode):
    """While it is entered tensors can be made on `GPU` and read from there."""

    def __enter__(self):
        self._operations = Operations()
        self._operations.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._operations.__exit__(*error)

    def __torch_function__(self, function, _types, arguments=(), options=None):
        options = options or {}
        if function in (torch.tensor, torch.as_tensor) and is_gpu(options.get("device")):
            return function(*arguments, **{**options, "device": None}).to(GPU)
        return function(*arguments, **options)


class Operations(TorchDispatchMode):
    """Runs the operations that have no tensor of the device yet."""

    done = 0
    """How many have been done on the device, by any."""

    def __torch_dispatch__(self, operation, _types, arguments=(), options=None):
        return run(operation, arguments, options or {})


class PretendedGraphs:
    """Records as `training.captured.CudaGraphs` does."""

    recording: list[Callable[[], None]] | None = None

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        work()
        PretendedGraphs.recording = []
        try:
            work()
            operations = PretendedGraphs.recording
        finally:
            PretendedGraphs.recording = None
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            for operation in operations:
                operation()

        return replay


def moved(module: nn.Module) -> nn.Module:
    """A copy of a module whose weights are on the device."""
    module = copy.deepcopy(module)
    weights: dict[int, Tensor] = {}
    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                # Shared weights stay shared.
                part._parameters[name] = weights.setdefault(id(weight), weight.detach().to(GPU))
    return module


def run(operation, arguments, options):
    """The operation's result, on the device that is asked for or else on that of its tensors."""
    name = operation._schema.name
    given = tree_leaves((arguments, options))
    tensors = [one for one in given if isinstance(one, Tensor)]
    ours = [one for one in tensors if isinstance(one, GpuTensor)]
    devices = [one for one in given if isinstance(one, torch.device)]
    if not ours and not any(map(is_gpu, devices)):
        return operation(*arguments, **options)
    if operation._can_decompose():
        with Operations():
            return operation.decompose(*arguments, **options)
    refuse_mixed(name, tensors)
    to_host = not is_gpu(devices[0]) if devices else is_fetch(name, tensors)
    if PretendedGraphs.recording is not None:
        from_host = name in COPIES and len(ours) < len(tensors)
        if to_host or from_host or name in READS:
            raise RuntimeError(f"{name} is not permitted while a graph is recorded")
    Operations.done += 1
    on_host = tree_map(held, arguments), tree_map(held, options)
    result = operation(*on_host[0], **on_host[1])
    if PretendedGraphs.recording is not None:
        PretendedGraphs.recording.append(again(operation, *on_host, result))
    if to_host:
        return result
    known = {id(one.held): one for one in ours}
    # A view of a tensor that was made outside of inference mode may not be one of inference mode.
    inference = torch.is_inference_mode_enabled() and all(one.is_inference() for one in ours)
    with torch.inference_mode(inference):
        return tree_map(lambda one: of_device(one, known), result)


def again(operation, arguments, options, result) -> Callable[[], None]:
    """The operation once more, into the memory of its first result."""
    taken = {
        one.untyped_storage().data_ptr()
        for one in tree_leaves((arguments, options))
        if isinstance(one, Tensor)
    }
    places = [one for one in tree_leaves(result) if isinstance(one, Tensor)]

    def repeat() -> None:
        found = operation(*arguments, **options)
        values = [one for one in tree_leaves(found) if isinstance(one, Tensor)]
        for place, value in zip(places, values, strict=True):
            if place.untyped_storage().data_ptr() not in taken:  # else a view, or done in place
                place.copy_(value)

    return repeat


def refuse_mixed(name, tensors) -> None:
    """RuntimeError where tensors of both devices meet; numbers may come from the host."""
    strangers = [one for one in tensors if not isinstance(one, GpuTensor) and one.dim() > 0]
    if name in INDEXED and isinstance(tensors[0], GpuTensor):
        strangers = [one for one in strangers if one.dtype not in (torch.long, torch.bool)]
    if strangers and name not in COPIES and len(strangers) < len(tensors):
        raise RuntimeError(f"{name} has tensors of two devices")


def is_fetch(name, tensors) -> bool:
    """Whether a tensor of the host is written from one of the device."""
    return name == "aten::copy_" and not isinstance(tensors[0], GpuTensor)


def is_gpu(device) -> bool:
    return device is not None and torch.device(device).type == GPU.type


def held(value):
    if isinstance(value, GpuTensor):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


def of_device(value, known):
    """A result; what was written in place is the tensor that it was before."""
    if not isinstance(value, Tensor) or isinstance(value, GpuTensor):
        return value
    return known[id(value)] if id(value) in known else GpuTensor(value)
