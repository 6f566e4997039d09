"""What people have in Microsoft To Do, and what changes it."""
import base64
import copy
import random
import threading
import time
import uuid
from datetime import timedelta

from . import bodies, dates

DATES = ('dueDateTime', 'startDateTime', 'reminderDateTime', 'completedDateTime')
CHILDREN = {'checklistItems': 'checklist', 'linkedResources': 'links', 'extensions': 'extensions'}
OPEN_EXTENSION = 'microsoft.graph.openTypeExtension'
MIDNIGHT = {'hour': 0, 'minute': 0, 'second': 0, 'microsecond': 0}


class Problem(Exception):
    """An answer that is an error.  A breach is a fault of the client's code: it is
    written to FOLDER/violations."""

    def __init__(self, status, code, message, inner=None, headers=(), breach=False):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.inner, self.headers, self.breach = inner, list(headers), breach


def bad(message, code='invalidRequest', **more):
    return Problem(400, code, message, **more)


def breach(message, code='BadRequest', status=400):
    return Problem(status, code, message, breach=True)


def not_found():
    return Problem(404, 'ErrorItemNotFound', 'The specified object was not found in the store.')


class Task:
    def __init__(self, id_, now):
        self.data = {
            'id': id_, 'title': '', 'status': 'notStarted', 'importance': 'normal', 'isReminderOn': False,
            'categories': [], 'hasAttachments': False, 'createdDateTime': now, 'lastModifiedDateTime': now,
            'body': {'content': '', 'contentType': 'text'}, 'bodyLastModifiedDateTime': now,
            'dueDateTime': None, 'startDateTime': None, 'reminderDateTime': None, 'completedDateTime': None,
            'recurrence': None}
        self.checklist, self.links, self.extensions, self.attachments = [], [], [], []
        self.due = None       # the date and the zone of who has set it: recurrence goes on from there

    @property
    def id(self):
        return self.data['id']

    def view(self):
        """All of it, to be looked at."""
        return dict(self.data, checklistItems=self.checklist, linkedResources=self.links, extensions=self.extensions)

    def state(self):
        """All of it, to be kept."""
        return copy.deepcopy(self.view())


class TaskList:
    def __init__(self, id_, name, wellknown='none'):
        self.data = {'id': id_, 'displayName': name, 'isOwner': True, 'isShared': False,
                     'wellknownListName': wellknown}
        self.extensions, self.tasks, self.log = [], {}, []

    @property
    def id(self):
        return self.data['id']

    @property
    def protected(self):
        return self.data['wellknownListName'] != 'none'

    def state(self):
        return copy.deepcopy(dict(self.data, extensions=self.extensions))


class User:
    def __init__(self, name, id_):
        self.name, self.id, self.upn = name, id_, name + '@example.com'
        self.lists, self.log, self.subscriptions = {}, [], {}
        self.categories = [{'id': str(uuid.UUID(int=7)), 'displayName': 'Red category', 'color': 'preset0'}]


class Store:
    def __init__(self, options):
        self.options = options
        self.lock = threading.RLock()
        self.dice = random.Random(options.seed)
        self.clock_offset = 0
        self.ticks = 0
        self.sequence = 0
        self.users, self.given_out, self.last_id = {}, set(), {}

    # Time, ids, etags

    def now(self):
        return time.time() + self.clock_offset

    def stamp(self):
        """Now, with seven decimals, later than any before."""
        self.ticks = max(self.ticks + 1, int(self.now() * 10_000_000))
        return dates.instant(self.ticks)

    def today(self, zone):
        return dates.converted(dates.wire(dates.parse(dates.instant(int(self.now() * 1e7))[:-1]), 'UTC'), zone)

    def new_id(self, kind):
        """A long id with - _ =; each second one differs from the one before only by the case of letters."""
        length = {'list': 88, 'task': 120}[kind]
        last, self.last_id[kind] = self.last_id.get(kind), None
        if last:
            id_ = last[:-20] + last[-20:].swapcase()
        else:
            raw = bytes(self.dice.randrange(256) for _ in range(length))
            id_ = 'AQMkADAwATM0MDAAMS0y-_' + base64.urlsafe_b64encode(raw).decode()[:length] + '_-A='
            if kind == 'task':
                id_ += '='
            if id_[-20:] != id_[-20:].swapcase():
                self.last_id[kind] = id_
        if id_ in self.given_out:
            return self.new_id(kind)
        self.given_out.add(id_)
        return id_

    def new_etag(self):
        return 'W/"%s"' % base64.b64encode(bytes(self.dice.randrange(256) for _ in range(19))).decode()

    def new_uuid(self):
        id_ = str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        self.given_out.add(id_)
        return id_

    # Users and lists

    def user(self, name):
        """A person, with the two lists that everybody has."""
        if name not in self.users:
            user = self.users[name] = User(name, self.new_uuid())
            self.make_list(user, 'Tasks', 'defaultList')
            self.make_list(user, 'Flagged email', 'flaggedEmails')
        return self.users[name]

    def make_list(self, user, name, wellknown='none'):
        task_list = TaskList(self.new_id('list'), name, wellknown)
        user.lists[task_list.id] = task_list
        self.list_changed(user, task_list, set(task_list.data))
        return task_list

    def list_changed(self, user, task_list, changed):
        task_list.data['@odata.etag'] = self.new_etag()
        self.note(user.log, task_list.id, task_list.state(), changed)

    def delete_list(self, user, task_list):
        del user.lists[task_list.id]
        self.note(user.log, task_list.id, None, set(), self.options.removed_reason)

    def note(self, log, id_, state, changed, reason=None):
        """Writes down a change, for deltas."""
        self.sequence += 1
        log.append({'seq': self.sequence, 'time': time.monotonic(), 'id': id_, 'state': state,
                    'changed': changed, 'reason': reason})

    # Tasks

    def touch(self, task_list, task, changed):
        task.data['@odata.etag'] = self.new_etag()
        task.data['lastModifiedDateTime'] = self.stamp()
        if 'body' in changed:
            task.data['bodyLastModifiedDateTime'] = task.data['lastModifiedDateTime']
        self.note(task_list.log, task.id, task.state(), changed | {'lastModifiedDateTime'})

    def child_changed(self, task_list, task, kind):
        if self.options.child_bumps == 'on':
            self.touch(task_list, task, {kind})

    def add_task(self, task_list, body, app=False):
        """A new task of what a request has in its body, or of what a person does in the app."""
        task = Task(self.new_id('task'), self.stamp())
        self.apply(task_list, task, body, creating=True, app=app)
        for item in body.get('checklistItems', []) if self.options.deep_insert == 'all' or app else []:
            task.checklist.append(self.new_step(item))
        for item in body.get('linkedResources', []):
            task.links.append(self.new_link(item))
        for item in body.get('extensions', []) if self.options.deep_insert == 'all' or app else []:
            task.extensions.append(new_extension(item))
        task_list.tasks[task.id] = task
        self.touch(task_list, task, set(task.data) | set(CHILDREN))
        return task

    def edit_task(self, task_list, task, body, app=False):
        draft = copy.deepcopy(task)
        extra = self.apply(task_list, draft, body, creating=False, app=app)
        changed = {key for key, value in draft.data.items() if task.data[key] != value}
        task.data, task.due = draft.data, draft.due
        if changed or self.options.idle_patch == 'bumps':
            self.touch(task_list, task, changed)
        if extra:
            extra()

    def delete_task(self, task_list, task, reason=None):
        del task_list.tasks[task.id]
        self.note(task_list.log, task.id, None, set(), reason or self.options.removed_reason)

    def move_task(self, task_list, task, target):
        """As the app does: it is another task there."""
        self.delete_task(task_list, task, self.options.moved_reason)
        moved = copy.deepcopy(task)
        moved.data['id'] = self.new_id('task')
        target.tasks[moved.id] = moved
        self.touch(target, moved, set(moved.data) | set(CHILDREN))
        return moved

    def new_step(self, item):
        step = {'id': self.new_uuid(), 'displayName': item.get('displayName') or '',
                'isChecked': bool(item.get('isChecked')),
                'createdDateTime': item.get('createdDateTime') or self.stamp()}
        if step['isChecked']:
            step['checkedDateTime'] = item.get('checkedDateTime') or self.stamp()
        return step

    def change_step(self, step, item):
        step.update({key: value for key, value in item.items() if not key.startswith('@')})
        if not step['isChecked']:
            step['isChecked'] = False
            step.pop('checkedDateTime', None)
        elif not step.get('checkedDateTime'):
            step['checkedDateTime'] = self.stamp()

    def new_link(self, item):
        return dict({key: value for key, value in item.items() if value is not None and not key.startswith('@')},
                    id=self.new_uuid())

    # The rules of a task's properties

    def apply(self, task_list, task, body, creating, app):
        """Changes a task as a request says.  What else comes of it is done by the function it returns."""
        data, options = task.data, self.options
        was_completed, had_recurrence = data['status'] == 'completed', data['recurrence']
        if creating or 'title' in body:
            self.set_title(data, body.get('title'))
        if body.get('body') is not None:
            data['body'] = self.body_of(data['body'], body['body'], app, creating)
        for key in ('importance', 'categories'):
            if key in body:
                data[key] = body[key]
        second = self.set_dates(task_list, task, body, creating, app)
        self.set_reminder(data, body, app)
        if 'recurrence' in body:
            self.set_recurrence(task, body['recurrence'], creating, app)
        if 'status' in body:
            data['status'] = body['status']
        if data['status'] != 'completed':
            data['completedDateTime'] = None
        elif not was_completed:
            data['completedDateTime'] = self.completed_of(body)
            if data['recurrence'] and had_recurrence:
                following = self.following_of(task)
                data['recurrence'] = None
                return following and (lambda: self.put_in(task_list, following))
        elif options.completed_sent == 'kept' and body.get('completedDateTime'):
            data['completedDateTime'] = self.completed_of(body)
        return second

    def put_in(self, task_list, task):
        task_list.tasks[task.id] = task
        self.touch(task_list, task, set(task.data) | set(CHILDREN))

    def set_title(self, data, title):
        title = title or ''
        if not title.strip() and self.options.empty_title == 'refused':
            raise bad('The property title is required.')
        if self.options.title_max and len(title) > self.options.title_max:
            raise bad('The property title is too long.')
        data['title'] = title

    def body_of(self, old, new, app, creating):
        content = new.get('content') or ''
        html = (new.get('contentType') or old['contentType']) == 'html'
        if not content:
            return {'content': '', 'contentType': 'html' if html else 'text'}
        if self.options.text_newlines == 'crlf' and not html:
            content = content.replace('\r\n', '\n').replace('\n', '\r\n')
        if html:
            return {'content': bodies.wrapped(content), 'contentType': 'html'}
        if self.options.text_bodies == 'html' and not app and not creating:
            return {'content': bodies.from_text(content), 'contentType': 'html'}
        return {'content': content, 'contentType': 'text'}

    def date_of(self, name, value, app):
        """A date as it comes back; and the day it is, and its zone."""
        try:
            moment = dates.parse(value['dateTime'])
        except ValueError:
            raise breach("The value '%s' of parameter 'DateTime' is invalid." % value['dateTime'],
                         'InvalidDateTime') from None
        try:
            dates.zone(value['timeZone'])
        except ValueError:
            raise breach("The time zone '%s' is invalid." % value['timeZone'], 'TimeZoneNotSupported') from None
        day_only = name != 'reminderDateTime'
        day = (moment.date(), value['timeZone'])
        if day_only and (app or self.options.due_truncate == 'on'):
            moment = moment.replace(**MIDNIGHT)
        if app:
            return dates.wire(dates.to_utc(moment, value['timeZone']), 'UTC'), day
        if self.options.dates == 'given':
            return dates.wire(moment, dates.spelt(value['timeZone'], self.options.zone_names)), day
        if day_only and self.options.due_dates == 'date':
            return dates.wire(moment.replace(**MIDNIGHT), 'UTC'), day
        return dates.wire(dates.to_utc(moment, value['timeZone']), 'UTC'), day

    def set_dates(self, task_list, task, body, creating, app):
        """Sets due and start.  The function that makes a second task, if there is to be one."""
        data, second = task.data, None
        for name in ('dueDateTime', 'startDateTime'):
            if name not in body:
                continue
            value, day = self.date_of(name, body[name], app) if body[name] else (None, None)
            if name == 'dueDateTime':
                if data['recurrence'] and value is None and 'recurrence' not in body:
                    if self.options.recurring_due_null == 'refused':
                        raise bad('A recurring task needs a due date.')
                    data['recurrence'] = None
                moved = data['recurrence'] and value and value != data['dueDateTime'] and not creating
                if moved and self.options.recurring_due == 'second' and not app:
                    other = self.copy_of(task)
                    second = (lambda: self.put_in(task_list, other))
                task.due = day
            data[name] = value
        return second

    def set_reminder(self, data, body, app):
        if 'reminderDateTime' in body:
            value = body['reminderDateTime']
            data['reminderDateTime'] = value and self.date_of('reminderDateTime', value, app)[0]
        if 'isReminderOn' in body:
            data['isReminderOn'] = body['isReminderOn']
        if data['isReminderOn'] and not data['reminderDateTime']:
            if self.options.reminder_without_time == 'refused':
                raise bad('A reminder needs reminderDateTime.')
            data['isReminderOn'] = False

    def set_recurrence(self, task, recurrence, creating, app):
        data, options = task.data, self.options
        if recurrence is None:
            data['recurrence'] = None
            return
        pattern, reach = recurrence.get('pattern'), recurrence.get('range')
        wrong = dates.pattern_error(pattern) if pattern else 'recurrence.pattern is required'
        if wrong:
            raise breach(wrong, 'invalidRequest')
        if reach and not creating and not app and options.range_on_patch == 'refused':
            raise bad("Invalid JSON, Error converting value \"%s\" to type 'Microsoft.OData.Edm.Date'. Path 'recurrence."
                      "range.startDate', line 1, position 1." % reach.get('startDate'), inner='InvalidModel')
        if not data['dueDateTime']:
            zone = (reach or {}).get('recurrenceTimeZone') or options.mailbox_zone
            day = (reach or {}).get('startDate') or self.today(zone)['dateTime'][:10]
            data['dueDateTime'], task.due = self.date_of(
                'dueDateTime', {'dateTime': day + 'T00:00:00', 'timeZone': zone}, app)
        old = data['recurrence']
        if reach is None and old and options.range_null == 'kept':
            reach = old['range']
        data['recurrence'] = {'pattern': whole_pattern(pattern), 'range': self.whole_range(reach or {}, task.due)}

    def whole_range(self, reach, due):
        kind = reach.get('type') or 'noEnd'
        if kind == 'endDate' and not reach.get('endDate'):
            raise breach('range.endDate is required', 'invalidRequest')
        if kind == 'numbered' and not reach.get('numberOfOccurrences', 0) > 0:
            raise breach('range.numberOfOccurrences must be positive', 'invalidRequest')
        return {'type': kind, 'startDate': reach.get('startDate') or due[0].isoformat(),
                'endDate': reach.get('endDate') or '0001-01-01',
                'recurrenceTimeZone': reach.get('recurrenceTimeZone') or 'UTC',
                'numberOfOccurrences': reach.get('numberOfOccurrences') or 0}

    def completed_of(self, body):
        sent = body.get('completedDateTime')
        if sent and self.options.completed_sent == 'kept':
            value = self.date_of('completedDateTime', sent, False)[0]
            day = dates.parse(dates.converted(value, 'UTC')['dateTime'])
        else:
            day = dates.parse(self.today('UTC')['dateTime'])
            if self.options.completed_day == 'before':
                day -= timedelta(days=1)
        return dates.wire(day.replace(**MIDNIGHT), 'UTC')

    def copy_of(self, task):
        """Another task with the same properties."""
        other = copy.deepcopy(task)
        now = self.stamp()
        other.data.update(id=self.new_id('task'), createdDateTime=now, bodyLastModifiedDateTime=now,
                          hasAttachments=False)
        for step in other.checklist:
            step['id'] = self.new_uuid()
        other.links = [self.new_link(link) for link in task.links] if self.options.recurring_links == 'on' else []
        other.extensions, other.attachments = [], []
        return other

    def following_of(self, task):
        """The task for the next date of a recurring one that is completed; None after the last."""
        pattern, reach = task.data['recurrence']['pattern'], task.data['recurrence']['range']
        day, zone = task.due
        later = dates.next_date(pattern, day)
        if reach['type'] == 'endDate' and later.isoformat() > reach['endDate']:
            return None
        if reach['type'] == 'numbered' and reach['numberOfOccurrences'] <= 1:
            return None
        other = self.copy_of(task)
        if reach['type'] == 'numbered':
            other.data['recurrence']['range']['numberOfOccurrences'] -= 1
        other.data.update(status='notStarted', completedDateTime=None)
        for step in other.checklist:
            self.change_step(step, {'isChecked': False})
        for name in ('dueDateTime', 'startDateTime', 'reminderDateTime'):
            if other.data[name]:
                other.data[name] = shifted(other.data[name], zone, (later - day).days)
        other.due = (later, zone)
        return other


def shifted(value, zone, days):
    """A date some days later at the same time of a zone's clocks."""
    local = dates.converted(value, zone)
    moment = dates.parse(local['dateTime']) + timedelta(days=days)
    return dates.converted(dates.wire(moment, local['timeZone']), value['timeZone'])


def whole_pattern(pattern):
    whole = {'type': 'daily', 'interval': 1, 'month': 0, 'dayOfMonth': 0, 'daysOfWeek': [],
             'firstDayOfWeek': 'sunday', 'index': 'first'}
    whole.update({key: value for key, value in pattern.items() if value is not None and not key.startswith('@')})
    return whole


def new_extension(item):
    """An open extension of what a request has."""
    name = item.get('extensionName')
    if not name or item.get('@odata.type', '').lstrip('#') != OPEN_EXTENSION:
        raise breach('An open extension has extensionName, and its @odata.type.')
    return dict(item, id='%s.%s' % (OPEN_EXTENSION, name), **{'@odata.type': '#' + OPEN_EXTENSION})
