"""The cost model never splits jobs in a way that costs more than one a person would think of."""

from dataclasses import replace
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from schedsearch.training.choice.block_cost import first_block_size, jobs_alone, step_seconds
from schedsearch.training.choice.way import Way

seconds = st.floats(1e-3, 10.0)


@given(
    jobs=st.integers(1, 200),
    size=st.integers(1, 64),
    lanes=st.integers(1, 8),
    block=seconds,
    one=seconds,
    compiled=st.booleans(),
)
def test_a_split_is_no_slower_than_blocks_alone_or_jobs_alone(
    jobs: int, size: int, lanes: int, block: float, one: float, compiled: bool
) -> None:
    way = Way(
        "fused",
        block=size,
        lanes=lanes,
        compiled=compiled,
        block_seconds=block,
        alone_seconds=one,
    )
    alone, took = jobs_alone(way, jobs), step_seconds(way, jobs)
    assert 0 <= alone <= min(jobs, size * lanes)
    blocks = replace(way, alone_seconds=0.0)
    assert jobs_alone(blocks, jobs) == 0
    assert took <= step_seconds(blocks, jobs) <= ceil(ceil(jobs / size) / lanes) * block * 1.001
    assert took <= step_seconds(way, jobs + size * lanes)
    if jobs <= size * lanes:
        assert took <= jobs * one


@given(
    first=st.integers(1, 64),
    lanes=st.integers(1, 8),
    largest=st.integers(1, 64),
    ratio=st.integers(1, 4),
)
def test_a_guessed_size_fits(first: int, lanes: int, largest: int, ratio: int) -> None:
    waves = [(ceil(first / ratio**i), 100 * ratio**i) for i in range(3)]
    size = first_block_size(waves, lanes, largest)
    assert 1 <= size <= largest
    assert size & (size - 1) == 0, "a power of two"
