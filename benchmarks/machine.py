"What the benchmarks ask of the machine they run on"

import ctypes
import platform
import re
from pathlib import Path


def status_mb(key, process="self"):
    """Memory of a process as Linux counts it: VmRSS is what it holds, VmHWM the most it has held

    A process that has just ended has none."""
    found = re.search(rf"{key}:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def keep_memory():
    """Where C's library is glibc: keep the heap, and put large blocks there, too

    By default memory is given back and fetched again page by page."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, -1)  # M_TRIM_THRESHOLD
