"""Query options of Graph: $filter, $orderby, $top, …"""
import re
from urllib.parse import unquote_plus

from .store import bad, breach

ANY = re.compile(r"linkedResources/any\((\w+):\s*\1/(externalId|applicationName|displayName|webUrl)"
                 r"\s+eq\s+'((?:[^']|'')*)'\)")
CLAUSE = re.compile(r"(\w+(?:/\w+)?)\s+(eq|ne|gt|ge|lt|le)\s+('(?:[^']|'')*'|[\w.:+-]+)")
COMPARE = {'eq': lambda a, b: a == b, 'ne': lambda a, b: a != b, 'gt': lambda a, b: a > b,
           'ge': lambda a, b: a >= b, 'lt': lambda a, b: a < b, 'le': lambda a, b: a <= b}


def parsed(text, allowed):
    """The query options of a request; an unknown one, or one given twice, is a breach."""
    options = {}
    for pair in text.split('&') if text else []:
        name, _, value = pair.partition('=')
        if re.search(r'%(?![0-9A-Fa-f]{2})', pair) or re.search(r'[^!-~]', pair):
            raise breach('The query is not encoded well.')
        name, value = unquote_plus(name), unquote_plus(value)
        if name not in allowed:
            raise breach("The query option '%s' is not known here." % name)
        if name in options:
            raise breach("Query option '%s' was specified more than once." % name)
        options[name] = value
    return options


def number(options, name):
    """The value of an option that is a number; None without it."""
    if options.get(name) is None:
        return None
    if not re.fullmatch(r'[0-9]{1,9}', options[name]):
        raise breach("Invalid value '%s' for %s." % (options[name], name))
    return int(options[name])


def value_of(item, path):
    for part in path.split('/'):
        item = (item or {}).get(part)
    return item


def literal(text):
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return {'true': True, 'false': False, 'null': None}.get(text, text)


def filter_of(text, any_mode):
    """A function that says whether a state passes a $filter."""
    tests, rest = [], text.strip()
    while rest:
        match = ANY.match(rest)
        if match:
            if any_mode == 'refused':
                raise bad('The filter is not supported.', 'ErrorInvalidUrlQueryFilter')
            if any_mode == 'supported':
                tests.append(lambda item, key=match[2], value=match[3].replace("''", "'"):
                             any(link.get(key) == value for link in item.get('linkedResources', [])))
        else:
            match = CLAUSE.match(rest)
            if not match:
                raise breach("Invalid filter clause: %s" % rest)
            key, op, value = match[1], match[2], literal(match[3])
            tests.append(lambda item, test=(key, op, value): compared(item, *test))
        rest = rest[match.end():]
        if rest:
            match = re.match(r'\s+and\s+(?=\S)', rest)
            if not match:
                raise breach("Invalid filter clause: %s" % rest)
            rest = rest[match.end():]
    return lambda item: all(test(item) for test in tests)


def compared(item, key, op, value):
    ours = value_of(item, key)
    if op in ('eq', 'ne'):
        return COMPARE[op](ours, value)
    return ours is not None and COMPARE[op](str(ours), str(value))


def ordered(items, text):
    for part in reversed(text.split(',')):
        match = re.fullmatch(r'\s*(\w+(?:/\w+)?)(?:\s+(asc|desc))?\s*', part)
        if not match:
            raise breach("Invalid $orderby: %s" % text)
        items = sorted(items, key=lambda item, key=match[1]: str(value_of(item, key) or ''),
                       reverse=match[2] == 'desc')
    return items


def names(text, known):
    """The names of an $expand; options in brackets are refused."""
    result = [name.strip() for name in text.split(',')] if text else []
    for name in result:
        if name not in known:
            raise breach("Could not find a property named '%s'." % name)
    return result
