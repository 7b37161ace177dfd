"""How runs are laid out costs no more than any way that a person would think of."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from schedsearch.training.layout import Layout, start_size

seconds = st.floats(1e-3, 10.0)


@given(
    runs=st.integers(1, 200),
    size=st.integers(1, 64),
    lanes=st.integers(1, 8),
    block=seconds,
    one=seconds,
    fill=st.booleans(),
)
def test_a_layout_is_no_slower_than_blocks_alone_or_runs_alone(
    runs: int, size: int, lanes: int, block: float, one: float, fill: bool
) -> None:
    layout = Layout(size, lanes, block, one, fill)
    alone, took = layout.alone(runs), layout.seconds(runs)
    assert 0 <= alone <= min(runs, size * lanes)
    blocks = Layout(size, lanes, block, 0.0, fill)
    assert blocks.alone(runs) == 0
    assert took <= blocks.seconds(runs) <= ceil(ceil(runs / size) / lanes) * block * 1.001
    assert took <= layout.seconds(runs + size * lanes)
    if runs <= size * lanes:
        assert took <= runs * one


@given(
    first=st.integers(1, 64),
    lanes=st.integers(1, 8),
    largest=st.integers(1, 64),
    ratio=st.integers(1, 4),
)
def test_a_guessed_size_fits(first: int, lanes: int, largest: int, ratio: int) -> None:
    waves = [(ceil(first / ratio**i), 100 * ratio**i) for i in range(3)]
    size = start_size(waves, lanes, largest)
    assert 1 <= size <= largest
    assert size & (size - 1) == 0, "a power of two"
