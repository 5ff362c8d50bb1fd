"""Keeps SIGHUP waiting while the service starts, which it would end: nobody handles it yet.

The kernel holds it, once however often it was sent, until it is let through.
"""

import signal

HANGUP = {signal.SIGHUP}


def hold_hangups() -> None:
    """Let SIGHUP wait from now on; threads and processes that are started have it wait too."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANGUP)


def release_hangups() -> None:
    """Take SIGHUP, and one that waits at once, in this thread; for whoever handles it by now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANGUP)
