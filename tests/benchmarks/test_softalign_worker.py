"""Our side of the benchmarks beside Joey NMT starts and works; what it measures is no test."""

from benchmarks import workload
from benchmarks.workers import Worker


def test_the_worker_translates_and_trains():
    worker = Worker("softalign", threads=1)
    try:
        sentences = workload.sentences(2)
        decoded = worker.run({"task": "decode", "sentences": sentences, "batch": 2, "beam": 2})
        [batch] = workload.batches(1, 2)
        trained = worker.run({"task": "train", **batch})
    finally:
        worker.close()
    assert decoded["seconds"] > 0
    assert trained["seconds"] > 0
