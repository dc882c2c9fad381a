"""As much of protobuf's wire format as the checks need for the messages of Flight.proto that pyarrow has no class for."""
import struct


class Fixed64(bytes):
    """A value of eight bytes."""


def sfixed64(n):
    return Fixed64(struct.pack("<q", n))


def double(x):
    return Fixed64(struct.pack("<d", x))


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def message(*fields):
    """The message of (number, value) pairs, whose values are bytes or strings, bools or ints, or of eight bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, Fixed64):
            out += varint(number << 3 | 1) + value
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def fields(data):
    """The (number, value) pairs of a message, whose values are bytes, ints or of eight bytes."""
    out, at = [], 0

    def read_varint():
        nonlocal at
        n, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    while at < len(data):
        key = read_varint()
        if key & 7 == 0:
            value = read_varint()
        elif key & 7 == 1:
            value = Fixed64(data[at : at + 8])
            at += 8
        elif key & 7 == 2:
            size = read_varint()
            value = data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {key & 7} at {at}")
        out.append((key >> 3, value))
    return out
