"""A translated line as a line of the output; one that was not translated keeps its place."""

import json
from collections.abc import Callable, Mapping

from app.bulk.translation import TranslatedLine
from app.composition import TextTranslation
from app.formats.json_document import LOG_PROB_DECIMALS, alignment_reply
from app.models import LoadedModel
from app.rendering import aligned_text
from app.schemas import AlignmentRequest
from model.pharaoh import to_pharaoh

LineWriter = Callable[[TranslatedLine, LoadedModel, AlignmentRequest], str]
"""Line, model and which links are asked for; gives a line without its end."""

_SPACES = str.maketrans(dict.fromkeys("\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029", " "))
"""What would break a line or a column."""


def tsv(done: TranslatedLine, _model: LoadedModel, _asked: AlignmentRequest) -> str:
    """Source and translation; two empty columns where there is none."""
    if done.translation is None:
        return "\t"
    return f"{done.line.text.translate(_SPACES)}\t{done.translation.text.translate(_SPACES)}"


def jsonl(done: TranslatedLine, model: LoadedModel, asked: AlignmentRequest) -> str:
    """The translation with its alignment as links, or the `problem` of the line."""
    if done.translation is None:
        return json.dumps({"line": done.line.number, "problem": done.problem})
    translation = done.translation
    document = {
        "line": done.line.number,
        "source": translation.source,
        "translation": translation.text,
        "score": round(translation.score, LOG_PROB_DECIMALS),
        "log_prob": round(translation.log_prob, LOG_PROB_DECIMALS),
        "finish_reason": "stop" if translation.finished else "length",
        "alignment": None,
    }
    if model.has_attention:
        languages = model.source_language, model.target_language
        aligned = aligned_text(translation, languages, asked.kind, ["word"])
        document["alignment"] = alignment_reply(aligned, asked).model_dump(mode="json")
    return json.dumps(document, ensure_ascii=False)


def pharaoh(done: TranslatedLine, _model: LoadedModel, asked: AlignmentRequest) -> str:
    """`source-target` pairs of the line's words, counted through all of its sentences."""
    return "" if done.translation is None else line_links(done.translation, asked)


def line_links(translation: TextTranslation, asked: AlignmentRequest) -> str:
    """Word links of a whole text as Pharaoh writes them."""
    pairs: list[tuple[int, int]] = []
    source_words = target_words = 0
    for sentence in translation.sentences:
        own_threshold = translation.threshold(asked.kind)
        alignment = sentence.alignment("word", asked.kind, own_threshold)
        pairs += [
            (source_words + link.source, target_words + link.target)
            for link in alignment.links(asked.threshold)
        ]
        source_words += len(alignment.source)
        target_words += len(alignment.target)
    return to_pharaoh(pairs)


BULK_FORMS: Mapping[str, LineWriter] = {"tsv": tsv, "jsonl": jsonl, "pharaoh": pharaoh}
