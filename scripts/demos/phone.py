#!/usr/bin/python3
"""The other side of scripts/demo: what a person does at a CalDAV app.

    phone.py URL fill                    makes two lists with tasks
    phone.py URL show                    prints every list
    phone.py URL set TITLE NAME VALUE    changes a property of a task
    phone.py URL delete TITLE
    phone.py URL wait TITLE [LINE]       waits until a task is there (with
                                              this line)

Plain HTTP with the user "tasks" and the password "secret".  It keeps what it
does not know, as a good client does.
"""
import base64
import datetime
import html
import re
import sys
import time
import urllib.error
import urllib.request

URL = sys.argv[1].rstrip('/')
AUTHORIZATION = 'Basic ' + base64.b64encode(b'tasks:secret').decode()
TODAY = datetime.date.today()


def request(method, path, body=None, **headers):
    headers = {name.replace('_', '-'): value for name, value in headers.items()}
    headers['Authorization'] = AUTHORIZATION
    data = body.encode() if body is not None else None
    call = urllib.request.Request(URL + path, data, headers, method=method)
    with urllib.request.urlopen(call, timeout=30) as answer:
        return answer.read().decode()


def day(offset):
    return (TODAY + datetime.timedelta(offset)).strftime('%Y%m%d')


def make_list(path, name, color):
    request('MKCALENDAR', path, f'''<?xml version="1.0"?>
<C:mkcalendar xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="http://apple.com/ns/ical/">
<set><prop><displayname>{name}</displayname><A:calendar-color>{color}FF</A:calendar-color>
<C:supported-calendar-component-set><C:comp name="VTODO"/></C:supported-calendar-component-set>
</prop></set></C:mkcalendar>''', Content_Type='application/xml')


def put(path, uid, *lines):
    text = '\r\n'.join(['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:+//IDN tasks.org//android-130900//EN',
                        'BEGIN:VTODO', f'UID:{uid}', 'DTSTAMP:20260101T120000Z', *lines,
                        'END:VTODO', 'END:VCALENDAR', ''])
    request('PUT', f'{path}{uid}.ics', text, Content_Type='text/calendar; charset=utf-8')


def fill():
    try:
        request('MKCOL', '/tasks/')
    except urllib.error.HTTPError:
        pass                    # a server that makes it by itself
    make_list('/tasks/home/', 'Home', '#2e7d32')
    make_list('/tasks/office/', 'Work', '#1565c0')
    put('/tasks/home/', 'h1', 'SUMMARY:Renew passports', f'DUE;VALUE=DATE:{day(21)}', 'PRIORITY:1',
        'DESCRIPTION:Photos are in the drawer', 'CATEGORIES:errands,family')
    put('/tasks/home/', 'h2', 'SUMMARY:Water the plants', f'DTSTART;VALUE=DATE:{day(0)}',
        f'DUE;VALUE=DATE:{day(0)}', 'RRULE:FREQ=WEEKLY', 'X-APPLE-SORT-ORDER:700123456')
    put('/tasks/home/', 'h3', 'SUMMARY:Birthday dinner for Ana', f'DUE;TZID=Europe/Berlin:{day(9)}T190000')
    put('/tasks/home/', 'h4', 'SUMMARY:Book a table', 'RELATED-TO:h3', 'PRIORITY:5')
    put('/tasks/home/', 'h5', 'SUMMARY:Return library books', 'STATUS:COMPLETED',
        f'COMPLETED:{day(-1)}T161500Z')
    put('/tasks/office/', 'w1', 'SUMMARY:Quarterly report', f'DUE;VALUE=DATE:{day(5)}', 'STATUS:IN-PROCESS',
        'PERCENT-COMPLETE:40', 'PRIORITY:1')
    put('/tasks/office/', 'w2', 'SUMMARY:Call the printer people', 'DESCRIPTION:Contract 4711')
    put('/tasks/office/', 'w3', 'SUMMARY:Plan the offsite', f'DUE;VALUE=DATE:{day(30)}',
        'BEGIN:VALARM', 'ACTION:DISPLAY', 'DESCRIPTION:Plan the offsite', 'TRIGGER;RELATED=END:-P2D',
        'END:VALARM')


def collections():
    """The lists: path → name"""
    answer = request('PROPFIND', '/tasks/', '<propfind xmlns="DAV:"><prop><displayname/></prop></propfind>',
                     Depth='1', Content_Type='application/xml')
    found = {}
    for response in re.findall(r'<response>(.*?)</response>', answer, re.S):
        path = re.search(r'<href>(.*?)</href>', response).group(1)
        name = re.search(r'<displayname>(.*?)</displayname>', response)
        if name and path != '/tasks/':
            found[path] = html.unescape(name.group(1))
    return found


def objects():
    """All tasks: (list, path, text)"""
    for path, name in sorted(collections().items(), key=lambda item: item[1]):
        answer = request('REPORT', path, '''<C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
<prop><C:calendar-data/></prop><C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VTODO"/>
</C:comp-filter></C:filter></C:calendar-query>''', Depth='1', Content_Type='application/xml')
        for response in re.findall(r'<response>(.*?)</response>', answer, re.S):
            text = re.search(r'<[^>]*calendar-data[^>]*>(.*?)</', response, re.S)
            if text:
                unfolded = re.sub(r'\r?\n[ \t]', '', html.unescape(text.group(1)))
                yield name, re.search(r'<href>(.*?)</href>', response).group(1), unfolded


def value(text, name):
    text = re.sub(r'BEGIN:(VTIMEZONE|VALARM).*?END:\1', '', text, flags=re.S)
    found = re.search(r'^%s(?:;[^:]*)?:(.*?)\r?$' % name, text, re.M)
    return found.group(1).replace('\\,', ',').replace('\\;', ';') if found else ''


def show():
    rows = [('list', 'SUMMARY', 'DUE', 'STATUS', 'PRIORITY', 'DESCRIPTION')]
    for name, _, text in objects():
        rows.append((name, *(value(text, column) for column in rows[0][1:])))
    rows[1:] = sorted(rows[1:])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print(' ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number == 0:
            print('-' + '-+-'.join('-' * width for width in widths))


def find(title):
    for _, path, text in objects():
        if value(text, 'SUMMARY') == title:
            return path, text
    return None, ''


def change(title, name, new):
    path, text = find(title)
    stamp = datetime.datetime.utcnow().strftime('%Y%m%dT%H%M%SZ')
    text = re.sub(r'\r?\n', '\r\n', text)
    text = re.sub(r'^(LAST-MODIFIED|%s)[:;][^\r]*\r\n' % name, '', text, flags=re.M)
    text = text.replace('END:VTODO', f'{name}:{new}\r\nLAST-MODIFIED:{stamp}\r\nEND:VTODO', 1)
    request('PUT', path, text, Content_Type='text/calendar; charset=utf-8')


def wait(title, line=''):
    for _ in range(300):
        path, text = find(title)
        if path and line in text:
            return
        time.sleep(0.1)
    sys.exit(f'"{title}" did not arrive')


COMMANDS = {'fill': fill, 'show': show, 'set': change, 'wait': wait,
            'delete': lambda title: request('DELETE', find(title)[0])}
COMMANDS[sys.argv[2]](*sys.argv[3:])
