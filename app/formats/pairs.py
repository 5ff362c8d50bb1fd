"""Links as pairs: Pharaoh's indices and the character ranges of Azure's `proj`."""

from app.formats.aligned import AlignedText, FormatOptions
from model.offsets import offset_converter
from model.pharaoh import to_pharaoh


def pharaoh(aligned: AlignedText, options: FormatOptions) -> bytes:
    """One line a segment: zero-based `source-target` pairs of its tokens, by source."""
    lines = [
        to_pharaoh(
            (link.source, link.target) for link in one.alignment.links(options.alignment.threshold)
        )
        for one in aligned.segments
    ]
    return "".join(line + "\n" for line in lines).encode()


def azure_proj(aligned: AlignedText, options: FormatOptions) -> bytes:
    """One line for the text: `start:end-start:end`, source first, both ends inclusive.

    The form of `alignment.proj` in Azure's Translator 3.0. Tokens without characters (pieces can
    be such) have no inclusive range and are left out.
    """
    encoding = options.alignment.offset_encoding
    at_source = offset_converter(aligned.source, encoding)
    at_target = offset_converter(aligned.target, encoding)
    ranges = [
        (
            at_source(source.start),
            at_source(source.end),
            at_target(target.start),
            at_target(target.end),
        )
        for one in aligned.segments
        for link in one.alignment.links(options.alignment.threshold)
        for source in [one.alignment.source[link.source]]
        for target in [one.alignment.target[link.target]]
        if source.text and target.text
    ]
    written = (
        f"{source}:{source_end - 1}-{target}:{target_end - 1}"
        for source, source_end, target, target_end in sorted(set(ranges))
    )
    return (" ".join(written) + "\n").encode()
