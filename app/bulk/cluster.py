"""Many files on many machines: each is a run of its own, and Ray Data hands the files out.

A part of a corpus is translated by the very function that translates one file, so it has the same
order, the same journal and the same answer to a kill; parts that are complete are not begun again.
Input and output have to be where every worker reaches them: a shared file system.
"""

import importlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Part = Mapping[str, str]
"""`input` and `output` of one part, as paths."""


class ClusterError(Exception):
    """The parts cannot be handed out; the message says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker does: `begin` once, and what that gives with each part."""

    begin: Callable[[], Callable[[Path, Path], int]]
    """Loads the model; gives what translates one file to another, and its exit code."""


class PartTranslator:
    """One worker; made where it works."""

    def __init__(self, work: Work) -> None:
        self._translate = work.begin()

    def __call__(self, part: Part) -> dict[str, object]:
        """Translate one part."""
        code = self._translate(Path(part["input"]), Path(part["output"]))
        return {"input": part["input"], "code": code}


def parts_of(folder: Path, output: Path, form: str) -> list[Part]:
    """The files of a folder that are not translated yet, by name; raises ClusterError."""
    if not folder.is_dir():
        raise ClusterError(f"{folder} is not a folder: with --ray, --input holds a file a part")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if not files:
        raise ClusterError(f"{folder} has no file: with --ray, --input holds a file a part")
    output.mkdir(parents=True, exist_ok=True)
    pairs = [(path, output / f"{path.name}.{form}") for path in files]
    return [
        {"input": str(path.resolve()), "output": str(target.resolve())}
        for path, target in pairs
        if not target.exists()
    ]


def translate_parts(parts: Sequence[Part], work: Work, workers: int) -> Counter[int]:
    """Translate all parts with so many workers of one core each; how many ended with which code.

    Uses the cluster that `RAY_ADDRESS` names, or this machine. Raises ClusterError without Ray.
    """
    try:
        ray = importlib.import_module("ray")
        data = importlib.import_module("ray.data")
    except ImportError:
        raise ClusterError("--ray needs the extra `ray`: pip install 'softalign[ray]'") from None
    if not parts:
        return Counter()
    ray.init(ignore_reinit_error=True)
    rows = data.from_items([dict(part) for part in parts], override_num_blocks=len(parts))
    done = rows.map(
        PartTranslator,
        fn_constructor_args=(work,),
        compute=data.ActorPoolStrategy(size=min(workers, len(parts))),
        num_cpus=1,
    )
    return Counter(int(row["code"]) for row in done.take_all())
