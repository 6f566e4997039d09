#!/usr/bin/python3
"""The other side of scripts/demo --outlook: what a person does in the To Do app.

    app.py URL fill                      makes two lists with tasks
    app.py URL show                      prints every list
    app.py URL set TITLE NAME VALUE      changes a property of a task (title, text,
                                         due …)
    app.py URL complete TITLE
    app.py URL delete TITLE
    app.py URL wait TITLE [NAME VALUE]   waits until a task is there (with this)
    app.py URL approve                   agrees to the login that was begun
    app.py URL client                    prints the id of the application

The fake of the service takes these as commands (test/fakes/graph/control.py).
"""
import datetime
import json
import sys
import time
import urllib.request

URL = sys.argv[1].rstrip('/')


def do(command, **arguments):
    body = json.dumps(dict(arguments, do=command)).encode()
    with urllib.request.urlopen(urllib.request.Request(URL + '/control', body), timeout=30) as answer:
        return json.loads(answer.read())


def day(offset):
    return (datetime.date.today() + datetime.timedelta(offset)).isoformat()


def fill():
    home = do('make_list', name='Home')['id']
    work = do('make_list', name='Work')['id']
    weekly = {'pattern': {'type': 'weekly', 'interval': 1, 'firstDayOfWeek': 'monday',
                          'daysOfWeek': [datetime.date.today().strftime('%A').lower()]},
              'range': {'type': 'noEnd', 'startDate': day(0)}}
    do('add_task', list=home, title='Renew passports', due=day(21), zone='Europe/Berlin', importance='high',
       text='Photos are in the drawer', categories=['errands', 'family'])
    do('add_task', list=home, title='Water the plants', due=day(0), zone='Europe/Berlin', recurrence=weekly)
    do('add_task', list=home, title='Book a table', steps=['Ask Ana', 'Call'])
    do('add_task', list=home, title='Return library books')
    do('add_task', list=work, title='Quarterly report', due=day(5), zone='Europe/Berlin', status='inProgress')
    do('add_task', list=work, title='Call the printer people', html='<html><body>Contract <b>4711</b></body></html>')
    do('add_task', list=work, title='Plan the offsite', due=day(30), zone='Europe/Berlin')


def tasks():
    for one in do('lists')['lists']:
        for task in do('tasks', list=one['id'])['tasks']:
            yield one, task


def find(title):
    for one, task in tasks():
        if task['title'] == title:
            return one['id'], task
    return None, None


def show():
    rows = [('list', 'title', 'due (as UTC)', 'status', 'importance', 'body')]
    for one, task in tasks():
        due = task['dueDateTime'] or {}
        body = (task['body'] or {}).get('content', '')
        rows.append((one['displayName'], task['title'], due.get('dateTime', '')[:16], task['status'],
                     task['importance'], ' '.join(body.split())))
    rows[1:] = sorted(rows[1:])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print(' ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number == 0:
            print('-' + '-+-'.join('-' * width for width in widths))


def wait(title, name=None, value=None):
    for _ in range(300):
        task = find(title)[1]
        if task and (name is None or task[name] == value):
            return
        time.sleep(0.1)
    sys.exit(f'"{title}" did not come')


def main(command, *arguments):
    if command == 'fill':
        fill()
    elif command == 'show':
        show()
    elif command == 'wait':
        wait(*arguments)
    elif command == 'approve':
        do('approve_device')
    elif command == 'client':
        print(do('set')['client_id'])
    else:
        title, *more = arguments
        one, task = find(title)
        changes = {more[0]: more[1]} if command == 'set' else {}
        do({'set': 'edit_task'}.get(command, command + '_task'), list=one, task=task['id'], **changes)


main(*sys.argv[2:])
