"""A second device on a machine that has none: its tensors are on the host and deny it.

Whatever mixes them with tensors of the host fails, as on a GPU. What a GPU computes is not tried.
"""

import copy

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

GPU = torch.device("lazy", 0)
"""A kind of device that PyTorch knows by name, and starts nothing for."""


class GpuTensor(torch.Tensor):
    """A tensor of the device; `held` has its numbers."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
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
    def __torch_dispatch__(cls, operator, _types, arguments=(), options=None):
        return run(operator, arguments, options or {})


class PretendedGpu(TorchFunctionMode):
    """While it is entered, in inference mode, tensors can be made on `GPU` and read from there."""

    def __enter__(self):
        self._operators = Operators()
        self._operators.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._operators.__exit__(*error)

    def __torch_function__(self, function, _types, arguments=(), options=None):
        options = options or {}
        if function in (torch.tensor, torch.as_tensor) and is_gpu(options.get("device")):
            return function(*arguments, **{**options, "device": None}).to(GPU)
        if arguments and isinstance(arguments[0], GpuTensor):
            match function:
                case torch.Tensor.numpy:
                    if not options.get("force"):
                        raise TypeError("numpy reads the memory of the host")
                    return arguments[0].held.numpy(force=True)
                case torch.Tensor.tolist:
                    return arguments[0].held.tolist()
                case torch.Tensor.detach:
                    return arguments[0]
        return function(*arguments, **options)


class Operators(TorchDispatchMode):
    """Runs the operators that have no tensor of the device yet."""

    def __torch_dispatch__(self, operator, _types, arguments=(), options=None):
        return run(operator, arguments, options or {})


def moved(module):
    """A copy of a module whose weights are on the device."""
    module = copy.deepcopy(module)
    weights = {}
    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                # Shared weights stay shared.
                part._parameters[name] = weights.setdefault(id(weight), weight.detach().to(GPU))
    return module


def run(operator, arguments, options):
    """The operator's result, on the device that is asked for or else on that of its tensors."""
    given = tree_flatten((arguments, options))[0]
    tensors = [one for one in given if isinstance(one, torch.Tensor)]
    ours = [one for one in tensors if isinstance(one, GpuTensor)]
    strangers = [one for one in tensors if not isinstance(one, GpuTensor) and one.dim() > 0]
    if ours and strangers and not may_mix(operator, tensors):
        raise RuntimeError(f"{operator} has tensors of two devices")
    devices = [one for one in given if isinstance(one, torch.device)]
    on_device = bool(ours) and not is_fetch(operator, tensors)
    is_ours = is_gpu(devices[0]) if devices else on_device
    result = operator(*tree_map(on_host, arguments), **tree_map(on_host, options))
    if not is_ours:
        return result
    known = {id(one.held): one for one in ours}
    return tree_map(lambda one: of_device(one, known), result)


def may_mix(operator, tensors):
    """Copies may, and tensors of the device with indices of the host."""
    is_index = operator is torch.ops.aten.index.Tensor and isinstance(tensors[0], GpuTensor)
    return is_index or operator is torch.ops.aten.copy_.default


def is_fetch(operator, tensors):
    """Whether a tensor of the host is written from one of the device."""
    return operator is torch.ops.aten.copy_.default and not isinstance(tensors[0], GpuTensor)


def is_gpu(device):
    return device is not None and torch.device(device).type == GPU.type


def on_host(value):
    if isinstance(value, GpuTensor):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


def of_device(value, known):
    """A result; what was written in place is the tensor that it was before."""
    if not isinstance(value, torch.Tensor) or isinstance(value, GpuTensor):
        return value
    return known[id(value)] if id(value) in known else GpuTensor(value)
