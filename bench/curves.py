"""The scaling curves: rows of their own, one for each point."""

from dataclasses import dataclass, replace

from bench.stats import Figure
from bench.table import Get, in_memory

FLOAT_ROW = 8 * 8  # bytes of a row of the float64 table


@dataclass
class Curve:
    id: str
    title: str
    x: str
    points: list  # of (x, Row)
    # bound says in a sentence what bounds the throughput.
    bound: str = ""

    def brief(self):
        """The same with two points."""
        return replace(self, points=self.points[:2])


def get(id, file, **more):
    figures = [Figure("GB/s", "GB/s"), Figure("CPU s/GB", "s/GB", at_most=True), Figure("client CPU s/GB", "s/GB", at_most=True), Figure("busy", "")]
    return Get(id, id, figures, name="f64", dataset=lambda env: in_memory("f64", file(env.data)), file=file, **more)


@dataclass
class Message(Get):
    """DoGet in messages of a size: ours is told so by limits.maxMessageBytes, pyarrow's sends the table in batches of it."""

    bytes: int = 0

    def limits(self):
        return {"maxMessageBytes": str(2 * self.bytes)}  # ours cuts at half of it

    def datasets(self, env):
        dataset = in_memory("f64", env.data.floats())
        dataset.theirs["batch_rows"] = self.bytes // FLOAT_ROW
        return [dataset]


def curves():
    times = 4
    return [
        Curve("streams", "Streams at a time, a connection each, 32 MB a stream", "streams", [
            (n, get(f"curve-streams-{n}", lambda d: d.floats_sized(32), streams=n, connections=n, times=max(1, 16 // n))) for n in (1, 2, 4, 8, 16, 32, 64)],
            "CPU time: throughput is the time that client and server get, by what both spend on a GB, which the number of streams hardly changes."),
        Curve("message", "Size of a message", "KiB a message", [
            (kib, Message(f"curve-message-{kib}", "", get("", None).figures, name="f64", file=lambda d: d.floats(), bytes=kib << 10, times=2))
            for kib in (32, 128, 512, 1024)],
            "CPU time: what a message costs on either side, whatever its size, is paid more often the smaller messages are. All are of one size here, so that clients "
            "keep less of their memory."),
        Curve("batch", "Size of the record batches that are served", "rows a batch (64 bytes each)", [
            (rows, get(f"curve-batch-{rows}", lambda d, r=rows: d.floats_batched(r), times=2)) for rows in (1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20)],
            "CPU time of the client for what each message costs, and for memory that it does not keep: ours puts small batches together and cuts large ones, to messages of "
            "about 2 MiB and a large one; pyarrow's server sends them as they are."),
        Curve("columns", "Columns, of 320 MB in batches of 4 MiB", "columns", [
            (n, get(f"curve-columns-{n}", lambda d, n=n: d.floats_wide(n), times=2)) for n in (1, 4, 16, 64, 256, 1024)],
            "The client's CPU time for each buffer of each message: ours cuts wide batches below the 4 MiB that clients in Go and Rust take, the metadata included, and so "
            "sends twice as many messages as pyarrow's server."),
        Curve("dataset", "Size of the dataset", "MB", [
            (mb, get(f"curve-dataset-{mb:g}", lambda d, mb=mb: d.floats_sized(mb), times=max(1, min(50, 1_000 // mb)))) for mb in (1, 10, 100, 320, 1_000)],
            "The start of a call for small ones; from 100 MB on CPU time on both sides, which does not grow with the dataset."),
    ]
