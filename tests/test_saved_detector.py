"""Saved detector: a folder that is damaged, or made to do harm, is refused in a line that names the file.

Each flipped byte either changes nothing that is read, or is found. Of a folder whose checksums fit, as one has that somebody
made, each mutation is refused or gives numbers that are similarities; nothing else happens to the process.
"""

import json
import os
import shutil
import socket
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from siamese.detector import Detector
from siamese.inference.network import NumpyNetwork
from siamese.pretrained.joined import JoinedVectorizer
from siamese.pretrained.vectorizer import EncoderVectorizer
from siamese.text.lexicon import Lexicon
from siamese.text.vectorizer import Vectorizer
from tests.seals import reseal, unseal

FIXTURES = Path(__file__).parent / "fixtures"
DENSE = FIXTURES / "detector_format_5"
FLIPS = 2_000
MUTATIONS = 320
PAIRS = [
    ("How do I pay my bill?", "Where can I pay the bill?"),
    ("I lost my card!", "card gone, what now?"),
    ("?", "rice"),
]
Edit = Callable[[dict], object]


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def layer(kind: str, name: str, *inputs: str, **config: object) -> dict:
    return {"layer": kind, "name": name, "inputs": list(inputs), "config": config}


def bilstm_network(ids: int) -> NumpyNetwork:
    """Convolutions, an LSTM, two square kernels, and the learned similarity: all parts that the fixture does not have."""
    tower = [
        layer("Embedding", "words", ids=ids, width=4),
        layer("NGrams", "ngrams", "words", filters=2, kernel_sizes=[1, 2]),
        layer("LayerNormalization", "norm", "ngrams", epsilon=0.001),
        layer("BidirectionalLSTM", "lstm", "norm", units=2),
        layer("Pool", "pool", "lstm", pooling=["mean", "max"]),
        layer("Dense", "one", "pool", units=8),
        layer("Dense", "two", "one", units=8),
    ]
    shapes = {
        "words/embeddings": (ids, 4),
        "ngrams/kernel": (4, 6),
        "ngrams/bias": (4,),
        "norm/gamma": (4,),
        "norm/beta": (4,),
        "lstm/kernel": (4, 16),
        "lstm/bias": (16,),
        "lstm/recurrent_kernel": (2, 2, 8),
        "one/kernel": (8, 8),
        "one/bias": (8,),
        "two/kernel": (8, 8),
        "two/bias": (8,),
        "similarity/0/kernel": (16, 3),
        "similarity/0/bias": (3,),
        "similarity/1/kernel": (3, 1),
        "similarity/1/bias": (1,),
        "similarity/ceiling": (),
    }
    arrays = {name: draw(seed, *shape) for seed, (name, shape) in enumerate(shapes.items())}
    return NumpyNetwork({"tower": tower, "similarity": {"layer": "Learned", "config": {"units": [3]}}}, arrays)


def attention_network(ids: int) -> NumpyNetwork:
    """Self-attention over words and their positions, with the residual connection."""
    tower = [
        layer("Embedding", "words", ids=ids, width=4),
        layer("PositionalEncoding", "order", "words"),
        layer("SelfAttention", "attention", "order", heads=2),
        layer("Dense", "dense", "attention", units=4),
        layer("Add", "add", "order", "dense", inputs=2),
        layer("Pool", "pool", "add", pooling=["mean"]),
    ]
    shapes = {
        "words/embeddings": (ids, 4),
        "order/scale": (),
        "attention/kernel": (4, 3, 2, 2),
        "dense/kernel": (4, 4),
        "dense/bias": (4,),
    }
    arrays = {name: draw(seed, *shape) for seed, (name, shape) in enumerate(shapes.items())}
    description = {"tower": tower, "similarity": {"layer": "Euclidean", "config": {"scale": 2.0}}}
    return NumpyNetwork(description, arrays)


def joined_network(ids: int) -> NumpyNetwork:
    """Words, and the vector of the encoder beside them."""
    tower = [
        layer("Embedding", "word_embedding", ids=ids, width=4),
        layer("Pool", "pool", "word_embedding", pooling=["mean"]),
        layer("Vectors", "vector", width=8),
        layer("Dense", "mapped_vector", "vector", units=8),
        layer("Concatenate", "joined", "pool", "mapped_vector"),
    ]
    description = {"tower": tower, "similarity": {"layer": "Euclidean", "config": {"scale": 2.0}}}
    arrays = {"word_embedding/embeddings": draw(0, ids, 4)}
    arrays |= {"mapped_vector/kernel": draw(1, 8, 8), "mapped_vector/bias": draw(2, 8)}
    return NumpyNetwork(description, arrays)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, encoder_vectorizer) -> dict[str, Path]:
    """Detectors of all kinds of files: words with dev scores, subwords, an encoder with a lexicon, and words with an encoder."""
    made = tmp_path_factory.mktemp("saved")
    fixture = Detector.load(DENSE)
    texts = [text for pair in PAIRS for text in pair]
    subwords = Vectorizer.fit(texts * 3, kind="unigram", vocabulary_size=60, min_frequency=1)
    Detector(bilstm_network(subwords.size), subwords, fixture.calibration, fixture.dev).save(made / "subwords")
    Detector(attention_network(subwords.size), subwords, fixture.calibration, fixture.dev).save(made / "attention")
    lexicon = Lexicon.learn(Vectorizer.fit(texts, min_frequency=1), texts, width=4)
    width = 8 + lexicon.rows.shape[1]
    tower = [layer("Vectors", "vectors", width=width), layer("Dense", "dense", "vectors", units=3)]
    description = {"tower": tower, "similarity": {"layer": "Euclidean", "config": {"scale": 2.0}}}
    network = NumpyNetwork(description, {"dense/kernel": draw(0, width, 3), "dense/bias": draw(1, 3)})
    vectorizer = EncoderVectorizer(encoder_vectorizer.encoder, lexicon)
    Detector(network, vectorizer, fixture.calibration).save(made / "encoder")
    joined = JoinedVectorizer(subwords, EncoderVectorizer(encoder_vectorizer.encoder))
    Detector(joined_network(subwords.size), joined, fixture.calibration, fixture.dev).save(made / "joined")
    return {"words": DENSE, **{kind: made / kind for kind in ("subwords", "attention", "encoder", "joined")}}


def answers(folder: Path) -> tuple:
    """All that a detector says: similarities, probabilities, verdicts and how much was read."""
    detector = Detector.load(folder)
    columns = detector.verdicts(PAIRS).columns()
    return tuple(map(str, columns.values())), detector.calibration, str(detector.dev and detector.dev.similarity)


def refusal(folder: Path, expected: tuple | None = None) -> str:
    """The message with which a folder is refused; "" for one that answers as expected, or without that in numbers."""
    try:
        with warnings.catch_warnings(action="ignore"):
            found = answers(folder)
    except ValueError as problem:
        message = str(problem)
        assert str(folder) in message
        assert "\n" not in message
        return message
    similarity = np.array(json.loads(found[0][0]))
    assert ((similarity >= 0) & (similarity <= 1)).all()
    assert expected is None or found == expected
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["words", "subwords", "attention", "encoder", "joined"])
def test_every_flipped_byte_is_found_or_changes_nothing(kind, folders, tmp_path):
    """One bit, or all of a byte, anywhere in any file."""
    folder, expected = shutil.copytree(folders[kind], tmp_path / "copy"), answers(folders[kind])
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    generator, refused = np.random.default_rng(0), 0
    for _ in range(FLIPS // 3 + 1):
        file = files[generator.integers(len(files))]
        content = file.read_bytes()
        if not content:
            continue
        flipped = bytearray(content)
        flipped[generator.integers(len(content))] ^= int(generator.choice([1, 2, 4, 8, 16, 32, 64, 128, 255]))
        file.write_bytes(flipped)
        message = refusal(folder, expected)
        file.write_bytes(content)
        assert not message or file.name in message or "detector.json" in message, (file, message)
        refused += bool(message)
    assert refused > 0.95 * FLIPS / 3
    assert refusal(folder, expected) == ""


NUMBERS = [0, -1, 1.5, 10**13, 1e999, float("nan"), "8", None, [], True]
HEAD = {
    **{
        ("detector.json", ("calibration", name)): [-1, 2, 1e999, "x", [], True]
        for name in ("threshold", "prior", "recall")
    },
    ("detector.json", ("calibration", "temperature")): [0, -1, 1e999, float("nan"), "1", None],
    ("detector.json", ("calibration", "offset")): [1e999, float("nan"), "0", None, {}],
    ("detector.json", ("calibration", "purpose")): ["best", "precision@2", 7.5, []],
    ("detector.json", ("calibration", "mine")): [1],
    ("detector.json", ("calibration",)): [None, [], 3, {}],
    ("detector.json", ("dev",)): [{}, {"pairs": 3, "duplicates": 1}, 7, {"pairs": 120}],
    ("detector.json", ("runtime",)): ["os", None, [], {}, 1],
    ("detector.json", ("format_version",)): [0, 1, 6, 1e999, "5", None, [], True],
}
VECTORIZER = {
    ("vectorizer.json", ("max_length",)): [0, -1, 1.5, "8", None, True, [], 1e999],
    ("vectorizer.json", ("oov_buckets",)): [-1, 1.5, "8", None, True, 10**13, 3],
    ("vectorizer.json", ("format_version",)): [2, "1", None, [], 1e999],
    ("vectorizer.json", ("tokenizer",)): [None, [], "{}", {}],
    **{("vectorizer.json", ("tokenizer", name)): [{}, [], "x"] for name in ("normalizer", "pre_tokenizer", "model")},
    **{
        ("vectorizer.json", ("tokenizer", name)): [{}, "x"]
        for name in ("truncation", "padding", "post_processor", "decoder")
    },
    ("vectorizer.json", ("tokenizer", "added_tokens")): [[{}], {}, "x", [1]],
    ("vectorizer.json", ("tokenizer", "version")): ["2.0", None],
    ("vectorizer.json", ("tokenizer", "mine")): [1],
    ("vectorizer.json", ("tokenizer", "model", "type")): ["Other", "BPE", "WordPiece", None, [], {}],
    ("vectorizer.json", ("tokenizer", "model", "unk_token")): ["?", None, 3],
    ("vectorizer.json", ("tokenizer", "model", "vocab")): [{}, [], None, {"a": 0}, {"[PAD]": 0, "[UNK]": 1, "": 2}],
}
DENSE_NETWORK = {
    ("light.json", ("tower", 0, "config", "ids")): [*NUMBERS, 45],
    ("light.json", ("tower", 1, "config", "units")): [*NUMBERS, 5],
    ("light.json", ("tower", 3, "config", "pooling")): [
        [],
        ["sum"],
        ["mean", "mean"],
        "mean",
        None,
        3,
        ["mean"],
        [["max"]],
    ],
    ("light.json", ("tower", 1, "inputs")): [
        [],
        ["dense"],
        ["nothing"],
        None,
        [[]],
        ["word_embedding", "word_embedding"],
        "x",
    ],
    ("light.json", ("tower", 2, "inputs")): [["dense", "word_embedding"], [], ["pool"]],
    ("light.json", ("tower", 3, "inputs")): [["re_lu", "re_lu"], [], ["pool"]],
    ("light.json", ("tower", 1, "name")): ["re_lu", "other", None, [], 3],
    ("light.json", ("tower", 1, "layer")): [
        "Lambda",
        "os.system",
        None,
        [],
        {},
        "Pool",
        "Vectors",
        "Add",
        "BidirectionalLSTM",
    ],
    ("light.json", ("tower", 1)): [None, [], {}, 3],
    ("light.json", ("tower",)): [None, [], {}, "x", 3],
    ("light.json", ("similarity", "layer")): ["Other", None, "Dense", "Learned", []],
    ("light.json", ("similarity", "config")): [{"scale": 1}, None, [], 3],
    ("light.json", ("similarity",)): [None, [], 3, {}],
    ("light.json", ("format_version",)): [0, 3, "1", None, []],
}
SUBWORDS_NETWORK = {
    ("light.json", ("tower", 1, "config", "kernel_sizes")): [
        [2, 1],
        [0, 3],
        [-1, 4],
        [3],
        [],
        None,
        "12",
        [1.5, 1.5],
        3,
    ],
    ("light.json", ("tower", 1, "config", "filters")): NUMBERS,
    ("light.json", ("tower", 2, "config", "epsilon")): [0, -1, 1e999, float("nan"), "1", None],
    ("light.json", ("tower", 3, "config", "units")): NUMBERS,
    ("light.json", ("similarity", "config", "units")): [[], [4], None, 3, [0], [-1], ["3"]],
    ("light.json", ("tower", 5, "name")): ["two", "three"],
    ("light.json", ("tower", 6, "inputs")): [["pool"], ["one", "pool"], ["lstm"], ["words"]],
}
ATTENTION = {
    ("light.json", ("tower", 1, "config")): [{"scale": 1.0}, None, [], 3],
    ("light.json", ("tower", 1, "inputs")): [[], ["words", "words"], ["order"], ["add"]],
    ("light.json", ("tower", 2, "config", "heads")): [*NUMBERS, 1, 4, 8],
    ("light.json", ("tower", 2, "inputs")): [["words"], [], ["order", "order"], ["pool"]],
    ("light.json", ("tower", 4, "inputs")): [["words", "dense"], ["order"], ["order", "pool"]],
    ("light.json", ("tower", 4, "config", "inputs")): [*NUMBERS, 3],
}
ENCODER = {
    ("light.json", ("tower", 0, "config", "width")): [*NUMBERS, 9],
    ("light.json", ("similarity", "config", "scale")): [0, -1, 1e999, float("nan"), "1", None, []],
    ("encoder.json", ("kind",)): ["os.system", None, []],
    ("encoder.json", ("digest",)): ["0" * 64, None, 3],
    ("encoder.json", ("model",)): ["../model.onnx", "/dev/zero", "encoder", "", None, "encoder/\0"],
    ("encoder.json", ("pooling",)): ["last", None, [], "max"],
    ("encoder.json", ("max_length",)): [0, -1, None, "8", 1e999, 7],
    ("encoder.json", ("cache",)): ["/tmp"],
    ("encoder.json", ("folder",)): ["/"],
    ("encoder.json", ("sha256",)): [None, [], {"model": "0"}],
}
JOINED = {
    ("light.json", ("tower", 2, "config", "width")): [*NUMBERS, 7, 9],
    ("light.json", ("tower", 2, "inputs")): [["pool"], ["word_embedding"], None],
    ("light.json", ("tower", 2, "layer")): ["Embedding", "Columns", None],
    ("light.json", ("tower", 3, "config", "units")): [*NUMBERS, 7, 9],
    ("light.json", ("tower", 4, "inputs")): [["word_embedding", "mapped_vector"], [], ["pool", "word_embedding"]],
    ("encoder.json", ("digest",)): ["0" * 64, None, 3],
}
VALUES = {
    "words": HEAD | VECTORIZER | DENSE_NETWORK,
    "subwords": SUBWORDS_NETWORK,
    "attention": ATTENTION,
    "encoder": ENCODER,
    "joined": JOINED,
}


OTHER_NETWORKS = [  # which fit their arrays
    ("light.json", ("tower", 3, "config", "pooling"), ["mean"]),
    ("light.json", ("tower", 1, "config", "kernel_sizes"), [2, 1]),
    ("light.json", ("tower", 6, "inputs"), ["pool"]),
    ("light.json", ("tower", 2, "inputs"), ["words"]),
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", VALUES)
def test_settings_out_of_their_range_are_refused_by_the_file(kind, folders, tmp_path):
    """All without their checksums; and with these all but those of other networks, which anyone could have trained."""
    folder, taken = shutil.copytree(folders[kind], tmp_path / kind), []
    for (name, path), values in VALUES[kind].items():
        content, head = (folder / name).read_bytes(), (folder / "detector.json").read_bytes()
        for value in values:
            state = json.loads(content)
            place = state
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            (folder / name).write_text(json.dumps(state), encoding="utf-8")
            assert str(folder / name) in refusal(folder)
            reseal(folder)
            message = refusal(folder)
            taken += [] if message else [(name, path, value)]
            assert not message or name in message or "detector.json" in message or "do not belong together" in message
            (folder / "detector.json").write_bytes(head)
        (folder / name).write_bytes(content)
    assert [each for each in OTHER_NETWORKS if each in taken] == taken


def test_that_many_mutations_were_tried():
    assert sum(len(values) for settings in VALUES.values() for values in settings.values()) >= MUTATIONS


def make_fifo(file: Path) -> None:
    os.mkfifo(file)


def make_socket(file: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(file))  # the path of a socket is short


SPECIAL: dict[str, Callable[[Path], object]] = {
    "link": lambda file: file.symlink_to(DENSE / "light.json"),
    "link to a device": lambda file: file.symlink_to("/dev/zero"),
    "link to nothing": lambda file: file.symlink_to("nothing"),
    "FIFO": make_fifo,
    "socket": make_socket,
    "folder": lambda file: file.mkdir(),
    "4 TB": lambda file: (file.touch(), os.truncate(file, 2**42)),
    "nothing": lambda file: None,
    "empty": lambda file: file.touch(),
}


@pytest.mark.parametrize("what", SPECIAL)
def test_what_is_no_ordinary_file_is_refused_at_once(what, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, source in folders.items():
        folder = shutil.copytree(source, tmp_path / kind)
        for is_sealed in (True, False) if kind != "joined" else (True,):  # which no format without checksums has
            unseal(folder) if not is_sealed else None
            for file in sorted(file for file in folder.rglob("*") if file.is_file()):
                kept = file.rename(tmp_path / "kept")
                SPECIAL[what](file)
                assert file.name in refusal(folder)
                file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink(missing_ok=True)
                kept.rename(file)


@pytest.mark.parametrize("inside", ["encoder", "lexicon"])
def test_a_folder_of_the_folder_may_be_no_link(inside, folders, tmp_path):
    folder = shutil.copytree(folders["encoder"], tmp_path / "copy")
    (folder / inside).rename(tmp_path / inside)
    (folder / inside).symlink_to(tmp_path / inside)
    assert f"{folder / inside} is a link" in refusal(folder)


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "newest").symlink_to(DENSE)
    assert refusal(tmp_path / "newest", answers(DENSE)) == ""


def npy(header: str) -> bytes:
    """An .npy file of 64 bytes that claims something else."""
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin-1") + bytes(64)


def npz(file: Path, compression: int = zipfile.ZIP_STORED, **entries: bytes) -> None:
    """Put entries into an .npz file, in place of those that it has."""
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in (content | {f"{name}.npy": data for name, data in entries.items()}).items():
            archive.writestr(name, data)


def claims(file: Path, size: int) -> None:
    """Let the directory of an archive claim another size of its first entry."""
    content = file.read_bytes()
    at = content.index(b"PK\x01\x02")
    file.write_bytes(content[: at + 24] + size.to_bytes(4, "little") + content[at + 28 :])


def doubled(file: Path) -> None:
    """A tower that reads each step twice, 60 times."""
    state = json.loads(file.read_text(encoding="utf-8"))
    for step in range(60):
        before = state["tower"][-1]["name"]
        state["tower"].append(layer("Concatenate", f"step{step}", before, before))
    file.write_text(json.dumps(state), encoding="utf-8")


def edit(change: Edit) -> Callable[[Path], None]:
    def edited(file: Path) -> None:
        state = json.loads(file.read_text(encoding="utf-8"))
        change(state)
        file.write_text(json.dumps(state), encoding="utf-8")

    return edited


def replaced(letter: str, by: str) -> dict:
    return {"type": "Replace", "pattern": {"String": letter}, "content": by}


def normalizer(*steps: dict) -> Callable[[Path], None]:
    return edit(lambda state: state["tokenizer"]["normalizer"].update(normalizers=list(steps)))


def nested(depth: int) -> dict:
    step = {"type": "NFKC"}
    for _ in range(depth):
        step = {"type": "Sequence", "normalizers": [step]}
    return step


def pattern(text: str) -> Callable[[Path], None]:
    return edit(lambda state: state["tokenizer"]["pre_tokenizer"].update(pattern={"Regex": text}))


DTYPE = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }"
HOSTILE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "an array of 4 TB": ("light.npz", lambda file: npz(file, dense__bias=npy(DTYPE % ("<f4", False, "(2**40,)")))),
    "a shape of 4 TB": ("light.npz", lambda file: npz(file, **{"dense/bias": npy(DTYPE % ("<f4", False, (2**40,)))})),
    "a shape below 0": ("light.npz", lambda file: npz(file, **{"dense/bias": npy(DTYPE % ("<f4", False, (-4, -4)))})),
    "objects": ("light.npz", lambda file: npz(file, **{"dense/bias": npy(DTYPE % ("|O", False, (8,)))})),
    "texts": ("light.npz", lambda file: npz(file, **{"dense/bias": npy(DTYPE % ("<U1", False, (16,)))})),
    "other byte order": ("light.npz", lambda file: npz(file, **{"dense/bias": npy(DTYPE % (">f4", False, (16,)))})),
    "by columns": ("light.npz", lambda file: npz(file, **{"dense/kernel": npy(DTYPE % ("<f4", True, (4, 4)))})),
    "code in a header": ("light.npz", lambda file: npz(file, **{"dense/bias": npy("__import__('os').abort()")})),
    "NaN": ("light.npz", lambda file: np.savez(file, **{"dense/bias": np.full(4, np.nan, np.float32)})),
    "1e38": ("light.npz", lambda file: np.savez(file, **{"dense/bias": np.full(4, 1e38, np.float32)})),
    "infinity": ("light.npz", lambda file: np.savez(file, **{"dense/bias": np.full(4, np.inf, np.float32)})),
    "bytes without a scale": (
        "light.npz",
        lambda file: np.savez(file, **{"dense/kernel#bytes": np.zeros((6, 4), np.int8)}),
    ),
    "a bomb of arrays": ("light.npz", lambda file: npz(file, zipfile.ZIP_DEFLATED, bomb=bytes(2**27))),
    "a bomb in another way": ("light.npz", lambda file: npz(file, zipfile.ZIP_LZMA, bomb=bytes(2**24))),
    "a claim of 4 GB": ("light.npz", lambda file: claims(file, 2**32 - 1)),
    "a claim of nothing": ("light.npz", lambda file: claims(file, 0)),
    "dev scores of no numbers": (
        "dev_scores.npz",
        lambda file: np.savez(file, similarity=np.ones(3, bool), duplicate=np.ones(3)),
    ),
    "dev scores above 1": (
        "dev_scores.npz",
        lambda file: np.savez(file, similarity=np.full(2, 7.0), duplicate=np.ones(2, bool)),
    ),
    "a tower that doubles": ("light.json", doubled),
    "deep JSON": ("light.json", lambda file: file.write_text('{"tower": ' + "[" * 10**5)),
    "deep and whole JSON": ("detector.json", lambda file: file.write_text('{"a":' * 10**5 + "1" + "}" * 10**5)),
    "a long number": ("light.json", lambda file: file.write_text('{"format_version": ' + "9" * 10**5 + "}")),
    "no UTF-8": ("vectorizer.json", lambda file: file.write_bytes(b'{"tokenizer": "\xff"}')),
    "half an emoji": (
        "vectorizer.json",
        edit(lambda state: state["tokenizer"]["model"]["vocab"].update({"\ud83d": 42})),
    ),
    "letters that grow": ("vectorizer.json", normalizer(*[replaced("a", "aaaaaaaa")] * 20)),
    "many steps": ("vectorizer.json", normalizer(*[{"type": "NFKC"}] * 10**4)),
    "nested steps": ("vectorizer.json", normalizer(nested(90))),
    "another order": ("vectorizer.json", normalizer({"type": "Lowercase"}, {"type": "NFKC"})),
    "a pattern without an end": ("vectorizer.json", pattern(r"(a|a)*$b")),
    "a pattern that is none": ("vectorizer.json", pattern("(")),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_made_to_harm_is_refused_in_little_memory(what, tmp_path):
    name, damage = HOSTILE[what]
    folder = shutil.copytree(DENSE, tmp_path / "copy")
    damage(folder / name)
    if name != "detector.json":
        reseal(folder)
    tracemalloc.start()
    message = refusal(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert name in message
    assert peak < 40e6


def test_a_bomb_of_lexical_rows_is_refused(folders, tmp_path):
    folder = shutil.copytree(folders["encoder"], tmp_path / "copy")
    npz(folder / "lexicon" / "rows.npz", zipfile.ZIP_DEFLATED, bomb=bytes(2**27))
    reseal(folder)
    assert "lexicon/rows.npz is no whole archive: it claims to hold 134," in refusal(folder)


def test_a_file_that_no_checksum_is_noted_of_is_refused(tmp_path):
    """One that is not read may lie there."""
    folder = shutil.copytree(DENSE, tmp_path / "copy")
    (folder / "README.md").write_text("mine")
    assert refusal(folder, answers(DENSE)) == ""
    state = json.loads((folder / "detector.json").read_text())
    for name in ("light.npz", "detector.json", None):
        broken = state | {"sha256": {key: value for key, value in state["sha256"].items() if key != name}}
        (folder / "detector.json").write_text(
            json.dumps(broken if name else {k: v for k, v in state.items() if k != "sha256"})
        )
        assert "detector.json" in refusal(folder)


@pytest.mark.slow
def test_old_folders_without_checksums_do_no_harm_when_damaged(tmp_path):
    """What a flipped byte changes there may not be found; but it is a line or a number."""
    folder = shutil.copytree(FIXTURES / "detector_format_3", tmp_path / "copy")
    generator = np.random.default_rng(1)
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        for _ in range(60):
            flipped = bytearray(content)
            flipped[generator.integers(len(content))] ^= int(generator.choice([1, 4, 16, 64, 255]))
            file.write_bytes(flipped)
            refusal(folder)
        file.write_bytes(content)


@pytest.mark.parametrize("name", ["vectorizer.json", "encoder.json"])
def test_words_and_encoder_belong_to_one_detector(name, folders, tmp_path):
    folder = shutil.copytree(folders["joined"], tmp_path / "copy")
    assert refusal(folder, answers(folders["joined"])) == ""
    (folder / name).unlink()
    assert name in refusal(folder)
