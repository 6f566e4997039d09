"""Dates as Graph has them, time zones of both spellings, and recurrence."""
import calendar
import re
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

# Some of CLDR's windowsZones
WINDOWS = {
    'UTC': 'UTC',
    'GMT Standard Time': 'Europe/London',
    'W. Europe Standard Time': 'Europe/Berlin',
    'Romance Standard Time': 'Europe/Paris',
    'Central Europe Standard Time': 'Europe/Budapest',
    'E. Europe Standard Time': 'Europe/Chisinau',
    'FLE Standard Time': 'Europe/Kiev',
    'Russian Standard Time': 'Europe/Moscow',
    'Turkey Standard Time': 'Europe/Istanbul',
    'Eastern Standard Time': 'America/New_York',
    'Central Standard Time': 'America/Chicago',
    'Mountain Standard Time': 'America/Denver',
    'Pacific Standard Time': 'America/Los_Angeles',
    'Alaskan Standard Time': 'America/Anchorage',
    'Hawaiian Standard Time': 'Pacific/Honolulu',
    'E. South America Standard Time': 'America/Sao_Paulo',
    'South Africa Standard Time': 'Africa/Johannesburg',
    'India Standard Time': 'Asia/Calcutta',
    'Nepal Standard Time': 'Asia/Katmandu',
    'China Standard Time': 'Asia/Shanghai',
    'Tokyo Standard Time': 'Asia/Tokyo',
    'AUS Eastern Standard Time': 'Australia/Sydney',
    'New Zealand Standard Time': 'Pacific/Auckland',
    'Line Islands Standard Time': 'Pacific/Kiritimati',
}
FORM = re.compile(r'(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?')
DAYS = ('monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday')
INDEXES = ('first', 'second', 'third', 'fourth')


def zone(name):
    """The zone of a name, of Windows or IANA; ValueError when there is none."""
    iana = WINDOWS.get(name, name)
    if not re.fullmatch(r'[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*', iana or ''):
        raise ValueError(name)
    try:
        return ZoneInfo(iana)
    except (KeyError, OSError):
        raise ValueError(name) from None


def spelt(name, how):
    """The name of a zone as Windows or IANA has it, where there is such a name."""
    if how == 'iana':
        return WINDOWS.get(name, name)
    if how == 'windows':
        return {iana: windows for windows, iana in WINDOWS.items()}.get(name, name)
    return name


def parse(text):
    """A date and time without a zone; ValueError when it is none."""
    match = FORM.fullmatch(text)
    if not match:
        raise ValueError(text)
    parts = [int(part or 0) for part in match.groups()[:6]]
    return datetime(*parts, int((match[7] or '0').ljust(7, '0')[:6]))


def wire(moment, name):
    return {'dateTime': moment.strftime('%Y-%m-%dT%H:%M:%S.') + '%06d0' % moment.microsecond, 'timeZone': name}


def to_utc(moment, name):
    """The instant of a time in a zone, as one of UTC."""
    return moment.replace(tzinfo=zone(name)).astimezone(timezone.utc).replace(tzinfo=None)


def converted(value, name):
    """A dateTimeTimeZone in another zone."""
    instant = parse(value['dateTime']).replace(tzinfo=zone(value['timeZone']))
    return wire(instant.astimezone(zone(name)).replace(tzinfo=None), name)


def instant(ticks):
    """Ticks of 100 ns since 1970, as Graph's timestamps."""
    seconds, fraction = divmod(ticks, 10_000_000)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.') + '%07dZ' % fraction


def day_of_month(year, month, day):
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def months_later(day, months):
    month = day.month - 1 + months
    return day.year + month // 12, month % 12 + 1


def relative_day(year, month, index, weekdays):
    """The first, … or last of some weekdays in a month."""
    days = [date(year, month, d) for d in range(1, calendar.monthrange(year, month)[1] + 1)]
    days = [d for d in days if DAYS[d.weekday()] in weekdays]
    return days[-1] if index == 'last' else days[INDEXES.index(index)]


def next_date(pattern, day):
    """The next date of a recurrence pattern after a day."""
    kind, interval = pattern['type'], pattern.get('interval') or 1
    if kind == 'daily':
        return day + timedelta(days=interval)
    if kind == 'weekly':
        start = DAYS.index(pattern.get('firstDayOfWeek') or 'sunday')
        for step in range(1, 7 * interval + 8):
            later = day + timedelta(days=step)
            weeks = ((day.weekday() - start) % 7 + step) // 7
            if weeks % interval == 0 and DAYS[later.weekday()] in pattern['daysOfWeek']:
                return later
    if kind in ('absoluteMonthly', 'relativeMonthly'):
        year, month = months_later(day, interval)
    else:
        year, month = day.year + interval, pattern.get('month') or day.month
    if kind.startswith('absolute'):
        return day_of_month(year, month, pattern['dayOfMonth'])
    return relative_day(year, month, pattern.get('index') or 'first', pattern['daysOfWeek'])


def pattern_error(pattern):
    """What a recurrence pattern lacks for its type; None when nothing."""
    kind = pattern.get('type')
    if kind is None:
        return 'pattern.type is required'
    if not pattern.get('interval', 0) > 0:
        return 'pattern.interval must be positive'
    if kind in ('weekly', 'relativeMonthly', 'relativeYearly') and not pattern.get('daysOfWeek'):
        return 'pattern.daysOfWeek is required'
    if kind in ('absoluteMonthly', 'absoluteYearly') and not 1 <= pattern.get('dayOfMonth', 0) <= 31:
        return 'pattern.dayOfMonth is required'
    if kind in ('absoluteYearly', 'relativeYearly') and not 1 <= pattern.get('month', 0) <= 12:
        return 'pattern.month is required'
    return None
