"""Microsoft's sign-in: device codes, authorization codes with PKCE, refresh tokens."""
import base64
import hashlib
import hmac
import math
import random
import re
import uuid
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote, urlsplit

from .answers import Answer

DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'
RESOURCE = 'https://graph.microsoft.com/'
OWN_SCOPES = ('openid', 'profile', 'email', 'offline_access')
KNOWN_SCOPES = OWN_SCOPES + ('Tasks.Read', 'Tasks.ReadWrite', 'Tasks.ReadWrite.Shared', 'User.Read',
                             'MailboxSettings.Read', 'MailboxSettings.ReadWrite')
# What each grant sends: needed, and allowed besides
FIELDS = {
    'devicecode': ({'client_id', 'scope'}, set()),
    DEVICE: ({'grant_type', 'client_id', 'device_code'}, {'client_secret', 'scope'}),
    'authorization_code': ({'grant_type', 'client_id', 'code', 'redirect_uri', 'code_verifier'},
                           {'client_secret', 'scope'}),
    'refresh_token': ({'grant_type', 'client_id', 'refresh_token', 'scope'}, {'client_secret'}),
    'authorize': ({'client_id', 'response_type', 'redirect_uri', 'scope', 'code_challenge', 'code_challenge_method'},
                  {'state', 'prompt', 'response_mode', 'login_hint', 'domain_hint', 'nonce'}),
}


class Refusal(Exception):
    """An OAuth error.  A breach is a fault of the client's code."""

    def __init__(self, error, number, text, status=400, breach=False):
        super().__init__(text)
        self.error, self.number, self.text, self.status, self.breach = error, number, text, status, breach


class Session:
    """What an access token stands for."""

    def __init__(self, user, scopes, until):
        self.user, self.scopes, self.until = user, scopes, until


class OAuth:
    def __init__(self, store, log):
        self.store, self.options, self.log = store, store.options, log
        # Tokens of one run are not those of another
        self.dice = random.SystemRandom()
        self.access, self.refresh, self.codes, self.devices = {}, {}, {}, {}
        self.refusal = None             # (error, AADSTS number): what a refresh is answered with
        self.signed_in = 'anna'         # who is at the browser of the authorize page

    # Tokens

    def random(self, length, more=''):
        signs = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789' + more
        return ''.join(self.dice.choice(signs) for _ in range(length))

    def session(self, token):
        found = self.access.get(token)
        return found if found and found.until > self.store.now() else None

    def expire_access(self):
        self.access.clear()

    def issue(self, user, asked, family=None, expires_in=None):
        """A token answer for a user and the scopes asked for."""
        scopes = self.granted(asked)
        lifetime = self.options.expires_in if expires_in is None else expires_in
        access = 'EwB4A8l6BAAU+/' + self.random(max(20, self.options.token_length - 17), '+/') + '.A='
        self.log.token('access_token', access)
        self.access[access] = Session(user, set(scopes), self.store.now() + lifetime)
        shown = [s for s in scopes if s not in OWN_SCOPES]
        if self.options.scope_answer == 'full':
            shown = [RESOURCE + s for s in shown]
        answer = {'token_type': 'Bearer', 'scope': ' '.join(shown), 'expires_in': lifetime,
                  'ext_expires_in': lifetime, 'access_token': access}
        if 'offline_access' in scopes:
            refresh = 'M.C5%d_BAY.0.U.-' % self.dice.randrange(10, 99) + self.random(380, '!*') + '!*$$'
            self.log.token('refresh_token', refresh)
            family = family or {'dead': False}
            self.refresh[refresh] = {'user': user, 'scopes': scopes, 'family': family, 'used': None}
            answer['refresh_token'] = refresh
        if 'openid' in scopes:
            answer['id_token'] = self.random(40) + '.' + self.random(200) + '.' + self.random(40)
            self.log.token('id_token', answer['id_token'])
        return answer

    def granted(self, asked):
        allowed = self.options.granted_scope.split() or asked
        return [scope for scope in asked if scope in allowed or scope in OWN_SCOPES]

    def scopes_of(self, text):
        scopes = [scope[len(RESOURCE):] if scope.startswith(RESOURCE) else scope for scope in text.split(' ')]
        unknown = [scope for scope in scopes if scope not in KNOWN_SCOPES]
        if unknown:
            raise Refusal('invalid_scope', 70011, "The provided value for the input parameter 'scope' is not valid: %s"
                          % ' '.join(unknown), breach=True)
        return scopes

    # Requests

    def answer(self, method, target, headers, body):
        try:
            with self.store.lock:
                return self.routed(method, target, headers, body)
        except Refusal as refusal:
            if refusal.breach:
                self.log.violation('%s %s: %s' % (method, urlsplit(target).path, refusal.text))
            return self.error(refusal)

    def routed(self, method, target, headers, body):
        parts = urlsplit(target)
        match = re.fullmatch(r'/login/([A-Za-z0-9.-]+)/oauth2/v2\.0/(authorize|token|devicecode)', parts.path)
        if not match:
            return Answer(404, b'', [('Content-Type', 'text/html')])
        tenant, what = match.groups()
        if self.options.tenant and tenant != self.options.tenant:
            raise Refusal('invalid_request', 90002, "Tenant '%s' not found." % tenant)
        if 'authorization' in {name.lower() for name in headers}:
            raise Refusal('invalid_request', 9002313, 'An Authorization header has no business here.', breach=True)
        if what == 'authorize':
            if method != 'GET':
                raise Refusal('invalid_request', 900561, 'The endpoint only accepts GET requests.', 405, True)
            return self.authorize(self.fields(parts.query, 'authorize'))
        if method != 'POST':
            raise Refusal('invalid_request', 900561, 'The endpoint only accepts POST requests.', 405, True)
        kind = {k.lower(): v for k, v in headers.items()}.get('content-type', '')
        if kind.split(';')[0].strip().lower() != 'application/x-www-form-urlencoded' or parts.query:
            raise Refusal('invalid_request', 9002313, 'The request body must be a form: %s' % (kind or 'no type'),
                          breach=True)
        text = body.decode('latin-1')
        if what == 'devicecode':
            return self.device_code(self.fields(text, 'devicecode'))
        return self.token(text)

    def fields(self, text, grant):
        """The fields of a form, checked."""
        if re.search(r"[^A-Za-z0-9._~*+%&=!$'(),;:@/?-]", text) or re.search(r'%(?![0-9A-Fa-f]{2})', text):
            raise Refusal('invalid_request', 9002313, 'The form is not encoded well.', breach=True)
        try:
            pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors='strict')
        except ValueError as error:
            raise Refusal('invalid_request', 9002313, 'The form is not encoded well: %s' % error, breach=True) from None
        form = dict(pairs)
        if len(form) != len(pairs):
            raise Refusal('invalid_request', 9002313, 'A field is there twice.', breach=True)
        if grant is None:
            grant = form.get('grant_type')
            if grant not in (DEVICE, 'authorization_code', 'refresh_token'):
                raise Refusal('unsupported_grant_type', 70003, "The grant type '%s' is not supported." % grant,
                              breach=True)
        needed, allowed = FIELDS[grant]
        for name in sorted(needed):
            if not form.get(name):
                raise Refusal('invalid_request', 900144, "The request body must contain the following parameter: '%s'."
                              % name, breach=True)
        unknown = set(form) - needed - allowed
        if unknown:
            raise Refusal('invalid_request', 9002313, 'Unknown fields: %s' % ', '.join(sorted(unknown)), breach=True)
        if form['client_id'] != self.options.client_id:
            raise Refusal('unauthorized_client', 700016, "Application with identifier '%s' was not found."
                          % form['client_id'])
        return form

    def check_secret(self, form):
        secret = self.options.client_secret
        if secret and 'client_secret' not in form:
            raise Refusal('invalid_client', 7000218, "The request body must contain the following parameter: "
                          "'client_assertion' or 'client_secret'.", 401)
        if secret and not hmac.compare_digest(form['client_secret'].encode(), secret.encode()):
            raise Refusal('invalid_client', 7000215, 'Invalid client secret provided.', 401)
        if not secret and 'client_secret' in form:
            raise Refusal('invalid_client', 700025, "Client is public so neither 'client_assertion' nor "
                          "'client_secret' should be presented.", 401)

    def token(self, text):
        form = self.fields(text, None)
        self.check_secret(form)
        grant = {DEVICE: self.by_device, 'authorization_code': self.by_code, 'refresh_token': self.by_refresh}
        return self.plain(200, grant[form['grant_type']](form))

    def plain(self, status, body):
        return Answer(status, body, [('Content-Type', 'application/json; charset=utf-8'),
                                     ('Cache-Control', 'no-store, no-cache'), ('Pragma', 'no-cache')])

    def error(self, refusal):
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        now = datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M:%SZ')
        return self.plain(refusal.status, {
            'error': refusal.error,
            'error_description': 'AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s' % (
                refusal.number, refusal.text, trace, correlation, now),
            'error_codes': [refusal.number], 'timestamp': now, 'trace_id': trace, 'correlation_id': correlation,
            'error_uri': 'https://login.microsoftonline.com/error?code=%d' % refusal.number})

    # Device codes

    def device_code(self, form):
        scopes = self.scopes_of(form['scope'])
        device, code = self.random(220, '-_'), self.random(9).upper()
        self.log.token('device_code', device)
        lifetime = self.options.device_expires_in
        self.devices[device] = {'user_code': code, 'scopes': scopes, 'until': self.store.now() + lifetime,
                                'state': 'pending', 'user': None, 'asked': None, 'interval': self.options.interval}
        where = 'https://microsoft.com/devicelogin'
        return self.plain(200, {'user_code': code, 'device_code': device, 'verification_uri': where,
                                'expires_in': int(lifetime), 'interval': math.ceil(self.options.interval),
                                'message': 'To sign in, use a web browser to open the page %s and enter the code %s '
                                           'to authenticate.' % (where, code)})

    def decide(self, code, state, user=None):
        """What a person does with a user code; None: with the newest one."""
        devices = [d for d in self.devices.values() if code in (None, d['user_code']) and d['state'] == 'pending']
        if not devices:
            raise ValueError('no device code waits')
        devices[-1].update(state=state, user=user)

    def by_device(self, form):
        device = self.devices.get(form['device_code'])
        if device is None:
            raise Refusal('bad_verification_code', 70019, 'The device code was not recognized.')
        now, last = self.store.now(), device['asked']
        device['asked'] = now
        if device['state'] == 'declined':
            raise Refusal('authorization_declined', 70018, 'The end user denied the authorization request.')
        if device['state'] == 'redeemed':
            raise Refusal('invalid_grant', 54005, 'OAuth2 Authorization code was already redeemed.')
        if now > device['until']:
            raise Refusal('expired_token', 70020, 'The provided value for the device code is expired.')
        if self.options.slow_down == 'on' and last is not None and now - last < device['interval']:
            device['interval'] += 5
            raise Refusal('slow_down', 70016, 'You are polling too often.')
        if device['state'] == 'pending':
            raise Refusal('authorization_pending', 70016, 'OAuth 2.0 device flow error. Authorization is pending. '
                          'Continue polling.')
        device['state'] = 'redeemed'
        return self.issue(device['user'], device['scopes'])

    # Authorization codes

    def authorize(self, form):
        scopes = self.scopes_of(form['scope'])
        where = urlsplit(form['redirect_uri'])
        loopback = where.scheme == 'http' and where.hostname in ('localhost', '127.0.0.1')
        if not (loopback or where.scheme == 'https') or where.fragment:
            raise Refusal('invalid_request', 50011, 'The redirect URI is not one of the registered ones.', breach=True)
        if form['response_type'] != 'code' or form['code_challenge_method'] != 'S256':
            raise Refusal('invalid_request', 501491, 'response_type is code, code_challenge_method S256.', breach=True)
        if not re.fullmatch(r'[A-Za-z0-9_-]{43}', form['code_challenge']):
            raise Refusal('invalid_request', 501491, 'The code_challenge is no SHA-256.', breach=True)
        if form.get('response_mode', 'query') != 'query':
            raise Refusal('invalid_request', 70007, 'Only response_mode query is known here.', breach=True)
        if self.options.consent == 'denied':
            result = {'error': 'access_denied', 'error_description': 'AADSTS65004: User declined to consent.'}
        else:
            code = 'M.C5_BL2.2.U.' + self.random(60, '-_') + '!*'
            self.log.token('code', code)
            self.codes[code] = {'form': form, 'scopes': scopes, 'until': self.store.now() + 600, 'used': False,
                                'user': self.store.user(self.signed_in)}
            result = {'code': code}
        if 'state' in form:
            result['state'] = form['state']
        return Answer(302, b'', [('Location', '%s%s%s' % (form['redirect_uri'], '&' if where.query else '?', '&'.join(
            '%s=%s' % (name, quote(value, safe='')) for name, value in result.items())))])

    def by_code(self, form):
        grant = self.codes.get(form['code'])
        if grant is None:
            raise Refusal('invalid_grant', 70000, 'The provided value for the code is not valid.')
        if grant['used']:
            raise Refusal('invalid_grant', 54005, 'OAuth2 Authorization code was already redeemed.')
        if self.store.now() > grant['until']:
            raise Refusal('invalid_grant', 70008, 'The provided authorization code has expired.')
        if form['redirect_uri'] != grant['form']['redirect_uri']:
            raise Refusal('invalid_grant', 50011, 'The redirect URI differs from the one before.', breach=True)
        verifier = form['code_verifier']
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip('=')
        if not re.fullmatch(r'[A-Za-z0-9._~-]{43,128}', verifier):
            raise Refusal('invalid_grant', 501481, 'The code_verifier has not the form of one.', breach=True)
        if digest != grant['form']['code_challenge']:
            raise Refusal('invalid_grant', 501481, 'The Code_Verifier does not match the code_challenge.')
        grant['used'] = True
        scopes = self.scopes_of(form['scope']) if 'scope' in form else grant['scopes']
        self.check_subset(scopes, grant['scopes'])
        return self.issue(grant['user'], scopes)

    def check_subset(self, scopes, granted):
        if not set(scopes) <= set(granted):
            raise Refusal('invalid_grant', 65001, 'The user or administrator has not consented to use the application.')

    # Refresh tokens

    def by_refresh(self, form):
        token = self.refresh.get(form['refresh_token'])
        scopes = self.scopes_of(form['scope'])
        if self.refusal:
            raise Refusal(self.refusal[0], self.refusal[1], 'The refresh token is of no use any more.')
        if token is None:
            self.log.violation('token: a refresh token that was never given out')
            raise Refusal('invalid_grant', 9002313, 'Invalid request. Request is malformed or invalid.')
        if token['family']['dead']:
            raise Refusal('invalid_grant', 70000, 'The grant was revoked.')
        if token['used'] is not None and self.store.now() - token['used'] >= self.options.refresh_grace:
            if self.options.refresh_reuse == 'revokes':
                token['family']['dead'] = True
            raise Refusal('invalid_grant', 70000, 'The refresh token was used before.')
        self.check_subset(scopes, token['scopes'])
        if token['used'] is None:
            token['used'] = self.store.now()
        return self.issue(token['user'], scopes, token['family'])
