import os
import signal
import subprocess
import sys
import time

import pytest

from philic.workflows.engine.leaving import MARGIN_S, SIGNALS, LeaveError, Leaving


def test_nobody_leaves_without_a_reason():
    leaving = Leaving()
    leaving.check()
    leaving.until = time.time() + 2 * MARGIN_S
    leaving.check()


def test_before_the_walltime_ends():
    leaving = Leaving()
    leaving.until = time.time() + MARGIN_S - 1
    with pytest.raises(LeaveError, match="the walltime ends"):
        leaving.check()


def test_earlier_where_force_calls_take_long():
    leaving = Leaving()
    leaving.check()
    leaving._last -= 100.0  # as if the last force call had taken 100 s
    leaving.until = time.time() + 150.0
    with pytest.raises(LeaveError, match="the walltime ends"):
        leaving.check()


def test_no_step_takes_it_for_its_own_failure():
    assert not issubclass(LeaveError, Exception)


LISTENER = """
import time
from philic.workflows.engine.leaving import LEAVING, LeaveError
LEAVING.listen()
print("on", flush=True)
try:
    while True:
        LEAVING.check()
        time.sleep(0.01)
except LeaveError as why:
    print(why)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_heard_at_the_next_force_call(number):
    process = subprocess.Popen([sys.executable, "-c", LISTENER], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "on\n"
    os.kill(process.pid, number)
    said, _ = process.communicate(timeout=30)
    assert said.strip() == signal.Signals(number).name
    assert process.returncode == 0
