"""Batches hold every pair once an epoch, within the budget, in an order that can be resumed."""

import numpy as np
import pytest
import torch

from training.batches import BatchPlan, collate
from training.dataset import DatasetWriter, ParallelDataset

PAD, BOS, EOS = 0, 2, 3


@pytest.fixture
def dataset(tmp_path):
    random = np.random.default_rng(7)
    with DatasetWriter(tmp_path / "train", 100, 70_000, EOS) as writer:
        for _ in range(203):
            source, target = (
                random.integers(4, limit, random.integers(0, 30)).tolist()
                for limit in (100, 70_000)
            )
            writer.append(source, target)
    return ParallelDataset.open(tmp_path / "train", 100, 70_000)


def plan(dataset, **options):
    settings = {"max_batch_tokens": 120, "seed": 5, "pad_id": PAD, "bos_id": BOS} | options
    return BatchPlan(dataset=dataset, **settings)


def test_what_is_written_is_read_with_eos(tmp_path):
    with DatasetWriter(tmp_path / "a", 100, 70_000, EOS) as writer:
        writer.append([9, 8], [69_999])
        writer.append([], [7])
    data = ParallelDataset.open(tmp_path / "a", 100, 70_000)
    assert [side[i].tolist() for side in (data.source, data.target) for i in range(2)] == [
        [9, 8, EOS],
        [EOS],
        [69_999, EOS],
        [7, EOS],
    ]
    assert data.source.ids.dtype == np.uint16
    assert data.target.ids.dtype == np.int32


def test_inputs_are_the_targets_behind_bos(tmp_path):
    with DatasetWriter(tmp_path / "a", 100, 100, EOS) as writer:
        writer.append([9, 8], [4, 5, 6])
        writer.append([7], [8])
    data = ParallelDataset.open(tmp_path / "a", 100, 100)
    batch = collate(data, np.array([0, 1]), pad_id=PAD, bos_id=BOS)
    assert batch.source.ids.tolist() == [[9, 8, EOS], [7, EOS, PAD]]
    assert batch.inputs.tolist() == [[BOS, 4, 5, 6], [BOS, 8, PAD, PAD]]
    assert batch.targets.tolist() == [[4, 5, 6, EOS], [8, EOS, PAD, PAD]]
    assert batch.target_lengths.tolist() == [4, 2]
    assert batch.indices == (0, 1)


def test_an_epoch_holds_every_pair_once(dataset):
    seen = [index for batch in plan(dataset).batches(0) for index in batch.indices]
    assert sorted(seen) == list(range(203))


def test_the_budget_bounds_the_padded_tokens_of_both_sides(dataset):
    for batch in plan(dataset).batches(0):
        assert batch.source.ids.numel() <= 120
        assert batch.targets.numel() <= 120


def test_a_pair_beyond_the_budget_is_a_batch_by_itself(dataset):
    batches = list(plan(dataset, max_batch_tokens=10).batches(0))
    assert all(len(b.indices) == 1 for b in batches if max(b.inputs.shape[1], 10) > 10)
    assert sum(len(batch.indices) for batch in batches) == 203


def test_neighbours_are_near_in_length(dataset):
    batches = list(plan(dataset).batches(0))
    padded = sum(batch.targets.numel() for batch in batches)
    assert sum(int(batch.target_lengths.sum()) for batch in batches) > 0.8 * padded


def test_the_order_follows_seed_and_epoch(dataset):
    def order(seed, epoch):
        return [batch.indices for batch in plan(dataset, seed=seed).batches(epoch)]

    assert order(5, 1) == order(5, 1)
    assert order(5, 1) != order(5, 2)
    assert order(5, 1) != order(6, 1)


def test_an_epoch_resumes_at_any_batch(dataset):
    whole = [batch.indices for batch in plan(dataset).batches(3)]
    assert [batch.indices for batch in plan(dataset).batches(3, start=4)] == whole[4:]


@pytest.mark.parametrize("world", [2, 3, 50])
def test_ranks_share_each_batch_of_the_one_process_plan(dataset, world):
    alone = list(plan(dataset).batches(0))
    ranks = [list(plan(dataset, rank=rank, world=world).batches(0)) for rank in range(world)]
    for step, batch in enumerate(alone):
        shares = [ranks[rank][step] for rank in range(world)]
        assert sorted(i for share in shares for i in share.indices) == sorted(batch.indices)
        tokens = sum(int(share.target_lengths.sum()) for share in shares)
        assert tokens == int(batch.target_lengths.sum())


def test_a_rank_without_a_row_has_nothing_to_learn(dataset):
    shares = list(plan(dataset, rank=49, world=50).batches(0))
    empty = [share for share in shares if not share.indices]
    assert empty
    for share in empty:
        assert torch.all(share.targets == PAD)
        assert share.target_lengths.tolist() == [0]
        assert share.source.lengths.min() >= 1


@pytest.mark.parametrize("world", [1, 2])
def test_joined_pairs_are_longer_examples_and_every_pair_is_still_there(dataset, world):
    batches = [
        batch
        for rank in range(world)
        for batch in plan(
            dataset, joined_share=0.5, joined_pieces=60, rank=rank, world=world
        ).batches(0)
    ]
    assert sorted(i for batch in batches for i in batch.indices) == list(range(203))
    rows = sum(len(batch.target_lengths) for batch in batches)
    assert rows < 180
    assert max(int(batch.target_lengths.max()) for batch in batches) > 35
    assert all(batch.targets.numel() <= 120 for batch in batches)


def test_every_epoch_joins_other_pairs(dataset):
    joined = plan(dataset, joined_share=0.5)
    groups = [
        {tuple(examples[i]) for i in range(len(examples)) if len(examples[i]) > 1}
        for examples in (joined.epoch(number).examples for number in (0, 1))
    ]
    assert not groups[0] & groups[1]
