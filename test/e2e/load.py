"""load.py LOCATION NAME CA_FILE DATASET STREAMS CONNECTIONS: keeps STREAMS streams open, each on a connection of its own and each carrying record
batches there and back, and makes CONNECTIONS new connections a second, which verify the server's chain by what CA_FILE holds at that moment and read
DATASET whole. When standard input ends, it prints what came of it as JSON."""
import hashlib
import json
import sys
import threading
import time

import pyarrow as pa
import pyarrow.flight as flight

location, name, ca_file, dataset = sys.argv[1:5]
streams, connections = int(sys.argv[5]), int(sys.argv[6])
WORKERS = 10  # new connections under way at a time

ended = threading.Event()
lock = threading.Lock()
report = {"batches": 0, "broken": [], "connections": 0, "refused": [], "checksums": []}


def note(key, value=None):
    with lock:
        if value is None:
            report[key] += 1
        else:
            report[key].append(value)


def connect():
    with open(ca_file, "rb") as f:
        roots = f.read()
    # Without its own pool, gRPC would share one connection between the clients of a process.
    return flight.connect(location, tls_root_certs=roots, override_hostname=name, generic_options=[("grpc.use_local_subchannel_pool", 1)])


def stream(number):
    """One exchange for the whole time: what comes back has to be what was sent."""
    sent, received, count = hashlib.sha256(), hashlib.sha256(), 0
    try:
        with connect() as client:
            schema = pa.schema([("number", pa.int64()), ("text", pa.string())])
            writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b"echo"))
            with writer:
                writer.begin(schema)
                while not ended.is_set():
                    batch = pa.record_batch([range(count, count + 1000), [f"stream {number} batch {count}"] * 1000], schema=schema)
                    writer.write_batch(batch)
                    back = reader.read_chunk().data
                    sent.update(batch.serialize())
                    received.update(back.serialize())
                    count += 1
                    note("batches")
                    time.sleep(0.02)
                writer.done_writing()
        if sent.digest() != received.digest():
            raise ValueError(f"sent {sent.hexdigest()}, received {received.hexdigest()}")
    except Exception as e:  # each failure is a finding
        note("broken", f"{time.strftime('%X')} stream {number} after {count} batches: {type(e).__name__}: {e}")


def newcomers():
    due = time.monotonic()
    while not ended.wait(max(0, due - time.monotonic())):
        due += WORKERS / connections
        try:
            with connect() as client:
                table = client.do_get(flight.Ticket(dataset.encode())).read_all()
            checksum = hashlib.sha256(b"".join(b.serialize() for b in table.combine_chunks().to_batches())).hexdigest()
            with lock:
                report["connections"] += 1
                if checksum not in report["checksums"]:
                    report["checksums"].append(checksum)
        except Exception as e:
            note("refused", f"{time.strftime('%X')} {type(e).__name__}: {e}")


threads = [threading.Thread(target=stream, args=(n,)) for n in range(streams)] + [threading.Thread(target=newcomers) for _ in range(WORKERS)]
begun = time.monotonic()
for thread in threads:
    thread.start()
print("started", flush=True)
sys.stdin.read()
report["seconds"] = time.monotonic() - begun
ended.set()
for thread in threads:
    thread.join()
report["streams"] = streams
print(json.dumps(report))
