"""What the garbage collector need not look at."""

import gc

from app.collector import set_imports_aside


def test_no_collection_looks_at_what_was_there_before():
    try:
        set_imports_aside()
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < 10_000
    finally:
        gc.unfreeze()
