"""`python -m app`: runs a command of `app/commands.py`; `serve` holds signals back from here on."""

import sys

from app.held_signals import hold_hangups


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:2] == ["serve"]:
        hold_hangups()
    # Only now: importing the commands takes seconds, in which a signal may come already.
    from app.commands import commands

    commands(prog_name="python -m app")


if __name__ == "__main__":
    main()
