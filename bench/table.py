"""The rows of the table: what each serves, asks and measures, and what is to be reached."""

import base64
import json
import os
import time
from dataclasses import dataclass, field

import pyarrow.dataset as ds
import pyarrow.flight as flight

from bench import processes
from bench.stats import Figure, quantile

MB = 1_000_000


@dataclass
class Dataset:
    """What both servers serve under one name."""

    name: str
    # ours is a dataset of a FlightServer, without its name.
    ours: dict
    # theirs is one of pyserver.py, without its name.
    theirs: dict


def volume(path, claim="data", **more):
    return {"source": {"volume": {"claimName": claim, "path": path}}, "refresh": {"interval": "0s"}, **more}


def in_memory(name, file):
    """An Arrow file that is read from memory: pyarrow's server holds the table, ours what it has encoded once."""
    return Dataset(name, volume(file.name, cache={"mode": "Memory"}), {"kind": "memory", "path": str(file)})


def parquet(name, file, queries=()):
    return Dataset(name, volume(file.name), {"kind": "parquet", "path": str(file), "queries": list(queries)})


@dataclass
class Row:
    """A row of the table."""

    id: str
    title: str
    figures: list[Figure]
    quick: bool = False
    tls: bool = False
    # note says in a sentence what the row's figures do not tell by themselves.
    note: str = ""
    group: str = ""
    # own_processes: each sample starts servers anew. Nothing is to be warmed up, and few samples do.
    own_processes = False
    # anew: servers and clients are started anew for each round. Where a process happens to have its memory, and whether its allocator asks the kernel for each
    # message's, moves what a stream of some GB/s reaches by a third either way, for as long as the process lives.
    anew = False
    # client_environment: variables that clients get besides.
    client_environment = None

    def datasets(self, env):
        """What is served. env has data, and scratch: a folder of the row's own."""
        raise NotImplementedError

    def check(self, side):
        """Compares what the server answers with what it should, before anything is measured."""

    def brief(self):
        """Measures so briefly that the figures mean nothing: for tests of the machinery."""
        self.times = 1

    def limits(self):
        """The limits of our server's manifest; empty: the defaults."""
        return {}

    def ready(self, datasets):
        """The dataset that has to be served before it begins; None if there is none."""
        return datasets[0].name

    def sample(self, side):
        """Measures once: a value for each figure."""
        raise NotImplementedError


@dataclass
class Cost:
    """Seconds: as the client counted them, and of CPU time on both sides."""

    seconds: float
    server: float
    client: float

    def throughput(self, size):
        size /= 1e9
        return {
            "GB/s": size / self.seconds, "CPU s/GB": self.server / size, "client CPU s/GB": self.client / size,
            # busy: of all cores' time. What is near 1 is bound by CPU, the client's or the server's.
            "busy": (self.server + self.client) / self.seconds / os.cpu_count(),
        }


def metered(side, work, times=1):
    """The last answer of work(), and the cost of so many repetitions."""
    server, client, seconds = side.server.cpu(), side.client.cpu(), 0.0
    for _ in range(times):
        answer = work()
        seconds += answer["seconds"]
    return answer, Cost(seconds, side.server.cpu() - server, side.client.cpu() - client)


@dataclass
class Get(Row):
    """DoGet of a whole dataset by some streams at a time."""

    name: str = ""
    dataset: object = None  # env -> Dataset
    file: object = None  # data -> the file that holds what is to come
    streams: int = 1
    connections: int = 1
    # a sample reads so many times: some hundred milliseconds' work.
    times: int = 4
    anew: bool = False

    def datasets(self, env):
        return [self.dataset(env)]

    def check(self, side):
        self.expected = side.client.ask("check", ticket=self.name, file=str(self.file(side.env.data)))

    def sample(self, side):
        tickets = [self.name] * self.streams
        answer, cost = metered(side, lambda: side.client.ask("get", tickets=tickets, connections=self.connections), self.times)
        if answer["rows"] != self.streams * self.expected["rows"]:
            raise ValueError(f"{self.id}: {side.name} sent {answer['rows']} rows, expected {self.streams} x {self.expected['rows']}")
        return cost.throughput(self.times * self.streams * self.expected["bytes"])


@dataclass
class KeptMemory(Get):
    """DoGet by clients whose C library is told to give no memory back to the kernel, which it does by itself for ours: see wire.WithLargeMessage."""

    client_environment = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}


@dataclass
class SecondRead(Get):
    """DoGet of Parquet files that ours has put into its cache on the disk at their first read."""

    def datasets(self, env):
        dataset = self.dataset(env)
        dataset.ours["cache"] = {"mode": "Disk"}
        return [dataset]

    def check(self, side):
        super().check(side)
        if side.name == "ours":
            side.client.ask("cached", dataset=self.name)
            super().check(side)


@dataclass
class Query(Row):
    """Some columns or some rows of a Parquet file, as a query that is the ticket."""

    query: dict = field(default_factory=dict)
    columns: list[str] | None = None
    where: dict | None = None  # {"column", "below"}, below being a share of all rows
    times: int = 4

    def bound(self, data):
        return self.where and {"column": self.where["column"], "below": int(self.where["below"] * data.rows(10_000_000))}

    def ticket(self, data):
        query = {"dataset": "trips"}
        if self.columns:
            query["columns"] = self.columns
        if self.where:
            query["filter"] = "{column} < {below}".format(**self.bound(data))
        return json.dumps(query)

    def datasets(self, env):
        query = {"ticket": self.ticket(env.data), "columns": self.columns, "where": self.bound(env.data)}
        return [parquet("trips", env.data.trips("zstd"), [query])]

    def check(self, side):
        data = side.env.data
        self.expected = side.client.ask(
            "check", ticket=self.ticket(data), file=str(data.trips("zstd")), columns=self.columns, where=self.bound(data))

    def sample(self, side):
        tickets = [self.ticket(side.env.data)]
        answer, cost = metered(side, lambda: side.client.ask("get", tickets=tickets), self.times)
        if answer["rows"] != self.expected["rows"]:
            raise ValueError(f"{self.id}: {side.name} sent {answer['rows']} rows, expected {self.expected['rows']}")
        rows = self.times * answer["rows"]
        return {"M rows/s": rows / 1e6 / cost.seconds, "CPU s/M rows": cost.server / (rows / 1e6)}


@dataclass
class Put(Row):
    """DoPut of an Arrow file's batches to a dataset that keeps them; what is there is deleted before each."""

    format: str = "ArrowFile"
    file: object = None

    def ready(self, datasets):
        return None  # a dataset without files is served from the first put on

    def datasets(self, env):
        (env.scratch / "ours").mkdir()
        extension = {"ArrowFile": "arrow", "Parquet": "parquet"}[self.format]
        ours = volume(f"put/*.{extension}", "ours", format=self.format, access="ReadWrite")
        return [Dataset("put", ours, {"kind": "append", "path": str(env.scratch / "pyarrow"), "format": self.format})]

    def check(self, side):
        file = str(self.file(side.env.data))
        side.client.ask("load", file=file)
        side.client.ask("put", dataset="put", file=file)
        landed = landed_rows(side.env.scratch / side.name, self.format)
        wanted = side.client.ask("load", file=file)["rows"]
        if landed != wanted:
            raise ValueError(f"{self.id}: {side.name} acknowledged {wanted} rows, and {landed} are in its files")

    def sample(self, side):
        side.client.ask("delete", dataset="put")
        os.sync()  # what others have left to write is not part of it
        answer, cost = metered(side, lambda: side.client.ask("put", dataset="put", file=str(self.file(side.env.data))))
        return cost.throughput(answer["bytes"])


def landed_rows(folder, format):
    files = [str(p) for p in folder.rglob("put-*") if p.is_file()]
    return ds.dataset(files, format="parquet" if format == "Parquet" else "ipc").count_rows()


# The RPCs of small calls: the request that asks for a dataset.
REQUESTS = {
    "GetFlightInfo": lambda name: flight.FlightDescriptor.for_path(name).serialize(),
    "DoGet": lambda name: flight.Ticket(name.encode()).serialize(),
}


@dataclass
class Calls(Row):
    """Small calls by bench/load, one after the other on each connection."""

    method: str = "GetFlightInfo"
    clients: int = 1
    seconds: float = 1.5

    def brief(self):
        self.seconds = 0.05

    def datasets(self, env):
        return [in_memory("ten", env.data.ten_rows())]

    def check(self, side):
        side.client.ask("check", ticket="ten", file=str(side.env.data.ten_rows()))

    def sample(self, side):
        request = base64.b64encode(REQUESTS[self.method]("ten")).decode()
        cpu = side.server.cpu()
        answer = processes.output(
            side.env.load, "-address", side.server.location.split("://")[1], "-method", self.method, "-message", request,
            "-clients", self.clients, "-duration", f"{self.seconds}s")
        cpu = side.server.cpu() - cpu
        return {"calls/s": answer["calls"] / answer["seconds"], "p99 ms": answer["p99"] * 1e3, "CPU us/call": cpu / answer["calls"] * 1e6}


@dataclass
class PyarrowCalls(Calls):
    """The same by pyarrow clients, of which four processes with four connections each take the machine's whole time."""

    def sample(self, side):
        processes = min(4, self.clients)
        clients = side.clients(processes)
        cpu = side.server.cpu()
        for c in clients:
            c.send("calls", method=self.method, dataset="ten", connections=self.clients // processes, seconds=self.seconds)
        answers = [c.answer() for c in clients]
        cpu = side.server.cpu() - cpu
        took = [t for a in answers for t in a["took"]]
        rate = sum(len(a["took"]) / a["seconds"] for a in answers)
        return {"calls/s": rate, "p99 ms": quantile(took, 0.99) * 1e3, "CPU us/call": cpu / len(took) * 1e6}


@dataclass
class Start(Row):
    """From the start of a process to the end of its first DoGet, the client being there already."""

    def datasets(self, env):
        return [in_memory("ten", env.data.ten_rows())]

    def sample(self, side):
        with side.another_server() as server:
            side.client.ask("locate", location=server.location)
            side.client.ask("first", ticket="ten")
            return {"s": time.monotonic() - server.started}


@dataclass
class Resident(Row):
    """What a server holds after it has served 320 MB from memory: a process of its own each time."""

    own_processes = True

    def datasets(self, env):
        return [in_memory("f64", env.data.floats())]

    def sample(self, side):
        with side.another_server() as server:
            side.client.ask("locate", location=server.location, wait_for="f64")
            for _ in range(4):
                side.client.ask("get", tickets=["f64"] * 4, connections=4)
            memory = server.memory()
            return {"resident MB": memory["VmRSS"] / MB, "peak MB": memory["VmHWM"] / MB, "anonymous MB": memory["RssAnon"] / MB}


@dataclass
class Peak(Row):
    """The peak of a server that reads Parquet for 16 streams, which read all endpoints of a dataset."""

    own_processes = True

    arrow_bytes: int = 0
    streams: int = 16

    def datasets(self, env):
        import pyarrow.parquet as pq

        file = env.data.trips("zstd")
        one = env.data.trips_arrow().stat().st_size
        files = max(1, round(self.arrow_bytes * env.data.scale / one))
        folder = env.scratch / "big"
        folder.mkdir()
        paths = [folder / f"{i:04d}.parquet" for i in range(files)]
        for p in paths:
            os.link(file, p)  # further names of one file: all that differs is the name
        self.rows, self.bytes = files * pq.ParquetFile(file).metadata.num_rows, files * one
        theirs = {"kind": "parquet", "path": [str(p) for p in paths], "parts": min(files, self.streams)}
        return [Dataset("big", volume("big/*.parquet", "ours"), theirs)]

    def sample(self, side):
        with side.another_server() as server:
            side.client.ask("locate", location=server.location, wait_for="big")
            cpu, client_cpu = server.cpu(), side.client.cpu()
            answer = side.client.ask("endpoints", dataset="big", streams=self.streams)
            cost = Cost(answer["seconds"], server.cpu() - cpu, side.client.cpu() - client_cpu)
            if answer["rows"] != self.rows:
                raise ValueError(f"{self.id}: {side.name} sent {answer['rows']} rows, expected {self.rows}")
            return {"peak MiB": server.memory()["VmHWM"] / (1 << 20), **cost.throughput(self.bytes)}


@dataclass
class Crowd(Row):
    """1,000 connections that idle, then 256 streams that are not read on, and one that is."""

    own_processes = True

    idle: int = 1_000
    slow: int = 256

    def brief(self):
        self.idle, self.slow = 10, 4

    def datasets(self, env):
        return [in_memory("f64", env.data.floats()), in_memory("ten", env.data.ten_rows())]

    def sample(self, side):
        server = side.another_server()
        crowd = side.another_client(server.location)
        try:
            side.client.ask("locate", location=server.location, wait_for="f64")
            size = side.client.ask("check", ticket="f64", file=str(side.env.data.floats()))["bytes"]

            def read():
                return size / 1e9 / side.client.ask("get", tickets=["f64"])["seconds"]

            alone = max(read() for _ in range(3))
            before = server.memory()["VmRSS"]
            crowd.ask("idle", dataset="ten", connections=self.idle)
            idle = server.memory()["VmRSS"]
            crowd.ask("slow", dataset="f64", streams=self.slow)
            time.sleep(1)
            slow = server.memory()["VmRSS"]
            among = max(read() for _ in range(3))
            return {
                "KiB/idle connection": (idle - before) / 1024 / self.idle,
                "KiB/slow stream": (slow - idle) / 1024 / self.slow,
                "GB/s beside them": among,
                "beside them / alone": among / alone,
            }
        finally:
            crowd.stop()
            server.stop()


def speed(gbs, cpu):
    return [Figure("GB/s", "GB/s", gbs), Figure("CPU s/GB", "s/GB", cpu, at_most=True)]


def floats(env):
    return in_memory("f64", env.data.floats())


# KEPT says of whom rows of KeptMemory are.
KEPT = "by a client that is told to keep its memory"


def get_rows():
    f64 = {"name": "f64", "dataset": floats, "file": lambda d: d.floats(), "anew": True}
    kinds = {
        "strings": ("strings", lambda d: d.strings()),
        "dictionaries": ("dictionaries", lambda d: d.dictionaries()),
        "nested": ("lists and structs", lambda d: d.nested()),
    }
    group = "DoGet from memory, 320 MB"
    yield Get("get-f64-1", "float64, 1 stream", speed(1.1, 0.85), quick=True, group=group, **f64)
    yield Get("get-f64-4", "float64, 4 streams on 1 connection", speed(1.2, 0.8), group=group, **f64, streams=4, times=1)
    yield Get("get-f64-4c", "float64, 4 streams on 4 connections", speed(1.2, 0.8), quick=True, group=group, **f64, streams=4, connections=4, times=1)
    for name, (title, file) in kinds.items():
        same = {"name": name, "dataset": lambda env, n=name, f=file: in_memory(n, f(env.data)), "file": file, "anew": True}
        yield Get(f"get-{name}-1", f"{title}, 1 stream", speed(1.1, 0.85), quick=True, group=group, **same)
        yield Get(f"get-{name}-4c", f"{title}, 4 streams on 4 connections", speed(1.2, 0.8), group=group, **same, streams=4, connections=4, times=1)
    yield KeptMemory("kept-f64-1", f"float64, 1 stream, {KEPT}", speed(None, None), group=group, **f64)
    yield KeptMemory("kept-f64-4c", f"float64, 4 streams on 4 connections, {KEPT}", speed(None, None), group=group, **f64, streams=4, connections=4, times=1)
    group = "DoGet from memory over TLS, 320 MB"
    yield Get("tls-f64-1", "float64, 1 stream", speed(1.2, 0.95), quick=True, tls=True, group=group, **f64, times=2)
    yield Get("tls-f64-4c", "float64, 4 connections", speed(1.0, 0.95), tls=True, group=group, **f64, streams=4, connections=4, times=1)
    name, file = "strings", kinds["strings"][1]
    yield Get("tls-strings-1", "strings, 1 stream", speed(1.2, 0.95), tls=True, group=group, name=name,
              dataset=lambda env: in_memory(name, file(env.data)), file=file, anew=True, times=2)


def parquet_rows():
    group = "Parquet, 10 M rows of 6 columns"
    for compression in ("zstd", "snappy"):
        yield Get(f"parquet-{compression}", f"{compression}, decoded by each call", speed(1.0, 1.0), quick=compression == "zstd", group=group, name="trips",
                  dataset=lambda env, c=compression: parquet("trips", env.data.trips(c)), file=lambda d, c=compression: d.trips(c), times=1)
    yield KeptMemory("kept-parquet-zstd", f"zstd, decoded by each call, {KEPT}", speed(None, None), group=group, name="trips",
                     dataset=lambda env: parquet("trips", env.data.trips("zstd")), file=lambda d: d.trips("zstd"), times=1)
    again = {"group": group, "name": "trips", "dataset": lambda env: parquet("trips", env.data.trips("zstd")), "file": lambda d: d.trips("zstd"), "times": 1}
    title = "zstd, second read from `cache: {mode: Disk}`"
    yield SecondRead("parquet-cached", title, speed(3.0, None), quick=True, **again)
    yield SecondRead("parquet-cached-4c", f"{title}, 4 streams on 4 connections", speed(3.0, None), **again, streams=4, connections=4)
    rows = [Figure("M rows/s", "M rows/s", 1.0, digits=1), Figure("CPU s/M rows", "s/M rows", at_most=True, digits=4)]
    yield Query("query-projection", "1 of the 6 columns", rows, quick=True, group=group, columns=["fare"])
    yield Query("query-filter", "a filter that statistics prune to 1 %", rows, quick=True, group=group, where={"column": "id", "below": 0.01}, times=20)


def put_rows():
    group = "DoPut of 5 M rows of 6 columns, durable when acknowledged"
    for format, goal in (("ArrowFile", 1.0), ("Parquet", 2.0)):
        figures = [Figure("GB/s", "GB/s", goal), Figure("CPU s/GB", "s/GB", 1.0, at_most=True)]
        yield Put(f"put-{format.lower()}", f"to {format}", figures, quick=True, group=group, format=format, file=lambda d: d.half_the_trips(),
                  note="ours validates in full")


def call_rows():
    group = "Small calls"
    for short, method, what in (("info", "GetFlightInfo", "GetFlightInfo"), ("get", "DoGet", "DoGet of 10 rows")):
        for clients, goals in ((16, (5.0, 0.3)), (1, (2.0, 0.8))):
            figures = call_figures(*goals)
            title = f"{what}, {clients} client{'s' * (clients > 1)}"
            yield Calls(f"call-{short}-{clients}", title, figures, quick=True, group=group, method=method, clients=clients)
            yield PyarrowCalls(f"pycall-{short}-{clients}", f"{title} of pyarrow's", call_figures(None, None), group=group, method=method, clients=clients)


def call_figures(rate, p99):
    return [Figure("calls/s", "calls/s", rate, digits=0), Figure("p99 ms", "ms", p99, at_most=True, digits=3),
            Figure("CPU us/call", "us", at_most=True, digits=1)]


def process_rows():
    group = "The process"
    yield Start("start", "start to first DoGet", [Figure("s", "s", 0.15, at_most=True, digits=3)], quick=True, group=group)
    yield Resident("resident", "memory after serving 320 MB from memory to 4 streams", [
        Figure("resident MB", "MB", 1.0, at_most=True, digits=0), Figure("anonymous MB", "MB", at_most=True, digits=0),
        Figure("peak MB", "MB", at_most=True, digits=0)], quick=True, group=group)
    for size, quick in ((2_500, True), (10_000, False)):
        yield Peak(f"peak-{size}", f"{size / 1000:g} GB of Arrow from Parquet, 16 streams", [
            Figure("peak MiB", "MiB", 512, at_most=True, of_ours=True, digits=0), *speed(None, None)], quick=quick, group=group, arrow_bytes=size * MB)
    yield Crowd("crowd", "1,000 idle connections, then 256 streams that are not read on", [
        Figure("KiB/idle connection", "KiB", at_most=True, digits=0), Figure("KiB/slow stream", "KiB", at_most=True, digits=0),
        Figure("GB/s beside them", "GB/s"), Figure("beside them / alone", "")], group=group)


def rows():
    return [*get_rows(), *parquet_rows(), *put_rows(), *call_rows(), *process_rows()]
