"""Counts GPU operations per part of the model, on fake tensors without data."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

HALF = (torch.float16, torch.bfloat16)
NO_LAUNCH = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view", "lift_fresh"}


class Operation(NamedTuple):
    """One launch: its FLOPs, the bytes that it reads and writes, and whether it computes in half precision."""

    phase: str
    part: str
    flops: int
    bytes: int
    half: bool


class LaunchCounter(TorchDispatchMode):
    """Launches, FLOPs, host reads and saved activations, by (phase, part), and copies from host to device.

    A launch is one operation that PyTorch sends to the device; views and allocations do not count. A host read returns
    1 or False, so that code that reads a number or checks for an overflow can continue. Saved memory is that of
    storages kept for the backward pass, each counted once, for the part that saved it first; parameters do not count.
    In the backward pass an operation belongs to the part whose saved tensor was read last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.launches: Counter[tuple[str, str]] = Counter()
        self.operations: list[Operation] = []
        self.flops: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self.copies = 0
        self.saved_bytes: Counter[str] = Counter()
        self.phase = "forward"
        self._parts = ["rest"]
        self._seen: set[int] = set()
        self._kept: list[Any] = []

    def ignore(self, tensors: Iterable[Tensor]) -> None:
        """Exclude tensors from the saved memory: parameters, which exist anyway."""
        self._seen |= {_storage(tensor) for tensor in tensors}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[1]
        if name == "_local_scalar_dense":
            self.reads[self.phase] += 1
            return False if args[0].dtype == torch.bool else 1.0 if args[0].is_floating_point() else 1
        found = func(*args, **(kwargs or {}))
        if _launches(func, name):
            flops = _flops(func, name, args, kwargs or {}, found)
            self.launches[self.phase, self._parts[-1]] += 1
            self.flops[self.phase] += flops
            traffic, half = _bytes(func, args, kwargs or {}, found), _is_half(found)
            self.operations.append(Operation(self.phase, self._parts[-1], flops, traffic, half))
        return found

    def copied_to_device(self) -> None:
        """Count a copy from the host, which is not visible with fake CPU tensors."""
        self.copies += 1
        self.launches[self.phase, self._parts[-1]] += 1

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Assign operations inside this context to the part ``name``."""
        self._parts.append(name)
        try:
            yield
        finally:
            self._parts.pop()

    def named(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its operations belong to the part ``name``."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return call

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Record the tensors that are saved for the backward pass, and the part that saves them."""

        def pack(tensor: Tensor) -> tuple[Tensor, str]:
            part, storage = self._parts[-1], _storage(tensor)
            if storage not in self._seen:
                self._seen.add(storage)
                self._kept.append(tensor.untyped_storage())  # keep it alive, so that no other storage gets its address
                self.saved_bytes[part] += tensor.untyped_storage().nbytes()
            return tensor, part

        def unpack(packed: tuple[Tensor, str]) -> Tensor:
            if self.phase == "backward":
                self._parts[-1] = packed[1]
            return packed[0]

        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            yield


class PeakMemory(TorchDispatchMode):
    """The peak, in bytes, of all tensors that exist at the same time: those created while this mode is active."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor) and _storage(tensor) not in self._known:
                storage, address = tensor.untyped_storage(), _storage(tensor)
                self._known.add(address)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._freed, address, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return found

    def _freed(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.now -= size


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _launches(func: Any, name: str) -> bool:
    views = any(result.alias_info is not None and not result.alias_info.is_write for result in func._schema.returns)
    return func.namespace == "aten" and name not in NO_LAUNCH and not views and not name.startswith("sym_")


def _flops(func: Any, name: str, args: Any, kwargs: Any, found: Any) -> int:
    """FLOPs as in PyTorch's flop counter, except for gradients of grouped convolutions, where it ignores the groups."""
    if name == "convolution_backward":
        grad_output, _, weight, *_, output_mask = args
        return 2 * grad_output.numel() * weight[0].numel() * sum(output_mask[:2])
    if func._overloadpacket in flop_registry:
        return flop_registry[func._overloadpacket](*args, **kwargs, out_val=found)
    return 0


def _bytes(func: Any, args: Any, kwargs: Any, found: Any) -> int:
    """Bytes of all inputs and results; inputs that are changed in place count twice, as they are read and written."""
    schema = func._schema
    given = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | kwargs
    changed = [argument.name for argument in schema.arguments if argument.alias_info and argument.alias_info.is_write]
    tensors = [*given.values(), *(given[name] for name in changed if name in given)]
    if not any(result.alias_info for result in schema.returns):
        tensors.append(found)
    return sum(
        min(each.numel() * each.element_size(), each.untyped_storage().nbytes())  # an expanded tensor is small
        for each in tree_leaves(tensors)
        if isinstance(each, Tensor)
    )


def _is_half(found: Any) -> bool:
    return any(isinstance(each, Tensor) and each.dtype in HALF for each in tree_leaves(found))


@contextmanager
def gpu_kernels() -> Iterator[None]:
    """Make fake CPU tensors use the kernels of half precision on a GPU where these differ.

    On a GPU dropout is one kernel. Attention uses the flash kernel without a mask, and the memory-efficient one with a
    mask.
    """

    def dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return torch.native_dropout(x, p, True)[0] if training and p > 0 else x

    def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, dropout_p: float = 0.0) -> Tensor:
        if mask is None:
            return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, dropout_p)[0]
        mask = mask.expand(q.size(0), q.size(1), q.size(2), k.size(2))
        return torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, mask, True, dropout_p)[0]

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(F, "dropout", dropout))
        patches.enter_context(mock.patch.object(F, "scaled_dot_product_attention", attention))
        yield
