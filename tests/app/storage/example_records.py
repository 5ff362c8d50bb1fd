"""Records that tests store."""

import numpy as np

from app.storage.clock import SECOND, utc_microseconds
from app.storage.record import Record, new_record_id


def make_record(**fields) -> Record:
    """A record of one sentence; `fields` take the place of its own."""
    now = utc_microseconds()
    ours = {
        "id": new_record_id(),
        "created_at": now,
        "expires_at": now + 3_600 * SECOND,
        "model": "tiny@0123",
        "source_lang": "en",
        "target_lang": "fr",
        "request": {"text": "a"},
        "sources": ("The cat sleeps.",),
        "result": '{"text":"Le chat dort."}',
        "layout": [[[4, 5]]],
        "matrices": (np.full((4, 5), 0.2, dtype=np.float16),),
    }
    return Record(**{**ours, **fields})


def assert_same(left: Record, right: Record) -> None:
    """All fields are equal, the weights bit by bit."""
    assert [m.tobytes() for m in left.matrices] == [m.tobytes() for m in right.matrices]
    assert [m.shape for m in left.matrices] == [m.shape for m in right.matrices]
    for name in Record.__slots__:
        if name != "matrices":
            assert getattr(left, name) == getattr(right, name), name
