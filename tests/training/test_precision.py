"""Precision: bfloat16 changes the products of a training and nothing that stays, and is refused where it is imitated."""

from pathlib import Path

import keras
import numpy as np
import pytest

from siamese.model.similarity import Cosine, Learned
from siamese.training import precision
from siamese.training.precision import check_precision, products_in
from tests import networks

TOWERS = {name: {"tower": name} for name in networks.TOWER_OPTIONS} | {"gru": {"tower": "bilstm", "cell": "gru"}}


@pytest.fixture
def computes_bfloat16(monkeypatch, tmp_path) -> Path:
    """A processor whose description the test writes, without a GPU beside it."""
    described = tmp_path / "cpuinfo"
    described.write_text("flags : fpu sse avx512_bf16\n", encoding="utf-8")
    monkeypatch.setattr(precision, "PROCESSOR", described)
    monkeypatch.setattr(precision.tf.config, "list_physical_devices", lambda kind: [])
    return described


@pytest.mark.slow
@pytest.mark.parametrize("tower", TOWERS)
def test_training_is_nearly_that_of_float32_and_the_network_stays_float32(
    tower, build_network, train, computes_bfloat16
):
    weights = {}
    for name in precision.PRECISIONS:
        network = build_network(similarity=lambda: Learned([6]), **TOWERS[tower])
        start = network.get_weights()
        train(network, epochs=1, precision=name)
        weights[name] = network.get_weights()
        assert {array.dtype for array in weights[name]} == {np.dtype(np.float32)}
        assert all(layer.dtype_policy.name == "float32" for layer in network.get_layer("tower").layers)
    moved = sum(np.abs(after - before).sum() for after, before in zip(weights["float32"], start, strict=True))
    apart = sum(np.abs(one - other).sum() for one, other in zip(*weights.values(), strict=True))
    assert 0 < apart < moved / 5  # 0 if nothing was computed in bfloat16


@pytest.mark.parametrize("similarity", [Cosine, lambda: Learned([6])])
def test_each_product_has_8_bits_of_a_number(similarity, build_network):
    """1 + 2⁻⁹ is 1 in bfloat16."""
    network = build_network(similarity=similarity, tower="conv1d")
    layers = network.get_layer("tower").layers
    [ngrams] = [layer for layer in layers if isinstance(layer, precision.Multiplying)]
    hidden = list(getattr(network.get_layer("similarity"), "hidden", []))
    near_one = np.array([[1 + 2**-9]], np.float32)
    with products_in("bfloat16", network):
        assert ngrams.product(near_one, near_one).numpy() == 1
        assert {layer.compute_dtype for layer in hidden} <= {"bfloat16"}
    assert ngrams.product(near_one, near_one).numpy() > 1
    assert {layer.compute_dtype for layer in hidden} <= {"float32"}


def test_an_error_within_leaves_the_network_in_float32(build_network):
    network = build_network(tower="dense")
    with pytest.raises(KeyError), products_in("bfloat16", network):
        raise KeyError
    assert {layer.compute_dtype for layer in network.get_layer("tower").layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("flags", ["fpu avx512_bf16 sse", "fp asimd bf16", "amx_bf16"])
def test_processors_that_compute_bfloat16_are_known(flags, computes_bfloat16):
    computes_bfloat16.write_text(f"flags : {flags}\n", encoding="utf-8")
    check_precision("bfloat16")


def test_a_processor_that_imitates_bfloat16_is_refused(computes_bfloat16):
    computes_bfloat16.write_text("flags : fpu avx512f\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"this machine has none: use training\.precision=float32"):
        check_precision("bfloat16")
    computes_bfloat16.unlink()
    with pytest.raises(ValueError, match="needs a GPU or a processor"):
        check_precision("bfloat16")
    check_precision("float32")


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match=r"training\.precision must be one of float32, bfloat16; got 'half'"):
        check_precision("half")
