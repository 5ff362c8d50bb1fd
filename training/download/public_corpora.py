"""Which public corpora there are, where their files lie, and how pairs are read out of them.

`corpora.toml` has the addresses and licences. Three kinds of place need three kinds of reading; all
three give the lines of both languages as bytes, untouched: cleaning will say what is wrong with
them.
"""

import gzip
import json
import tomllib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from io import BufferedIOBase
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import httpx

from training.config import ConfigError
from training.download.transfer import DownloadError

TABLE = Path(__file__).with_name("corpora.toml")
HOW = "corpora are named multi30k/SOURCE-TARGET, tatoeba/SOURCE-TARGET or opus/CORPUS/SOURCE-TARGET"

Row = tuple[bytes, bytes, bytes]
"""Both sides as the corpus orders its languages, and what further columns should say."""
Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a corpus: where it is published and what it is called here."""

    address: str
    name: str
    sha256: str | None = None


@runtime_checkable
class PublicCorpus(Protocol):
    """One language pair of one corpus."""

    @property
    def about(self) -> Table:
        """`title`, `page` and `licence` for people."""

    @property
    def first(self) -> str:
        """The language of the first column of `rows`."""

    def files(self, client: httpx.Client) -> list[RemoteFile]:
        """What to fetch; DownloadError if the place that would know does not answer."""

    def rows(self, folder: Path, split: str) -> Iterator[Row]:
        """The pairs of one split, from the files in `folder`; DownloadError if they are broken."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Parts that the corpus itself is cut into; `all` where it is not."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Members of the archive that tell licence and origin, where it has them."""


def read_table(path: Path = TABLE) -> Table:
    """The table of known corpora."""
    table: Table = tomllib.loads(path.read_text(encoding="utf-8"))
    return table


def find(name: str, table: Table) -> PublicCorpus:
    """The corpus of this name; ConfigError says which names there are."""
    kind, *middle, pair = name.split("/") if "/" in name else (name, "")
    languages = tuple(pair.split("-"))
    if kind not in table:
        near = get_close_matches(kind, table, n=1)
        raise ConfigError(
            f"unknown corpus {name!r}{f'; did you mean {near[0]!r}?' if near else ''}; {HOW}"
        )
    corpus = middle[0] if len(middle) == 1 else ""
    if len(languages) != 2 or not all(languages) or len(set(languages)) != 2:
        raise ConfigError(f"{name!r} names no language pair such as en-fr; {HOW}")
    if (kind == "opus") != bool(corpus) or len(middle) > 1:
        raise ConfigError(f"{name!r} is no name of a corpus; {HOW}")
    match kind:
        case "multi30k":
            return _Multi30k(table[kind], _known(languages, table[kind]["languages"], name))
        case "tatoeba":
            _known(languages, ["en", *table[kind]["codes"]], name)
            if "en" not in languages:
                raise ConfigError(f"{name!r}: one side of these pairs is always English (en)")
            other = next(language for language in languages if language != "en")
            return _Tatoeba(table[kind], table[kind]["codes"][other])
        case _:
            return _Opus(table[kind], corpus, tuple(sorted(languages)))


def known_names(table: Table) -> Iterator[tuple[str, str]]:
    """Names to choose from and what they are, for `--list`."""
    multi30k, tatoeba, opus = table["multi30k"], table["tatoeba"], table["opus"]
    others = (language for language in multi30k["languages"] if language != "en")
    yield ", ".join(f"multi30k/en-{language}" for language in others), multi30k["title"]
    yield ", ".join(f"tatoeba/en-{language}" for language in tatoeba["codes"]), tatoeba["title"]
    yield (
        ", ".join(f"opus/{corpus}/en-fr" for corpus in opus["examples"]),
        "Corpora of OPUS, any other of its names and language pairs too",
    )


def _known(languages: tuple[str, ...], known: list[str], name: str) -> tuple[str, ...]:
    for language in languages:
        if language not in known:
            raise ConfigError(f"{name!r}: no {language!r} there; it has {', '.join(known)}")
    return languages


@dataclass(frozen=True, slots=True)
class _Multi30k:
    """Two gzipped files of lines for every split."""

    about: Table
    languages: tuple[str, ...]
    splits: tuple[str, ...] = ("train", "validation", "test")
    notices: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        return self.languages[0]

    def files(self, client: httpx.Client) -> list[RemoteFile]:  # noqa: ARG002 - they are known
        return [
            RemoteFile(
                self.about["address"].format(part=part, language=language),
                f"{split}.{language}.gz",
                self.about.get("sha256", {}).get(f"{part}.{language}.gz"),
            )
            for split, part in self.about["parts"].items()
            for language in self.languages
        ]

    def rows(self, folder: Path, split: str) -> Iterator[Row]:
        paths = [folder / f"{split}.{language}.gz" for language in self.languages]
        try:
            with gzip.open(paths[0]) as first, gzip.open(paths[1]) as second:
                yield from _parallel(first, second, [path.name for path in paths], b"multi30k")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DownloadError(f"{paths[0]} or {paths[1].name}: broken gzip ({error})") from error


@dataclass(frozen=True, slots=True)
class _Tatoeba:
    """One text in a zip: English, the other language, whose sentences they are."""

    about: Table
    code: str
    first: str = "en"
    splits: tuple[str, ...] = ("all",)
    notices: tuple[str, ...] = ("_about.txt",)

    def files(self, client: httpx.Client) -> list[RemoteFile]:  # noqa: ARG002 - they are known
        name = f"{self.code}-eng.zip"
        digest = self.about.get("sha256", {}).get(name)
        return [RemoteFile(self.about["address"].format(code=self.code), name, digest)]

    def rows(self, folder: Path, split: str) -> Iterator[Row]:  # noqa: ARG002 - there is one
        member = self.about["member"].format(code=self.code)
        with _archive(folder / f"{self.code}-eng.zip") as archive, _open(archive, member) as file:
            for line in file:
                english, _, rest = line.rstrip(b"\r\n").partition(b"\t")
                other, _, authors = rest.partition(b"\t")
                yield english, other, b"tatoeba\t" + authors


@dataclass(frozen=True, slots=True)
class _Opus:
    """Two texts in a zip whose address OPUS tells ("moses" format)."""

    about_all: Table
    corpus: str
    languages: tuple[str, ...]
    splits: tuple[str, ...] = ("all",)
    notices: tuple[str, ...] = ("LICENSE", "README")

    @property
    def about(self) -> Table:
        return self.about_all | {"title": self.about_all["title"].format(corpus=self.corpus)}

    @property
    def first(self) -> str:
        return self.languages[0]

    def files(self, client: httpx.Client) -> list[RemoteFile]:
        query = {
            "corpus": self.corpus,
            "source": self.languages[0],
            "target": self.languages[1],
            "preprocessing": "moses",
            "version": "latest",
        }
        place = self.about["address"]
        try:
            response = client.get(place, params=query).raise_for_status()
            found = [entry["url"] for entry in response.json()["corpora"]]
        except (httpx.HTTPError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise DownloadError(f"{place}: OPUS does not tell where it is ({error})") from error
        archives = [address for address in found if address.endswith(".zip")]
        if not archives:
            raise DownloadError(
                f"OPUS has no corpus {self.corpus!r} for {'-'.join(self.languages)}; "
                f"see {self.about['page']}"
            )
        name = f"{self.corpus}.zip"
        digest = self.about.get("sha256", {}).get(archives[0])
        return [RemoteFile(archives[0], name, digest)]

    def rows(self, folder: Path, split: str) -> Iterator[Row]:  # noqa: ARG002 - there is one
        ends = [f".{'-'.join(self.languages)}.{language}" for language in self.languages]
        with _archive(folder / f"{self.corpus}.zip") as archive:
            names = [name for end in ends for name in archive.namelist() if name.endswith(end)]
            if len(names) != 2:
                raise DownloadError(
                    f"{archive.filename}: no texts {' and '.join(ends)} in it, only "
                    f"{', '.join(archive.namelist())}"
                )
            with _open(archive, names[0]) as first, _open(archive, names[1]) as second:
                yield from _parallel(first, second, names, self.corpus.encode())


def notices(corpus: PublicCorpus, folder: Path) -> Iterator[str]:
    """What the fetched archives themselves say about licence and origin."""
    for path in sorted(folder.glob("*.zip")):
        with _archive(path) as archive:
            for name in archive.namelist():
                if name in corpus.notices:
                    with _open(archive, name) as file:
                        text = file.read(1 << 20).decode("utf-8", "replace")
                    yield f"{path.name}: {name}\n\n{text}"


def _parallel(
    first: BufferedIOBase, second: BufferedIOBase, names: Sequence[str], origin: bytes
) -> Iterator[Row]:
    lines = [0, 0]
    for sides in zip_longest(first, second):
        lines = [count + (side is not None) for count, side in zip(lines, sides, strict=True)]
        if sides[0] is not None and sides[1] is not None:
            one, other = (side.rstrip(b"\r\n").replace(b"\t", b" ") for side in sides)
            yield one, other, origin
    if lines[0] != lines[1]:
        raise DownloadError(
            f"{names[0]} has {lines[0]} lines but {names[1]} has {lines[1]}: they do not pair"
        )


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DownloadError(
            f"{path}: no whole zip archive ({error}); delete it and try again"
        ) from error


def _open(archive: zipfile.ZipFile, member: str) -> BufferedIOBase:
    try:
        file = archive.open(member)
    except KeyError as error:
        raise DownloadError(
            f"{archive.filename}: no {member} in it, only {', '.join(archive.namelist())}"
        ) from error
    assert isinstance(file, BufferedIOBase)
    return file
