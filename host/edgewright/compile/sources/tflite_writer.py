"""Reads a .tflite file into objects, and writes it back. Runs in a worker that has LiteRT's schema."""

from __future__ import annotations

from typing import Any

_ALIGNED = 16  # bytes: the schema's alignment of tensor values


def read(data: bytes) -> tuple[Any, Any]:
    """(the schema, the whole model). The model is None if its weights are outside of the flatbuffer, where they would be lost."""
    from ai_edge_litert import schema_py_generated as schema

    found = schema.Model.GetRootAsModel(data, 0)
    outside = any(found.Buffers(at).Size() for at in range(found.BuffersLength()))
    return schema, None if outside else schema.ModelT.InitFromObj(found)


def packed(schema: Any, model: Any) -> bytes:
    """The bytes of a model that `read` returned."""
    import flatbuffers
    import numpy as np

    class Buffer(schema.BufferT):  # type: ignore[misc]
        """A buffer whose values are aligned as the schema wants it."""

        def Pack(self, builder: Any) -> Any:  # noqa: N802 - flatbuffers' name
            if self.data is None:
                schema.BufferStart(builder)
                return schema.BufferEnd(builder)
            values = np.asarray(self.data, np.uint8).tobytes()
            builder.Prep(_ALIGNED, len(values))
            data = builder.CreateByteVector(values)
            schema.BufferStart(builder)
            schema.BufferAddData(builder, data)
            return schema.BufferEnd(builder)

    for buffer in model.buffers:
        buffer.__class__ = Buffer
    size = sum(0 if buffer.data is None else len(buffer.data) for buffer in model.buffers)
    builder = flatbuffers.Builder(size + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
