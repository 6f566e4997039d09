/*-------------------------------------------------------------------------
 *
 * push.c
 *	  TS_OP_PUSH: objects created, changed, deleted, moved.
 *
 * Every write depends on the object being what it was when the change was
 * planned (RFC 9110 13.1): If-None-Match: * to create, If-Match with the base's
 * ETag otherwise.  Without a base ETag nothing is sent: the engine has to read
 * the object first.  Where the server can't be trusted to honour the condition,
 * or the ETag is weak and could never match, the object is looked at before.
 *
 * A 412 is looked into before it is believed, too: DAViCal answers it to an
 * object that it does not like, which is no conflict and would never end.
 *
 * A status that leaves open whether the write took place makes it IN_DOUBT; it
 * is never sent again here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"

static const DavStep check_step;
static const DavStep write_step;
static const DavStep refused_step;
static const DavStep list_step;
static const DavStep moved_step;

static TsPush *
current(DavConversation *c)
{
	return &c->base.op->push[c->push.i];
}

static void
look_at(DavConversation *c, const DavStep *step, char *id)
{
	c->push.look_at = id;
	c->step = step;
}

/* Whether the server has to be asked before it may be sent the write. */
static bool
needs_check(const DavConversation *c, const TsPush *p)
{
	switch (p->kind)
	{
		case TS_PUSH_CREATE:
			return c->caps.lax_conditions;
		case TS_PUSH_DELETE:
			return c->caps.lax_conditions || strncmp(p->etag, "\"gcs", 4) == 0 ||
				!dav_etag_is_strong(p->etag);
		case TS_PUSH_UPDATE:
			return !dav_etag_is_strong(p->etag);
		case TS_PUSH_MOVE:
			return false;
	}
	return false;
}

/*
 * SOGo gives a moved object another name and does not say which; and names
 * that need escaping are stored wrongly by some.  Better created anew.
 */
static bool
can_move(const DavConversation *c, const TsPush *p)
{
	return !c->caps.lax_conditions && dav_id_is_plain(c->push.id) &&
		(p->etag == NULL || strncmp(p->etag, "\"gcs", 4) != 0);
}

/* The last segment of an id or name, as it is. */
static const char *
last_segment(const char *id)
{
	const char *slash = strrchr(id, '/');

	return slash != NULL ? slash + 1 : id;
}

/* The id that the object under way has, or is to have. */
static char *
push_id(DavConversation *c, const TsPush *p)
{
	if (p->kind == TS_PUSH_CREATE)
		return dav_id_child(c->list, last_segment(p->external_id), ".ics");
	if (p->kind == TS_PUSH_MOVE)
		return dav_id_child(dav_id_collection(p->target_list),
							last_segment(p->external_id), "");
	return dav_id_member(p->external_id, dav_id_path(p->external_id));
}

/*
 * The outcome that needs no request, or PENDING.
 */
static TsOutcome
outcome_beforehand(DavConversation *c, TsPush *p)
{
	if (p->external_id == NULL || last_segment(p->external_id)[0] == '\0')
	{
		ts_error(&p->error, "TS502", "a CalDAV object needs a name");
		return TS_OUTCOME_REFUSED;
	}
	c->push.id = push_id(c, p);
	if ((p->kind == TS_PUSH_UPDATE || p->kind == TS_PUSH_DELETE) && p->etag == NULL)
		return TS_OUTCOME_CONFLICT;
	if (p->kind == TS_PUSH_MOVE && !can_move(c, p))
		return TS_OUTCOME_UNSUPPORTED;
	return TS_OUTCOME_PENDING;
}

/* The first step of the object under way, or of the next that needs one. */
static void
push_next(DavConversation *c)
{
	c->step = NULL;
	for (; c->push.i < c->base.op->npush; c->push.i++)
	{
		TsPush	   *p = current(c);

		p->outcome = outcome_beforehand(c, p);
		if (p->outcome != TS_OUTCOME_PENDING)
			continue;
		if (needs_check(c, p))
			look_at(c, &check_step, c->push.id);
		else
			c->step = &write_step;
		return;
	}
}

/*
 * dav_push_begin
 *		Chooses the first step.
 */
void
dav_push_begin(DavConversation *c)
{
	push_next(c);
}

/* The object under way has its outcome; on to the next. */
static void
settle(DavConversation *c, TsOutcome outcome)
{
	TsPush	   *p = current(c);

	p->outcome = outcome;
	if (outcome != TS_OUTCOME_REFUSED && outcome != TS_OUTCOME_IN_DOUBT)
		memset(&p->error, 0, sizeof(p->error));
	c->push.i++;
	push_next(c);
}

/* The conversation ends before these. */
static void
not_sent_from(DavConversation *c, int i)
{
	for (; i < c->base.op->npush; i++)
		c->base.op->push[i].outcome = TS_OUTCOME_NOT_SENT;
}

/* It has the outcome, and the conversation is over; what follows was not sent. */
static void
settle_and_fail(DavConversation *c, TsOutcome outcome, const DavAnswer *a)
{
	current(c)->outcome = outcome;
	not_sent_from(c, c->push.i + 1);
	dav_fail(c, a, c->push.id);
	if (outcome == TS_OUTCOME_IN_DOUBT)
		current(c)->error = c->base.error;
}

/* ---------- looking at one thing ---------- */

static void
ask_look(DavConversation *c, TsRequest *req)
{
	c->push.found = c->push.vanished = false;
	c->push.found_etag = NULL;
	dav_propfind(c, req, c->push.look_at, "0", "<D:getetag/>");
}

static void
look_entry(DavConversation *c, const DavEntry *entry)
{
	c->push.vanished = dav_is_missing(entry->status);
	c->push.found = !c->push.vanished && entry->status < 400;
	c->push.found_etag = dav_etag(entry->value[DAV_ETAG]);
}

/* Whether the look showed that there is nothing. */
static bool
is_missing(const DavConversation *c, const DavAnswer *a)
{
	return dav_is_missing(a->status) || (a->understood && c->push.vanished);
}

/* Whether it showed the object that the change was planned for. */
static bool
is_as_planned(const DavConversation *c, const TsPush *p)
{
	return c->push.found && c->push.found_etag != NULL && p->etag != NULL &&
		strcmp(c->push.found_etag, dav_etag(p->etag)) == 0;
}

/* The outcome where the object is not as it was planned to be. */
static TsOutcome
outcome_of_look(DavConversation *c, TsPush *p, bool missing)
{
	if (p->kind == TS_PUSH_CREATE)
	{
		p->new_external_id = c->push.id;
		p->new_etag = c->push.found_etag;
		return TS_OUTCOME_EXISTS;
	}
	if (missing)
		return TS_OUTCOME_GONE;
	return TS_OUTCOME_CONFLICT;
}

/* The write was not sent yet, or refused: whatever goes wrong here, it did not happen. */
static bool
look_trouble(DavConversation *c, const DavAnswer *a)
{
	if (a->understood || dav_is_missing(a->status))
		return false;
	settle_and_fail(c, TS_OUTCOME_NOT_SENT, a);
	return true;
}

static void
check_answer(DavConversation *c, const DavAnswer *a)
{
	TsPush	   *p = current(c);
	bool		missing = is_missing(c, a);

	if (p->kind == TS_PUSH_CREATE ? missing : is_as_planned(c, p))
		c->step = &write_step;
	else
		settle(c, outcome_of_look(c, p, missing));
}

static const DavStep check_step = {
	.doing = "checking",
	.failed = "could not look at",
	.ask = ask_look,
	.entry = look_entry,
	.answer = check_answer,
	.trouble = look_trouble,
};

/* ---------- writing ---------- */

static void
ask_put(DavConversation *c, TsRequest *req, const TsPush *p)
{
	dav_request(c, req, "PUT", c->push.id);
	ts_request_header(req, "Content-Type", "text/calendar; charset=utf-8");
	if (p->kind == TS_PUSH_CREATE)
		ts_request_header(req, "If-None-Match", "*");
	req->body = p->payload;
	req->body_len = p->payload_len;
}

/* RFC 4918 9.9.  A move takes along what others did to the object, so it is not conditional. */
static void
ask_move(DavConversation *c, TsRequest *req, const TsPush *p)
{
	dav_request(c, req, "MOVE", dav_id_member(p->external_id, dav_id_path(p->external_id)));
	ts_request_header(req, "Destination", dav_id_url(c->origin, c->push.id));
	ts_request_header(req, "Overwrite", "F");
}

static void
ask_write(DavConversation *c, TsRequest *req)
{
	const TsPush *p = current(c);

	if (p->kind == TS_PUSH_MOVE)
	{
		ask_move(c, req, p);
		return;
	}
	if (p->kind == TS_PUSH_DELETE)
		dav_request(c, req, "DELETE", c->push.id);
	else
		ask_put(c, req, p);
	if (p->kind != TS_PUSH_CREATE && dav_etag_is_strong(p->etag))
		ts_request_header(req, "If-Match", p->etag);
}

/* Preconditions that say that the object itself is not wanted (RFC 4791 5.3.2.1). */
static bool
dislikes_object(const DavAnswer *a)
{
	static const char *const names[] = {
		"supported-calendar-data", "valid-calendar-data", "valid-calendar-object-resource",
		"supported-calendar-component", "calendar-collection-location-ok", "max-resource-size",
		"min-date-time", "max-date-time", "max-instances", "max-attendees-per-instance",
	};

	for (int i = 0; a->condition != NULL && i < lengthof(names); i++)
	{
		if (strcmp(a->condition, names[i]) == 0)
			return true;
	}
	return false;
}

/*
 * What leaves the fate of the write open, or says that it was not carried out
 * at all, whatever the write was.  True when the push is settled by it.
 */
static bool
write_trouble(DavConversation *c, const DavAnswer *a)
{
	int			status = a->status;

	if (status == 0)
		settle_and_fail(c, a->resp->maybe_applied ? TS_OUTCOME_IN_DOUBT : TS_OUTCOME_NOT_SENT, a);
	else if (status == 401 || dav_is_busy(status) || status / 100 == 3 ||
			 (status == 403 && ts_response_header(a->resp, "www-authenticate") != NULL))
		settle_and_fail(c, TS_OUTCOME_NOT_SENT, a);
	else if (status == 408 || (status >= 500 && status != 501 && status != 507))
	{
		dav_describe(a, &current(c)->error, c->step->failed, c->push.id);
		settle(c, TS_OUTCOME_IN_DOUBT);
	}
	else
		return false;
	return true;
}

/* A write was accepted. */
static void
write_done(DavConversation *c, const DavAnswer *a)
{
	TsPush	   *p = current(c);

	if (p->kind == TS_PUSH_MOVE)
	{
		look_at(c, &moved_step, c->push.id);
		return;
	}
	if (p->kind == TS_PUSH_CREATE)
		p->new_external_id = c->push.id;
	if (p->kind != TS_PUSH_DELETE)
		p->new_etag = dav_etag(ts_response_header(a->resp, "etag"));
	settle(c, TS_OUTCOME_DONE);
}

/* RFC 4791 5.3.2.1: the UID is there under another name; the answer may say which. */
static void
uid_is_taken(DavConversation *c, const DavAnswer *a)
{
	if (a->condition_href != NULL)
		current(c)->new_external_id = dav_id_member(c->list, a->condition_href);
	settle(c, TS_OUTCOME_EXISTS);
}

static void
write_answer(DavConversation *c, const DavAnswer *a)
{
	TsPush	   *p = current(c);
	int			status = a->status;

	if (status / 100 == 2)
		write_done(c, a);
	else if (p->kind == TS_PUSH_MOVE)
		settle(c, dav_is_missing(status) ? TS_OUTCOME_GONE : TS_OUTCOME_UNSUPPORTED);
	else if (p->kind == TS_PUSH_CREATE && a->condition != NULL &&
			 strcmp(a->condition, "no-uid-conflict") == 0)
		uid_is_taken(c, a);
	else
	{
		dav_describe(a, &p->error, c->step->failed, c->push.id);
		if (status == 412 && !dislikes_object(a))
			look_at(c, &refused_step, c->push.id);
		else if (dav_is_missing(status) || (status == 409 && !dislikes_object(a)))
			look_at(c, &list_step, c->list);
		else
			settle(c, TS_OUTCOME_REFUSED);
	}
}

static const DavStep write_step = {
	.doing = "sending",
	.failed = "could not write",
	.ask = ask_write,
	.answer = write_answer,
	.trouble = write_trouble,
};

/* ---------- after a write that was refused ---------- */

/* 412: if the condition holds in truth, it is the object that was refused. */
static void
refused_answer(DavConversation *c, const DavAnswer *a)
{
	TsPush	   *p = current(c);
	bool		missing = is_missing(c, a);

	if (p->kind == TS_PUSH_CREATE ? missing : is_as_planned(c, p))
		settle(c, TS_OUTCOME_REFUSED);
	else
		settle(c, outcome_of_look(c, p, missing));
}

static const DavStep refused_step = {
	.doing = "checking",
	.failed = "could not look at",
	.ask = ask_look,
	.entry = look_entry,
	.answer = refused_answer,
	.trouble = look_trouble,
};

/* 404 or 409: is it the object that is missing, or its list? */
static void
list_answer(DavConversation *c, const DavAnswer *a)
{
	TsPush	   *p = current(c);

	if (is_missing(c, a))
	{
		memset(&p->error, 0, sizeof(p->error));
		not_sent_from(c, c->push.i);
		dav_list_gone(c);
	}
	else if (p->kind == TS_PUSH_UPDATE)
		look_at(c, &refused_step, c->push.id);
	else
		settle(c, p->kind == TS_PUSH_DELETE ? TS_OUTCOME_GONE : TS_OUTCOME_REFUSED);
}

static const DavStep list_step = {
	.doing = "checking",
	.failed = "could not look at CalDAV list",
	.ask = ask_look,
	.entry = look_entry,
	.answer = list_answer,
	.trouble = look_trouble,
};

/* ---------- after a move ---------- */

/* The move was accepted; what can't be seen now has to be found by a later pull. */
static bool
moved_trouble(DavConversation *c, const DavAnswer *a)
{
	if (a->understood || dav_is_missing(a->status))
		return false;
	settle_and_fail(c, TS_OUTCOME_IN_DOUBT, a);
	return true;
}

static void
moved_answer(DavConversation *c, const DavAnswer *a)
{
	TsPush	   *p = current(c);

	if (is_missing(c, a))
	{
		ts_error(&p->error, "TS502", "\"%s\" was moved, but is not at \"%s\"",
				 p->external_id, c->push.id);
		settle(c, TS_OUTCOME_IN_DOUBT);
		return;
	}
	p->new_external_id = c->push.id;
	p->new_etag = c->push.found_etag;
	settle(c, TS_OUTCOME_DONE);
}

static const DavStep moved_step = {
	.doing = "checking",
	.failed = "could not look at",
	.ask = ask_look,
	.entry = look_entry,
	.answer = moved_answer,
	.trouble = moved_trouble,
};
