"""How much the gateway takes at once: sizes, counts, rates, and requests under way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one gateway process."""

    body_bytes: int = 16 * 2**20
    report_bytes: int = 16 * 2**20  # size of a report about a network
    reports: int = 4  # that are read at once
    batch: int = 50_000  # messages of one msgpack request
    line_bytes: int = 512 * 2**10  # the largest payload with every byte escaped
    chunk_lines: int = 2_000  # lines that are sent together while their body still comes
    chunk_bytes: int = 2**20
    upload_messages: int = 1_000_000  # messages in one body in lines
    upload_refusals: int = 10_000
    # Serve reads ahead of us without bound, so these two bound its memory, at 2 GiB.
    upload_bytes: int = 256 * 2**20
    uploads: int = 8  # bodies in lines under way
    in_flight: int = 2_000  # requests under way
    long_polls: int = 512
    payment_bytes: int = 16 * 2**10
    bulk_bytes: int = 256 * 2**10
    payments: int = 64  # requests about payments under way
    downloads: int = 64  # files under way
    downloads_each: int = 8  # files under way through one link: programs fetch a file in parts
    streams: int = 64  # readers of the event stream
    inbox_streams: int = 64  # readers of inboxes as streams
    stall_s: float = 30.0  # seconds within which the reader of a stream must take something
    queued: int = 4_096  # single messages that wait for their batch
    keys: int = 200_000  # Idempotency-Keys that are kept, for `keys_s` each
    key_bytes: int = 64 * 2**20  # size of all answers that are kept with them
    keys_s: float = 600.0
    requests_per_s: float = 50_000.0  # changing requests, on average
    burst: int = 50_000
    lookups: int = 8  # questions to the history under way
    history_steps: int = 2_000  # of one series
    inbox: int = 1_000  # messages of one answer
    wait_s: float = 30.0  # longest wait of a long poll
    keep_alive_s: float = 15.0  # between two signs of life of a stream
    answer_s: float = 15.0  # how long the mesh may take to answer
    twin: int = 8  # questions to the twin under way
    twin_bytes: int = 2**20  # size of a scenario
    twin_samples: int = 100_000  # draws of one question
    twin_s: float = 20.0  # how long the twin may take to answer
