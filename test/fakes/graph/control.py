"""POST /control: what a person does in the app, and what a test wants to know.

Each request is JSON, {"do": NAME, …}; the answer is JSON, 400 with {"error": …}
when it cannot be done.  A list is told by its id or, if there is only one of it,
its name; a task by its id or title in that list.  "user" is who it is about,
"anna" when not given.
"""
import json
import re

from . import dates
from .answers import Answer
from .store import CHILDREN, Problem
from .oauth import Refusal


class Control:
    def __init__(self, store, graph, oauth, log):
        self.store, self.graph, self.oauth, self.log = store, graph, oauth, log

    def answer(self, body):
        try:
            arguments = json.loads(body)
            command = getattr(self, 'do_' + str(arguments.pop('do', '')), None)
            if command is None:
                raise ValueError('no such command')
            with self.store.lock:
                user = self.store.user(arguments.pop('user', 'anna'))
                result = command(user, **arguments)
            return self.shown(200, {} if result is None else result)
        except (Problem, Refusal, ValueError, KeyError, TypeError) as error:
            return self.shown(400, {'error': str(error)})

    def shown(self, status, body):
        return Answer(status, body, [('Content-Type', 'application/json')])

    # Finding

    def list_of(self, user, name):
        found = [one for one in user.lists.values() if name == one.id]
        found = found or [one for one in user.lists.values() if name == one.data['displayName']]
        if len(found) != 1:
            raise ValueError('%d lists "%s"' % (len(found), name))
        return found[0]

    def task_of(self, user, list_name, name):
        task_list = self.list_of(user, list_name)
        found = [one for one in task_list.tasks.values() if name == one.id]
        found = found or [one for one in task_list.tasks.values() if name == one.data['title']]
        if len(found) != 1:
            raise ValueError('%d tasks "%s"' % (len(found), name))
        return task_list, found[0]

    # Lists, in the app

    def do_make_list(self, user, name, wellknown='none', shared=False, owner=True):
        """{name[, wellknown, shared, owner]} → {id}"""
        task_list = self.store.make_list(user, name, wellknown)
        if shared or not owner:
            self.do_share_list(user, task_list.id, shared, owner)
        return {'id': task_list.id}

    def do_rename_list(self, user, list, name):
        """{list, name}"""
        task_list = self.list_of(user, list)
        task_list.data['displayName'] = name
        self.store.list_changed(user, task_list, {'displayName'})

    def do_share_list(self, user, list, shared=True, owner=True):
        """{list[, shared, owner]}"""
        task_list = self.list_of(user, list)
        task_list.data.update(isShared=shared, isOwner=owner)
        self.store.list_changed(user, task_list, {'isShared', 'isOwner'})

    def do_delete_list(self, user, list):
        """{list}"""
        self.store.delete_list(user, self.list_of(user, list))

    # Tasks, in the app

    def app_body(self, properties):
        """What the app writes.  Besides the properties of a todoTask: html, text, due,
        start, reminder (with zone), steps, links."""
        body = dict(properties)
        zone = body.pop('zone', 'UTC')
        for kind in ('html', 'text'):
            if kind in body:
                body['body'] = {'content': body.pop(kind), 'contentType': kind}
        for short, name in (('due', 'dueDateTime'), ('start', 'startDateTime'), ('reminder', 'reminderDateTime')):
            if short in body:
                moment = body.pop(short)
                if moment is not None:
                    dates.zone(zone)
                    moment = {'dateTime': moment if 'T' in moment else moment + 'T00:00:00', 'timeZone': zone}
                body[name] = moment
                if short == 'reminder':
                    body['isReminderOn'] = moment is not None
        if 'steps' in body:
            body['checklistItems'] = [step if isinstance(step, dict) else {'displayName': step}
                                      for step in body.pop('steps')]
        if 'links' in body:
            body['linkedResources'] = body.pop('links')
        unknown = set(body) - set(('title', 'body', 'status', 'importance', 'categories', 'recurrence', 'isReminderOn',
                                   'dueDateTime', 'startDateTime', 'reminderDateTime') + tuple(CHILDREN))
        if unknown:
            raise ValueError('no property %s' % ', '.join(sorted(unknown)))
        return body

    def do_add_task(self, user, list, title, **properties):
        """{list, title[, zone, due, start, reminder, html, text, steps, links, …]} → {id}"""
        body = self.app_body(dict(properties, title=title))
        return {'id': self.store.add_task(self.list_of(user, list), body, app=True).id}

    def do_edit_task(self, user, list, task, **properties):
        """{list, task[, title, zone, due, …]}; null clears"""
        task_list, task = self.task_of(user, list, task)
        self.store.edit_task(task_list, task, self.app_body(properties), app=True)

    def do_complete_task(self, user, list, task):
        """{list, task}"""
        self.do_edit_task(user, list, task, status='completed')

    def do_reopen_task(self, user, list, task):
        """{list, task}"""
        self.do_edit_task(user, list, task, status='notStarted')

    def do_move_task(self, user, list, task, to):
        """{list, task, to} → {id}"""
        task_list, task = self.task_of(user, list, task)
        return {'id': self.store.move_task(task_list, task, self.list_of(user, to)).id}

    def do_delete_task(self, user, list, task):
        """{list, task}"""
        self.store.delete_task(*self.task_of(user, list, task))

    def do_add_step(self, user, list, task, name, checked=False):
        """{list, task, name[, checked]} → {id}"""
        task_list, task = self.task_of(user, list, task)
        step = self.store.new_step({'displayName': name, 'isChecked': checked})
        task.checklist.append(step)
        self.store.child_changed(task_list, task, 'checklistItems')
        return {'id': step['id']}

    def do_edit_step(self, user, list, task, step, name=None, checked=None, delete=False):
        """{list, task, step: its name[, name, checked, delete]}"""
        task_list, task = self.task_of(user, list, task)
        found = next(one for one in task.checklist if step in (one['id'], one['displayName']))
        if delete:
            task.checklist.remove(found)
        else:
            self.store.change_step(found, {key: value for key, value in
                                           (('displayName', name), ('isChecked', checked)) if value is not None})
        self.store.child_changed(task_list, task, 'checklistItems')

    def do_unlink_task(self, user, list, task):
        """{list, task}: its linked resources are removed"""
        task_list, task = self.task_of(user, list, task)
        task.links.clear()
        self.store.child_changed(task_list, task, 'linkedResources')

    def do_attach(self, user, list, task, name):
        """{list, task, name}: a file"""
        task_list, task = self.task_of(user, list, task)
        task.attachments.append({'@odata.type': '#microsoft.graph.taskFileAttachment', 'id': self.store.new_uuid(),
                                 'name': name, 'contentType': 'text/plain', 'size': 1})
        task.data['hasAttachments'] = True
        self.store.touch(task_list, task, {'hasAttachments'})

    # Looking

    def do_lists(self, user):
        """→ {lists: […]}"""
        return {'lists': [task_list.state() for task_list in user.lists.values()]}

    def do_tasks(self, user, list):
        """{list} → {tasks: […]}, with everything in them; null where nothing is set"""
        return {'tasks': [task.state() for task in self.list_of(user, list).tasks.values()]}

    def do_task(self, user, list, task):
        """{list, task} → {task}"""
        return {'task': self.task_of(user, list, task)[1].state()}

    def do_count(self, user, match='', reset=False):
        """{[match: REGEX of "METHOD path status"], reset} → {requests, peak}; peak: at the same time"""
        with self.log.lock:
            lines = [line for line in self.log.lines if re.search(match, line)]
            result = {'requests': len(lines), 'peak': self.log.peak}
            if reset:
                self.log.lines.clear()
                self.log.peak = 0
        return result

    # Switching

    def do_set(self, user, **options):
        """{OPTION: value, …} → all options"""
        for name, value in options.items():
            self.store.options.set(name.replace('-', '_'), value)
        return self.store.options.all()

    def do_advance(self, user, seconds):
        """{seconds}: the fake's clock goes forward"""
        self.store.clock_offset += seconds

    def do_expire_deltas(self, user, list=None):
        """{[list]}: delta links are of no use any more, of a list or all; list "" is the set of lists"""
        if list is None:
            self.graph.expire()
        else:
            self.graph.expire('%s %s' % (user.name, self.list_of(user, list).id if list else 'lists'))

    # Signing in

    def do_token(self, user, scope='Tasks.ReadWrite User.Read MailboxSettings.Read offline_access', expires_in=None):
        """{[scope, expires_in]} → a token answer, without any ceremony"""
        return self.oauth.issue(user, self.oauth.scopes_of(scope), expires_in=expires_in)

    def do_sign_in(self, user):
        """{user}: who is at the browser of the authorize page"""
        self.oauth.signed_in = user.name

    def do_approve_device(self, user, user_code=None):
        """{[user_code]}"""
        self.oauth.decide(user_code, 'approved', user)

    def do_decline_device(self, user, user_code=None):
        """{[user_code]}"""
        self.oauth.decide(user_code, 'declined')

    def do_expire_access(self, user):
        """All access tokens are expired from now on"""
        self.oauth.expire_access()

    def do_refuse_refresh(self, user, error='invalid_grant', number=700082):
        """{[error, number]}: refresh tokens are refused with this AADSTS number from now on"""
        self.oauth.refusal = (error, number)

    def do_accept_refresh(self, user):
        """They are taken again"""
        self.oauth.refusal = None
