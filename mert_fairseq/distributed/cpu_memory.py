"""Memory of large tensors on a CPU: reused between updates, instead of mapped anew for each tensor."""

import ctypes
import os

# options of glibc's mallopt, malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Make glibc keep the memory of freed tensors for the next ones.

    By default glibc returns each freed buffer of more than 32 MB to the kernel, which has to clear every page of the
    next one: 150,000 page faults in an update of the recipe ``tiny`` with 16 clips of 5 s, and a larger share of the
    time the larger the batch is. The process then keeps its peak memory until it ends.

    Returns:
        whether it did: not with another C library, nor if the user has set glibc's own variables, ``MALLOC_...``.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # macOS, musl
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
