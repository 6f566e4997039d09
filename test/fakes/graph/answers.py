"""Answers, before they are bytes."""
import html
import json
import re
import uuid
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote

JSON = 'application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8'

CONFIDENTIAL = ('client_secret', 'device_code', 'code', 'code_verifier', 'refresh_token')


class Answer:
    """A status, headers, and a body: something for JSON, bytes, or nothing."""

    def __init__(self, status, body=None, headers=()):
        self.status, self.body, self.headers = status, body, list(headers)

    def content(self):
        if self.body is None or isinstance(self.body, bytes):
            return self.body or b''
        return json.dumps(self.body, ensure_ascii=False).encode()

    def header(self, name):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None


def json_answer(status, body, headers=()):
    return Answer(status, body, [('Content-Type', JSON)] + list(headers))


def graph_error(status, code, message, inner=None, headers=(), client_id=None):
    """An error in the form of Graph."""
    request_id = str(uuid.uuid4())
    details = {'date': datetime.now(timezone.utc).strftime('%Y-%m-%dT%H:%M:%S'), 'request-id': request_id,
               'client-request-id': client_id or request_id}
    if inner:
        details = dict(code=inner, **details)
    return json_answer(status, {'error': {'code': code, 'message': message, 'innerError': details}},
                       [('request-id', request_id)] + list(headers))


def seconds(number):
    return '%g' % float(number)


def throttled(after=None, code='TooManyRequests'):
    headers = [('Retry-After', seconds(after))] if after is not None else []
    return graph_error(429, code, 'Please retry again later.', '429', headers)


def forms_of(secret):
    """How a page may show a secret: as it is, escaped, cut off."""
    quoted = quote(secret, safe='')
    return ' '.join([secret[:20], quoted, re.sub('%..', lambda match: match[0].lower(), quoted), secret,
                     html.escape(secret), json.dumps(secret).replace('/', '\\/')])


def echo_of_token(headers):
    """An error that shows the token of a request."""
    token = headers.get('authorization', '').rpartition(' ')[2]
    return graph_error(403, token[:30], 'You sent: %s' % forms_of(token))


def echo_of_form(raw):
    """An error of the login service that shows the form it was sent."""
    form = parse_qsl(raw.decode())
    shown = ' '.join(forms_of(value) for name, value in form if name in CONFIDENTIAL)
    return json_answer(400, {'error': max((value for _, value in form), key=len),
                             'error_description': 'You sent: %s or %s' % (raw.decode(), shown)})
