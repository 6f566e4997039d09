#!/usr/bin/python3
"""A server that means harm, or none.

    hostile.py PORT FOLDER [CERTIFICATE KEY]

Listens on 127.0.0.1 only; with a certificate it speaks TLS.  Every request is a
line "METHOD path authorization" of FOLDER/requests.  What comes of it is told by
the first part of its path:

    dav               an empty task list, as a good server would show it
    elsewhere/N       its principal and its home are at port N
    to/CODE/HEX       a redirect; HEX is the target, in hexadecimal
    drip              a good start, then a byte a second
    trickle           … then a hundred bytes a second
    drip-header       a header, a byte a second
    endless-header    header lines
    long-header       a header line without an end
    endless-body      a body without an end
    endless-continue  interim answers without an end
    bomb              64 MB of spaces, compressed
    silent            nothing
    echo              an error page with all that was sent to prove who asks
"""
import base64
import os
import socket
import ssl
import sys
import threading
import time
import zlib

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
LOCK = threading.Lock()
XML_HEAD = '<?xml version="1.0"?><multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">'
LIST = (XML_HEAD + '<response><href>%s</href><propstat><prop><resourcetype><collection/><C:calendar/>'
        '</resourcetype><displayname>List</displayname><C:supported-calendar-component-set>'
        '<C:comp name="VTODO"/></C:supported-calendar-component-set></prop>'
        '<status>HTTP/1.1 200 OK</status></propstat></response></multistatus>')
ELSEWHERE = (XML_HEAD + '<response><href>%s</href><propstat><prop><current-user-principal><href>'
             'http://127.0.0.1:%s/dav/</href></current-user-principal><C:calendar-home-set><href>'
             'http://127.0.0.1:%s/dav/</href></C:calendar-home-set></prop>'
             '<status>HTTP/1.1 200 OK</status></propstat></response></multistatus>')
START = ('HTTP/1.1 207 Multi-Status\r\nContent-Type: application/xml\r\n'
         'Transfer-Encoding: chunked\r\n')


def answer(out, status, body='', headers=''):
    body = body.encode()
    out(('HTTP/1.1 %s\r\nContent-Type: application/xml\r\n%sContent-Length: %d\r\n\r\n'
         % (status, headers, len(body))).encode() + body)


def chunk(data):
    return b'%x\r\n%s\r\n' % (len(data), data)


def for_ever(out, piece, pause=0.0):
    while True:
        out(piece)
        if pause:
            time.sleep(pause)


def slowly(out, pause, size):
    out((START + '\r\n').encode() + chunk(XML_HEAD.encode()))
    for_ever(out, chunk(b' ' * size), pause)


def bomb(out):
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    out((START + 'Content-Encoding: gzip\r\n\r\n').encode())
    for _ in range(64):
        out(chunk(packer.compress(b' ' * 1048576) + packer.flush(zlib.Z_SYNC_FLUSH)))
    out(b'0\r\n\r\n')


def echo(out, authorization):
    word = authorization.split(' ')[-1]
    try:
        decoded = base64.b64decode(word, validate=True).decode()
    except (ValueError, UnicodeDecodeError):
        decoded = ''
    answer(out, '500 Error', 'You sent %s, that is %s, or %s' % (authorization, decoded, decoded.split(':')[-1]),
           'Location: http://%s@127.0.0.1/\r\nX-You: %s\r\n' % (decoded, authorization))


def respond(out, path, authorization):
    parts = path.strip('/').split('/')
    mode = parts[0]
    if mode == 'dav':
        answer(out, '207 Multi-Status', LIST % path)
    elif mode == 'elsewhere':
        answer(out, '207 Multi-Status', ELSEWHERE % (path, parts[1], parts[1]))
    elif mode == 'to':
        answer(out, parts[1] + ' Moved', '', 'Location: %s\r\n' % bytes.fromhex(parts[2]).decode())
    elif mode == 'drip':
        slowly(out, 1, 1)
    elif mode == 'trickle':
        slowly(out, 0.5, 50)
    elif mode == 'drip-header':
        out(b'HTTP/1.1 200 OK\r\nX: ')
        for_ever(out, b'x', 1)
    elif mode == 'endless-header':
        out(b'HTTP/1.1 200 OK\r\n')
        for_ever(out, b'X-Header: ' + b'x' * 1000 + b'\r\n')
    elif mode == 'long-header':
        out(b'HTTP/1.1 200 OK\r\nX: ')
        for_ever(out, b'x' * 1000)
    elif mode == 'endless-body':
        out((START + '\r\n').encode() + chunk(XML_HEAD.encode()))
        for_ever(out, chunk(b' ' * 65536))
    elif mode == 'endless-continue':
        for_ever(out, b'HTTP/1.1 100 Continue\r\nX: ' + b'x' * 1000 + b'\r\n\r\n')
    elif mode == 'bomb':
        bomb(out)
    elif mode == 'echo':
        echo(out, authorization)
    elif mode == 'silent':
        time.sleep(600)
    else:
        answer(out, '404 Not Found')


def read_request(stream):
    """Method, path and Authorization; None at the end."""
    first = stream.readline().decode('latin-1').split()
    if len(first) < 2:
        return None
    length, authorization = 0, '-'
    while True:
        line = stream.readline().decode('latin-1').strip()
        if not line:
            break
        name, _, value = line.partition(':')
        if name.lower() == 'content-length':
            length = int(value)
        if name.lower() == 'authorization':
            authorization = value.strip()
    stream.read(length)
    with LOCK, open(os.path.join(FOLDER, 'requests'), 'a', encoding='utf-8') as log:
        log.write('%s %s %s\n' % (first[0], first[1], authorization))
    return first[1], authorization


def serve(connection, context):
    try:
        connection.settimeout(20)
        if context:
            connection = context.wrap_socket(connection, server_side=True)
        stream = connection.makefile('rb')
        request = read_request(stream)
        while request is not None:
            respond(connection.sendall, *request)
            request = read_request(stream)
    except OSError:
        pass
    finally:
        connection.close()


def main():
    context = None
    if len(sys.argv) > 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3], sys.argv[4])
    listener = socket.create_server(('127.0.0.1', PORT))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context), daemon=True).start()


main()
