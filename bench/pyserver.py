"""pyarrow's server, written as well as one can: batches go from C++ to C++ without Python in between wherever pyarrow has a way for it.

It is told what to serve by a file of JSON, {"listen": LOCATION, "tls": {"certificate", "key"} or null, "datasets": [...]}, where a dataset is
{"name", "kind": "memory" | "parquet" | "append", "path", ...}."""

import json
import os
import sys
import threading

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.ipc

# Rows of a batch that is decoded from Parquet: what pyarrow was fastest with (64 Ki to 1 Mi were tried).
PARQUET_BATCH_ROWS = 131_072
# Rows of a row group that is written: pyarrow's default.
GROUP_ROWS = 1 << 20


class Memory:
    """An Arrow file that is held in memory."""

    def __init__(self, spec):
        with pa.OSFile(spec["path"]) as source:
            self.table = pa.ipc.open_file(source).read_all()
        if "batch_rows" in spec:
            self.table = pa.Table.from_batches(self.table.combine_chunks().to_batches(max_chunksize=spec["batch_rows"]))
        self.schema, self.rows, self.bytes = self.table.schema, self.table.num_rows, self.table.nbytes
        self.parts = 1

    def stream(self, query):
        return flight.RecordBatchStream(self.table)


class Parquet:
    """Parquet files that are read anew by each call."""

    def __init__(self, spec):
        # Imported where they are used: a server that serves none starts sooner.
        import pyarrow.dataset as ds

        self.files = spec["path"] if isinstance(spec["path"], list) else [spec["path"]]
        self.dataset = ds.dataset(self.files)
        self.schema = self.dataset.schema
        self.rows, self.bytes = self.dataset.count_rows(), -1
        self.parts = spec.get("parts", 1)

    def stream(self, query):
        import pyarrow.compute as pc
        import pyarrow.dataset as ds
        import pyarrow.parquet as pq

        if not query and len(self.files) == 1:
            batches = pq.ParquetFile(self.files[0]).iter_batches(PARQUET_BATCH_ROWS, use_threads=True)
            return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(self.schema, batches))
        query, dataset = query or {}, self.dataset
        if "part" in query:
            dataset = ds.dataset(self.files[query["part"]::self.parts])
        where = query.get("where")
        scanner = dataset.scanner(
            columns=query.get("columns"), filter=pc.field(where["column"]) < where["below"] if where else None, use_threads=True)
        return flight.RecordBatchStream(scanner.to_reader())


class Append:
    """A folder to which puts append files, durably before they are acknowledged."""

    def __init__(self, spec):
        self.folder, self.format = spec["path"], spec["format"]
        os.makedirs(self.folder, exist_ok=True)
        self.schema, self.rows, self.bytes, self.parts = pa.schema([]), 0, 0, 1
        self.lock, self.files = threading.Lock(), 0

    def put(self, reader):
        with self.lock:
            self.files += 1
            path = f"{self.folder}/put-{self.files:06d}"
        with pa.OSFile(path + ".partial", "wb") as sink:
            if self.format == "Parquet":
                write_parquet(sink, reader)
            else:
                with pa.ipc.new_file(sink, reader.schema) as writer:
                    for chunk in reader:
                        writer.write_batch(chunk.data)
        sync(path + ".partial")
        os.rename(path + ".partial", path)
        sync(self.folder)

    def delete(self):
        for name in os.listdir(self.folder):
            os.unlink(f"{self.folder}/{name}")


def write_parquet(sink, reader):
    """Row groups of up to GROUP_ROWS: ParquetWriter would make one of each batch."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(sink, reader.schema, compression="zstd") as writer:
        batches, rows = [], 0
        for chunk in reader:
            batches.append(chunk.data)
            rows += chunk.data.num_rows
            if rows >= GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(batches))
                batches, rows = [], 0
        if batches:
            writer.write_table(pa.Table.from_batches(batches))


def sync(path):
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


KINDS = {"memory": Memory, "parquet": Parquet, "append": Append}


class Server(flight.FlightServerBase):
    def __init__(self, config):
        tls = config["tls"]
        super().__init__(config["listen"], tls_certificates=[(read(tls["certificate"]), read(tls["key"]))] if tls else None)
        self.datasets = {d["name"]: KINDS[d["kind"]](d) for d in config["datasets"]}
        # What a query that comes as a ticket means is looked up: nothing is parsed when it is asked.
        self.queries = {q["ticket"]: q for d in config["datasets"] for q in d.get("queries", [])}
        self.names = {q["ticket"]: d["name"] for d in config["datasets"] for q in d.get("queries", [])}
        self.infos = {name: self.info(name, d) for name, d in self.datasets.items()}

    def info(self, name, dataset):
        tickets = [name]
        if dataset.parts > 1:
            tickets = [json.dumps({"dataset": name, "part": i}) for i in range(dataset.parts)]
            for i, t in enumerate(tickets):
                self.queries[t], self.names[t] = {"part": i}, name
        endpoints = [flight.FlightEndpoint(t.encode(), ["arrow-flight-reuse-connection://?"]) for t in tickets]
        return flight.FlightInfo(dataset.schema, flight.FlightDescriptor.for_path(name), endpoints, dataset.rows, dataset.bytes)

    def get_flight_info(self, context, descriptor):
        return self.infos[descriptor.path[0].decode()]

    def do_get(self, context, ticket):
        name = ticket.ticket.decode()
        return self.datasets[self.names.get(name, name)].stream(self.queries.get(name))

    def do_put(self, context, descriptor, reader, writer):
        self.datasets[descriptor.path[0].decode()].put(reader)
        writer.write(b"{}")

    def do_action(self, context, action):
        if action.type != "Delete":
            raise NotImplementedError(action.type)
        self.datasets[json.loads(action.body.to_pybytes())["dataset"]].delete()
        return []


def read(path):
    with open(path, "rb") as f:
        return f.read()


def main():
    with open(sys.argv[1]) as f:
        config = json.load(f)
    server = Server(config)
    host = config["listen"].rsplit(":", 1)[0]
    print(f"listening on {host}:{server.port}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
