"""Archives in memory: what NumPy wrote is read, wherever its bytes lie, and a damaged one is refused."""

import io
import zipfile

import numpy as np
import pytest

from siamese.data import archives

ARRAYS = {
    "weights": np.arange(12, dtype=np.float32).reshape(3, 4),
    "of another length": np.array([1, -1, 0], np.int8),
    "flags": np.array([[True], [False]]),
    "none": np.empty((0, 5)),
}


def written(compressed: bool) -> memoryview:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **ARRAYS)
    return stream.getbuffer()


@pytest.mark.parametrize("compressed", [False, True])
def test_what_numpy_wrote_is_read(compressed):
    found = archives.entries(written(compressed), most=10_000)
    assert list(found) == [f"{name}.npy" for name in ARRAYS]
    for content, expected in zip(found.values(), ARRAYS.values(), strict=True):
        array = archives.array(content)
        assert array.dtype == expected.dtype
        assert array.flags.aligned
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, expected)


def test_no_entry_is_read_that_has_another_byte():
    """Whichever byte of the archive is another one; without its place in the list an entry is missing."""
    whole = written(compressed=False).tobytes()
    expected = {name: content.tobytes() for name, content in archives.entries(memoryview(whole), 0).items()}
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 0xFF
        try:
            found = archives.entries(memoryview(changed), 0)
        except Exception:
            continue
        assert all(content == expected[name] for name, content in found.items())


@pytest.mark.parametrize("kept", [0, 10, 100, 0.5, 0.99])
def test_it_is_refused_when_it_is_cut(kept):
    whole = written(compressed=False)
    with pytest.raises(zipfile.BadZipFile):
        archives.entries(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept], 0)
