"""Billing periods as an account counts them by default: by the calendar of Tokyo, from the anchor."""

import calendar
import datetime

from flow import TOKYO


def tokyo(timestamp):
    return datetime.datetime.fromtimestamp(timestamp, TOKYO)


def later(timestamp, months):
    """The same time of the same day so many months later, or of that month's last day."""
    begin = tokyo(timestamp)
    year, month = divmod(begin.year * 12 + begin.month - 1 + months, 12)
    day = min(begin.day, calendar.monthrange(year, month + 1)[1])
    return int(begin.replace(year=year, month=month + 1, day=day).timestamp())


def prorated(amount, timestamp, billing_day, zone):
    """The yen from this instant's day to the day before the next billing day, by the days of this zone."""
    today = datetime.datetime.fromtimestamp(timestamp, zone).date()
    first = today.replace(day=1)
    around = [
        _day_of(year_month, billing_day)
        for year_month in (
            first - datetime.timedelta(days=1),
            first,
            first + datetime.timedelta(days=calendar.monthrange(first.year, first.month)[1]),
        )
    ]
    before = max(day for day in around if day <= today)
    after = min(day for day in around if day > today)
    return amount * (after - today).days // (after - before).days


def _day_of(month, day):
    return month.replace(day=min(day, calendar.monthrange(month.year, month.month)[1]))
