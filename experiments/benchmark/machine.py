"""The machine that the figures belong to, and how much of its memory a process took."""

import os
import platform
import re
from importlib.metadata import distributions
from pathlib import Path

import psutil

from siamese.inference.threads import cores

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "tokenizers", "pandas", "mlflow", "faiss-cpu", "onnxruntime")


def description() -> dict[str, str]:
    """Processor, cores, memory, system and package versions, by name; what is not installed is "none"."""
    found = {
        "processor": _processor(),
        "cores": str(cores()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        # a kernel chosen by hand can halve NumPy's speed
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE", "automatic"),
    }
    for package in PACKAGES:
        found[package] = next((each.version for each in distributions(name=package)), "none")
    return {f"machine.{name}": value for name, value in found.items()}


def in_words() -> str:
    """The machine in a line, to print above a table."""
    found = description()
    form = "{processor}, {cores} cores, {memory}, {system}, Python {python}, TensorFlow {tensorflow}"
    return form.format(**{name.removeprefix("machine."): value for name, value in found.items()})


def memory() -> int:
    """Resident bytes of this process now."""
    return psutil.Process().memory_info().rss


def peak_memory() -> int:
    """Peak resident bytes of this process.

    Not `ru_maxrss`: on Linux a child inherits the parent's peak, so a small process of a large one would seem large.
    """
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None, "every process of Linux has this field"
    return 1024 * int(peak[1])


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    fields = (line.partition(":") for line in cpuinfo.read_text().splitlines())
    found = {name.strip(): value.strip() for name, _, value in fields}  # of the last core
    name = found.get("model name", platform.machine())
    wide = "AVX-512" if "avx512f" in found.get("flags", "") else "no AVX-512"
    return f"{name} (family {found.get('cpu family', '?')}, model {found.get('model', '?')}, {wide})"
