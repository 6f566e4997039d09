/*-------------------------------------------------------------------------
 *
 * service.c
 *	  A task service in memory, and the provider that speaks with it (see
 *	  service.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "service.h"
#include "task/datetime.h"
#include "texts.h"
#include "utils/memutils.h"

#define BIT TS_FIELD_BIT

typedef enum FakeVerb
{
	FAKE_LIST,					/* all of a list, from place "from" on */
	FAKE_CHANGES,				/* of a list since revision "from" */
	FAKE_GET,
	FAKE_LOOK,					/* whose it is */
	FAKE_CREATE,
	FAKE_UPDATE,
	FAKE_DELETE,
	FAKE_MOVE
} FakeVerb;

typedef struct FakeCall
{
	FakeVerb	verb;
	const char *list;
	const char *from_list;		/* MOVE */
	int			from;
	const char **ids;
	int			nids;
	const char *etag;
	const char *payload;
	bool		looks;			/* GET: to overwrite it next */
} FakeCall;

/* One object as an answer shows it. */
typedef struct FakeSight
{
	const char *id;
	const char *payload;		/* NULL: it is not there */
	int			rev;
} FakeSight;

typedef struct FakeAnswer
{
	FakeSight  *sights;
	int			nsights;
	int			next;			/* LIST: the next place, 0: that was all */
	int			rev;
	char	   *id;				/* the object written, or in the way */
	char	   *etag;
	FakeSight	now;			/* … as it is now; payload NULL: not told */
	bool		cut;			/* the end is missing */
} FakeAnswer;

typedef struct FakeConversation
{
	TsConversation base;
	FakeService *service;
	FakeCall	call;
	int			i;				/* PUSH: which of them */
	bool		looked;			/* … and whether it was looked at */
	int			cursor;
	bool		over;
} FakeConversation;

/*
 * Documents
 */

typedef struct Document
{
	const char *id;				/* which the service gave it */
	const char *uid;
	const char *marker;
	const char *keep;
	int64		modified;
	TsTask		task;
	TsFieldMask mask;			/* encoded onto another: what was changed */
} Document;

static Document *documents;
static int	ndocuments;
static int	maxdocuments;
static MemoryContext documents_cxt;

void
fake_start(void)
{
	if (documents_cxt == NULL)
		documents_cxt = AllocSetContextCreate(TopMemoryContext, "documents", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(documents_cxt);
	documents = NULL;
	ndocuments = maxdocuments = 0;
}

void
fake_init(FakeService *s)
{
	memset(s, 0, offsetof(FakeService, objects));
}

static const Document *
document(const char *payload)
{
	static const Document none;

	return payload[0] == '@' ? &documents[number_at(payload + 1)] : &none;
}

static char *
kept(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

/* A new document, which shares its texts with another until it gets its own. */
static Document *
new_document(const Document *from)
{
	Document   *d;

	if (ndocuments == maxdocuments)
	{
		Document   *more = MemoryContextAlloc(documents_cxt,
											  sizeof(Document) * (maxdocuments + 256));

		if (ndocuments > 0)
			memcpy(more, documents, sizeof(Document) * ndocuments);
		documents = more;
		maxdocuments += 256;
	}
	d = &documents[ndocuments++];
	*d = *from;
	return d;
}

static char *
name_of(const Document *d)
{
	return numbered("@", d - documents, "");
}

/* The name of a copy of a document. */
static char *
add_document(const Document *from)
{
	MemoryContext old = MemoryContextSwitchTo(documents_cxt);
	Document   *d = new_document(from);

	d->id = kept(from->id);
	d->uid = kept(from->uid);
	d->marker = kept(from->marker);
	d->keep = kept(from->keep);
	ts_task_copy(&d->task, &from->task);
	MemoryContextSwitchTo(old);
	return name_of(d);
}

char *
fake_payload(const char *uid, const char *keep, int64 modified, const TsTask *task)
{
	Document	d = {.uid = uid, .keep = keep, .modified = modified, .task = *task};

	d.task.known &= FAKE_CARRIES;
	return add_document(&d);
}

/* The same object with other fields. */
char *
fake_edited(const char *payload, int64 modified, const TsTask *task)
{
	Document	d = *document(payload);

	d.modified = modified;
	d.task = *task;
	d.mask = 0;
	return add_document(&d);
}

char *
fake_member(const char *payload, const char *name)
{
	const Document *d = document(payload);

	if (strcmp(name, "uid") == 0)
		return (char *) d->uid;
	if (strcmp(name, "marker") == 0)
		return (char *) d->marker;
	if (strcmp(name, "keep") == 0)
		return (char *) d->keep;
	return NULL;
}

TsTask
fake_task(const char *payload)
{
	TsTask		task = document(payload)->task;

	task.known |= FAKE_CARRIES; /* what it does not say is not set */
	return task;
}

static void
drop_seconds(TsTask *task)
{
	if (task->value[TS_DUE_TIME])
		task->value[TS_DUE_TIME] = psprintf("%.6s00", task->value[TS_DUE_TIME]);
}

/* What the service makes of a document that it is given for an object. */
static char *
normalised(const char *payload, const char *id)
{
	MemoryContext old = MemoryContextSwitchTo(documents_cxt);
	Document   *d = new_document(document(payload));

	d->id = kept(id);
	d->mask = 0;
	drop_seconds(&d->task);
	MemoryContextSwitchTo(old);
	return name_of(d);
}

/* Only the fields that a write names, into what is there now. */
static char *
patched(const char *now, const char *patch)
{
	Document	d = *document(now);
	const Document *p = document(patch);

	d.modified = p->modified;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (p->mask & BIT(f))
		{
			d.task.known |= BIT(f);
			d.task.value[f] = p->task.value[f];
		}
	return add_document(&d);
}

/*
 * The service
 */

static char *
etag_of(int rev)
{
	return numbered("\"", rev, "\"");
}

int64
fake_now(FakeService *s)
{
	return s->now + s->skew + s->rev + 1;
}

FakeObject *
fake_find(FakeService *s, const char *id)
{
	for (int i = 0; i < s->nobjects; i++)
		if (same(s->objects[i].id, id))
			return &s->objects[i];
	return NULL;
}

int
fake_count(const FakeService *s, const char *list)
{
	int			n = 0;

	for (int i = 0; i < s->nobjects; i++)
		n += s->objects[i].payload != NULL && same(s->objects[i].list, list);
	return n;
}

void
fake_change(FakeService *s, FakeObject *o, char *payload)
{
	FakeState  *state = palloc(sizeof(FakeState));

	if (s->rev + 1 == FAKE_MAX_CHANGES)
		abort();
	o->payload = payload;
	o->rev = ++s->rev;
	s->times[s->rev] = s->now;
	state->rev = o->rev;
	state->list = o->list;
	state->payload = payload;
	state->before = o->states;
	o->states = state;
}

void
fake_delete(FakeService *s, FakeObject *o)
{
	fake_change(s, o, NULL);
}

FakeObject *
fake_put(FakeService *s, const char *list, const char *name, char *payload)
{
	char	   *id = s->stable_ids ? pstrdup(name) : psprintf("%s/%s", list, name);
	FakeObject *o = fake_find(s, id);

	if (o == NULL)
	{
		if (s->nobjects == FAKE_MAX_OBJECTS)
			abort();
		o = &s->objects[s->nobjects++];
		memset(o, 0, sizeof(*o));
		o->id = id;
	}
	o->list = pstrdup(list);
	fake_change(s, o, normalised(payload, o->id));
	return o;
}

FakeObject *
fake_move(FakeService *s, FakeObject *o, const char *list)
{
	FakeObject *moved;

	if (s->stable_ids)
	{
		o->list = pstrdup(list);
		fake_change(s, o, o->payload);
		return o;
	}
	moved = fake_put(s, list, strchr(o->id, '/') + 1, o->payload);
	fake_delete(s, o);
	return moved;
}

/* What an object held at some revision; NULL: it did not exist. */
static const FakeState *
state_at(const FakeObject *o, int rev)
{
	const FakeState *state = o->states;

	while (state && state->rev > rev)
		state = state->before;
	return state;
}

static bool
was_in(const FakeState *state, const char *list)
{
	return state && state->payload && same(state->list, list);
}

/* Was it in the list at some time since that revision? */
static bool
was_once_in(const FakeState *now, int from, const char *list)
{
	for (; now && now->rev > from; now = now->before)
		if (was_in(now, list))
			return true;
	return was_in(now, list);
}

static void
show(FakeAnswer *a, const char *id, const char *payload, int rev)
{
	FakeSight  *sight = &a->sights[a->nsights++];

	sight->id = id;
	sight->payload = payload;
	sight->rev = rev;
}

/* The last change that listings know of. */
static int
seen_revision(const FakeService *s)
{
	int			rev = s->rev;

	while (rev > 0 && s->times[rev] > s->now - s->lag)
		rev--;
	return s->lag ? rev : s->rev;
}

static int
serve_list(FakeService *s, const FakeCall *call, FakeAnswer *a)
{
	int			i = call->from;
	int			top = seen_revision(s);

	for (; i < s->nobjects && (s->page == 0 || a->nsights < s->page); i++)
	{
		const FakeState *state = state_at(&s->objects[i], top);

		if (was_in(state, call->list) &&
			(s->hide_every == 0 || (i + s->rev) % s->hide_every != 0))
			show(a, s->objects[i].id, state->payload, state->rev);
	}
	a->next = i < s->nobjects ? i : 0;
	a->rev = top;
	return 200;
}

static int
serve_changes(FakeService *s, const FakeCall *call, FakeAnswer *a)
{
	int			top = Max(call->from, seen_revision(s));

	if (call->from < s->oldest_cursor)
		return 410;
	for (int i = 0; i < s->nobjects; i++)
	{
		const FakeState *now = state_at(&s->objects[i], top);
		bool		listed = was_in(now, call->list);
		bool		left = !listed && (s->forgets ? was_in(state_at(&s->objects[i], call->from), call->list)
									   : was_once_in(now, call->from, call->list));

		if (now == NULL || now->rev <= call->from ||
			(s->lose_every && now->rev % s->lose_every == 0) || !(listed || left))
			continue;
		show(a, s->objects[i].id, listed ? now->payload : NULL, now->rev);
	}
	a->rev = top;
	return 200;
}

static int
serve_get(FakeService *s, const FakeCall *call, FakeAnswer *a)
{
	for (int i = 0; i < call->nids; i++)
	{
		const FakeObject *o = fake_find(s, call->ids[i]);
		bool		there = o && o->payload && same(o->list, call->list);

		show(a, call->ids[i], there ? o->payload : NULL, o ? o->rev : 0);
		if (call->looks)
			s->looked_at = o ? o->id : NULL;
	}
	return 200;
}

/* The object of a list that already has this uid. */
static FakeObject *
uid_taken(FakeService *s, const char *list, const char *payload)
{
	const char *uid = document(payload)->uid;

	for (int i = 0; i < s->nobjects && s->unique_uids && uid; i++)
	{
		FakeObject *o = &s->objects[i];

		if (o->payload && same(o->list, list) && document(o->payload)->uid &&
			same(document(o->payload)->uid, uid))
			return o;
	}
	return NULL;
}

static char *
next_day(const char *date)
{
	TsCivil		day = {0};

	if (date == NULL || !ts_date_parse(date, &day) ||
		!ts_wall_from_seconds(ts_wall_seconds(&day) + 86400, &day))
		return NULL;
	return ts_date_text(&day);
}

static bool
is_done(const TsTask *task)
{
	return task->value[TS_STATUS] && strcmp(task->value[TS_STATUS], "COMPLETED") == 0;
}

/* Some services make the next occurrence a new object when one is completed, with all that it bears. */
static void
spawn(FakeService *s, const char *list, const char *was, const char *now)
{
	Document	next = *document(now);

	if (!s->spawns || !next.task.value[TS_RECURRENCE_RULE] || !is_done(&next.task) ||
		is_done(&document(was)->task))
		return;
	next.uid = NULL;
	if (!s->copies_markers)
		next.marker = NULL;
	next.task.value[TS_STATUS] = "TODO";
	next.task.value[TS_PERCENT_COMPLETE] = next.task.value[TS_COMPLETED_AT] = NULL;
	next.task.value[TS_DUE_DATE] = next_day(next.task.value[TS_DUE_DATE]);
	s->nspawned++;
	fake_put(s, list, numbered("spawned", s->nspawned, ""), add_document(&next));
}

void
fake_edit(FakeService *s, FakeObject *o, char *payload)
{
	const char *was = o->payload;
	char	   *list = o->list;

	fake_change(s, o, normalised(payload, o->id));
	spawn(s, list, was, o->payload);
}

/* What other objects call it. */
const char *
fake_uid(const FakeObject *o)
{
	const Document *d = document(o->payload);

	return d->uid ? d->uid : o->id;
}

bool
fake_lists_uid(FakeService *s, const char *list, const char *uid)
{
	for (int i = 0; i < s->nobjects; i++)
		if (s->objects[i].payload && same(s->objects[i].list, list) &&
			same(fake_uid(&s->objects[i]), uid))
			return true;
	return false;
}

bool
fake_is_ancestor(FakeService *s, const FakeObject *o, const FakeObject *of)
{
	for (int depth = 0; of && of != o && depth < s->nobjects; depth++)
	{
		const char *uid = document(of->payload)->task.value[TS_PARENT_TASK_ID];
		const FakeObject *parent = NULL;

		for (int i = 0; uid && i < s->nobjects; i++)
			if (s->objects[i].payload && same(fake_uid(&s->objects[i]), uid))
				parent = &s->objects[i];
		of = parent;
	}
	return of != NULL;
}

static int
serve_create(FakeService *s, const FakeCall *call, FakeAnswer *a)
{
	FakeObject *o = call->ids[0] ? fake_find(s, call->ids[0]) : NULL;
	FakeObject *in_the_way = uid_taken(s, call->list, call->payload);

	if (o && o->payload)
		return 412;
	if (in_the_way)
	{
		a->id = in_the_way->id; /* RFC 4791 5.3.2.1: no-uid-conflict tells its name */
		return 412;
	}
	s->writes++;
	o = fake_put(s, call->list, call->ids[0] ? strchr(call->ids[0], '/') + 1
				 : numbered("s", ++s->nnames, ""), (char *) call->payload);
	a->id = o->id;
	a->etag = s->no_etags ? NULL : etag_of(o->rev);
	if (s->tells)
		a->now = (FakeSight) {o->id, o->payload, o->rev};
	return 201;
}

static int
serve_write(FakeService *s, const FakeCall *call, FakeAnswer *a)
{
	FakeObject *o = fake_find(s, call->ids[0]);
	const char *was;

	s->looked_at = NULL;
	if (o == NULL || o->payload == NULL ||
		!same(o->list, call->verb == FAKE_MOVE ? call->from_list : call->list))
		return 404;
	if (call->verb != FAKE_MOVE && !s->unconditional && !s->blind &&
		(call->etag == NULL || !same(call->etag, etag_of(o->rev))))
		return 412;
	if (call->verb == FAKE_MOVE && same(o->list, call->list))
		return 403;
	if (call->verb == FAKE_MOVE && (s->no_moves || uid_taken(s, call->list, o->payload)))
		return 501;
	s->writes++;
	was = o->payload;
	if (call->verb == FAKE_DELETE)
	{
		fake_delete(s, o);
		return 204;
	}
	if (call->verb == FAKE_MOVE)
		o = fake_move(s, o, call->list);
	else
	{
		const char *text = s->patches ? patched(was, call->payload) : call->payload;

		fake_change(s, o, normalised(text, o->id));
		spawn(s, o->list, was, o->payload);
	}
	a->id = o->id;
	a->etag = s->no_etags ? NULL : etag_of(o->rev);
	if (s->tells)
		a->now = (FakeSight) {o->id, o->payload, o->rev};
	return 201;
}

void
fake_serve(FakeService *s, const TsRequest *req, TsResponse *resp)
{
	const FakeCall *call = (const FakeCall *) req->body;
	FakeAnswer *a = palloc0(sizeof(FakeAnswer));

	fake_refuse(resp, 200, true);
	resp->body = (const char *) a;
	resp->body_len = sizeof(*a);
	a->sights = palloc(sizeof(FakeSight) * (Max(s->nobjects, call->nids) + 1));
	switch (call->verb)
	{
		case FAKE_LIST:
			resp->status = serve_list(s, call, a);
			break;
		case FAKE_CHANGES:
			resp->status = serve_changes(s, call, a);
			break;
		case FAKE_GET:
			resp->status = serve_get(s, call, a);
			break;
		case FAKE_LOOK:
			break;
		case FAKE_CREATE:
			resp->status = serve_create(s, call, a);
			break;
		default:
			resp->status = serve_write(s, call, a);
	}
}

bool
fake_is_write(const TsRequest *req, const char **id)
{
	const FakeCall *call = (const FakeCall *) req->body;

	*id = call->verb >= FAKE_CREATE ? call->ids[0] : NULL;
	return call->verb >= FAKE_CREATE;
}

char *
fake_describe(const TsRequest *req)
{
	static const char *const verbs[] = {"list", "changes", "get", "look", "create", "update", "delete", "move"};
	const FakeCall *call = (const FakeCall *) req->body;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%s %s", verbs[call->verb], call->list ? call->list : "");
	for (int i = 0; i < call->nids; i++)
		appendStringInfo(&text, " %s", call->ids[i] ? call->ids[i] : "(new)");
	if (call->verb == FAKE_CREATE || call->verb == FAKE_UPDATE)
	{
		const Document *d = document(call->payload);

		appendStringInfo(&text, " if %s: uid %s marker %s ", call->etag ? call->etag : "none",
						 d->uid ? d->uid : "-", d->marker ? d->marker : "-");
		ts_task_to_json(&d->task, d->mask ? d->mask : d->task.known, &text);
	}
	return text.data;
}

void
fake_refuse(TsResponse *resp, int status, bool maybe_applied)
{
	memset(resp, 0, sizeof(*resp));
	resp->status = status;
	resp->maybe_applied = maybe_applied;
	resp->retry_after = -1;
}

void
fake_cut(TsResponse *resp)
{
	FakeAnswer *a = (FakeAnswer *) resp->body;

	a->nsights /= 2;
	a->cut = true;
}

/*
 * The provider
 */

static TsConversation *
fake_begin(const TsSite *site, const TsOp *op)
{
	FakeService *service = ((const FakeSite *) site)->service;
	FakeConversation *c = (FakeConversation *)
		ts_conversation_make(sizeof(FakeConversation), &service->provider, site, op);

	c->service = service;
	c->call.list = op->list_id;
	c->cursor = -1;
	if (op->kind == TS_OP_PULL)
	{
		c->call.verb = op->cursor && !op->full ? FAKE_CHANGES : FAKE_LIST;
		c->call.from = c->call.verb == FAKE_CHANGES ? atoi(op->cursor) : 0;
	}
	else if (op->kind == TS_OP_FETCH)
	{
		c->call.verb = FAKE_GET;
		c->call.ids = op->ids;
		c->call.nids = op->nids;
	}
	else if (op->kind == TS_OP_LISTS)
		c->call.verb = FAKE_LOOK;
	return &c->base;
}

/* A service that takes every write is looked at before. */
static bool
looks_first(const FakeConversation *c, const TsPush *p)
{
	return c->service->unconditional && !c->service->blind && !c->looked &&
		(p->kind == TS_PUSH_UPDATE || p->kind == TS_PUSH_DELETE);
}

static void
prepare_push(FakeConversation *c)
{
	static const FakeVerb verbs[] = {
		[TS_PUSH_CREATE] = FAKE_CREATE,
		[TS_PUSH_UPDATE] = FAKE_UPDATE,
		[TS_PUSH_DELETE] = FAKE_DELETE,
		[TS_PUSH_MOVE] = FAKE_MOVE
	};
	TsPush	   *p = &c->base.op->push[c->i];

	c->call.verb = looks_first(c, p) ? FAKE_GET : verbs[p->kind];
	c->call.looks = c->call.verb == FAKE_GET;
	c->call.list = p->kind == TS_PUSH_MOVE ? p->target_list : c->base.op->list_id;
	c->call.from_list = c->base.op->list_id;
	c->call.ids = (const char **) &p->external_id;
	c->call.nids = 1;
	c->call.etag = p->etag;
	c->call.payload = p->payload;
}

static bool
fake_next(TsConversation *conv, TsRequest *req)
{
	FakeConversation *c = (FakeConversation *) conv;

	if (conv->op->kind == TS_OP_PUSH && c->i < conv->op->npush)
		prepare_push(c);
	else if (conv->op->kind == TS_OP_PUSH)
		c->over = true;
	if (c->over)
		return false;
	req->method = "CALL";
	req->url = "fake:";
	req->body = (const char *) &c->call;
	req->body_len = sizeof(c->call);
	return true;
}

static void
fake_data(TsConversation *conv, const char *chunk, size_t len)
{
}

static void
fail(FakeConversation *c, const TsResponse *resp)
{
	ts_error(&c->base.error, resp->status / 100 == 4 ? "TS502" : "TS503",
			 "no good answer (%d)", resp->status);
	c->base.only_here = c->base.op->list_id && resp->status / 100 == 5 && resp->status != 503;
	c->base.retry_after = resp->retry_after;
	c->over = true;
}

/* Every other object comes with its text at once. */
static void
observe(FakeConversation *c, const FakeSight *sight, bool with_text)
{
	TsObservation *obs = ts_conversation_observe(&c->base);
	MemoryContext old = MemoryContextSwitchTo(c->base.batch);

	obs->external_id = pstrdup(sight->id);
	obs->gone = sight->payload == NULL;
	if (!obs->gone)
	{
		obs->etag = etag_of(sight->rev);
		if (with_text || sight->rev % 2 == 0)
		{
			obs->payload = pstrdup(sight->payload);
			obs->payload_len = strlen(sight->payload);
		}
	}
	MemoryContextSwitchTo(old);
}

static void
pull_response(FakeConversation *c, const TsResponse *resp, const FakeAnswer *a)
{
	TsConversation *conv = &c->base;

	if (resp->status == 410)
	{
		c->call.verb = FAKE_LIST;
		c->call.from = 0;
		return;
	}
	for (int i = 0; i < a->nsights; i++)
		observe(c, &a->sights[i], false);
	if (a->cut)
	{
		fail(c, resp);
		return;
	}
	if (c->cursor < 0)
		c->cursor = a->rev;		/* as of the first page */
	c->call.from = a->next;
	if (c->call.verb == FAKE_LIST && a->next != 0)
		return;
	conv->complete = c->call.verb == FAKE_LIST;
	conv->unchanged = c->call.verb == FAKE_CHANGES && a->nsights == 0;
	conv->cursor = MemoryContextStrdup(conv->cxt, numbered("", c->cursor, ""));
	c->over = true;
}

/* What an answer to a push shows of the object. */
static TsObservation *
seen(FakeConversation *c, const FakeSight *sight)
{
	MemoryContext old = MemoryContextSwitchTo(c->base.cxt);
	TsObservation *obs = palloc0(sizeof(TsObservation));

	obs->external_id = pstrdup(sight->id);
	obs->etag = etag_of(sight->rev);
	obs->payload = pstrdup(sight->payload);
	obs->payload_len = strlen(sight->payload);
	MemoryContextSwitchTo(old);
	return obs;
}

/* What was looked at before it is written to. */
static void
look_response(FakeConversation *c, const TsResponse *resp, const FakeAnswer *a)
{
	TsPush	   *p = &c->base.op->push[c->i];

	if (resp->status != 200 || a->cut)
	{
		p->outcome = TS_OUTCOME_NOT_SENT;
		c->i++;
		fail(c, resp);
	}
	else if (a->sights[0].payload == NULL)
	{
		p->outcome = TS_OUTCOME_GONE;
		c->i++;
	}
	else if (p->etag == NULL || !same(p->etag, etag_of(a->sights[0].rev)))
	{
		p->outcome = TS_OUTCOME_CONFLICT;
		if (c->service->tells)
			p->seen = seen(c, &a->sights[0]);
		c->i++;
	}
	else
		c->looked = true;
}

static void
push_response(FakeConversation *c, const TsResponse *resp, const FakeAnswer *a)
{
	TsPush	   *p = &c->base.op->push[c->i++];

	c->looked = false;
	if (resp->status == 0 || resp->status == 503 || resp->status == 429)
	{
		p->outcome = resp->status == 0 && resp->maybe_applied ? TS_OUTCOME_IN_DOUBT
			: TS_OUTCOME_NOT_SENT;
		fail(c, resp);
	}
	else if (resp->status == 412)
	{
		p->outcome = p->kind == TS_PUSH_CREATE ? TS_OUTCOME_EXISTS : TS_OUTCOME_CONFLICT;
		p->new_external_id = a->id ? MemoryContextStrdup(c->base.cxt, a->id) : NULL;
	}
	else if (resp->status == 404 && (p->kind == TS_PUSH_CREATE || a == NULL))
	{
		p->outcome = TS_OUTCOME_NOT_SENT;
		c->base.list_gone = true;
		fail(c, resp);
	}
	else if (resp->status == 404)
		p->outcome = TS_OUTCOME_GONE;
	else if (resp->status == 501)
		p->outcome = TS_OUTCOME_UNSUPPORTED;
	else if (resp->status == 422 || resp->status == 403)
		p->outcome = TS_OUTCOME_REFUSED;
	else if (resp->status == 500 || a->cut)
	{
		p->outcome = TS_OUTCOME_IN_DOUBT;
		ts_error(&p->error, "TS503", "no good answer (%d)", resp->status);
	}
	else
	{
		p->outcome = TS_OUTCOME_DONE;
		p->new_external_id = a->id ? MemoryContextStrdup(c->base.cxt, a->id) : NULL;
		p->new_etag = a->etag ? MemoryContextStrdup(c->base.cxt, a->etag) : NULL;
		if (a->now.payload && p->kind != TS_PUSH_MOVE)
			p->seen = seen(c, &a->now);
	}
}

static void
fake_response(TsConversation *conv, const TsResponse *resp)
{
	FakeConversation *c = (FakeConversation *) conv;
	const FakeAnswer *a = (const FakeAnswer *) resp->body;

	conv->nrequests++;
	if (conv->op->kind == TS_OP_PUSH && c->call.looks)
		look_response(c, resp, a);
	else if (conv->op->kind == TS_OP_PUSH)
		push_response(c, resp, a);
	else if (resp->status == 404)
	{
		conv->list_gone = true;
		fail(c, resp);
	}
	else if (resp->status != 200 && resp->status != 410)
		fail(c, resp);
	else if (conv->op->kind == TS_OP_PULL)
		pull_response(c, resp, a);
	else if (conv->op->kind == TS_OP_LISTS)
	{
		conv->account = c->service->account;
		c->over = true;
	}
	else
	{
		for (int i = 0; i < a->nsights; i++)
			observe(c, &a->sights[i], true);
		c->over = true;
		if (a->cut)
			fail(c, resp);
	}
}

static char *
fake_scope(const TsSite *site)
{
	const char *address = ((const FakeSite *) site)->service->address;

	return pstrdup(address ? address : "");
}

static char *
fake_new_external_id(const char *list_id, const char *name)
{
	return psprintf("%s/%s", list_id, name);
}

static bool
fake_decode(const char *payload, size_t len, const TsCodecOptions *opt, TsRemoteTask *out,
			TsError *err)
{
	const Document *d = document(payload);
	const char *title = d->task.value[TS_TITLE] ? d->task.value[TS_TITLE] : "";

	if (strstr(title, "poison") != NULL)
	{
		ts_error(err, "TS502", "this cannot be read");
		return false;
	}
	out->is_task = strcmp(title, "no task") != 0;
	if (!out->is_task)
		return true;
	out->uid = (char *) (d->uid ? d->uid : d->id);
	out->marker = (char *) d->marker;
	out->modified_at = ts_timestamp_text(d->modified);
	out->task = d->task;
	out->task.known |= FAKE_CARRIES;
	out->is_recurring = out->task.value[TS_RECURRENCE_RULE] != NULL;
	return true;
}

/* Completing a recurring task: on to the next day, or (EXCEPTION) only noted. */
static void
complete_occurrence(TsTask *now, const TsCodecOptions *opt, const char **keep)
{
	now->value[TS_STATUS] = "TODO";
	now->value[TS_PERCENT_COMPLETE] = NULL;
	now->value[TS_COMPLETED_AT] = NULL;
	if (opt->settings && strstr(opt->settings, "EXCEPTION"))
		*keep = psprintf("%s+done", *keep);
	else
		now->value[TS_DUE_DATE] = next_day(now->value[TS_DUE_DATE]);
}

/* Settings "SURPRISES": the provider does not know that the service drops seconds. */
static bool
knows_precision(const TsCodecOptions *opt)
{
	return opt->settings == NULL || strstr(opt->settings, "SURPRISES") == NULL;
}

/* Settings "SPAWNS": the service itself sees to the next occurrence. */
static bool
advances(const TsCodecOptions *opt)
{
	return opt->settings == NULL || strstr(opt->settings, "SPAWNS") == NULL;
}

static char *
fake_encode(const TsTask *task, TsFieldMask changed, const char *onto, size_t onto_len,
			const TsCodecOptions *opt, TsError *err)
{
	Document	d = {.uid = opt->uid, .marker = opt->marker, .keep = ""};

	if (onto)
	{
		d = *document(onto);
		d.mask = changed & FAKE_CARRIES;
	}
	d.modified = opt->now;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (changed & FAKE_CARRIES & BIT(f))
		{
			d.task.known |= BIT(f);
			d.task.value[f] = task->value[f];
		}
	if (knows_precision(opt))
		drop_seconds(&d.task);
	if (d.task.value[TS_PRIORITY] && strcmp(d.task.value[TS_PRIORITY], "LOW") == 0)
		d.task.value[TS_PRIORITY] = "NONE";
	if (d.task.value[TS_TITLE] && strcmp(d.task.value[TS_TITLE], "unspeakable") == 0)
	{
		ts_error(err, "TS502", "there is no word for this title");
		return NULL;
	}
	if (onto && (changed & BIT(TS_STATUS)) && d.task.value[TS_RECURRENCE_RULE] &&
		is_done(&d.task) && advances(opt))
	{
		complete_occurrence(&d.task, opt, &d.keep);
		d.mask |= BIT(TS_PERCENT_COMPLETE) | BIT(TS_COMPLETED_AT) | BIT(TS_DUE_DATE);
	}
	return add_document(&d);
}

static bool
fake_check_settings(const char *settings, TsError *err)
{
	return true;
}

static const TsProvider fake_provider = {
	.type = "FAKE",
	.name = "a service in memory",
	.carries = FAKE_CARRIES,
	.fetch_batch = 4,
	.push_batch = 4,
	.check_settings = fake_check_settings,
	.scope = fake_scope,
	.begin = fake_begin,
	.next = fake_next,
	.data = fake_data,
	.response = fake_response,
	.new_external_id = fake_new_external_id,
	.decode = fake_decode,
	.encode = fake_encode,
};

const TsProvider *
fake_provider_of(FakeService *s)
{
	s->provider = fake_provider;
	s->provider.listing_lag = s->provider.move_lag = (s->lag + 999999) / 1000000;
	s->provider.caps = TS_CAP_CONDITIONAL | TS_CAP_READ_BACK;
	if (!s->server_names || s->stable_ids)
		s->provider.caps |= TS_CAP_MOVE;
	if (s->account)
		s->provider.caps |= TS_CAP_ACCOUNT;
	if (s->server_names)
		s->provider.new_external_id = NULL;
	else
		s->provider.caps |= TS_CAP_CLIENT_IDS;
	return &s->provider;
}
