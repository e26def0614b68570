"""Ctrl-C, which also works where the suite itself was started with SIGINT ignored."""

import signal
import threading

import pytest


@pytest.fixture
def press_ctrl_c():
    """A function that sends SIGINT to the main thread, which handles it as Python does by default.

    `nohup`, and a shell that starts a step in the background, pass on an ignored SIGINT.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread().ident
    yield lambda: signal.pthread_kill(main, signal.SIGINT)
    signal.signal(signal.SIGINT, before)
