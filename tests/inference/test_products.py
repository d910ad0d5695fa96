"""Products of few and of many rows with the same weights."""

import numpy as np
import pytest

from siamese.inference.layers import products
from siamese.inference.layers.products import COLUMNS, Product, in_blocks


@pytest.fixture(autouse=True, params=[True, False])
def with_and_without_blocks(request, monkeypatch):
    monkeypatch.setattr(products, "IN_BLOCKS", request.param)


@pytest.mark.parametrize("units", [1, COLUMNS, 2 * COLUMNS + 5])
@pytest.mark.parametrize("rows", [0, 1, 2, 13, 200, 400])
def test_it_is_a_product_and_a_bias(rows, units):
    """400 rows of 50 numbers are no longer few."""
    generator = np.random.default_rng(0)
    x, kernel = generator.normal(size=(rows, 50)).astype(np.float32), generator.normal(size=(50, units))
    kernel, bias = kernel.astype(np.float32), np.arange(units, dtype=np.float32)
    before = x.copy()
    for product, expected in ((Product(kernel), x @ kernel), (Product(kernel, bias), x @ kernel + bias)):
        found = product(x)
        assert (found.dtype, found.shape) == (np.float32, (rows, units))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(x, before)


def test_a_single_row_is_computed_as_one_of_two():
    generator = np.random.default_rng(0)
    product = Product(generator.normal(size=(300, 100)).astype(np.float32))
    x = generator.normal(size=(2, 300)).astype(np.float32)
    np.testing.assert_array_equal(product(x[:1]), product(x)[:1])


def test_blocks_hold_every_column_and_zeros_behind():
    blocks = in_blocks(np.arange(3 * 70, dtype=np.float32).reshape(3, 70))
    assert blocks.shape == (2, 3, COLUMNS)
    np.testing.assert_array_equal(np.hstack(blocks)[:, :70], np.arange(210).reshape(3, 70))
    assert not blocks[1, :, 70 - COLUMNS :].any()
