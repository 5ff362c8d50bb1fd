"""Two processes train what one would; when one dies, all end, and what was saved is whole."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from tests.training.faults.interrupted import (
    train_as_rank,
    train_as_rank_killed_while_saving,
    train_interrupted,
)
from tests.training.faults.processes import command, end, start
from tests.training.faults.tiny_run import PAIRS, saved_step, state_digest, store, write_run
from training.config_reader import read_config
from training.prepare import load_prepared
from training.ranks import Ranks

TRAINING = "max_steps = 24\nsave_every_steps = 4\nvalidate_every_steps = 12\nrank_timeout = 20"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def noted(note):
    """Epoch, loss, tokens and pairs of every update."""
    return [json.loads(line) for line in note.read_text().splitlines()]


class TwoRanks:
    """A run in two processes, with what each printed and noted."""

    def __init__(self, config, *options):
        self.config = config
        self.outputs = [config.with_name(f"output-{rank}.txt") for rank in range(2)]
        self.notes = [config.with_name(f"notes-{rank}.json") for rank in range(2)]
        port = free_port()
        for note in self.notes:
            note.unlink(missing_ok=True)
        self.processes = [
            start(
                *(train_as_rank, rank, 2, port, config),
                *(self.outputs[rank], self.notes[rank], options),
            )
            for rank in range(2)
        ]

    def statuses(self, seconds=120):
        return [end(process, seconds) for process in self.processes]

    def printed(self):
        return [output.read_text(encoding="utf-8").replace("\n", " ") for output in self.outputs]

    def noted(self):
        return [noted(note) for note in self.notes]

    def wait_for_step(self, step):
        while saved_step(self.config) < step:
            assert all(process.is_alive() for process in self.processes), self.printed()
            time.sleep(0.001)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Two ranks that nothing happened to."""
    ranks = TwoRanks(write_run(tmp_path_factory.mktemp("unbroken") / "a", TRAINING))
    assert ranks.statuses() == [0, 0], ranks.printed()
    return ranks


def test_two_ranks_have_the_losses_of_one_process(tmp_path):
    config = write_run(tmp_path / "two", "max_steps = 24")
    config.write_text(config.read_text().replace("dropout = 0.2", "dropout = 0.0"))
    two = TwoRanks(config)
    assert two.statuses() == [0, 0], two.printed()
    (tmp_path / "one").mkdir()
    alone = write_run(tmp_path / "one" / "a", "max_steps = 24")
    alone.write_text(alone.read_text().replace("dropout = 0.2", "dropout = 0.0"))
    note = tmp_path / "one.json"
    port = free_port()
    assert end(start(train_as_rank, 0, 1, port, alone, tmp_path / "one.txt", note)) == 0
    one, (first, second) = noted(note), two.noted()
    assert len(one) == len(first) == len(second) == 24
    for alone_update, update, other in zip(one, first, second, strict=True):
        assert update[1:3] == other[1:3]
        assert update[1] == pytest.approx(alone_update[1], rel=0.01)
        assert update[2] == alone_update[2]


def test_every_pair_is_seen_once_an_epoch_by_one_of_the_ranks(unbroken):
    for epoch in (0, 1):
        seen = [
            pair
            for updates in unbroken.noted()
            for number, _, _, pairs in updates
            if number == epoch
            for pair in pairs
        ]
        assert sorted(seen) == list(range(len(PAIRS)))


def test_only_the_first_rank_prints_and_writes(unbroken):
    first, second = unbroken.printed()
    assert "2 processes" in first
    assert "best so far" in first
    assert second == ""
    assert len(list((unbroken.config.parent / "run/tensorboard").iterdir())) == 1


def test_ranks_drop_different_units(unbroken):
    state, _ = store(unbroken.config).load()
    assert len(state["random_of_others"]) == 1
    assert state["random"]["cpu"].tolist() != state["random_of_others"][0]["cpu"].tolist()


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_other_and_both_go_on_to_the_same_bits(tmp_path, unbroken, victim):
    ranks = TwoRanks(write_run(tmp_path / "a", TRAINING))
    ranks.wait_for_step(8)
    ranks.processes[victim].kill()
    statuses = ranks.statuses()
    assert statuses[victim] == -9
    assert statuses[1 - victim] == 7, ranks.printed()
    assert "another process of the run has ended" in ranks.printed()[1 - victim]
    assert 8 <= saved_step(ranks.config) < 24
    again = TwoRanks(ranks.config)
    assert again.statuses() == [0, 0], again.printed()
    assert state_digest(ranks.config) == state_digest(unbroken.config)


def test_a_first_rank_killed_while_it_saves_loses_that_save_alone(tmp_path, unbroken):
    config, port = write_run(tmp_path / "a", TRAINING), free_port()
    outputs = [tmp_path / f"output-{rank}.txt" for rank in range(2)]
    saver = start(train_as_rank_killed_while_saving, 8, 0, 2, port, config, outputs[0])
    other = start(train_as_rank, 1, 2, port, config, outputs[1])
    assert (end(saver), end(other, 60)) == (-9, 7)
    assert "another process of the run has ended" in outputs[1].read_text().replace("\n", " ")
    assert saved_step(config) == 4
    again = TwoRanks(config)
    assert again.statuses() == [0, 0], again.printed()
    assert state_digest(config) == state_digest(unbroken.config)
    assert not list((config.parent / "run" / "resume").glob(".*"))


def test_a_rank_that_stands_still_ends_the_other_in_time(tmp_path):
    ranks = TwoRanks(write_run(tmp_path / "a", TRAINING.replace("timeout = 20", "timeout = 3")))
    ranks.wait_for_step(4)
    os.kill(ranks.processes[1].pid, signal.SIGSTOP)
    try:
        assert end(ranks.processes[0], 60) == 7
    finally:
        ranks.processes[1].kill()
    assert "does not answer" in ranks.printed()[0]
    assert saved_step(ranks.config) >= 4


def test_a_signal_to_one_rank_stops_all_at_the_same_step(tmp_path, unbroken):
    ranks = TwoRanks(write_run(tmp_path / "a", TRAINING))
    ranks.wait_for_step(4)
    ranks.processes[1].terminate()
    assert ranks.statuses(20) == [75, 75], ranks.printed()
    first, second = (len(updates) for updates in ranks.noted())
    assert first == second == saved_step(ranks.config)
    assert TwoRanks(ranks.config).statuses() == [0, 0]
    assert state_digest(ranks.config) == state_digest(unbroken.config)


def test_another_number_of_processes_is_refused_unless_it_is_allowed(tmp_path):
    config = write_run(tmp_path / "a", TRAINING.replace("max_steps = 24", "max_steps = 8"))
    ranks = TwoRanks(config)
    ranks.wait_for_step(4)
    ranks.processes[0].terminate()
    ranks.statuses()
    output = tmp_path / "output.txt"
    assert end(start(command, ["train", config], output)) == 4
    assert "processes: 2 → 1" in output.read_text().replace("\n", " ")
    assert end(start(command, ["train", config, "--allow-world-size-change"], output)) == 0
    assert saved_step(config) == 8


def test_a_second_process_may_join_later(tmp_path):
    config = write_run(tmp_path / "a", "max_steps = 24\nsave_every_steps = 4")
    output = tmp_path / "output.txt"
    assert end(start(train_interrupted, "training", config, output)) == 75
    refused = TwoRanks(config)
    assert refused.statuses() == [4, 4]
    assert "processes: 1 → 2" in refused.printed()[0]
    allowed = TwoRanks(config, "--allow-world-size-change")
    assert allowed.statuses() == [0, 0], allowed.printed()
    (tmp_path / "one").mkdir()
    alone, note = write_run(tmp_path / "one" / "a", "max_steps = 24"), tmp_path / "one.json"
    assert end(start(train_as_rank, 0, 1, free_port(), alone, output, note)) == 0
    losses = [[loss for _, loss, _, _ in updates] for updates in (noted(note), allowed.noted()[0])]
    assert losses[1] == pytest.approx(losses[0][3:], rel=0.02)


def test_batches_of_fewer_rows_than_ranks_lose_and_repeat_nothing(tmp_path):
    config = write_run(tmp_path / "a", "max_epochs = 1")
    text = config.read_text().replace("max_batch_tokens = 400", "max_batch_tokens = 61")
    config.write_text(text.replace('train = "pairs.tsv"', 'train = "odd.tsv"'))
    long = [f"{pair.split(chr(9))[0]} " * 2 + f"\tle {n}\n" for n, pair in enumerate(PAIRS[:31])]
    (config.parent / "odd.tsv").write_text("".join(long))
    ranks = TwoRanks(config)
    assert ranks.statuses() == [0, 0], ranks.printed()
    first, second = ([pairs for *_, pairs in updates] for updates in ranks.noted())
    assert [] in second
    kept = len(load_prepared(read_config(config)).train)
    assert kept >= 30
    assert sorted(pair for pairs in (*first, *second) for pair in pairs) == list(range(kept))


def test_a_port_that_is_taken_ends_in_one_line(tmp_path):
    config, output = write_run(tmp_path / "a", TRAINING), tmp_path / "output.txt"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert end(start(train_as_rank, 0, 2, port, config, output), 60) == 7
    errors = [line for line in output.read_text().splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "Traceback" not in output.read_text()


def test_what_rank_zero_refuses_all_refuse_and_one_says_so(tmp_path):
    config = write_run(tmp_path / "a", TRAINING, PAIRS[:1])
    ranks = TwoRanks(config)
    assert ranks.statuses() == [2, 2]
    first, second = ranks.printed()
    assert "tokenizer.vocabulary_size" in first
    assert second == ""


def test_a_rank_that_meets_nobody_says_so(tmp_path):
    config = write_run(tmp_path / "a", TRAINING.replace("timeout = 20", "timeout = 2"))
    output = tmp_path / "output.txt"
    assert end(start(train_as_rank, 1, 2, free_port(), config, output), 60) == 7
    assert "rank 1 of 2: another process of the run has ended or does not answer" in (
        output.read_text().replace("\n", " ")
    )


def torchrun(config, output, *options):
    """`torchrun -m training train` with two ranks."""
    arguments = [
        *("--nproc-per-node=2", *options),
        *("--master-addr=127.0.0.1", f"--master-port={free_port()}"),
        *("-m", "training", "train", str(config)),
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *arguments],
        stdout=output,
        stderr=subprocess.STDOUT,
    )


def test_torchrun_starts_the_ranks_and_begins_again_after_a_crash(tmp_path, unbroken):
    config = write_run(tmp_path / "a", TRAINING)
    with (tmp_path / "output.txt").open("wb") as output:
        process = torchrun(config, output, "--max-restarts=1")
    while saved_step(config) < 8:
        assert process.poll() is None, (tmp_path / "output.txt").read_text()
        time.sleep(0.005)
    (victim,) = ranks_of(process.pid, "1")
    os.kill(victim, signal.SIGKILL)
    assert process.wait(120) == 0, (tmp_path / "output.txt").read_text()
    assert state_digest(config) == state_digest(unbroken.config)


def test_torchrun_tries_as_often_as_it_was_told_to(tmp_path):
    config = write_run(tmp_path / "a", TRAINING, PAIRS[:1])
    with (tmp_path / "output.txt").open("wb") as output:
        assert torchrun(config, output, "--max-restarts=2").wait(120) != 0
    assert (tmp_path / "output.txt").read_text().count("error: tokenizer.vocabulary_size") == 3


def test_ranks_save_and_end_when_torchrun_is_killed(tmp_path):
    never = 100_000
    config = write_run(
        tmp_path / "a",
        f"max_steps = {never}\nsave_every_steps = {never}\nvalidate_every_steps = {never}",
    )
    with (tmp_path / "output.txt").open("wb") as output:
        process = torchrun(config, output)
    while "step 50 of" not in (tmp_path / "output.txt").read_text():
        assert process.poll() is None, (tmp_path / "output.txt").read_text()
        time.sleep(0.05)
    ranks = psutil.Process(process.pid).children()
    assert len(ranks) == 2
    process.kill()
    _, alive = psutil.wait_procs(ranks, 60)
    assert alive == []
    process.wait()
    assert saved_step(config) >= 50


def ranks_of(parent, rank):
    return [
        child.pid
        for child in psutil.Process(parent).children()
        if child.environ().get("RANK") == rank
    ]


def test_alone_there_is_nobody_to_wait_for():
    alone = Ranks()
    assert alone.first
    assert alone.any(True)
    assert not alone.any(False)
    assert alone.gather(3) == [3]
    assert alone.on_first(lambda: 5) == 5
