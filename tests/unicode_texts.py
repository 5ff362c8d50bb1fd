"""Text that breaks offsets: the list and the hypothesis strategy that all text tests share."""

from hypothesis import strategies as st

NASTY_TEXTS = [
    "",
    "   ",
    "\t\n",
    "The cat  sees the dog.",
    "  leading and trailing  ",
    "ﬁn, ﬂat, oﬃce, ﬆ",
    "l’e\u0301te\u0301 de\u0301ja\u0300 vu",
    "a\u00a0b\u202f!\u2009c\u3000d",
    "« Où est la clé\u202f? »",
    "👩\u200d👩\u200d👧\u200d👦 👍🏽 🇫🇷🇩🇪 1\ufe0f\u20e3",
    "שלום, עולם! \u202bמימין\u202c",
    "مرحبا بالعالم ﷺ \u2067نص\u2069",
    "日本語のテキスト。中文，文本！",
    "ภาษาไทยง่ายนิดเดียว",
    "한국어 \u1112\u1161\u11ab",
    "①½ ㌔ Ⅳ x² …",
    "a" + "\u0301" * 300,
    "Z\u0351\u036b\u0343a\u0334l\u0322g\u0337o\u0489",
    "▁literal▁ ▁",
    "<s> </s> <unk> <pad> <0x41>",
    "nul\x00byte \x1f \x7f",
    "\ufeffbom soft\u00adhyphen zero\u200bwidth",
    "\U0010ffff \ufffd \ue000",
    "ẛ̣ İstanbul ß ŉ",
    "नमस्ते क्षत्रिय",
    "\u0600\u0661 \u0600 \u0d4e \u0d4eക",
    "あ。\u0301い、\u0301う",
]

_NASTY_CHARACTERS = (
    " \t\n\u00a0\u202f\u3000\u0301\u0323\u20e3\ufe0f\u200d\u200c\u200b\u00ad\u202b\u202c\ufeff▁"
    "ﬁﬃﷺ…½㌔éeaßİŉЖשמ日語のกำ한\u1112👩👧🏽🇫🇷.,'’-_1²<0xC3>\u0600\u0d4e、。"
)


def unicode_texts(max_size: int = 60) -> st.SearchStrategy[str]:
    """Half nasty characters, half any code point but surrogates."""
    anything = st.characters(exclude_categories=["Cs"])
    return st.text(st.one_of(st.sampled_from(_NASTY_CHARACTERS), anything), max_size=max_size)
