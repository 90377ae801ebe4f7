"""Ctrl-C, SIGTERM and SIGHUP end a command at once, whatever it is at; SIGUSR1 asks it to drain.

An exception that a signal raises may come anywhere: within a callback of a C library, which swallows it, in a compiled
kernel, which makes another one of it, or between a library's taking of a lock and its noting so. But what a run has
finished is on the disk, whole, whatever ends it. So nothing is unwound. A thread of its own waits for the signals; it
says what is kept, ends the processes that this one started, undoes what would outlive it (`cluster.leaving`), and
leaves; a second signal leaves at once. All other threads, and those processes, have the signals blocked.

SIGUSR1, which batch systems send before walltime, asks to drain: what has begun is finished, and nothing more begun.

Nothing heavy is imported here: the command listens before it loads anything.
"""

import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_CODE = 130  # Exit.INTERRUPTED
_PATIENCE = 1.0
_SHOW_CURSOR = "\x1b[?25h\n"  # a progress bar hides it, and stands in the line

_listener: threading.Thread | None = None
_stopping = threading.Event()
_over = threading.Event()
_draining = threading.Event()
_unbroken = threading.RLock()
_kept = ""
_ended: set[int] = set()
_before: dict[int, Any] = {}


def listen() -> None:
    """Answer SIGINT, SIGTERM and SIGHUP (unless the parent had them ignored) and SIGUSR1 from now on."""
    global _listener
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = {signal.SIGUSR1, *(number for number in stops if signal.getsignal(number) is not signal.SIG_IGN)}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    _listener = threading.Thread(target=_answer, args=(numbers,), daemon=True)
    _listener.start()
    for number in numbers:  # for what unblocks them, as multiprocessing does for a moment
        _before[number] = signal.signal(number, lambda number, _: _receive(number))


@contextmanager
def listening() -> Iterator[None]:
    """Answer signals within this block, unless the process listens for good."""
    if _listener is not None:
        yield
        rest_if_stopping()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    listen()
    try:
        yield
    finally:
        rest_if_stopping()
        _end_listening()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_listening() -> None:
    global _listener, _kept
    if _listener is not None and _listener.ident is not None:
        _over.set()
        signal.pthread_kill(_listener.ident, signal.SIGUSR1)
        _listener.join()
        _over.clear()
    for number, handler in _before.items():
        signal.signal(number, handler)
    _before.clear()
    _listener, _kept = None, ""


def keeps(what: str) -> None:
    """Say what is kept of the command that runs, for the line that an interrupt ends in."""
    global _kept
    _kept = f"; {what}"


def draining() -> bool:
    """Whether nothing more is to be begun."""
    return _draining.is_set()


def rest_if_stopping() -> None:
    """Do nothing more if this process is being ended: what goes wrong meanwhile is no result."""
    if _stopping.is_set():
        threading.Event().wait()


@contextmanager
def unbroken() -> Iterator[None]:
    """Let the first signal wait for the end of a short block that must not be left half done."""
    with _unbroken:
        yield


def ended_processes() -> set[int]:
    """Numbers of this process and of those that were ended with it."""
    return {os.getpid(), *_ended}


def _answer(numbers: Collection[int]) -> None:
    while True:
        number = signal.sigwait(numbers)
        if _over.is_set():
            return
        _receive(number)


def _receive(number: int) -> None:
    if number == signal.SIGUSR1:
        _draining.set()
    elif not _stopping.is_set():
        _stopping.set()
        threading.Thread(target=_stop, daemon=True).start()
    else:
        _leave()


def _stop() -> None:
    _say(f"crbatch: interrupted, stopping{_kept}\n")
    _unbroken.acquire(timeout=_PATIENCE)
    _end_processes()
    if leaving := sys.modules.get("crbatch.cluster.leaving"):
        leaving.undo_all()
    _leave()


def _say(line: str) -> None:
    """Write a line on stderr, the last one: what others make of being ended is not for the user."""
    with suppress(OSError):
        os.write(2, ((_SHOW_CURSOR if os.isatty(2) else "") + line).encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)


def _end_processes() -> None:
    """Kill what this process started, but multiprocessing's tracker, which tidies up after it."""
    import psutil

    children = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "multiprocessing.resource_tracker" not in " ".join(child.cmdline()):
                child.kill()
                children.append(child)
    _ended.update(child.pid for child in children)
    psutil.wait_procs(children, timeout=_PATIENCE)


def _leave() -> None:
    """End this process, and what it may have started since."""
    with suppress(Exception):
        _end_processes()
    os._exit(_CODE)
