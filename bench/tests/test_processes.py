import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from bench import processes


def alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


class Processes(unittest.TestCase):
    def process(self, code, *args):
        """A Python that has ended when the test has."""
        p = processes.start([sys.executable, "-c", code, *args], stdout=subprocess.PIPE)
        self.addCleanup(p.stdout.close)
        self.addCleanup(processes.stop, p)
        return p

    def test_children_end_with_a_run_that_is_killed(self):
        run = self.process("import time; from bench.processes import start; print(start(['sleep', '600']).pid, flush=True); time.sleep(600)")
        child = int(run.stdout.readline())
        self.assertTrue(alive(child))
        run.kill()
        run.wait()
        deadline = time.monotonic() + 10
        while alive(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertFalse(alive(child))

    def test_the_next_run_removes_what_a_killed_one_left_and_spares_those_that_run(self):
        with tempfile.TemporaryDirectory() as parent:
            code = "import sys, time; from bench.processes import Scratch; s = Scratch(sys.argv[1]); print(s.path, flush=True); time.sleep(600)"
            killed, running = (self.process(code, parent) for _ in range(2))
            left, used = (Path(p.stdout.readline().decode().strip()) for p in (killed, running))
            killed.kill()
            killed.wait()
            self.assertTrue(left.exists() and used.exists())
            mine = processes.Scratch(parent)
            self.assertFalse(left.exists())
            self.assertTrue(used.exists())
            mine.close()

    def test_cpu_time_counts_threads_that_have_ended(self):
        burn = "import threading, time\ndef f():\n  end = time.thread_time() + 0.2\n  while time.thread_time() < end: pass\n"
        code = burn + "t = threading.Thread(target=f); t.start(); t.join(); print(time.process_time(), flush=True); time.sleep(600)"
        p = self.process(code)
        own = float(p.stdout.readline())
        self.assertGreaterEqual(processes.cpu_seconds(p.pid), own)
        self.assertGreaterEqual(own, 0.2)
        self.assertGreater(processes.memory(p.pid)["VmHWM"], 1 << 20)
        processes.stop(p)
        self.assertFalse(os.path.exists(f"/proc/{p.pid}"))
