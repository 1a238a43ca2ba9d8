"""Weeks and days come to a period: each day of it counts once, and no other day does."""

from collections import Counter
from datetime import date, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from services.reporting.domain.blocks import Blocks, Run, blocks, week_of
from services.reporting.domain.periods import Period


def days(first: date, last: date) -> list[date]:
    return [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]


@given(st.dates(max_value=date(9999, 12, 1)), st.integers(0, 70))
@example(date.min, 3)
@example(date(9999, 12, 25), 6)
def test_blocks_come_to_the_period(start, more):
    period = Period(start=start, end=date.fromordinal(start.toordinal() + more))

    told: Counter[date] = Counter()
    read = 0
    found = blocks(period)
    for run in filter(None, (found.head, found.tail)):
        told.update(dict.fromkeys(days(run.first, run.last), run.sign))
        read += len(days(run.first, run.last))
    if found.weeks:
        for monday in days(found.weeks.first, found.weeks.last)[::7]:
            assert monday == week_of(monday)
            sunday = date.fromordinal(min(monday.toordinal() + 6, date.max.toordinal()))
            told.update(dict.fromkeys(days(monday, sunday), found.weeks.sign))
            read += 1

    # Days that there will never be are no days of a week's.
    assert {day: times for day, times in told.items() if times} == dict.fromkeys(days(period.start, period.end), 1)
    assert read <= (more + 1) // 7 + 8


def test_of_a_week_whose_days_are_mostly_in_the_period_the_others_are_taken_off():
    monday = date(2026, 11, 16)
    week = Run(monday, monday, 1)

    def run(first: int, last: int, sign: int) -> Run:
        return Run(monday + timedelta(days=first), monday + timedelta(days=last), sign)

    def told(first: int, last: int) -> Blocks:
        return blocks(Period(start=monday + timedelta(days=first), end=monday + timedelta(days=last)))

    assert told(0, 6) == Blocks(None, week, None)
    assert told(0, 5) == Blocks(None, week, run(6, 6, -1))
    assert told(0, 2) == Blocks(run(0, 2, 1), None, None)
    assert told(1, 2) == Blocks(run(1, 2, 1), None, None)
    assert told(-2, 9) == Blocks(run(-2, -1, 1), week, run(7, 9, 1))
    assert told(-4, 10) == Blocks(
        run(-7, -5, -1), Run(monday - timedelta(days=7), monday + timedelta(days=7), 1), run(11, 13, -1)
    )
