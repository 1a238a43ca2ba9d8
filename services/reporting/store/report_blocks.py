"""Sums that are put together from those of weeks, of months and of single days, as parts of a statement."""

from collections.abc import Iterator

from services.reporting.domain.cells import MEASURES, ProductCell
from services.reporting.domain.summaries import DAILY, WEEK_BEFORE, WEEK_OF_DAY, WEEKLY, WEEKS, Cut, cut_name
from services.reporting.store.report_shapes import Look, Shape, bounds, days_of, period_of


def products(period: str) -> Iterator[str]:
    """The blocks of products' sums that come to a period's."""
    keys, measures = "tenant_id, edition, model, currency_code, sku", MEASURES[ProductCell]
    within = f"day BETWEEN CAST(:{period}_{{0}}_first AS date) AND CAST(:{period}_{{0}}_last AS date)"
    # Only days are ever taken off.
    weeks = f"product_summary WHERE cut = '{WEEKLY}' AND {within.format('weeks')}"
    yield f"SELECT {keys}, {', '.join(measures)} FROM {weeks}"
    for block in ("head", "tail"):
        signed = ", ".join(f"CAST(:{period}_{block}_sign AS bigint) * {one} AS {one}" for one in measures)
        yield f"SELECT {keys}, {signed} FROM product_cell WHERE {within.format(block)}"


def standing(shape: Shape, cut: Cut, look: Look) -> Iterator[str]:
    """What all days up to now add up to, and those up to the end of the compared period: whole months, and days of one.

    Where both are asked for, what is later is put on the day after that end.
    """
    keys, summed = "tenant_id, figure, {day}, currency_code, {amount}", "FROM activity_summary WHERE cut = '{}'"
    months, of_days = summed.format(cut_name(cut)), summed.format("")
    if look is Look.NOW:
        yield f"SELECT {keys.format(day='day', amount='amount')} {months}"
        return
    days = days_of(shape.comparison)
    begun, last = f"CAST(:{days}_month AS date)", f"CAST(:{days}_end AS date)"
    since = f"{of_days} AND day BETWEEN {begun} AND {last}"
    if look is Look.THEN:
        yield f"SELECT {keys.format(day='day', amount='amount')} {months} AND day < {begun}"
    else:
        later = f"CASE WHEN day < {begun} THEN day ELSE {last} + 1 END AS day"
        yield f"SELECT {keys.format(day=later, amount='amount')} {months}"
        yield f"SELECT {keys.format(day=f'{last} + 1', amount='-amount')} {since}"
    yield f"SELECT {keys.format(day='day', amount='amount')} {since}"


def different(shape: Shape, cut: Cut, look: Look) -> Iterator[str]:
    """Who is unique on each day; or in each period, where those are taken off who had counted before in it."""
    counted = "SELECT tenant_id, edition, figure"
    yield f"{counted}, day, amount AS people FROM tally_cell"
    if cut == (DAILY,):
        return
    for one in (Look.NOW, Look.THEN) if look is Look.BOTH else (look,):
        name, (first, _) = period_of(shape, one), bounds(shape, one)
        sign, run = f"CAST(:{name}_{{}}_sign AS bigint)", f"CAST(:{name}_{{}}_{{}} AS date)"
        head, tail = (
            f"BETWEEN {run.format(block, 'first')} AND {run.format(block, 'last')}" for block in ("head", "tail")
        )
        monday, last = run.format("weeks", "first"), run.format("weeks", "last")
        weeks = f"BETWEEN {monday} AND {last}"
        before_tail = f"BETWEEN {monday} AND {run.format('tail', 'last')}"
        # Counted by an end, and before since a beginning: each of the two is that of a week, and some days more or less.
        heads, tails = f"{sign.format('head')} * ", f"{sign.format('tail')} * "
        for times, where in (
            ("", f"unique_summary WHERE cut = '{WEEKS}' AND previous_day {weeks} AND day {weeks}"),
            (heads, f"unique_summary WHERE cut = '{WEEK_OF_DAY}' AND previous_day {head} AND day <= {last}"),
            (tails, f"unique_summary WHERE cut = '{WEEK_BEFORE}' AND previous_day {before_tail} AND day {tail}"),
            (
                heads + tails,
                f"unique_cell WHERE day = ANY(CAST(:{name}_tail_days AS date[])) AND previous_day {head}",
            ),
            # Of a period without a whole week there are only days.
            ("", f"unique_cell WHERE {monday} IS NULL AND day {head} AND previous_day {head}"),
            ("", f"unique_cell WHERE {monday} IS NULL AND day {tail} AND previous_day {tail}"),
        ):
            yield f"{counted}, {first} AS day, -({times}people) FROM {where}"
