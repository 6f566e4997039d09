#!/usr/bin/python3
"""A fake of Microsoft To Do (Graph v1.0) and of Microsoft's sign-in, with state.

    graph.py PORT FOLDER [--OPTION=VALUE …]

Listens on 127.0.0.1 only.  /v1.0/… is Graph, /login/TENANT/oauth2/v2.0/… the
sign-in (authorize, token, devicecode), and POST /control is for tests: what a
person does in the app, what there is, switching (graph/control.py has them all).

What it writes to FOLDER:

    requests        a line "METHOD path status" of each request; after a batch, a
                    line "  METHOD path status" of each of its parts
    violations      what a client must not send, or a mistake of the fake; a test
                    is good only without this file
    tokens          a line "kind value" of each secret given out, to look for leaks

How it misbehaves is read from FOLDER/mode at each request, a rule a line; the
first one that is for a request counts:

    [graph|login|part] [METHOD] [~REGEX] MODE [ARGUMENT …] [skip N] [times N]

"graph" (when not given) is for requests of Graph, "login" for the sign-in, "part"
for the parts of batches (with throttle, status, retry-after and fail-after only).
The regex is looked for in the path.  A rule leaves N requests out, and ends after
N requests.

    pass            as it should be
    throttle [N]    429; N seconds (2.128, say) in Retry-After
    retry-after N   503, with N seconds in Retry-After
    status N        an error with this status, and no effect
    fail-after [N]  the effect, but an error with this status (500)
    lost            the effect, but no answer: the connection is closed
    close           no effect, no answer
    unauthorized    401
    truncate        half of the answer, then the connection is closed
    html            a login page, 200
    empty           the answer's status without its body
    array           "[]" instead of the answer's body
    redirect URL    302 to URL and the request's path
    link-host URL   the host of nextLink, deltaLink and Location is URL's
    loop            the nextLink is the request's own address
    drop N          a page without its first N things
    huge N          N megabytes of JSON
    slow N          the answer after N seconds
    silent          a connection that is never answered
    echo            an error with all that was sent to prove who asks, in several forms
    chaos SEED P    of a hundred requests P misbehave at random, in one of the ways
                    of CHAOS in graph/faults.py, the same ones with the same seed

What is known of Microsoft To Do leaves something open, or people have seen it
differ: that is an option, and its default what Microsoft's pages say or show.
--help lists them (graph/options.py); each can be switched while running, too, by
{"do": "set", "OPTION": VALUE}:
"""
import gzip
import os
import re
import socketserver
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler

sys.dont_write_bytecode = True
from graph.answers import Answer, echo_of_form, echo_of_token, graph_error, throttled  # noqa: E402
from graph.contract import Contract  # noqa: E402
from graph.control import Control  # noqa: E402
from graph.faults import Faults  # noqa: E402
from graph.oauth import OAuth  # noqa: E402
from graph.options import Options, described  # noqa: E402
from graph.service import Graph, Request, fault_answer  # noqa: E402
from graph.store import Store  # noqa: E402

HTML = (b'<!DOCTYPE html><html><head><title>Sign in</title></head>'
        b'<body><form>Please sign in</form></body></html>')
LINKS = ('@odata.nextLink', '@odata.deltaLink')


class Log:
    """What is written to the folder."""

    def __init__(self, folder):
        self.folder, self.lock = folder, threading.Lock()
        self.lines, self.running, self.peak, self.waiting = [], {}, 0, {}

    def write(self, name, lines):
        with open(os.path.join(self.folder, name), 'a', encoding='utf-8') as file:
            file.write(''.join(line.replace('\n', ' ') + '\n' for line in lines))

    def request(self, line, parts=()):
        with self.lock:
            lines = [line] + ['  ' + part for part in parts]
            self.lines += lines
            self.write('requests', lines)

    def violation(self, text):
        with self.lock:
            self.write('violations', [text])

    def token(self, kind, value):
        with self.lock:
            self.write('tokens', ['%s %s' % (kind, value)])

    def begin(self, mailbox):
        """One more request to a mailbox; how many there are at the moment."""
        with self.lock:
            self.running[mailbox] = self.running.get(mailbox, 0) + 1
            self.peak = max(self.peak, self.running[mailbox])
            return self.running[mailbox]

    def end(self, mailbox):
        with self.lock:
            self.running[mailbox] -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    silent = False

    def log_message(self, format, *args):
        pass

    def handle_any(self):
        try:
            self.handle_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception as failure:    # a mistake of the fake: no test may overlook it
            traceback.print_exc()
            log.violation('%s %s: the fake itself: %r' % (self.command, self.path, failure))
            self.close_connection = True

    def handle_request(self):
        if self.headers.get('Transfer-Encoding'):
            self.close_connection = True
            self.send(Answer(411))
            return
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.path == '/control' and self.command == 'POST':
            self.send(fake.control.answer(body))
            return
        scope = 'login' if self.path.startswith('/login/') else 'graph'
        request = Request(self.command, self.path, joined(self.headers), body)
        mailbox = fake.mailbox(request) if scope == 'graph' else scope
        running = log.begin(mailbox)
        if fake.options.early_retry == 'violation' and time.monotonic() < log.waiting.get(mailbox, 0):
            log.violation('%s %s: sooner than Retry-After' % (self.command, self.path))
        try:
            if fake.options.latency:
                time.sleep(fake.options.latency / 1000)
            if scope == 'graph' and fake.options.concurrency and running > fake.options.concurrency:
                self.reply(request, throttled(1, 'ApplicationThrottled'))
            else:
                self.misbehave(request, scope, self.rule(scope))
        finally:
            log.end(mailbox)
        if self.silent:
            time.sleep(600)

    def rule(self, scope):
        try:
            return fake.faults.pick(scope, self.command, self.path)
        except (ValueError, KeyError, IndexError) as error:
            log.violation('mode: %s' % error)
            return ['status', '500']

    def real(self, request, scope):
        """The answer of who does not misbehave."""
        if scope == 'login':
            return fake.oauth.answer(self.command, self.path, request.headers, request.raw)
        answer = fake.graph.answer(request)
        rounds = -(-len(request.notes) // max(1, fake.options.batch_parallel))
        time.sleep(fake.options.latency / 1000 * max(0, rounds - 1))
        return answer

    def misbehave(self, request, scope, rule):
        mode, *arguments = rule
        if mode == 'throttle':
            self.reply(request, throttled(arguments[0] if arguments else None))
        elif mode in ('status', 'retry-after'):
            self.reply(request, fault_of(scope, mode, arguments))
        elif mode == 'unauthorized':
            self.reply(request, graph_error(401, 'InvalidAuthenticationToken', 'Access token has expired.'))
        elif mode == 'echo':
            self.reply(request, echo_of_form(request.raw) if scope == 'login' else echo_of_token(request.headers))
        elif mode == 'html':
            self.reply(request, Answer(200, HTML, [('Content-Type', 'text/html; charset=utf-8')]))
        elif mode == 'redirect':
            self.reply(request, Answer(302, b'', [('Location', arguments[0].rstrip('/') + self.path)]))
        elif mode in ('close', 'silent'):
            self.note(request, '-')
            self.silent = mode == 'silent'
            self.close_connection = True
        else:
            if mode == 'slow':
                time.sleep(float(arguments[0]))
            self.spoil(request, self.real(request, scope), scope, mode, arguments)

    def spoil(self, request, answer, scope, mode, arguments):
        """An answer after its effect, as it is or not."""
        if mode == 'fail-after':
            self.reply(request, fault_of(scope, 'status', arguments or ['500']))
        elif mode == 'lost':
            self.note(request, 'lost')
            self.close_connection = True
        elif mode == 'truncate':
            content = answer.content()
            answer.body = content[:len(content) // 2]
            self.reply(request, answer, len(content))
            self.close_connection = True
        elif mode == 'empty':
            self.reply(request, Answer(answer.status, None, answer.headers))
        elif mode == 'array':
            self.reply(request, Answer(answer.status, [], answer.headers))
        elif mode == 'huge':
            answer.body = {'value': [{'id': 'x', 'title': 'x' * 1048576}] * int(arguments[0])}
            self.reply(request, answer)
        elif mode == 'link-host':
            self.reply(request, elsewhere(answer, arguments[0]))
        elif mode in ('loop', 'drop') and isinstance(answer.body, dict) and 'value' in answer.body:
            if mode == 'drop':
                answer.body['value'] = answer.body['value'][int(arguments[0]):]
            else:
                answer.body.pop('@odata.deltaLink', None)
                answer.body['@odata.nextLink'] = (fake.options.base or fake.graph.base) + self.path
            self.reply(request, answer)
        else:
            self.reply(request, answer)

    def note(self, request, status):
        log.request('%s %s %s' % (self.command, self.path, status), request.notes)

    def reply(self, request, answer, length=None):
        self.note(request, answer.status)
        if answer.header('Retry-After') and fake.options.early_retry == 'violation':
            log.waiting[fake.mailbox(request)] = time.monotonic() + float(answer.header('Retry-After'))
        self.send(answer, length)

    def send(self, answer, length=None):
        content = answer.content()
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if (fake.options.gzip == 'on' and length is None and content
                and 'gzip' in self.headers.get('Accept-Encoding', '')):
            content = gzip.compress(content)
            self.send_header('Content-Encoding', 'gzip')
        if fake.options.chunked == 'on' and length is None and content:
            self.send_header('Transfer-Encoding', 'chunked')
            half = len(content) // 2 + 1
            content = b''.join(b'%x\r\n%s\r\n' % (len(piece), piece)
                               for piece in (content[:half], content[half:]) if piece) + b'0\r\n\r\n'
        elif answer.status not in (204, 304):
            self.send_header('Content-Length', str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def __getattr__(self, name):
        if name.startswith('do_'):
            return self.handle_any
        raise AttributeError(name)


def joined(headers):
    """The headers of a request; those with the same name in one."""
    result = {}
    for name, value in headers.items():
        name = name.lower()
        result[name] = '%s, %s' % (result[name], value) if name in result else value
    return result


def fault_of(scope, mode, arguments):
    answer = fault_answer(mode, arguments)
    if scope == 'login':
        answer.body = {'error': 'temporarily_unavailable', 'error_codes': [90033],
                       'error_description': 'AADSTS90033: A transient error has occurred. Please try again.'}
    return answer


def elsewhere(answer, url):
    """An answer whose links lead to another host."""
    def moved(link):
        return url.rstrip('/') + re.sub(r'^https?://[^/]*', '', link)

    if isinstance(answer.body, dict):
        for name in LINKS:
            if name in answer.body:
                answer.body[name] = moved(answer.body[name])
    answer.headers = [(name, moved(value) if name == 'Location' else value) for name, value in answer.headers]
    return answer


class Fake:
    """All parts together."""

    def __init__(self, port, folder, options):
        self.options = options
        self.store = Store(options)
        self.oauth = OAuth(self.store, log)
        self.faults = Faults(folder)
        self.graph = Graph(self.store, Contract(), self.oauth, self.faults, log)
        self.graph.base = 'http://127.0.0.1:%d' % port
        self.control = Control(self.store, self.graph, self.oauth, log)

    def mailbox(self, request):
        """Whose mailbox a request is about."""
        session = self.oauth.session(request.headers.get('authorization', '').rpartition(' ')[2])
        return session.user.name if session else ''


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def options_of(arguments):
    options = Options()
    for argument in arguments:
        name, _, value = argument.partition('=')
        if not name.startswith('--'):
            raise ValueError(argument)
        options.set(name[2:].replace('-', '_'), value)
    return options


if len(sys.argv) < 3 or '--help' in sys.argv:
    sys.exit(__doc__ + '\n' + described())
try:
    chosen = options_of(sys.argv[3:])
except ValueError as error:
    sys.exit('graph.py: %s' % error)
log = Log(sys.argv[2])
fake = Fake(int(sys.argv[1]), sys.argv[2], chosen)
Server(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
