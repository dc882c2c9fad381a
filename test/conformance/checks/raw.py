"""Flight calls in bytes, for what pyarrow's client hides."""
import grpc
import pyarrow as pa

SERVICE = "/arrow.flight.protocol.FlightService/"
HEADER, METADATA, BODY = 2, 3, 1000  # fields of FlightData


def call(location, method, kind, request, metadata=()):
    """Calls an RPC with encoded messages; kind is one of grpc.Channel's, such as "unary_stream"."""
    with grpc.insecure_channel(location.removeprefix("grpc://"), options=[("grpc.max_receive_message_length", -1)]) as channel:
        answer = getattr(channel, kind)(SERVICE + method)(request, metadata=metadata)
        return list(answer) if kind.endswith("stream") else answer


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """The fields of a protobuf message, the last of each number; all have to be of bytes."""
    found, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        assert tag & 7 == 2, f"expected fields of bytes, got wire type {tag & 7}"
        size, at = varint(data, at)
        found[tag >> 3] = data[at:at + size]
        at += size
    return found


def tagged(number, value):
    """A field of bytes."""
    def encoded(n):
        out = bytearray()
        while n >= 0x80:
            out.append(n & 0x7F | 0x80)
            n >>= 7
        return bytes(out) + bytes([n])
    return encoded(number << 3 | 2) + encoded(len(value)) + value


def flight_data(location, ticket):
    """The messages that DoGet answers with, as dictionaries of fields."""
    return [fields(m) for m in call(location, "DoGet", "unary_stream", tagged(1, ticket))]


def messages(data):
    """The IPC messages of FlightData."""
    for d in data:
        if HEADER in d:
            head = d[HEADER]
            yield pa.ipc.read_message(b"\xff\xff\xff\xff" + len(head).to_bytes(4, "little") + head + d.get(BODY, b""))
