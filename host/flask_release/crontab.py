"""Cron's times in systemd's words.

systemd 219 knows lists and steps in a calendar, but no ranges of numbers: every field is written out.
"""

import re
from typing import Dict, List, Optional, Sequence, Set

# Not isdigit(): that knows digits of other scripts, and some that are no numbers.
_NUMBER = re.compile(r"[0-9]{1,4}")

_MONTH_WORDS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_WORDS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = {name: number for number, name in enumerate(_MONTH_WORDS, 1)}
_DAYS = {name: number for number, name in enumerate(_DAY_WORDS)}
_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def split(line: str) -> Sequence[str]:
    """The time and the command of a crontab line: five fields, or one word such as @daily, then the command.

    Raises:
        ValueError: it has no command.
    """
    first = line.split(None, 1)
    if first and first[0] in _WORDS:
        words = [_WORDS[first[0]], *first[1:]]
    else:
        fields = line.split(None, 5)
        words = [" ".join(fields[:5]), *fields[5:]]
    if len(words) != 2:
        raise ValueError("it needs five fields of time, or a word such as @daily, and then a command")
    return words


def calendars(time: str) -> List[str]:
    """What `OnCalendar=` has to say, once or twice, for five cron fields.

    Cron takes a day that fits either the day of the month or the weekday when both are given; systemd wants both
    at once, so that takes two lines.

    Raises:
        ValueError: a field is none of cron's.
    """
    fields = time.split()
    if len(fields) != 5:
        raise ValueError(f"{time!r} has not five fields")
    minutes = _field(fields[0], 0, 59, {})
    hours = _field(fields[1], 0, 23, {})
    days = _field(fields[2], 1, 31, {})
    months = _field(fields[3], 1, 12, _MONTHS)
    # 7 is Sunday as well.
    weekdays = _field(fields[4], 0, 7, _DAYS)
    if weekdays is not None:
        weekdays = sorted({day % 7 for day in weekdays})
    clock = f"{_list(hours)}:{_list(minutes)}:00"
    of_week = (
        ",".join(_DAY_WORDS[day].capitalize() for day in weekdays or []) + " " if weekdays is not None else ""
    )
    if days is not None and weekdays is not None:
        return [f"*-{_list(months)}-{_list(days)} {clock}", f"{of_week}*-{_list(months)}-* {clock}"]
    return [f"{of_week}*-{_list(months)}-{_list(days)} {clock}"]


def _field(text: str, low: int, high: int, names: Dict[str, int]) -> Optional[List[int]]:
    """The values of a field, or None for all of them."""
    if text == "*":
        return None
    values: Set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _value(start, low, high, names)
            # "5/15" counts on from 5; "5" is only that.
            last = _value(end, low, high, names) if dash else high if step else first
        every = int(step) if _NUMBER.fullmatch(step) else 0 if "/" in part else 1
        if every < 1 or last < first:
            raise ValueError(f"{text!r} is no field of cron's")
        values.update(range(first, last + 1, every))
    return sorted(values)


def _value(text: str, low: int, high: int, names: Dict[str, int]) -> int:
    value = names.get(text.lower(), int(text) if _NUMBER.fullmatch(text) else -1)
    if not low <= value <= high:
        raise ValueError(f"{text!r} is not between {low} and {high}")
    return value


def _list(values: Optional[List[int]]) -> str:
    return "*" if values is None else ",".join(f"{value:02}" for value in values)
