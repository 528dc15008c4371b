"""Bodies of streams to their events."""

import json


def events(body):
    """Each server-sent event: its name (or None) and its data, as bytes."""
    for frame in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line for line in frame.split(b"\n") if line and not line.startswith(b":")]
        name = [line[7:].decode() for line in lines if line.startswith(b"event: ")]
        data = [line[6:] for line in lines if line.startswith(b"data: ")]
        if data:
            yield (name[0] if name else None), b"\n".join(data)


def lines(body):
    """Each object of a stream with one object a line."""
    return [line for line in body.split(b"\n") if line]


def array(body):
    """Each object of one JSON array."""
    return [json.dumps(value).encode() for value in json.loads(body)]
