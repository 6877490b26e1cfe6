"""Numbers that processes count each for itself and anybody adds up."""

import os

import pytest

from sealift.registry.board import CAPACITY, NAME_BYTES, Board, Series

REQUESTS = Series("requests", ("get_manifest", "200"))
GAUGE = Series("in_flight")


def test_what_processes_count_adds_up() -> None:
    board = Board(3)
    for number in range(3):
        slot = board.take()
        assert slot is not None
        child = os.fork()
        if not child:
            counted = board.slot(slot)
            place = counted.place(REQUESTS)
            for _ in range(1000 * (number + 1)):
                counted.values[place] += 1.0
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert board.total() == {REQUESTS: 6000.0}


def test_a_process_that_is_replaced_loses_no_count_and_leaves_no_gauge() -> None:
    board = Board(1, gauges=frozenset({"in_flight"}))
    first = board.take()
    assert first is not None
    counted = board.slot(first)
    counted.values[counted.place(REQUESTS)] += 7.0
    counted.values[counted.place(GAUGE)] += 2.0
    board.free(first)
    assert board.total() == {REQUESTS: 7.0, GAUGE: 0.0}
    second = board.take()
    assert second == first
    counted = board.slot(second)
    counted.values[counted.place(REQUESTS)] += 1.0
    assert board.total()[REQUESTS] == 8.0


def test_two_that_live_at_a_time_have_two_slots() -> None:
    board = Board(1)
    taken = [board.take() for _ in range(9)]
    assert len(set(taken)) == 9
    assert taken[-1] is None  # all are taken, and one is told so


def test_past_the_capacity_nothing_is_begun_and_nothing_else_harmed() -> None:
    board = Board(1)
    slot = board.slot(0)
    for number in range(2 * CAPACITY):
        slot.values[slot.place(Series("m", (str(number),)))] += 1.0
    row = slot.row([Series("h", (), str(part)) for part in range(20)])
    slot.values[row + 19] += 1.0
    total = board.total()
    assert len(total) == CAPACITY - 1
    assert total[Series("m", ("0",))] == 1.0
    assert board.slot(1).read() == {}


def test_a_name_that_is_too_long_is_a_fault_of_the_source() -> None:
    with pytest.raises(ValueError, match="at most"):
        Board(1).slot(0).place(Series("m", ("x" * NAME_BYTES,)))
