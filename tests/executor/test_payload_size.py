"""How large a payload would be is known before it is unpacked."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sparkscore.executor import payload_size
from sparkscore.executor.payload_size import unpacked_bytes

COUNT = 100_000


def pack(version: Any, metadata: dict[str, str] | None = None) -> bytes:
    sink = io.BytesIO()
    batch = pa.record_batch([pa.array(np.zeros(COUNT, "int64"))], names=["zero"])
    options = pa.ipc.IpcWriteOptions(metadata_version=version, compression="zstd")
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch, custom_metadata=metadata)
    return sink.getvalue()


def test_payload__is_measured_as_it_will_be() -> None:
    payload = pack(pa.ipc.MetadataVersion.V5)
    assert len(payload) < COUNT
    assert unpacked_bytes(payload) >= 8 * COUNT


def test_payload__that_hides_its_compression_is_refused() -> None:
    """Metadata of an earlier version says in another place that buffers are compressed."""
    payload = bytearray(pack(pa.ipc.MetadataVersion.V4, {"ARROW:experimental_compression": "ZSTD"}))
    message = list(pa.ipc.MessageReader.open_stream(pa.py_buffer(bytes(payload))))[1]
    metadata = memoryview(bytes(message.metadata))
    batch = payload_size._follow(
        metadata, payload_size._field(metadata, payload_size._follow(metadata, 0), 2)
    )
    fields = batch - struct.unpack_from("<i", metadata, batch)[0]
    place = bytes(payload).find(bytes(metadata)) + fields + 4 + 2 * 3
    struct.pack_into("<H", payload, place, 0)
    assert pa.ipc.open_stream(bytes(payload)).read_all().nbytes >= 8 * COUNT
    with pytest.raises(ValueError, match="another version"):
        unpacked_bytes(bytes(payload))
