"""Signals end the process at once, amid compiled code too, but never amid a write."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from robust_dist.cli._streams import complain

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU")
_writing = threading.Lock()
_outcome = "nothing was written"


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Exit with status 128 + n and one line when signal number n arrives.

    Python runs its handlers between two steps of its own, which a sampler may take hours to reach.
    So a thread waits for what the interpreter notes the moment a signal comes. Signals that the
    process was started to ignore, as by ``nohup``, stay ignored.
    """
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    handlers = {
        number: signal.signal(number, lambda *_: None)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    earlier = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(receiver, handlers), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sender.close()
        watcher.join()
        receiver.close()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a signal that arrives within wait until the end."""
    with _writing:
        yield


def note_written(path: Path) -> None:
    """Remember where the results are, for a signal that arrives after they were written."""
    global _outcome
    _outcome = f"the results are in '{path}'"


def _watch(receiver: socket.socket, numbers: Collection[int]) -> None:
    """Wait for one of the signals, and end the process; or for the end of the watch."""
    while byte := receiver.recv(1):
        if byte[0] in numbers:
            with _writing:
                name = signal.Signals(byte[0]).name
                complain(f"interrupted by {name}; {_outcome}")
                os._exit(128 + byte[0])
