"""The cache of vectors: nothing is encoded twice, and what is damaged is encoded again."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from siamese.data.texts import fingerprints
from siamese.pretrained import cache

TEXTS = [f"question number {number}" for number in range(100)]


class Encoder:
    """Vectors drawn from the text; counts what it encodes."""

    name, digest, dimension = "counting", "d" * 64, 4

    def __init__(self, folder: Path | None):
        self.cache, self.encoded = folder, []

    def encode(self, texts):
        self.encoded += texts
        return fingerprints(texts).astype(np.float32).repeat(2, axis=1)

    @property
    def shards(self) -> list[Path]:
        return sorted((self.cache / "vectors" / self.digest[:32]).glob("*.npy"))


@pytest.fixture
def encoder(tmp_path):
    return Encoder(tmp_path)


def test_each_text_is_encoded_once(encoder):
    first = cache.vectors(encoder, TEXTS)
    assert first.tolist() == encoder.encode(TEXTS).tolist()
    encoder.encoded.clear()
    again = cache.vectors(encoder, [*TEXTS[::-1], "a new one"])
    assert encoder.encoded == ["a new one"]
    assert again[:100].tolist() == first[::-1].tolist()
    encoder.encoded.clear()
    assert cache.vectors(encoder, [*TEXTS, "a new one"])[100].tolist() == again[100].tolist()
    assert not encoder.encoded


def test_the_longest_texts_come_first(encoder):
    texts = [("word " * (number % 9)) + str(number) for number in range(100)]
    expected = encoder.encode(texts).tolist()
    encoder.encoded.clear()
    assert cache.vectors(encoder, texts).tolist() == expected
    lengths = list(map(len, encoder.encoded))
    assert lengths == sorted(lengths, reverse=True)


def test_another_encoder_has_vectors_of_its_own(encoder):
    cache.vectors(encoder, TEXTS)
    other = Encoder(encoder.cache)
    other.digest = "e" * 64
    cache.vectors(other, TEXTS)
    assert len(other.encoded) == len(TEXTS)


def test_what_a_user_asks_is_not_kept(encoder):
    cache.vectors(encoder, TEXTS[: cache.FEW])
    assert not list(encoder.cache.rglob("*"))


def test_without_a_folder_nothing_is_kept():
    encoder = Encoder(None)
    assert cache.vectors(encoder, TEXTS).shape == (100, 4)
    cache.vectors(encoder, TEXTS)
    assert len(encoder.encoded) == 200


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "pickle"])
def test_a_damaged_shard_is_computed_again_with_a_note(encoder, damage, capsys):
    first = cache.vectors(encoder, TEXTS)
    [shard] = encoder.shards
    content = bytearray(shard.read_bytes())
    content[-3] ^= 1
    with shard.open("wb") as file:
        if damage == "pickle":
            np.save(file, np.array([print]), allow_pickle=True)
        else:
            file.write({"cut": content[:-9], "changed": content, "empty": b""}[damage])
    encoder.encoded.clear()
    assert cache.vectors(encoder, TEXTS).tolist() == first.tolist()
    assert len(encoder.encoded) == len(TEXTS)
    assert f"note: the cached vectors {shard} are damaged" in capsys.readouterr().err
    assert cache.vectors(encoder, TEXTS).tolist() == first.tolist()
    assert not capsys.readouterr().err


def test_several_at_once(encoder):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda start: cache.vectors(encoder, TEXTS[start:]), (0, 1, 2, 3) * 4))
    encoder.encoded.clear()
    for start, vectors in zip((0, 1, 2, 3) * 4, found, strict=True):
        assert vectors.tolist() == found[0][start:].tolist()
    cache.vectors(encoder, TEXTS)
    assert not encoder.encoded


def test_what_was_computed_before_an_interrupt_is_kept(encoder, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 10)
    encode = encoder.encode

    def interrupted(texts):
        if len(encoder.encoded) == 50:
            raise KeyboardInterrupt
        return encode(texts)

    encoder.encode = interrupted
    with pytest.raises(KeyboardInterrupt):
        cache.vectors(encoder, TEXTS)
    encoder.encode = encode
    cache.vectors(encoder, TEXTS)
    assert sorted(encoder.encoded) == sorted(TEXTS)


def test_the_oldest_make_room(encoder, monkeypatch):
    cache.vectors(encoder, TEXTS)
    [old] = encoder.shards
    monkeypatch.setattr(cache, "MAX_BYTES", int(1.5 * old.stat().st_size))
    time.sleep(0.01)
    cache.vectors(encoder, [f"other {text}" for text in TEXTS])
    assert old not in encoder.shards
    assert len(encoder.shards) == 1


def test_a_folder_that_cannot_be_written_costs_only_time(encoder, capsys):
    (encoder.cache / "vectors").write_text("a file in the way")
    assert cache.vectors(encoder, TEXTS).tolist() == encoder.encode(TEXTS).tolist()
    assert "note: the vectors cannot be kept" in capsys.readouterr().err


def test_a_terminal_sees_progress_and_a_file_does_not(encoder, monkeypatch, capsys):
    cache.vectors(encoder, TEXTS)
    assert not capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    cache.vectors(encoder, [f"{text}?" for text in TEXTS])
    shown = capsys.readouterr().err
    assert "counting: 100%" in shown
    assert "text/s" in shown


def test_many_texts_are_encoded_once(encoder):
    encoder.dimension = 8
    encoder.encode = lambda texts: np.random.default_rng().random((len(texts), 8), np.float32)
    texts = [f"question number {number}" for number in range(20_000)]
    first = cache.vectors(encoder, texts)
    assert np.array_equal(cache.vectors(encoder, texts), first)
    assert np.array_equal(cache.vectors(encoder, texts[::-3]), first[::-3])
