"""Freed memory is kept for the next update, and what piles up goes back."""

import subprocess
import sys

import pytest

PILED_UP = """
import numpy
from training.memory import keep_freed_memory, return_fragments

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

assert keep_freed_memory()
kept = []
for _ in range(200):
    block = numpy.ones(2**17)  # a MiB that is freed, below one that is not
    kept.append(numpy.ones(2**9))
    del block
    blocks = [numpy.ones(2**17) for _ in range(8)]
    kept.append(numpy.ones(2**9))
del blocks, kept[::2]
before = resident()
return_fragments()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' allocators are left alone")
def test_free_blocks_below_used_ones_go_back_to_the_system():
    answer = subprocess.run(
        [sys.executable, "-c", PILED_UP], capture_output=True, text=True, check=True
    )
    assert int(answer.stdout) > 2**22
