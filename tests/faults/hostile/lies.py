"""Output of a lying board that exceeds its caps: results, answers and floods. Runs on the board with `liar.py`."""

import hashlib
import io
import json
import os
import struct
import sys
import time
import zipfile

MIB = 1024 * 1024
MAGIC = b"\x93NUMPY\x01\x00"


def header(shape, dtype="<f4", version=1, blanks=0):
    """The header of a `.npy`."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode() + b" " * blanks + b"\n"
    size = struct.pack("<H", len(text)) if version == 1 else struct.pack("<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text


def archive(members, how=zipfile.ZIP_STORED):
    """A `.npz` with these (name, bytes)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as made:
        for name, data in members:
            made.writestr(name + ".npy", data)
    return buffer.getvalue()


def bomb():
    """A few bytes that decompress to 64 MiB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made, made.open("output_0.npy", "w") as member:
        member.write(header((1, 16 * MIB)))
        for _ in range(16):
            member.write(bytes(4 * MIB))
    return buffer.getvalue()


def overlap(count=400):
    """An archive whose members all share the same bytes."""
    data = header((1, 100 * 1024)) + bytes(400 * 1024)
    one = archive([("output_0", data)])
    end = one.rindex(b"PK\x05\x06")
    start = struct.unpack("<L", one[end + 16 : end + 20])[0]
    entry = one[start:end]
    entries = b"".join(entry.replace(b"output_0", b"output_%d" % n) for n in range(10)) * (count // 10)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(entries), start, 0)
    return one[:start] + entries + tail


def directory():
    """An archive of nothing but names: most of its bytes are the directory."""
    one = archive([("output_0", header((1, 4)) + bytes(16))])
    end = one.rindex(b"PK\x05\x06")
    start = struct.unpack("<L", one[end + 16 : end + 20])[0]
    entries = one[start:end] * 15000  # as much as fits into the size that the manifest allows
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 15000, 15000, len(entries), start, 0)
    return one[:start] + entries + tail


RESULTS = {
    "bomb": bomb,
    "packed": lambda: archive([("output_0", header((1, 4)) + bytes(16))], zipfile.ZIP_DEFLATED),
    "overlap": overlap,
    "directory": directory,
    "long": lambda: archive([("output_0", header((1, 4)) + bytes(16))]) + bytes(MIB // 2),
    "shape": lambda: archive([("output_0", header((1, 2**40)) + bytes(16))]),
    "other": lambda: archive([("output_0", header((3, 4)) + bytes(48))]),
    "names": lambda: archive([("output_7", header((1, 4)) + bytes(16))]),
    "header": lambda: archive([("output_0", header((1, 4), version=2, blanks=900 * 1024) + bytes(16))]),
    "large header": lambda: archive([("output_0", header((1, 4), version=2, blanks=6 * MIB) + bytes(16))]),
    "objects": lambda: archive([("output_0", header((1, 4), dtype="|O") + bytes(32))]),
    "zeros 257": lambda: bytes(257 * MIB),
    "zeros 200": lambda: bytes(200 * MIB),
    "zeros 2": lambda: bytes(2 * MIB),
    "largest of infer": lambda: archive([("output_0", header((1, 6 * MIB)) + bytes(24 * MIB))]),
    "largest of text": lambda: archive([("output_0", header((1, MIB // 2)) + bytes(2 * MIB))]),
    "largest of bench": lambda: struct.pack("<d", 0.1) * 500000,
    "nan": lambda: struct.pack("<d", float("nan")) * 20,
    "endless latency": lambda: struct.pack("<d", 1e308) * 20,
}
SHAPES = {"largest of infer": 6 * MIB, "largest of text": MIB // 2}


def everywhere(value, change):
    """Replaces all results in a value."""
    if isinstance(value, dict):
        if set(value) == {"result", "sha256", "size"}:
            return change(value)
        return {key: everywhere(inner, change) for key, inner in value.items()}
    return [everywhere(one, change) for one in value] if isinstance(value, list) else value


class Lie:
    """One lie of a session. `plan`: `[kind, name]` or None; `out`: the stream to the host."""

    def __init__(self, plan, out):
        self.kind, self.name = plan or ("", "")
        self.out = out
        self.data = RESULTS[self.name]() if self.kind == "result" else b""
        self.named = {
            "result": "1-lie",
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "size": len(self.data),
        }
        if self.kind == "before":
            self.flood(None)

    def say(self, message):
        """Sends a line to the host."""
        self.out.write(json.dumps(message).encode() + b"\n")
        self.out.flush()

    def replaces(self, message):
        """Whether the host gets something else instead."""
        if self.kind == "result":
            return self.result(message)
        if self.kind == "answer" and "ok" in message:
            self.flood(message["id"])
            return True
        return False

    def result(self, message):
        """Sends other bytes than the agent made."""
        found = message.get("ok")
        if isinstance(found, dict) and "manifest" in found and self.name in SHAPES:
            found["manifest"]["outputs"][0]["shape"] = [SHAPES[self.name]]
        if isinstance(found, dict) and everywhere(found, lambda _: None) != found:
            self.say(dict(message, ok=everywhere(found, lambda _: self.named)))
            return True
        if "error" in message:  # the agent does not know the lie
            self.say({"id": message["id"], "event": "bytes", "size": len(self.data)})
            for at in range(0, len(self.data), MIB):
                self.out.write(self.data[at : at + MIB])
            self.say({"id": message["id"], "ok": {}})
            return True
        return False

    def flood(self, number):
        """Sends output without an end, or nothing."""
        beat = json.dumps({"id": number, "event": "heartbeat"}).encode() + b"\n"
        step = (
            json.dumps({"id": number, "event": "progress", "what": "w" * 50, "done": 1, "total": 2}).encode()
            + b"\n"
        )
        if self.name == "wide":
            self.out.write(b'{"id":%d,"ok":{"models":[' % number + b"{}," * 300000 + b"0]}}\n")
            self.out.flush()
            return
        while True:
            if self.name in ("lines", "no end"):
                self.out.write((b"noise\n" if self.name == "lines" else b"x" * 10) * 10000)
            elif self.name == "heartbeats":
                self.out.write(beat)
                time.sleep(0.5)
            elif self.name == "events":
                self.out.write(step * 1000)
            elif self.name == "stderr":
                os.write(2, b"flood " * 10000)
            self.out.flush()


if __name__ == "__main__":
    sys.stdout.write(" ".join(sorted(RESULTS)))
