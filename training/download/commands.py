"""The command `python -m training download NAME`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from training.download.checksums import Checksums
from training.download.public_corpora import (
    PublicCorpus,
    RemoteFile,
    find,
    known_names,
    notices,
    read_table,
)
from training.download.transfer import fetch
from training.download.unpack import write_splits
from training.interruption import run_lock
from training.resume import write_durably

console = Console(stderr=True)

TIMEOUT_SECONDS = 30.0
"""Longest wait for a connection or for the next bytes."""


def download(
    name: Annotated[
        str | None, typer.Argument(help="multi30k/en-de, tatoeba/en-fr, opus/Books/en-fr, …")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the corpus; without it, data/NAME.")
    ] = None,
    held_out: Annotated[
        int,
        typer.Option(min=1, help="Pairs for validation, and for test, of a corpus without such."),
    ] = 2000,
    list_corpora: Annotated[
        bool, typer.Option("--list", help="Name the corpora there are.")
    ] = False,
) -> None:
    """Fetch a public corpus and write it as TSV files; the same command goes on after a stop."""
    table = read_table()
    if list_corpora:
        for names, title in known_names(table):
            console.print(f"[bold]{title}[/bold]\n  {names}", highlight=False)
        return
    if name is None:
        raise typer.BadParameter("name a corpus, or see --list")
    corpus = find(name, table)
    folder = output or Path("data", *name.split("/"))
    with run_lock(folder):
        files = _fetch_all(corpus, folder)
        counts = write_splits(
            lambda split: corpus.rows(folder / "downloads", split),
            corpus.splits,
            folder,
            swap=name.rpartition("/")[2].split("-")[0] != corpus.first,
            held_out=held_out,
        )
        _write_licence(corpus, files, folder)
    _summarise(name, folder, counts)


def _fetch_all(corpus: PublicCorpus, folder: Path) -> list[RemoteFile]:
    about = corpus.about
    console.print(f"[bold]{about['title']}[/bold], {about['page']}", highlight=False)
    console.print(f"Licence: {escape(about['licence'])}", highlight=False)
    checksums = Checksums(folder / "SHA256SUMS")
    headers = {"User-Agent": "softalign (python -m training download)"}
    with (
        httpx.Client(follow_redirects=True, timeout=TIMEOUT_SECONDS, headers=headers) as client,
        _progress() as bar,
    ):
        files = corpus.files(client)
        for file in files:
            path = folder / "downloads" / file.name
            if checksums.matches(path):
                console.print(f"{file.name} is here already")
                continue
            _fetch_one(client, file, path, checksums, bar)
    return files


def _fetch_one(
    client: httpx.Client, file: RemoteFile, path: Path, checksums: Checksums, bar: Progress
) -> None:
    task = bar.add_task(file.name, total=None)
    found = fetch(
        client,
        file.address,
        path,
        sha256=file.sha256 or checksums.recorded(path),
        progress=lambda arrived, total: bar.update(task, completed=arrived, total=total),
    )
    if checksums.record(path, found) and file.sha256 is None:
        console.print(
            f"{file.name}: no SHA-256 was known; {found} is now on record in {checksums.file}"
        )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _write_licence(corpus: PublicCorpus, files: list[RemoteFile], folder: Path) -> None:
    about = corpus.about
    fetched = "\n".join(file.address for file in files)
    head = (
        f"{about['title']}\n{about['page']}\n\n{about['licence']}\n\n"
        f"Fetched on {datetime.now(UTC):%Y-%m-%d} from\n{fetched}\n"
    )
    text = "\n\n--------\n\n".join([head, *notices(corpus, folder / "downloads")])
    write_durably(folder / "LICENCE.txt", text.encode())


def _summarise(name: str, folder: Path, counts: dict[str, int]) -> None:
    source, target = name.rpartition("/")[2].split("-")
    for split, count in counts.items():
        console.print(
            f"{count:,} pairs in {folder / split}.tsv",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
    told = f"Licence and origin: {folder / 'LICENCE.txt'}. To train on it:"
    console.print(told, soft_wrap=True, markup=False)
    console.print(
        f'[data]\ntrain = "{folder / "train.tsv"}"\nvalidation = "{folder / "validation.tsv"}"\n'
        f'source_language = "{source}"\ntarget_language = "{target}"',
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
