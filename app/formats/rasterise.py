"""Run as a program of its own: an SVG from standard input becomes a PNG on standard output.

    python -I rasterise.py SCALE FONT system-fonts|own-font

The rasteriser holds Python's global lock while it draws, which would stop every request of the
service, and it is machine code that reads what callers wrote: both stay outside of its process.
"""

import sys

import resvg_py


def main() -> None:
    """Draw at `SCALE` pixels for one of the SVG, with `FONT` and, if asked, the machine's fonts."""
    scale, font, fonts = sys.argv[1:]
    drawn = resvg_py.svg_to_bytes(
        svg_string=sys.stdin.buffer.read().decode(),
        zoom=float(scale),
        skip_system_fonts=fonts != "system-fonts",
        font_files=[font],
    )
    sys.stdout.buffer.write(drawn)


if __name__ == "__main__":
    main()
