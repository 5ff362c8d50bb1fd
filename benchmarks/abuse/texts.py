"""B: what a text can hold, and how much of it."""

import json
import math
import time

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.json_bodies import refused, tally
from benchmarks.abuse.service import CANARY
from benchmarks.abuse.tested import proved_by
from benchmarks.abuse.wire import post
from model.checkpoint import load_checkpoint
from tests.unicode_texts import NASTY_TEXTS

BIDI = "\u202eabc\u202c \u2066x\u2069 \U000e0041\U000e0042"
STRANGE = [
    *(text for text in NASTY_TEXTS if text.strip() and "\0" not in text),
    BIDI, "o" + "\u0301" * 400, "Ω Ω \ufffe \uffff", "\x01\x02 a \x85\u2028b\u2029c", "🏴󠁧󠁢󠁥󠁮󠁧󠁿 flag",
]  # fmt: skip


@case(
    "B1", "U+0000, controls, U+FFFE, U+2028 in texts", "NUL: 422 with its place; others 200, kept"
)
async def control_characters(bench: Bench) -> str:
    service = await bench.shared()
    nul = await service.translate("ab\0cd")
    error = nul.json()["errors"][0]
    require(nul.status_code == 422 and "at 2" in error["message"], f"U+0000: {nul.status_code}")
    kept = 0
    numbers = (*range(1, 0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF, 0x2028, 0x2029, 0xAD)
    for number in numbers:
        text = f"a {chr(number)} b."
        reply = await service.translate(text, store=True)
        require(reply.status_code == 200, f"U+{number:04X}: {reply.status_code}")
        stored = await service.http.get(f"/v1/translations/{reply.json()['id']}")
        kept += stored.content == reply.content
    both = await proved_by("tests/app/storage/test_records.py")
    figure = (
        f"NUL refused at its place, {kept} of {len(numbers)} kept byte for byte; "
        f"both databases: {both}"
    )
    require(kept == len(numbers), figure)
    return figure


@case(
    "B2",
    "RTL, overrides, ZWJ, 400 marks, NFD, tags, astral, mixed",
    "rows ±1e-4, spans are the text",
)
async def strange_scripts(bench: Bench) -> str:
    service = await bench.shared()
    rows = 0
    for text in STRANGE:
        levels = ["word", "piece"] if len(text) < 200 else ["word"]  # a matrix has a largest size
        reply = await service.translate(text, alignment={"level": levels})
        require(reply.status_code == 200, f"{text[:20]!a}: {reply.status_code}")
        translation = reply.json()["translations"][0]
        for matrix in translation["alignment"]["segments"]:
            rows += check_matrix(matrix, text, translation["text"])
    return f"{len(STRANGE)} texts, {rows} rows within 1e-4, every span is its text"


def check_matrix(matrix: dict, source: str, target: str) -> int:
    """Every span is its text, every row is complete; gives the number of rows."""
    for token in matrix["source_tokens"]:
        require(source[token["start"] : token["end"]] == token["text"], "a source span is off")
    for token in matrix["target_tokens"]:
        require(target[token["start"] : token["end"]] == token["text"], "a target span is off")
    masses = matrix["eos"]["source_mass"]
    for row, eos in zip(matrix["weights"], masses, strict=True):
        require(len(row) == len(matrix["source_tokens"]), "a row has another length")
        require(all(math.isfinite(one) and one >= 0 for one in row), "a weight is no weight")
        require(abs(sum(row) + eos - 1) <= 1e-4, f"a row sums to {sum(row) + eos}")
    return len(masses)


@case("B3", "one word of 10k, 100k; 10k emoji", "422 in < 20 ms; reading 10k ≤ 15 × 1k characters")
async def long_words(bench: Bench) -> str:
    service = await bench.shared()
    fits = await service.translate("a" * 900, decoding={"beam_size": 1, "max_length": 9})
    require(fits.status_code == 200, f"900 characters: {fits.status_code} {fits.text[:99]}")
    texts = ("a" * 10_000, "a" * 100_000, "😀" * 10_000)
    bodies = [json.dumps({"text": text}, ensure_ascii=False).encode() for text in texts]
    replies = [await post(service.port, body) for body in bodies * 5]
    refused(replies, 422)
    middle = 1000 * sorted(reply.seconds for reply in replies)[len(replies) // 2]
    tokenizer = load_checkpoint(next(bench.checkpoints.glob("*"))).source_tokenizer
    short, long = (
        min(_seconds(tokenizer, "ab" * (n // 2)) for _ in range(5)) for n in (1_000, 10_000)
    )
    figure = f"{tally(replies)}, median {middle:.0f} ms; reading takes {long / short:.0f} × as long"
    require(middle < 20 and long / short <= 15, figure)
    return figure


def _seconds(tokenizer: object, text: str) -> float:
    began = time.perf_counter()
    tokenizer.encode(text)  # type: ignore[attr-defined]
    return time.perf_counter() - began


@case(
    "B4",
    "empty, spaces, ZWSP, among 31 good texts; punctuation; what no piece covers",
    "31 of 32 succeed",
)
async def empty_texts(bench: Bench) -> str:
    service = await bench.shared()
    for text in ("", "   ", "\u200b", "\u200b\u200d\ufeff", "\t\n", "\u00ad"):
        alone = await service.translate(text)
        code = alone.json().get("code")
        require((alone.status_code, code) == (422, "empty_text"), f"{text!a}: {alone.status_code}")
        texts = ["The cat sleeps."] * 32
        texts[17] = text
        some = await service.translate(texts, on_error="partial")
        items = some.json().get("translations", [])
        good = sum("text" in item for item in items)
        problems = [item["problem"]["pointer"] for item in items if "problem" in item]
        require((good, problems) == (31, ["/text/17"]), f"{text!a}: {good} of 32, {problems}")
    for text in ("?!", "…", "☃☄★", "日本語", "🐟"):
        require((await service.translate(text)).status_code == 200, f"{text}: not 200")
    return "31 of 32 for each of 6 kinds of nothing; 5 texts of odd characters 200"


@case("B5", "a network that never ends a sentence", "`length`, tokens ≤ min(cap, 2·source + 20)")
async def endless_output(bench: Bench) -> str:
    service = await bench.shared()
    figures = []
    for text in ("the cat", "cat " * 40, "a" * 100):
        reply = await service.translate(text, include=["tokens"], alignment=None)
        [translation] = reply.json()["translations"]
        for segment in translation["segments"]:
            source, target = (len(segment[f"{side}_pieces"]) for side in ("source", "target"))
            most = min(600, 2 * (source + 1) + 20)
            require(target <= most, f"{target} pieces for {source}")
            if target >= most - 1:
                require(segment["finish_reason"] == "length", "the end is not told as `length`")
            figures.append(f"{target}/{most}")
    return f"pieces of the most there may be: {', '.join(figures)}"


@case(
    "B6",
    "beam_size, n_best, max_length of 10^6 and −1; n_best above beam_size",
    "422 with the maximum, RSS +0",
)
async def huge_options(bench: Bench) -> str:
    service = await bench.shared()
    before = await service.stable_rss()
    replies = []
    for field in ("beam_size", "n_best", "max_length"):
        for number in (10**6, -1, 10**18):
            body = {"text": CANARY, "decoding": {field: number}}
            replies.append(await post(service.port, json.dumps(body).encode()))
    body = {"text": CANARY, "decoding": {"beam_size": 2, "n_best": 3}}
    replies.append(await post(service.port, json.dumps(body).encode()))
    refused(replies, 422)
    told = json.loads(replies[0].body)["detail"]
    grown = (await service.stable_rss() - before) / 1e6
    figure = f"{tally(replies)}, “{told}”, RSS {grown:+.1f} MB"
    require("8" in told and grown < 1, figure)
    return figure


@case(
    "B7",
    "33 texts; 1 bad of 32; duplicates; batch and single",
    "in order; same tokens, |Δ weight| ≤ 1e-5",
)
async def batches(bench: Bench) -> str:
    service = await bench.shared()
    many = await service.translate(["a"] * 33)
    require((many.status_code, many.json()["code"]) == (422, "too_many_texts"), "33 texts pass")
    texts = [f"The cat sees bird number {number} and sleeps." for number in (1, 2, 2, 3, 14, 159)]
    together = (await service.translate(texts)).json()["translations"]
    alone = [(await service.translate(text)).json()["translations"][0] for text in texts]
    gap = 0.0
    for one, other in zip(together, alone, strict=True):
        require(one["text"] == other["text"], "a batch gives another text")
        for a, b in zip(_weights(one), _weights(other), strict=True):
            gap = max(gap, abs(a - b))
    figure = f"{len(texts)} texts, same in a batch and alone, largest difference {gap:.1e}"
    require(gap <= 1.01e-5, figure)
    return figure


def _weights(translation: dict) -> list[float]:
    segments = translation["alignment"]["segments"]
    return [one for segment in segments for row in segment["weights"] for one in row]


@case("B8", "unknown pair, same language, EN, en_US, auto, 1 kB code", "422 that lists the pairs")
async def languages(bench: Bench) -> str:
    service = await bench.shared()
    pairs = [
        ("en", "xx"),
        ("en", "en"),
        ("EN", "fr"),
        ("en_US", "fr"),
        ("auto", "fr"),
        ("x" * 1_000, "fr"),
    ]
    listed = 0
    for source, target in pairs:
        reply = await service.translate(source_lang=source, target_lang=target)
        require(reply.status_code == 422 and len(reply.content) < 2_000, f"{source[:9]}: {reply}")
        listed += "→" in reply.json()["detail"]
    figure = f"{len(pairs)}×422, {listed} list the pairs (a code above 35 letters is no code)"
    require(listed == len(pairs) - 1, figure)
    return figure


@case(
    "B9",
    "markup as source, target and language names, in Chromium",
    "0 dialogs, 0 outside requests",
)
async def markup(bench: Bench) -> str:  # noqa: ARG001
    return await proved_by("tests/app/page/test_hostile_text.py")


@case("B10", "right-to-left text in the page", "label order right, isolated")
async def right_to_left(bench: Bench) -> str:  # noqa: ARG001
    return await proved_by(
        "tests/app/page/test_appearance.py::test_right_to_left_languages_read_as_they_should",
        "tests/app/page/test_component.py::test_right_to_left_text_runs_from_right_to_left",
        "tests/app/formats/test_labels.py",
    )
