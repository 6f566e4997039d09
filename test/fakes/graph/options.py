"""The switches of the fake: their names, values and defaults."""

# name: (default, what it may be, what it does).  A choice is a tuple, a number
# its type.  What the facts leave open, or what differs from one account to
# another, is a choice here.
OPTIONS = {
    # Requests
    'latency': (0, float, 'milliseconds before each answer'),
    'concurrency': (4, int, 'requests to one mailbox at a time; one more gets 429; 0: any number'),
    'early_retry': ('allowed', ('allowed', 'violation'), 'a request before the Retry-After of a 429 or 503 is over'),
    'check_answers': ('on', ('on', 'off'), 'the own answers are checked by the schemas'),
    'chunked': ('off', ('off', 'on'), 'answers come in chunks, without a length'),
    'gzip': ('off', ('off', 'on'), 'answers are compressed for who accepts it'),
    'base': ('', str, 'what links begin with; http://127.0.0.1:PORT when empty'),
    'seed': (1, int, 'of all that is by chance (only when starting)'),
    # Paging
    'page_size': (10, int, 'things of a page when the request does not say'),
    'max_page_size': (100, int, 'the most things of a page'),
    'next_link': ('skip', ('skip', 'skiptoken'), 'what a nextLink has; with $skip a thing is missed when one is '
                                                 'deleted between two pages'),
    # Answers
    'nulls': ('omitted', ('omitted', 'explicit'), 'dates and recurrence that are not set, in whole objects'),
    'echo_children': ('on', ('on', 'off'), 'the answer to a POST of a task has its linkedResources'),
    'expand': ('honoured', ('honoured', 'ignored', 'refused'), '$expand of lists and single tasks'),
    'select': ('broken', ('broken', 'works'), '$select does nothing, and fails with title'),
    'filter_any': ('supported', ('supported', 'refused', 'ignored'), '$filter=linkedResources/any(…)'),
    'list_recurrence': ('shown', ('shown', 'hidden'), 'recurrence in a list without $filter'),
    'malformed_id': (404, (404, 400), 'an id that was never given out'),
    'prefer_text': ('honoured', ('honoured', 'ignored'), 'Prefer: outlook.body-content-type="text"'),
    'prefer_timezone': ('ignored', ('ignored', 'honoured'), 'Prefer: outlook.timezone="…"'),
    # Delta
    'delta_partial': ('off', ('off', 'on'), 'a change brings only what changed'),
    'delta_nulls': ('as-nulls', ('as-nulls', 'omitted', 'explicit'), 'as "nulls", in the whole objects of a delta'),
    'delta_lag': (0, float, 'milliseconds until a delta shows a change'),
    'delta_expand': ('honoured', ('honoured', 'ignored', 'refused'), '$expand of a delta'),
    'delta_empty': (3, int, 'each n-th page of a delta is empty, with a nextLink; 0: none'),
    'delta_repeat': ('same', ('off', 'same', 'stale'), 'the first item of a round of several pages comes again at its '
                                                       'end; stale: it was an older state of it before'),
    'delta_cache': (0, int, 'delta links that are remembered; 0: all'),
    'delta_first_removed': ('off', ('off', 'on'), 'a first round has what was deleted, too'),
    'removed_reason': ('deleted', ('deleted', 'changed'), '@removed of what was deleted'),
    'moved_reason': ('deleted', ('deleted', 'changed'), '@removed of what was moved'),
    'expired_delta': ('410-resyncRequired',
                      ('410-resyncRequired', '410-syncStateNotFound', '400-SyncStateNotFound', '400-badRequest',
                       '404-ErrorItemNotFound'), 'the answer to an expired link'),
    'expired_location': ('on', ('on', 'off'), 'a 410 has a Location'),
    'read_delta': ('allowed', ('allowed', 'refused'), 'delta with Tasks.Read only'),
    'child_bumps': ('on', ('on', 'off'), 'a change of a step or a linked resource changes its task'),
    # Writing
    'if_match': ('honoured', ('honoured', 'ignored'), 'If-Match of PATCH'),
    'delete_if_match': ('honoured', ('honoured', 'ignored'), 'If-Match of DELETE'),
    'idle_patch': ('bumps', ('bumps', 'keeps'), 'the etag, when a PATCH changes nothing'),
    'deep_insert': ('all', ('all', 'ignored', 'refused'), 'checklistItems and extensions in the POST of a task'),
    'protected_status': (400, (400, 403), 'a change of the lists Tasks and Flagged email'),
    'flagged_create': ('refused', ('refused', 'allowed'), 'a task POSTed to Flagged email'),
    'empty_title': ('refused', ('refused', 'accepted'), 'a task without a title'),
    'title_max': (255, int, 'characters of a title; 0: any number'),
    'text_bodies': ('text', ('text', 'html'), 'what a body comes back as that a PATCH has sent as text'),
    'text_newlines': ('kept', ('kept', 'crlf'), 'line ends of a body'),
    # Dates
    'dates': ('utc', ('utc', 'given'), 'the zone of dates that the API has written'),
    'due_dates': ('instant', ('instant', 'date'), 'with dates=utc: midnight of the zone, or the date, midnight UTC'),
    'due_truncate': ('on', ('on', 'off'), 'the time of due and start is dropped'),
    'zone_names': ('sent', ('sent', 'iana', 'windows'), 'with dates=given: the spelling of the zone'),
    'mailbox_zone': ('UTC', str, 'the time zone in mailboxSettings'),
    'completed_day': ('same', ('same', 'before'), 'the day of completedDateTime'),
    'completed_sent': ('ignored', ('ignored', 'kept'), 'a completedDateTime in a request'),
    'reminder_without_time': ('refused', ('refused', 'ignored'), 'isReminderOn without reminderDateTime'),
    # Recurrence
    'range_on_patch': ('refused', ('refused', 'accepted'), 'a PATCH with recurrence.range'),
    'range_null': ('kept', ('kept', 'noEnd'), 'the range after a PATCH of recurrence with range null'),
    'recurring_links': ('off', ('off', 'on'), 'the next task of a recurring one has its linkedResources'),
    'recurring_due': ('moves', ('moves', 'second'), 'a PATCH of the due date of a recurring task'),
    'recurring_due_null': ('cleared', ('cleared', 'refused'), 'recurrence, when the due date is set to null'),
    # Batches
    'batch_order': ('shuffled', ('shuffled', 'sent'), 'the parts of a batch, and their answers'),
    'batch_parallel': (4, int, 'parts of a batch at a time'),
    'batch_overflow': ('queued', ('queued', 'throttled'), 'parts more than that, not waiting for another'),
    # Signing in
    'client_id': ('5f0c2b1e-1b9a-4b55-9c0e-2f6b1f7d3a11', str, 'the app'),
    'client_secret': ('', str, 'its secret; empty: a public client'),
    'tenant': ('', str, 'the only tenant; empty: any'),
    'expires_in': (3600, int, 'seconds of an access token'),
    'refresh_grace': (86400, float, 'seconds that a used refresh token stays valid; 0: none'),
    'refresh_reuse': ('refused', ('refused', 'revokes'), 'a used token after that: refused, or the newest dies, too'),
    'token_length': (1400, int, 'of an access token'),
    'scope_answer': ('short', ('short', 'full'), 'scopes in answers: Tasks.Read, or with https://graph.… before'),
    'granted_scope': ('', str, 'what people consent to, when less than asked for'),
    'consent': ('granted', ('granted', 'denied'), 'what comes of the authorize page'),
    'interval': (5, float, 'seconds between two questions for a device code'),
    'slow_down': ('on', ('on', 'off'), 'an answer to who asks sooner'),
    'device_expires_in': (900, float, 'seconds of a device code'),
}


class Options:
    """The values, as attributes."""

    def __init__(self):
        for name, (default, _, _) in OPTIONS.items():
            setattr(self, name, default)

    def set(self, name, value):
        if name not in OPTIONS:
            raise ValueError('no option "%s"' % name)
        kind = OPTIONS[name][1]
        if isinstance(kind, tuple):
            value = type(kind[0])(value)
            if value not in kind:
                raise ValueError('%s is one of %s' % (name, ', '.join(str(k) for k in kind)))
        else:
            value = kind(value)
        setattr(self, name, value)

    def all(self):
        return dict(vars(self))


def described():
    """The options, for the help text."""
    lines = []
    for name, (default, kind, text) in OPTIONS.items():
        values = '|'.join(str(k) for k in kind) if isinstance(kind, tuple) else str(default)
        lines.append('    --%s=%s\n        %s' % (name.replace('_', '-'), values, text))
    return '\n'.join(lines)
