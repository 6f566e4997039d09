"""Microsoft Graph: requests and their answers."""
import base64
import copy
import json
import re
import time
from collections import OrderedDict
from urllib.parse import quote, unquote

from . import bodies, dates, query
from .answers import Answer, echo_of_token, graph_error, json_answer, throttled
from .contract import first_error
from .store import CHILDREN, DATES, OPEN_EXTENSION, Problem, bad, breach, new_extension, not_found

LIST = '/me/todo/lists/{todoTaskList-id}'
TASK = LIST + '/tasks/{todoTask-id}'
EXPANDED = {'lists': ('extensions',), 'tasks': ('checklistItems', 'linkedResources', 'extensions', 'attachments')}
WRITES = ('POST', 'PATCH', 'PUT', 'DELETE')
EXPIRED = {'410-resyncRequired': (410, 'resyncRequired', 'Resync required. Replace any local items with the server.'),
           '410-syncStateNotFound': (410, 'syncStateNotFound', 'The sync state is not found; full sync needed.'),
           '400-SyncStateNotFound': (400, 'SyncStateNotFound', 'The sync state was not found.'),
           '400-badRequest': (400, 'badRequest', 'Badly formed token.'),
           '404-ErrorItemNotFound': (404, 'ErrorItemNotFound', 'The specified object was not found in the store.')}


class Request:
    """What the handlers need of a request."""

    def __init__(self, method, target, headers, body=b'', part=False):
        self.method, self.target, self.part = method, target, part
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.raw = body
        self.path, _, self.query_text = target.partition('?')
        self.query, self.body, self.session, self.parameters = {}, None, None, []
        self.scope, self.notes = [], []

    def prefer(self, name):
        """The value of a preference: Prefer: name="value"."""
        for part in self.headers.get('prefer', '').split(','):
            key, _, value = part.strip().partition('=')
            if key.strip().lower() == name.lower():
                return value.strip().strip('"')
        return None


def no_duplicates(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError('a name twice')
    return result


def no_constant(name):
    raise ValueError(name)


class Graph:
    """Answers requests below /v1.0."""

    def __init__(self, store, contract, oauth, faults, log):
        self.store, self.contract, self.oauth, self.faults, self.log = store, contract, oauth, faults, log
        self.options = store.options
        self.base = ''
        self.links = OrderedDict()      # what is behind a delta link or a skip token
        self.delta_epoch = {}           # scope of a delta: links of an earlier epoch have expired
        self.delta_pages = 0
        self.handlers = {
            ('GET', '/me'): self.get_me,
            ('GET', '/me/mailboxSettings'): self.get_settings,
            ('GET', '/me/outlook/masterCategories'): self.get_categories,
            ('GET', '/me/todo/lists'): self.get_lists,
            ('POST', '/me/todo/lists'): self.post_list,
            ('GET', LIST): self.get_list,
            ('PATCH', LIST): self.patch_list,
            ('DELETE', LIST): self.delete_list,
            ('GET', '/me/todo/lists/delta'): self.lists_delta,
            ('GET', '/me/todo/lists/delta()'): self.lists_delta,
            ('GET', LIST + '/tasks'): self.get_tasks,
            ('POST', LIST + '/tasks'): self.post_task,
            ('GET', LIST + '/tasks/delta'): self.tasks_delta,
            ('GET', LIST + '/tasks/delta()'): self.tasks_delta,
            ('GET', TASK): self.get_task,
            ('PATCH', TASK): self.patch_task,
            ('DELETE', TASK): self.delete_task,
            ('GET', TASK + '/attachments'): self.get_attachments,
            ('POST', '/$batch'): self.batch,
        }
        for kind, parameter in (('checklistItems', 'checklistItem-id'), ('linkedResources', 'linkedResource-id'),
                                ('extensions', 'extension-id')):
            for owner in (TASK,) if kind != 'extensions' else (TASK, LIST):
                self.handlers['GET', '%s/%s' % (owner, kind)] = self.get_children
                self.handlers['POST', '%s/%s' % (owner, kind)] = self.post_child
                for method in ('GET', 'PATCH', 'DELETE'):
                    self.handlers[method, '%s/%s/{%s}' % (owner, kind, parameter)] = self.one_child
        self.handlers['GET', '/subscriptions'] = self.get_subscriptions
        self.handlers['POST', '/subscriptions'] = self.post_subscription
        for method in ('GET', 'PATCH', 'DELETE'):
            self.handlers[method, '/subscriptions/{subscription-id}'] = self.one_subscription

    # From the request to its handler

    def answer(self, request):
        try:
            entry, handler = self.prepare(request)
            with self.store.lock:
                answer = handler(request)
            self.check_own(entry, request, answer)
        except Problem as problem:
            if problem.breach:
                self.log.violation('%s %s: %s' % (request.method, request.target, problem.message))
            answer = graph_error(problem.status, problem.code, problem.message, problem.inner, problem.headers,
                                 request.headers.get('client-request-id'))
        return answer

    def prepare(self, request):
        """Everything that can be wrong with a request before it is looked at what it is about."""
        request.session = self.session_of(request)
        found = self.contract.route(self.segments_of(request))
        if found is None:
            raise breach("Resource not found for the segment '%s'." % request.path)
        path, request.parameters = found
        request.scope = [path] + request.parameters
        entry = self.contract.paths[path].get(request.method)
        if entry is None:
            raise breach('Specified HTTP method is not allowed for the request target.', 'UnknownError', 405)
        allowed = entry['query'] + (['$skiptoken'] if '$skip' in entry['query'] else [])
        request.query = query.parsed(request.query_text, allowed)
        request.body = self.body_of(request, entry)
        self.check_scope(request, path)
        return entry, self.handlers[request.method, path]

    def session_of(self, request):
        header = request.headers.get('authorization')
        if header is None or not re.fullmatch(r'Bearer [A-Za-z0-9._~+/-]+=*', header):
            self.log.violation('%s %s: no bearer token' % (request.method, request.target))
            raise Problem(401, 'InvalidAuthenticationToken', 'Access token is empty.')
        session = self.oauth.session(header.split(' ')[1])
        if session is None:
            raise Problem(401, 'InvalidAuthenticationToken', 'Lifetime validation failed, the token is expired.',
                          headers=[('WWW-Authenticate', 'Bearer realm="", error="invalid_token"')])
        return session

    def segments_of(self, request):
        """The parts of the path below the version, decoded; /users/{me} is /me."""
        path = request.path
        if not request.part:
            if not path.startswith('/v1.0/'):
                raise breach('Invalid version: %s' % path)
            path = path[len('/v1.0'):]
        if (not path.startswith('/') or re.search(r'%(?![0-9A-Fa-f]{2})', path)
                or re.search(r"[^A-Za-z0-9._~!$&'()*+,;=:@/%-]", path)):
            raise breach('The path is not encoded well: %s' % path)
        segments = [unquote(part) for part in path[1:].split('/')]
        if segments[0] == 'users' and len(segments) > 1:
            user = request.session.user
            if segments[1] not in (user.id, user.upn):
                raise Problem(403, 'ErrorAccessDenied', 'Access is denied. Check credentials and try again.')
            segments[:2] = ['me']
        return segments

    def body_of(self, request, entry):
        """The checked body, as JSON has it."""
        if entry['request'] is None:
            if request.raw:
                raise breach('This request has no body.')
            return None
        kind = request.headers.get('content-type', '')
        if kind.split(';')[0].strip().lower() != 'application/json':
            raise breach('The content type is %s instead of application/json.' % (kind or 'missing'),
                         'UnsupportedMediaType', 415)
        try:
            body = json.loads(request.raw.decode('utf-8'), object_pairs_hook=no_duplicates,
                              parse_constant=no_constant)
        except ValueError as error:
            raise breach('Unable to read JSON request payload: %s' % error) from None
        if isinstance(body, dict) and request.path.endswith('/$batch') and len(body.get('requests') or []) > 20:
            raise breach('Number of batch request steps exceeds the maximum value of 20.', 'MaximumValueExceeded')
        wrong = first_error(entry['request'], body)
        if wrong:
            raise breach('Invalid JSON: %s' % wrong, 'invalidRequest')
        return body

    def check_scope(self, request, path):
        scopes = request.session.scopes
        if path == '/$batch':
            return
        if path == '/me':
            needed = {'User.Read'}
        elif path.startswith('/me/mailboxSettings') or path.startswith('/me/outlook'):
            needed = {'MailboxSettings.Read', 'MailboxSettings.ReadWrite'}
        elif request.method in WRITES:
            needed = {'Tasks.ReadWrite', 'Tasks.ReadWrite.Shared'}
        else:
            needed = {'Tasks.Read', 'Tasks.ReadWrite', 'Tasks.ReadWrite.Shared'}
            if 'delta' in path and self.options.read_delta == 'refused':
                needed.remove('Tasks.Read')
        if not needed & scopes:
            raise Problem(403, 'ErrorAccessDenied', 'Access is denied. Check credentials and try again.')

    def check_own(self, entry, request, answer):
        if self.options.check_answers == 'on' and entry['response'] and answer.status < 300:
            wrong = first_error(entry['response'], json.loads(answer.content()))
            if wrong:
                self.log.violation('%s %s: the own answer: %s' % (request.method, request.target, wrong))

    # What things look like

    def address(self, request):
        path = request.path if not request.part else '/v1.0' + request.path
        return (self.options.base or self.base) + path

    def link(self, request, options):
        """The address of the request, with other query options."""
        pairs = ['%s=%s' % (name, quote(value, safe="$'()/:,*=")) for name, value in options.items()]
        return '%s?%s' % (self.address(request), '&'.join(pairs))

    def shown_task(self, request, state, expand=(), nulls=None, in_list=False):
        """A task as this request gets it."""
        nulls = nulls or self.options.nulls
        shown = {'@odata.etag': state['@odata.etag']}
        for key, value in state.items():
            if key in CHILDREN or value is None and nulls == 'omitted':
                continue
            shown[key] = value
        if in_list and self.options.list_recurrence == 'hidden' and '$filter' not in request.query:
            shown.pop('recurrence', None)
        self.convert(request, shown)
        for name in expand:
            shown[name] = state.get(name, [])
        return shown

    def convert(self, request, shown):
        """Does what the Prefer header asks for."""
        if (self.options.prefer_text == 'honoured' and request.prefer('outlook.body-content-type') == 'text'
                and shown.get('body', {}).get('contentType') == 'html'):
            shown['body'] = {'content': bodies.to_text(shown['body']['content']), 'contentType': 'text'}
        zone = request.prefer('outlook.timezone')
        if zone and self.options.prefer_timezone == 'honoured':
            for name in DATES:
                if shown.get(name):
                    shown[name] = dates.converted(shown[name], zone)

    def shown_list(self, state, expand=()):
        shown = {key: value for key, value in state.items() if key != 'extensions'}
        for name in expand:
            shown[name] = state[name]
        return shown

    def expand_of(self, request, kind, option='expand'):
        expand = query.names(request.query.get('$expand'), EXPANDED[kind])
        how = getattr(self.options, option)
        if expand and how == 'refused':
            raise bad('The query parameter $expand is not supported.', 'ErrorInvalidRequest')
        return expand if how == 'honoured' else []

    def select(self, request, shown):
        """$select: the real one does nothing, or fails."""
        wanted = request.query.get('$select')
        if not wanted:
            return shown
        names = [name.strip() for name in wanted.split(',')]
        if self.options.select == 'broken':
            if 'title' in names:
                raise bad("Could not find a property named 'title'.", 'RequestBroker--ParseUri')
            return shown
        return {key: value for key, value in shown.items() if key in names or key == 'id' or key.startswith('@')}

    def page_size(self, request, asked):
        preferred = query.number({'Prefer': request.prefer('odata.maxpagesize')}, 'Prefer')
        return max(1, min(asked or preferred or self.options.page_size, self.options.max_page_size))

    def paged(self, request, items, show):
        """A page of a collection."""
        options = self.options
        if '$search' in request.query:
            raise bad('$search is not supported.', 'ErrorInvalidRequest')
        if '$filter' in request.query:
            items = list(filter(query.filter_of(request.query['$filter'], options.filter_any), items))
        if '$orderby' in request.query:
            items = query.ordered(items, request.query['$orderby'])
        total = len(items)
        size = self.page_size(request, query.number(request.query, '$top'))
        token = request.query.get('$skiptoken')
        start = query.number(request.query, '$skip') or 0
        if token:
            known = self.links.get(token)
            if known is None or known['scope'] != request.scope:
                raise bad('The skip token is not valid.')
            items, start, size = known['items'], known['start'], known['size']
        page = copy.deepcopy(items[start:start + size])
        body = {'@odata.context': '%s/v1.0/$metadata#Collection' % (options.base or self.base)}
        if request.query.get('$count') == 'true':
            body['@odata.count'] = total
        body['value'] = [self.select(request, show(item)) for item in page]
        if len(items) > start + size:
            again = {key: value for key, value in request.query.items() if key not in ('$skip', '$skiptoken')}
            if options.next_link == 'skip':
                again['$top'], again['$skip'] = str(size), str(start + size)
            else:
                again['$skiptoken'] = self.remember({'scope': request.scope, 'items': items, 'start': start + size,
                                                     'size': size})
            body['@odata.nextLink'] = self.link(request, again)
        return json_answer(200, body)

    def remember(self, what):
        """A token for a link: long, with characters that must stay as they are."""
        dice = self.store.dice
        token = base64.b64encode(bytes(dice.randrange(256) for _ in range(48))).decode().replace('/', '_') + '+-_x'
        self.links[token] = what
        deltas = [key for key, value in self.links.items() if value.get('kind') == 'delta']
        if self.options.delta_cache and len(deltas) > self.options.delta_cache:
            del self.links[deltas[0]]
        return token

    # The things

    def list_of(self, request):
        return self.find(request.session.user.lists, request.parameters[0])

    def task_of(self, request):
        task_list = self.list_of(request)
        return task_list, self.find(task_list.tasks, request.parameters[1])

    def find(self, things, id_):
        if id_ in things:
            return things[id_]
        if self.options.malformed_id == 400 and id_ not in self.store.given_out:
            raise bad('Id is malformed.', 'ErrorInvalidIdMalformed')
        raise not_found()

    def check_match(self, request, etag, option):
        match = request.headers.get('if-match')
        if match is None:
            return
        if match != '*' and not re.fullmatch(r'(?:W/)?"[^"]*"', match):
            raise breach('If-Match is no etag: %s' % match)
        if option == 'honoured' and match not in ('*', etag):
            raise Problem(412, 'ErrorIrresolvableConflict', "The change key passed in the request does not match the "
                          "current change key for the item.")

    def protect(self, task_list):
        if task_list.protected:
            raise Problem(self.options.protected_status, 'ErrorAccessDenied' if self.options.protected_status == 403
                          else 'invalidRequest', 'This list cannot be changed.')

    # Who it is

    def get_me(self, request):
        user = request.session.user
        return json_answer(200, {'id': user.id, 'displayName': user.name.capitalize(), 'mail': user.upn,
                                 'userPrincipalName': user.upn})

    def get_settings(self, request):
        return json_answer(200, {'timeZone': self.options.mailbox_zone})

    def get_categories(self, request):
        return json_answer(200, {'value': request.session.user.categories})

    # Lists

    def get_lists(self, request):
        expand = self.expand_of(request, 'lists')
        return self.paged(request, [task_list.state() for task_list in request.session.user.lists.values()],
                          lambda state: self.shown_list(state, expand))

    def get_list(self, request):
        task_list = self.list_of(request)
        return json_answer(200, self.shown_list(task_list.state(), self.expand_of(request, 'lists')))

    def post_list(self, request):
        name = self.list_name(request.body)
        extensions = [new_extension(item) for item in request.body.get('extensions', [])]
        task_list = self.store.make_list(request.session.user, name)
        task_list.extensions = extensions
        return json_answer(201, self.shown_list(task_list.state()))

    def list_name(self, body):
        if not (body.get('displayName') or '').strip():
            raise bad('The list needs a displayName.')
        return body['displayName']

    def patch_list(self, request):
        task_list = self.list_of(request)
        self.protect(task_list)
        self.check_match(request, task_list.data['@odata.etag'], self.options.if_match)
        if 'displayName' in request.body:
            task_list.data['displayName'] = self.list_name(request.body)
        self.store.list_changed(request.session.user, task_list, {'displayName'})
        return json_answer(200, self.shown_list(task_list.state()))

    def delete_list(self, request):
        task_list = self.list_of(request)
        self.protect(task_list)
        self.check_match(request, task_list.data['@odata.etag'], self.options.delete_if_match)
        self.store.delete_list(request.session.user, task_list)
        return Answer(204)

    # Tasks

    def get_tasks(self, request):
        task_list, expand = self.list_of(request), self.expand_of(request, 'tasks')
        return self.paged(request, [task.view() for task in task_list.tasks.values()],
                          lambda state: self.shown_task(request, state, expand, in_list=True))

    def get_task(self, request):
        _, task = self.task_of(request)
        shown = self.shown_task(request, task.state(), self.expand_of(request, 'tasks'))
        return json_answer(200, self.select(request, shown))

    def post_task(self, request):
        task_list = self.list_of(request)
        if task_list.data['wellknownListName'] == 'flaggedEmails' and self.options.flagged_create == 'refused':
            raise bad('Tasks cannot be made in this list.')
        if self.options.deep_insert == 'refused' and {'checklistItems', 'extensions'} & set(request.body):
            raise bad('Deep insert is not supported for this property.')
        task = self.store.add_task(task_list, request.body)
        children = ['linkedResources'] if task.links and self.options.echo_children == 'on' else []
        return json_answer(201, self.shown_task(request, task.state(), children))

    def patch_task(self, request):
        task_list, task = self.task_of(request)
        self.check_match(request, task.data['@odata.etag'], self.options.if_match)
        self.store.edit_task(task_list, task, request.body)
        return json_answer(200, self.shown_task(request, task.state()))

    def delete_task(self, request):
        task_list, task = self.task_of(request)
        self.check_match(request, task.data['@odata.etag'], self.options.delete_if_match)
        self.store.delete_task(task_list, task)
        return Answer(204)

    def get_attachments(self, request):
        return self.paged(request, self.task_of(request)[1].attachments, dict)

    # Steps, linked resources and extensions, of a task or of a list

    def owner_of(self, request):
        """The list, its task or None, the kind of children, and these."""
        kind = next(part for part in reversed(request.path.split('/')) if part in CHILDREN)
        is_task = '/tasks/' in request.path
        task_list, task = self.task_of(request) if is_task else (self.list_of(request), None)
        return task_list, task, kind, getattr(task or task_list, CHILDREN[kind])

    def get_children(self, request):
        return self.paged(request, self.owner_of(request)[3], dict)

    def post_child(self, request):
        task_list, task, kind, children = self.owner_of(request)
        if kind == 'extensions':
            child = new_extension(request.body)
            if any(other['id'] == child['id'] for other in children):
                raise Problem(409, 'ErrorExtensionExists', 'An extension with this name exists already.')
        else:
            child = (self.store.new_step if kind == 'checklistItems' else self.store.new_link)(request.body)
        children.append(child)
        self.owner_changed(request, task_list, task, kind)
        return json_answer(201, dict(child))

    def owner_changed(self, request, task_list, task, kind):
        if task:
            self.store.child_changed(task_list, task, kind)
        else:
            self.store.list_changed(request.session.user, task_list, {kind})

    def one_child(self, request):
        task_list, task, kind, children = self.owner_of(request)
        id_ = request.parameters[-1]
        by_id = {child['id']: child for child in children}
        if kind == 'extensions' and not id_.startswith(OPEN_EXTENSION):
            id_ = '%s.%s' % (OPEN_EXTENSION, id_)
        child = self.find(by_id, id_)
        if request.method == 'GET':
            return json_answer(200, dict(child))
        if request.method == 'DELETE':
            children.remove(child)
        elif kind == 'checklistItems':
            self.store.change_step(child, request.body)
        else:
            for key, value in request.body.items():
                if value is None:
                    child.pop(key, None)
                elif key != 'id' and not key.startswith('@'):
                    child[key] = value
        self.owner_changed(request, task_list, task, kind)
        return Answer(204) if request.method == 'DELETE' else json_answer(200, dict(child))

    # Subscriptions: kept, but no notice is ever sent

    def get_subscriptions(self, request):
        return self.paged(request, list(request.session.user.subscriptions.values()), dict)

    def post_subscription(self, request):
        for name in ('changeType', 'notificationUrl', 'resource', 'expirationDateTime'):
            if not request.body.get(name):
                raise breach('The subscription needs %s.' % name)
        if (not request.body['notificationUrl'].startswith('https:')
                or len(request.body.get('clientState') or '') > 128):
            raise breach('The subscription has a wrong notificationUrl or clientState.')
        subscription = dict(request.body, id=self.store.new_uuid())
        request.session.user.subscriptions[subscription['id']] = subscription
        return json_answer(201, subscription)

    def one_subscription(self, request):
        subscriptions = request.session.user.subscriptions
        subscription = self.find(subscriptions, request.parameters[0])
        if request.method == 'DELETE':
            del subscriptions[subscription['id']]
            return Answer(204)
        subscription.update({k: v for k, v in (request.body or {}).items() if k == 'expirationDateTime'})
        return json_answer(200, subscription)

    # Delta

    def lists_delta(self, request):
        return self.delta(request, request.session.user.log, 'lists')

    def tasks_delta(self, request):
        return self.delta(request, self.list_of(request).log, 'tasks')

    def delta(self, request, log, kind):
        scope = '%s %s' % (request.session.user.name, ' '.join(request.parameters[:1]) or 'lists')
        token = request.query.get('$skiptoken') or request.query.get('$deltatoken')
        if token:
            if len(request.query) > 1:
                raise breach('Nothing may be added to a delta link.')
            state = self.known_link(request, token, scope)
        else:
            for name in request.query:
                if name not in ('$top', '$expand', '$select'):
                    raise breach('%s is not supported for delta.' % name)
            self.select(request, {})
            size = query.number(request.query, '$top')
            state = {'kind': 'delta', 'since': 0, 'size': size, 'scope': scope, 'epoch': self.epoch(scope),
                     'expand': self.expand_of(request, kind, 'delta_expand')}
        if state['kind'] == 'delta':
            state = self.new_round(request, log, state, kind)
        return self.delta_page(request, state)

    def epoch(self, scope):
        return self.delta_epoch.get(scope, 0)

    def expire(self, scope=None):
        """All delta links given out until now are of no use any more; or those of a scope."""
        scopes = [scope] if scope else {state['scope'] for state in self.links.values() if 'kind' in state}
        for one in scopes:
            self.delta_epoch[one] = self.epoch(one) + 1

    def known_link(self, request, token, scope):
        state = self.links.get(token)
        if state is not None and state['scope'] == scope and state.get('epoch') == self.epoch(scope):
            return state
        if state is not None and state['scope'] != scope:
            raise bad('The sync state is of another collection.', 'SyncStateNotFound')
        status, code, message = EXPIRED[self.options.expired_delta]
        headers = []
        if status == 410 and self.options.expired_location == 'on':
            headers = [('Location', self.address(request))]
        raise Problem(status, code, message, headers=headers)

    def new_round(self, request, log, state, kind):
        """The items of a round: what has changed since the last one."""
        seen = time.monotonic() - self.options.delta_lag / 1000
        entries = [entry for entry in log if entry['time'] <= seen]
        upto = max([entry['seq'] for entry in entries], default=0)
        changes = OrderedDict()
        for entry in entries:
            if entry['seq'] > state['since']:
                changes.setdefault(entry['id'], []).append(entry)
        first, items = state['since'] == 0, []
        for id_, steps in changes.items():
            items.append((self.delta_item(request, state, kind, id_, steps, first), steps))
        items = [item for item in items if item[0] is not None]
        self.store.dice.shuffle(items)
        shown = [item for item, _ in items]
        size = self.page_size(request, state['size'])
        if len(items) > size and self.options.delta_repeat != 'off':
            shown.append(shown[0])
            before = [step for step in log if step['id'] == shown[0]['id'] and step['seq'] < items[0][1][-1]['seq']]
            if self.options.delta_repeat == 'stale' and before:
                shown[0] = self.delta_item(request, state, kind, shown[0]['id'], before[-1:], False)
        return dict(state, kind='round', items=shown, start=0, since=max(upto, state['since']),
                    first=first)

    def delta_item(self, request, state, kind, id_, steps, first):
        """How a round shows a thing; None when it does not."""
        last = steps[-1]
        if last['state'] is None:
            if first and self.options.delta_first_removed == 'off':
                return None
            return {'@removed': {'reason': last['reason']}, 'id': id_}
        if kind == 'lists':
            whole = self.shown_list(last['state'], state['expand'])
        else:
            nulls = self.options.delta_nulls
            whole = self.shown_task(request, last['state'], state['expand'], None if nulls == 'as-nulls' else nulls)
        if first or self.options.delta_partial == 'off':
            return whole
        changed = set().union(*(step['changed'] for step in steps))
        partial = {key: value for key, value in whole.items() if key in changed or key in ('id', '@odata.etag')}
        for key in changed:
            if key in DATES + ('recurrence',) and last['state'].get(key) is None:
                partial[key] = None
        return partial

    def delta_page(self, request, state):
        size = self.page_size(request, state['size'])
        self.delta_pages += 1
        rest = state['items'][state['start']:]
        page = rest[:size]
        if rest and self.options.delta_empty and self.delta_pages % self.options.delta_empty == 0:
            page = []
        body = {'@odata.context': '%s/v1.0/$metadata#Collection' % (self.options.base or self.base), 'value': page}
        if len(rest) > len(page):
            token = self.remember(dict(state, start=state['start'] + len(page)))
            body['@odata.nextLink'] = self.delta_link(request, '$skiptoken', token)
        else:
            token = self.remember(dict(state, kind='delta', items=None))
            body['@odata.deltaLink'] = self.delta_link(request, '$deltatoken', token)
        return json_answer(200, body)

    def delta_link(self, request, name, token):
        return '%s?%s=%s' % (self.address(request), name, quote(token, safe=''))

    # Batches

    def batch(self, request):
        if request.part:
            raise breach('A batch has no batches in it.')
        parts = request.body['requests']
        ids = [part['id'] for part in parts]
        if len(set(ids)) != len(ids):
            raise breach('The ids of the parts of a batch must differ.')
        for part in parts:
            if not set(part.get('dependsOn', [])) <= set(ids) - {part['id']}:
                raise breach('A part of a batch depends on one that is not there.')
        if self.options.batch_order == 'shuffled':
            self.store.dice.shuffle(parts)
        answers, waiting, free = {}, list(parts), 0
        while waiting:
            ready = [part for part in waiting if all(other in answers for other in part.get('dependsOn', []))]
            if not ready:
                raise breach('The parts of a batch depend on one another.')
            part = ready[0]
            waiting.remove(part)
            free += not part.get('dependsOn')
            if any(answers[other].status >= 400 for other in part.get('dependsOn', [])):
                answer = graph_error(424, 'FailedDependency', 'A part that this one depends on has failed.')
            elif (self.options.batch_overflow == 'throttled' and not part.get('dependsOn')
                  and free > self.options.batch_parallel):
                answer = throttled(2.128, 'ApplicationThrottled')
            else:
                answer = self.part_answer(request, part)
            answers[part['id']] = answer
            request.notes.append('%s %s %s' % (part['method'], part['url'], answer.status))
        shown = [part_shown(id_, answer) for id_, answer in answers.items()]
        if self.options.batch_order == 'shuffled':
            self.store.dice.shuffle(shown)
        return json_answer(200, {'responses': shown})

    def part_answer(self, request, part):
        mode, *arguments = self.faults.pick('part', part['method'], part['url'])
        if mode == 'throttle':
            return throttled(arguments[0] if arguments else None)
        if mode in ('status', 'retry-after'):
            return fault_answer(mode, arguments)
        if mode == 'echo':
            return echo_of_token(request.headers)
        headers = dict(part.get('headers', {}), Authorization=request.headers['authorization'])
        raw = json.dumps(part['body']).encode() if 'body' in part else b''
        inner = Request(part['method'], part['url'], headers, raw, part=True)
        answer = self.answer(inner)
        if mode == 'fail-after':
            return fault_answer('status', arguments or ['500'])
        return answer


def part_shown(id_, answer):
    shown = {'id': id_, 'status': answer.status, 'headers': dict(answer.headers)}
    if answer.body is not None:
        shown['body'] = answer.body
    return shown


def fault_answer(mode, arguments):
    """An error that has no reason in the request."""
    status = 503 if mode == 'retry-after' else int(arguments[0])
    code = {500: 'generalException', 502: 'BadGateway', 503: 'serviceNotAvailable', 504: 'UnknownError',
            507: 'quotaLimitReached', 409: 'conflict', 404: 'ErrorItemNotFound'}.get(status, 'UnknownError')
    headers = [('Retry-After', arguments[0])] if mode == 'retry-after' else []
    return graph_error(status, code, 'An error occurred.', None, headers)
