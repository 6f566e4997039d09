#!/usr/bin/python3
"""An HTTP proxy in front of a real service, that misbehaves when told to.

    proxy.py PORT UPSTREAM_PORT FOLDER

Listens on 127.0.0.1 only.  Every request is a line "METHOD path status" of
FOLDER/requests.  How it answers is read from FOLDER/mode at each request, "as
it is" when there is no such file:

    pass            what the service answers
    html            a login page, 200
    status N        an error page with this status
    retry-after N   503, with N seconds in Retry-After
    truncate        half of the service's body, then the connection is closed
    cut-chunked     a chunked body that ends before its last chunk
    close           no answer at all
    lost            the request reaches the service, its answer gets lost
    huge N          N megabytes of XML
    gzip-bomb N     N megabytes of XML, compressed
    entities        XML with nested entities ("a billion laughs")
    silent          a connection that is never answered
    slow N          the service's answer, after N seconds
    twice           each thing of a multistatus named twice
    no-etag         no ETag anywhere
    weak-etag       weak ETags, taken back as such
    other-account   the account is called "/somebody/else/"
    chaos SEED P    of a hundred requests P misbehave at random, in one of the
                    ways of FAULTS, the same ones again with the same seed

A mode may be for one method only: "PUT status 507".
"""
import http.client
import os
import random
import re
import socketserver
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler

PORT, UPSTREAM, FOLDER = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
LOG_LOCK = threading.Lock()
XML_START = (b'<?xml version="1.0"?><multistatus xmlns="DAV:">'
             b'<response><href>/x</href><propstat><prop><displayname>')
XML_END = b'</displayname></prop></propstat></response></multistatus>'
HTML = (b'<!DOCTYPE html><html><head><title>Sign in</title></head>'
        b'<body><br><form>Please sign in</form></body></html>')
LAUGHS = b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a0 "lol">' + b''.join(
    b'<!ENTITY a%d "%s">' % (i, b'&a%d;' % (i - 1) * 10) for i in range(1, 12)
) + b']><multistatus xmlns="DAV:"><response><href>&a11;</href></response></multistatus>'

FAULTS = ('close', 'close', 'lost', 'lost', 'lost', 'truncate', 'cut-chunked', 'status 500', 'status 502',
          'status 503', 'status 429', 'retry-after 1', 'slow 0.2', 'html')
QUIRKS = ('twice', 'no-etag', 'weak-etag', 'other-account')


# The service's answer with a quirk: headers and content
def quirk(mode, headers, content):
    if mode == 'twice':
        content = re.sub(br'(<(?:\w+:)?response>.*?</(?:\w+:)?response>)', br'\1\1', content, flags=re.S)
    elif mode == 'no-etag':
        headers = [h for h in headers if h[0].lower() != 'etag']
        content = re.sub(br'<((?:\w+:)?getetag)>[^<]*</\1>', b'', content)
    elif mode == 'weak-etag':
        headers = [(n, 'W/' + v if n.lower() == 'etag' else v) for n, v in headers]
        content = re.sub(br'(<(?:\w+:)?getetag>)', br'\1W/', content)
    elif mode == 'other-account':
        content = re.sub(br'(<(?:\w+:)?current-user-principal>\s*<(?:\w+:)?href>)[^<]*', br'\1/somebody/else/', content)
    return headers, content


def mode_for(method):
    try:
        with open(os.path.join(FOLDER, 'mode'), encoding='utf-8') as mode:
            words = mode.read().split()
    except FileNotFoundError:
        words = []
    if words and words[0].isupper():
        words = words[1:] if words[0] == method else []
    return chaos(words) if words[:1] == ['chaos'] else words or ['pass']


def chaos(words, count={}):
    with LOG_LOCK:
        count[tuple(words)] = count.get(tuple(words), 0) + 1
        dice = random.Random('%s %d' % (words[1], count[tuple(words)]))
    return dice.choice(FAULTS).split() if dice.random() * 100 < float(words[2]) else ['pass']


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        pass

    def note(self, status):
        with LOG_LOCK, open(os.path.join(FOLDER, 'requests'), 'a', encoding='utf-8') as log:
            log.write('%s %s %s\n' % (self.command, self.path, status))

    def upstream(self, body, plain):
        """The service's answer: status, headers, body; plain: not compressed."""
        dropped = ['connection', 'expect', 'transfer-encoding'] + ['accept-encoding'] * plain
        connection = http.client.HTTPConnection('127.0.0.1', UPSTREAM, timeout=120)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in dropped:
                connection.putheader(name, value.replace('W/', '') if name.lower() == 'if-match' else value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), content

    def answer(self, status, headers, content, length=None):
        self.note(status)
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ('connection', 'content-length', 'transfer-encoding'):
                self.send_header(name, value)
        if status not in (204, 304):
            self.send_header('Content-Length', str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, megabytes, compressed):
        """A long answer without a length, in chunks."""
        self.note(207)
        self.send_response_only(207)
        self.send_header('Content-Type', 'application/xml')
        self.send_header('Transfer-Encoding', 'chunked')
        if compressed:
            self.send_header('Content-Encoding', 'gzip')
        self.end_headers()
        packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        for piece in [XML_START] + [b'x' * 65536] * (megabytes * 16) + [XML_END]:
            if compressed:
                piece = packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
            self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
        end = packer.flush() if compressed else b''
        if end:
            self.wfile.write(b'%x\r\n%s\r\n' % (len(end), end))
        self.wfile.write(b'0\r\n\r\n')

    def misbehave(self, mode, argument, body):
        xml = [('Content-Type', 'application/xml')]
        if mode == 'html':
            self.answer(200, [('Content-Type', 'text/html')], HTML)
        elif mode == 'status':
            self.answer(int(argument), [('Content-Type', 'text/html')],
                        b'<html><body>Error %d</body></html>' % int(argument))
        elif mode == 'retry-after':
            self.answer(503, [('Retry-After', argument)], b'')
        elif mode == 'huge':
            self.stream(int(argument), False)
        elif mode == 'gzip-bomb':
            self.stream(int(argument), True)
        elif mode == 'entities':
            self.answer(207, xml, LAUGHS)
        elif mode == 'silent':
            self.note('-')
            time.sleep(600)
        elif mode == 'close':
            self.note('-')
            self.close_connection = True
        else:
            status, headers, content = self.upstream(body, mode in QUIRKS)
            if mode == 'truncate':
                self.answer(status, headers, content[:len(content) // 2], len(content))
                self.close_connection = True
            elif mode == 'cut-chunked':
                self.note(status)
                self.send_response_only(status)
                self.send_header('Content-Type', 'application/xml')
                self.send_header('Transfer-Encoding', 'chunked')
                self.end_headers()
                half = content[:len(content) // 2]
                self.wfile.write(b'%x\r\n%s\r\n' % (len(half), half))
                self.close_connection = True
            elif mode == 'lost':
                self.note('lost')
                self.close_connection = True
            else:
                if mode == 'slow':
                    time.sleep(float(argument))
                headers, content = quirk(mode, headers, content)
                self.answer(status, headers, content)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        mode = mode_for(self.command)
        try:
            self.misbehave(mode[0], mode[1] if len(mode) > 1 else None, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def __getattr__(self, name):
        if name.startswith('do_'):
            return self.handle_any
        raise AttributeError(name)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


Server(('127.0.0.1', PORT), Handler).serve_forever()
