"""The client, a process of its own: reads a line of JSON, does what it says with pyarrow, and answers with a line. Both servers get the same."""

import json
import sys
import threading
import time

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.ipc


class Client:
    def __init__(self, location, ca):
        self.options = {"tls_root_certs": open(ca, "rb").read()} if ca else {}
        self.location = location
        self.connections = []
        self.kept = []
        self.tables = {}

    def connected(self, n):
        """n clients: each has a connection of its own."""
        while len(self.connections) < n:
            self.connections.append(flight.connect(self.location, **self.options))
        return self.connections[:n]

    def table(self, file):
        if file not in self.tables:
            with pa.OSFile(file) as source:
                self.tables[file] = pa.ipc.open_file(source).read_all()
        return self.tables[file]

    def locate(self, location, wait_for=None):
        """Another server from now on, once it serves a dataset."""
        self.location, self.connections = location, []
        if wait_for:
            until_available(lambda: self.connected(1)[0].get_flight_info(flight.FlightDescriptor.for_path(wait_for)))

    def first(self, ticket):
        """The first answer of a server that may not have read its data yet."""
        until_available(lambda: self.get([ticket]))

    def get(self, tickets, connections=1, columns=None):
        """Reads one stream a ticket, all at a time, spread over the connections, and drops what comes."""
        clients = self.connected(connections)

        def read(i):
            rows = size = 0
            for chunk in clients[i % connections].do_get(flight.Ticket(tickets[i].encode())):
                rows += chunk.data.num_rows
                size += chunk.data.nbytes
            return rows, size

        counts, seconds = together(read, len(tickets))
        return {"seconds": seconds, "rows": sum(c[0] for c in counts), "bytes": sum(c[1] for c in counts)}

    def endpoints(self, dataset, streams):
        """Reads all endpoints of a dataset's FlightInfo, so many at a time."""
        (client,) = self.connected(1)
        left = [e.ticket for e in client.get_flight_info(flight.FlightDescriptor.for_path(dataset)).endpoints]
        endpoints = len(left)
        lock = threading.Lock()

        def read(_):
            rows = 0
            while True:
                with lock:
                    if not left:
                        return rows
                    ticket = left.pop(0)
                for chunk in client.do_get(ticket):
                    rows += chunk.data.num_rows

        counts, seconds = together(read, streams)
        return {"seconds": seconds, "rows": sum(counts), "endpoints": endpoints}

    def check(self, ticket, file, columns=None, where=None):
        """Compares every value of an answer with the file that it comes from."""
        (client,) = self.connected(1)
        got = client.do_get(flight.Ticket(ticket.encode())).read_all()
        want = expected(file, columns, where)
        if not got.equals(want):
            raise ValueError(f"{ticket}: {got.num_rows} rows of {got.schema} differ from the {want.num_rows} rows of {want.schema} in {file}")
        return {"rows": got.num_rows, "bytes": want.nbytes}

    def cached(self, dataset):
        """Waits until our server says that it has some of a dataset in its cache: each file comes in whole."""
        (client,) = self.connected(1)
        for _ in range(600):
            (answer,) = client.do_action(flight.Action("HealthCheck", b""))
            if any(d["name"] == dataset and d.get("cachedBytes") for d in json.loads(answer.body.to_pybytes())["datasets"]):
                return
            time.sleep(0.1)
        raise TimeoutError(f"{dataset} is not in the cache a minute after it was read")

    def load(self, file):
        """Reads what is going to be put, and makes its pages resident."""
        return {"rows": self.table(file).num_rows, "bytes": self.table(file).nbytes}

    def put(self, dataset, file):
        """Puts the batches of a file and waits until the last of them is acknowledged."""
        (client,) = self.connected(1)
        table = self.table(file)
        begin = time.perf_counter()
        writer, reader = client.do_put(flight.FlightDescriptor.for_path(dataset), table.schema)
        for batch in table.to_batches():
            writer.write_batch(batch)
        writer.done_writing()
        last = None
        while (answer := reader.read()) is not None:
            last = answer.to_pybytes()
        writer.close()
        seconds = time.perf_counter() - begin
        if last is None:
            raise ValueError(f"{dataset}: nothing was acknowledged")
        return {"seconds": seconds, "rows": table.num_rows, "bytes": table.nbytes}

    def delete(self, dataset):
        """Deletes what was put."""
        (client,) = self.connected(1)
        list(client.do_action(flight.Action("Delete", json.dumps({"dataset": dataset, "all": True}).encode())))
        return {}

    def calls(self, method, dataset, connections, seconds):
        """Small calls, one after the other on each connection, for some seconds: how long each took."""
        clients = self.connected(connections)
        end = time.perf_counter() + seconds
        descriptor, ticket = flight.FlightDescriptor.for_path(dataset), flight.Ticket(dataset.encode())

        def call(i):
            took = []
            now = time.perf_counter()
            while now < end:
                if method == "GetFlightInfo":
                    clients[i].get_flight_info(descriptor)
                else:
                    for _ in clients[i].do_get(ticket):
                        pass
                took.append(-now + (now := time.perf_counter()))
            return took

        took, whole = together(call, connections)
        return {"seconds": whole, "took": [t for one in took for t in one]}

    def idle(self, dataset, connections):
        """Connections that have made one call and stay."""
        for client in self.connected(connections):
            client.get_flight_info(flight.FlightDescriptor.for_path(dataset))
        return {}

    def slow(self, dataset, streams):
        """Streams, each on a connection of its own, whose first message alone is read."""
        for client in self.connected(streams):
            reader = client.do_get(flight.Ticket(dataset.encode()))
            reader.read_chunk()
            self.kept.append(reader)
        return {}


def until_available(call):
    """Calls until the server does not say that it cannot serve yet."""
    for _ in range(60_000):
        try:
            return call()
        except flight.FlightUnavailableError:
            time.sleep(0.001)
    return call()


def together(work, n):
    """work(0) ... work(n-1) at a time, each in a thread; their results, and how long all took."""
    if n == 1:
        begin = time.perf_counter()
        result = work(0)
        return [result], time.perf_counter() - begin
    results, errors = [None] * n, []

    def run(i):
        try:
            results[i] = work(i)
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(n)]
    begin = time.perf_counter()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds = time.perf_counter() - begin
    if errors:
        raise errors[0]
    return results, seconds


def expected(file, columns, where):
    """What pyarrow itself reads from the file."""
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    condition = where and pc.field(where["column"]) < where["below"]
    return ds.dataset(file).to_table(columns=columns, filter=condition) if columns or where else read(file)


def read(file):
    import pyarrow.parquet as pq

    return pq.read_table(file) if file.endswith(".parquet") else pa.ipc.open_file(pa.memory_map(file)).read_all()


def main():
    client = Client(*sys.argv[1:3])
    print("{}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(client, request.pop("do"))(**request) or {}
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
