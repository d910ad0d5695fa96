"""ONNX encoders: vectors that can be checked by eye, and what is refused."""

import json
import re
import socket
import time

import numpy as np
import onnx
import pytest

from siamese.pretrained import encoders
from siamese.pretrained.hugging_face import from_folder, from_hub
from siamese.pretrained.onnx_encoder import OnnxEncoder
from tests.encoders import WIDTH, WORDS, table, write_encoder

REVISION = "0123456789abcdef" * 2 + "01234567"
TEXTS = ["how do i pay my bill", "pay", "where do i pay", "", "lost card", "my card [CLS] is lost", "cook rice"]


@pytest.fixture
def folder(tmp_path):
    return write_encoder(tmp_path / "tiny")


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def rows(text: str) -> np.ndarray:
    return table()[[WORDS.index(word) if word in WORDS else 1 for word in text.split()]]


@pytest.mark.parametrize(
    ("pooling", "pooled"),
    [("mean", lambda x: x.mean(axis=0)), ("max", lambda x: x.max(axis=0)), ("cls", lambda x: x[0])],
)
def test_a_vector_is_the_pooled_and_scaled_one_of_its_tokens(tmp_path, pooling, pooled):
    encoder = from_folder(write_encoder(tmp_path, pooling=pooling))
    assert encoder.encode(["pay my bill"])[0] == pytest.approx(unit(pooled(rows("[CLS] pay my bill"))), abs=1e-6)
    assert (encoder.dimension, encoder.pooling) == (WIDTH, pooling)


def test_other_texts_and_their_order_change_nothing(folder):
    encoder = from_folder(folder)
    together = encoder.encode(TEXTS)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-6)
    assert np.concatenate([encoder.encode([text]) for text in TEXTS]) == pytest.approx(together, abs=1e-6)
    assert encoder.encode(TEXTS[::-1])[::-1] == pytest.approx(together, abs=1e-6)
    assert encoder.encode([]).shape == (0, WIDTH)


def test_a_text_without_any_token_gets_zeros(tmp_path):
    assert not from_folder(write_encoder(tmp_path, framed=False)).encode([" "]).any()


def test_the_first_tokens_are_read(tmp_path):
    encoder = from_folder(write_encoder(tmp_path, sentence_bert_config={"max_seq_length": 3}))
    cut, whole = encoder.encode(["how do i pay my bill", "how do"])
    assert cut.tolist() == whole.tolist()
    assert from_folder(tmp_path, max_length=4).encode(["how do i"])[0].tolist() != whole.tolist()


def test_of_a_long_text_no_more_is_tokenized_than_is_read(folder):
    encoder = from_folder(folder, max_length=8)
    text = "how do i pay my bill " * 50_000
    started = time.process_time()
    np.testing.assert_array_equal(encoder.encode([text]), encoder.encode([text[:400]]))
    assert encoder.coverage([text, "pay", "x" * 100_000 + " pay"]).cut.tolist() == [True, False, True]
    assert time.process_time() - started < 0.5


def test_the_layout_of_the_hub_is_read(tmp_path):
    modules = [{"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling", "Normalize")]
    here = from_folder(write_encoder(tmp_path / "a", model="onnx/model.onnx", modules=modules))
    assert here.digest == from_folder(write_encoder(tmp_path / "b")).digest  # the same weights, tokenizer and settings
    assert here.digest != from_folder(tmp_path / "b", pooling="max").digest
    assert here.digest != from_folder(tmp_path / "b", max_length=9).digest


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        ({"modules": [{"type": "x.Dense"}]}, {}, "lists Dense, which are not in model.onnx"),
        ({"1_Pooling/config": {"pooling_mode_lasttoken": True}}, {}, "the poolings pooling_mode_lasttoken; one of"),
        (
            {"1_Pooling/config": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}},
            {},
            "the poolings cls, mean; one of",
        ),
        ({}, {"pooling": "sum"}, "encoder.pooling must be one of mean, max, cls"),
        ({}, {"max_length": 2}, "encoder.max_length at least 3; got mean and 2"),
        ({}, {"sha256": {"tokenizer": "0" * 64}}, "the tokenizer of tiny has the SHA-256 .*, expected 0000"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path, files, settings, message):
    write_encoder(tmp_path / "tiny", **files)
    with pytest.raises(ValueError, match=message):
        from_folder(tmp_path / "tiny", **settings)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"has no {name}; an encoder needs model.onnx or onnx/model.onnx, and"):
        from_folder(folder)


def test_a_model_of_another_kind_is_refused(folder):
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="cannot be run"):
        from_folder(folder).encode(["pay"])


def test_a_missing_package_is_one_line_with_the_command(tmp_path):
    with pytest.raises(ValueError, match=r"^no_such_package/model.onnx is not installed: pip install it$"):
        OnnxEncoder("other", "no_such_package/model.onnx", "x/y", install="pip install it")


def keep_outside(folder, location: str) -> None:
    """Move the model's weights into another file."""
    model = onnx.load(folder / "model.onnx")
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights", size_threshold=100)
    onnx.save(model, folder / "model.onnx")
    content = (folder / "model.onnx").read_bytes()
    assert len(location) == len("weights")
    (folder / "model.onnx").write_bytes(content.replace(b"weights", location.encode()))


def test_weights_in_a_file_beside_the_model_belong_to_it(folder, tmp_path):
    expected, digest = from_folder(folder).encode(TEXTS), from_folder(folder).digest
    keep_outside(folder, "weights")
    encoder = from_folder(folder)
    assert encoder.encode(TEXTS).tolist() == expected.tolist()
    assert encoder.digest != digest
    encoders.save(encoder, tmp_path)
    assert encoders.load(tmp_path).encode(TEXTS).tolist() == expected.tolist()
    (folder / "weights").write_bytes(bytes(len((folder / "weights").read_bytes())))
    assert from_folder(folder).digest != encoder.digest


@pytest.mark.parametrize("location", ["../them", "a/their", "missing"])
def test_weights_elsewhere_are_refused(folder, location):
    keep_outside(folder, location)
    (folder.parent / "them").write_bytes((folder / "weights").read_bytes())
    with pytest.raises(ValueError, match=r"keeps weights in .*, which is no file beside it"):
        from_folder(folder)


def test_an_encoder_of_a_folder_is_kept_with_its_files(folder, tmp_path):
    encoder = from_folder(folder, license="MIT", trained_on="nothing")
    expected = encoder.encode(TEXTS)
    kept = tmp_path / "kept"
    kept.mkdir()
    encoders.save(encoder, kept)
    (folder / "model.onnx").unlink()
    again = encoders.load(kept)
    assert again.describe() == encoder.describe()
    assert again.encode(TEXTS).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state | {"kind": "os.system"}, "describes no encoder"),
        (lambda state: state | {"other": 1}, "describes no encoder"),
        (lambda state: state | {"pooling": "max"}, "has the digest .*, but .* was made with"),
        (lambda state: state | {"model": "../model.onnx"}, r"has no ../model.onnx"),
        (lambda state: state | {"install": "x", "model": "siamese.detector/x"}, "siamese.detector/x is not installed"),
        (lambda state: [], "encoder.json is no JSON that can be read: an object was expected"),
        (lambda state: state | {"cache": "elsewhere"}, "describes no encoder: .*cache"),
        (lambda state: state | {"folder": "elsewhere"}, "describes no encoder: .*folder"),
    ],
)
def test_a_changed_description_is_refused(folder, change, message):
    encoders.save(from_folder(folder), folder)
    (folder.parent / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
    state = change(json.loads((folder / encoders.FILE).read_text(encoding="utf-8")))
    (folder / encoders.FILE).write_text(json.dumps(state), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        encoders.load(folder)


def test_changed_weights_are_refused(folder):
    encoders.save(from_folder(folder), folder)
    model = folder / "encoder" / "model.onnx"
    content = bytearray(model.read_bytes())
    at = content.index(table().tobytes())
    content[at] ^= 1
    model.write_bytes(content)
    with pytest.raises(ValueError, match="the model of tiny has the SHA-256"):
        encoders.load(folder)


@pytest.mark.parametrize("name", ["minilm2", "folder/that/is/not/there"])
def test_a_name_that_is_no_encoder_says_what_is(name):
    with pytest.raises(ValueError, match=r"encoder must be minilm, use_multilingual, a folder with model\.onnx"):
        encoders.find(name)


@pytest.mark.parametrize("revision", ["main", "0123456", REVISION.upper(), f"{REVISION}/.."])
def test_only_a_commit_of_the_hub_is_taken(revision):
    with pytest.raises(ValueError, match="must be a commit, 40 hexadecimal digits"):
        encoders.find(f"owner/name@{revision}")


@pytest.mark.parametrize("repository", ["name", "../../x", "owner/name/more"])
def test_a_repository_has_an_owner_and_a_name(repository):
    with pytest.raises(ValueError, match="must be OWNER/NAME"):
        from_hub(repository, REVISION)


def test_without_a_network_the_error_names_the_files_and_where_to_put_them(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"owner/name cannot be downloaded") as error:
        from_hub("owner/name", REVISION)
    folder = tmp_path / "siamese" / "hub" / f"owner--name@{REVISION}"
    for named in ("onnx/model.onnx", "tokenizer.json", "1_Pooling/config.json", str(folder)):
        assert named in str(error.value)
    write_encoder(folder)
    assert from_hub("owner/name", REVISION).name == "name"
    assert encoders.find(f"owner/name@{REVISION}").encode(["pay"]).shape == (1, WIDTH)


def test_what_the_hub_has_is_downloaded_at_the_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    there, asked = write_encoder(tmp_path / "there"), []

    def ask(url, timeout):
        asked.append(url)
        if not (there / url.partition(f"{REVISION}/")[2]).is_file():
            from huggingface_hub.errors import EntryNotFoundError

            raise EntryNotFoundError(url)

    def bring(repository, file, revision, local_dir):
        assert (repository, revision) == ("owner/name", REVISION)
        (local_dir / file).parent.mkdir(parents=True, exist_ok=True)
        (local_dir / file).write_bytes((there / file).read_bytes())

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", ask)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", bring)
    assert from_hub("owner/name", REVISION).digest == from_hub("owner/name", REVISION).digest
    before = f"https://huggingface.co/owner/name/resolve/{REVISION}/"
    assert [url.removeprefix(before) for url in asked] == [
        "onnx/model.onnx", "model.onnx", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "tokenizer.json"
    ]  # fmt: skip


@pytest.mark.slow
def test_a_hub_that_never_answers_is_given_up_within_seconds(tmp_path, run_python):
    """The server accepts, and is silent; the download itself would wait for it for five minutes."""
    program = f"from siamese.pretrained import encoders\nencoders.find('owner/name@{REVISION}')"
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections wait in its queue
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        done = run_python("-c", program, HF_ENDPOINT=address, XDG_CACHE_HOME=str(tmp_path), HF_HOME=str(tmp_path))
        seconds = time.monotonic() - started
    assert done.returncode == 1
    [*_, message] = done.stderr.splitlines()
    folder = tmp_path / "siamese" / "hub" / f"owner--name@{REVISION}"
    assert message.startswith("ValueError: owner/name cannot be downloaded (ReadTimeout); put these files of")
    assert f"into {folder}: onnx/model.onnx, tokenizer.json, and" in message
    assert seconds < 60  # 9 on an idle machine


def test_a_description_names_no_secret_place(folder):
    assert not re.search(re.escape(str(folder.parent)), json.dumps(from_folder(folder).describe()))
