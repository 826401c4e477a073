"""Signs of life while something takes long."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beating(beat: Callable[[], bool], every_s: float) -> Iterator[None]:
    """Call a function from another thread at intervals, as long as it returns True and this context lasts."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(every_s) and beat():
            pass

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
