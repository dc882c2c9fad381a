"""Child processes: servers and clients. They end with this process, however it ends, and what they cost is read from the kernel."""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def die_with_parent():
    """Runs in the child: the kernel kills it when the process that started it has ended."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(args, **kwargs):
    return subprocess.Popen([str(a) for a in args], preexec_fn=die_with_parent, **kwargs)


def output(*args):
    """Runs a command to its end; what it prints is JSON."""
    process = start(args, stdout=subprocess.PIPE)
    printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{Path(args[0]).name} ended with {process.returncode}: see its error above")
    return json.loads(printed)


def stop(process):
    """Ends a process of ours as Kubernetes would."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid):
    """User and system time of a process and of its threads that have ended, in nanoseconds' resolution (/proc/PID/stat has 10 ms)."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock of clock_getcpuclockid(3)


def memory(pid):
    """Bytes that are resident: {"VmRSS": now, "VmHWM": the peak, "RssAnon": what no file backs, ...}."""
    fields = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            fields[name] = int(value.split()[0]) * 1024
    return fields


class Scratch:
    """A folder for one run. What runs left that were killed is removed with it."""

    def __init__(self, parent):
        parent = Path(parent)
        parent.mkdir(parents=True, exist_ok=True)
        with open(parent / "lock", "a") as lock:  # so that nobody takes a folder for left over that is not locked yet
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in parent.glob("run-*"):
                with open(left / "lock", "a") as of_run:
                    if held(of_run):
                        shutil.rmtree(left, ignore_errors=True)
            self.path = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
            self.lock = open(self.path / "lock", "a")
            held(self.lock)

    def folder(self, name):
        path = self.path / name
        path.mkdir(exist_ok=True)
        return path

    def remove(self, name):
        shutil.rmtree(self.path / name, ignore_errors=True)

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.close()


def held(lock):
    """Takes the lock of a file unless another process has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


class Server:
    """A server that prints `listening on LOCATION`."""

    def __init__(self, name, args, log):
        self.name = name
        self.log = log
        self.started = time.monotonic()
        with open(log, "ab") as errors:
            self.process = start(args, stdout=subprocess.PIPE, stderr=errors, env=os.environ | {"PYTHONUNBUFFERED": "1"})
        line = self.process.stdout.readline().decode()
        if not line.startswith("listening on "):
            self.stop()
            raise RuntimeError(f"{name}: expected the line \"listening on LOCATION\", got {line!r}; its log ends with:\n{self.tail()}")
        self.location = line.removeprefix("listening on ").strip()

    def tail(self):
        return "\n".join(Path(self.log).read_text().splitlines()[-20:])

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def memory(self):
        return memory(self.process.pid)

    def stop(self):
        stop(self.process)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Client:
    """A process that runs bench.client, asked by a line of JSON at a time."""

    def __init__(self, location="", ca=None, environment=None):
        self.process = start([sys.executable, "-m", "bench.client", location, ca or ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env=os.environ | (environment or {}))
        self.answer()  # that it is ready

    def send(self, what, **args):
        self.process.stdin.write(json.dumps({"do": what, **args}).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("a client has ended: see its error above")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def ask(self, what, **args):
        self.send(what, **args)
        return self.answer()

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def stop(self):
        self.process.stdin.close()
        stop(self.process)
        self.process.stdout.close()
