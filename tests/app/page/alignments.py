"""Answers as the API writes them, small enough to know by heart."""


def tokens(text, *words):
    """Words of `text` with their ranges, in order."""
    found, place = [], 0
    for word in words:
        start = text.index(word, place)
        place = start + len(word)
        found.append({"text": word, "start": start, "end": place})
    return found


def matrix(source, target, source_words, target_words, weights, *, level="word"):
    rows = [{**token, "log_prob": -0.5} for token in tokens(target, *target_words)]
    return {
        "segment": 0,
        "level": level,
        "form": "dense",
        "source_tokens": tokens(source, *source_words),
        "target_tokens": rows,
        "eos": {"source_mass": [round(1 - sum(row), 6) for row in weights], "target_row": None},
        "weights": weights,
    }


def alignment(*segments, kind="attention"):
    return {"version": 1, "kind": kind, "offset_encoding": "utf-16", "segments": list(segments)}


def answer(source, hypotheses, *, model="tiny", **more):
    """An answer for one text; `hypotheses` are pairs of a text and its alignment, best first."""
    shown = [
        {
            "text": text,
            "score": -1.0 - place,
            "log_prob": -2.0 - place,
            "finish_reason": "stop",
            "segments": [],
            "alignment": alignment,
        }
        for place, (text, alignment) in enumerate(hypotheses)
    ]
    best = {**shown[0], "source_lang": "en", "target_lang": "fr", "alternatives": shown[1:]}
    return {
        "model": {"name": model, "digest": "0" * 64},
        "translations": [best],
        "usage": {"characters": len(source), "source_tokens": 4, "target_tokens": 4},
        **more,
    }


SOURCE = "The white house"
TARGET = "La maison blanche"
WORDS = (["The", "white", "house"], ["La", "maison", "blanche"])
WEIGHTS = [[0.8, 0.05, 0.1], [0.1, 0.1, 0.8], [0.0, 0.9, 0.05]]
HOUSE = alignment(
    matrix(SOURCE, TARGET, *WORDS, WEIGHTS),
    matrix(
        SOURCE,
        TARGET,
        ["The", "wh", "ite", "house"],
        ["La", "maison", "blanche"],
        [[0.8, 0.05, 0.0, 0.1], [0.1, 0.05, 0.05, 0.8], [0.0, 0.5, 0.4, 0.05]],
        level="piece",
    ),
)
OTHER_TARGET = "La blanche maison"
OTHER_HOUSE = alignment(
    matrix(
        SOURCE,
        OTHER_TARGET,
        WORDS[0],
        ["La", "blanche", "maison"],
        [[0.7, 0.1, 0.1], [0.05, 0.85, 0.05], [0.1, 0.1, 0.7]],
    )
)
HOUSES = answer(SOURCE, [(TARGET, HOUSE), (OTHER_TARGET, OTHER_HOUSE)])
