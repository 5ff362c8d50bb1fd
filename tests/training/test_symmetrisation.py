"""Grow-diag-final-and on cases worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.symmetrisation import grow_diag_final_and

LINKS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14)


def test_directions_that_agree_are_the_result():
    links = {(0, 1), (1, 0), (2, 2)}
    assert grow_diag_final_and(links, links) == links


@pytest.mark.parametrize("link", [(s, t) for s in range(3) for t in range(3) if (s, t) != (1, 1)])
def test_a_link_grows_beside_a_sure_one_in_each_direction(link):
    assert grow_diag_final_and({(1, 1), link}, {(1, 1)}) == {(1, 1), link}


def test_growth_goes_on_from_what_has_grown():
    diagonal = {(index, index) for index in range(4)}
    assert grow_diag_final_and(diagonal, {(0, 0)}) == diagonal


def test_no_link_grows_between_two_words_that_have_one():
    sure = {(0, 0), (1, 1)}
    assert grow_diag_final_and(sure | {(0, 1), (1, 0)}, sure) == sure


def test_far_links_join_only_where_both_words_are_free():
    sure = {(0, 0)}
    assert grow_diag_final_and(sure | {(5, 5), (0, 4)}, sure) == sure | {(5, 5)}


def test_forward_links_come_first_where_far_links_contend():
    assert grow_diag_final_and({(0, 3)}, {(3, 3)}) == {(0, 3)}


def test_nothing_gives_nothing():
    assert grow_diag_final_and([], []) == set()


@given(LINKS, LINKS)
def test_the_result_lies_between_intersection_and_union(forward, backward):
    links = grow_diag_final_and(forward, backward)
    assert forward & backward <= links <= forward | backward
    for source, target in forward | backward:
        assert source in {s for s, _ in links} or target in {t for _, t in links}
