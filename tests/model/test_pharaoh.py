import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.alignment import GoldLinks
from model.pharaoh import from_pharaoh, to_pharaoh

INDICES = st.integers(min_value=0, max_value=999)


def test_links_are_written_source_first():
    assert to_pharaoh([(2, 0), (0, 1), (0, 1)]) == "0-1 2-0"


@given(pairs=st.sets(st.tuples(INDICES, INDICES)))
def test_what_is_written_reads_back(pairs):
    read = from_pharaoh(to_pharaoh(pairs))
    assert read.sure == read.possible == pairs


def test_possible_links_are_not_sure():
    assert from_pharaoh(" 0-0\t1p2 \n") == GoldLinks(
        sure=frozenset({(0, 0)}), possible=frozenset({(0, 0), (1, 2)})
    )


@pytest.mark.parametrize("written", ["1", "1-", "-1-2", "a-b", "1-2-3", "1.5-2", "²-1", "0-1:0.5"])
def test_what_is_no_link_is_named(written):
    with pytest.raises(ValueError, match=r"link 2 is .*; expected source-target"):
        from_pharaoh(f"0-0 {written}")
