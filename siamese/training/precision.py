"""Precision: the large matrix products of the training in 16 bits, where the processor computes them.

Weights, sums, pooling, losses and updates stay float32, as in mixed precision (Micikevicius et al. 2018), here with
bfloat16, whose range is that of float32, so that no loss has to be scaled (Kalamkar et al. 2019). What answers afterwards
computes in float32.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from siamese.model.products import Multiplying

PRECISIONS = ("float32", "bfloat16")
INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux names those of x86 and ARM
PROCESSOR = Path("/proc/cpuinfo")


def check_precision(precision: str) -> None:
    """Raise ValueError if it is none of PRECISIONS, or one that this machine only imitates, slowly."""
    if precision not in PRECISIONS:
        raise ValueError(f"training.precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    if precision == "bfloat16" and not computes_bfloat16():
        raise ValueError(
            "training.precision=bfloat16 needs a GPU or a processor with instructions for it "
            f"({', '.join(sorted(INSTRUCTIONS))}); this machine has none: use training.precision=float32"
        )


def computes_bfloat16() -> bool:
    """Whether this machine multiplies in bfloat16: a GPU, or a processor of which Linux says so."""
    if tf.config.list_physical_devices("GPU"):
        return True
    if not PROCESSOR.is_file():
        return False
    return bool(INSTRUCTIONS & set(PROCESSOR.read_text("utf-8").split()))


@contextmanager
def products_in(precision: str, network: keras.Model) -> Iterator[None]:
    """Within the block, the layers of a network from `siamese_network` multiply in this precision.

    A compiled step takes it when it is traced; the network itself stays as it is.
    """
    inside = [*network.get_layer("tower").layers, *getattr(network.get_layer("similarity"), "hidden", ())]
    with ExitStack() as afterwards:
        for layer in inside if precision == "bfloat16" else ():
            if isinstance(layer, keras.layers.Dense):
                afterwards.callback(setattr, layer, "dtype_policy", layer.dtype_policy)
                layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
            elif isinstance(layer, Multiplying):
                afterwards.callback(setattr, layer, "product_dtype", layer.product_dtype)
                layer.product_dtype = "bfloat16"
        yield
