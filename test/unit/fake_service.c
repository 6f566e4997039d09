/*-------------------------------------------------------------------------
 *
 * fake_service.c
 *	  A task service in memory, and the provider that speaks with it (see
 *	  fake_service.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fake_service.h"
#include "task/datetime.h"

typedef enum FakeVerb
{
	FAKE_LIST,					/* all of a list, from place "from" on */
	FAKE_CHANGES,				/* of a list since revision "from" */
	FAKE_GET,
	FAKE_CREATE,
	FAKE_UPDATE,
	FAKE_DELETE,
	FAKE_MOVE
} FakeVerb;

typedef struct FakeCall
{
	FakeVerb	verb;
	const char *list;
	int			from;
	const char **ids;
	int			nids;
	const char *etag;
	const char *payload;
} FakeCall;

typedef struct FakeAnswer
{
	FakeObject *objects[FAKE_MAX_OBJECTS];
	int			nobjects;
	int			next;			/* LIST: the next place, 0: that was all */
	int			rev;
	char	   *id;				/* MOVE */
	char	   *etag;
} FakeAnswer;

typedef struct FakeConversation
{
	TsConversation base;
	FakeCall	call;
	int			i;				/* PUSH: which of them */
	int			cursor;
	bool		over;
} FakeConversation;

/*
 * Payloads
 */

char *
fake_payload(const char *uid, const char *keep, int64 modified, const TsTask *task)
{
	StringInfoData fields;

	initStringInfo(&fields);
	ts_task_to_json(task, FAKE_CARRIES, &fields);
	return psprintf("{\"uid\": \"%s\", \"keep\": \"%s\", \"modified\": \"%s\", %s",
					uid, keep, ts_timestamp_text(modified), fields.data + 1);
}

char *
fake_member(const char *payload, const char *name)
{
	char	   *key = psprintf("\"%s\": \"", name);
	const char *at = strstr(payload, key);

	return at ? pnstrdup(at + strlen(key), strcspn(at + strlen(key), "\"")) : NULL;
}

TsTask
fake_task(const char *payload)
{
	TsTask		task;
	TsError		err = {0};

	if (!ts_task_from_json(payload, strlen(payload), &task, &err))
		abort();
	task.known |= FAKE_CARRIES; /* what it does not say is not set */
	return task;
}

/* No seconds in times. */
static char *
normalised(const char *payload)
{
	char	   *copy = pstrdup(payload);
	char	   *time = strstr(copy, "\"due_time\": \"");

	if (time)
		memcpy(time + strlen("\"due_time\": \"hh:mm:"), "00", 2);
	return copy;
}

/*
 * The service
 */

static char *
etag_of(const FakeObject *o)
{
	return psprintf("\"%d\"", o->rev);
}

FakeObject *
fake_find(FakeService *s, const char *id)
{
	for (int i = 0; i < s->nobjects; i++)
		if (strcmp(s->objects[i].id, id) == 0)
			return &s->objects[i];
	return NULL;
}

int
fake_count(const FakeService *s, const char *list)
{
	int			n = 0;

	for (int i = 0; i < s->nobjects; i++)
		n += s->objects[i].payload != NULL && strcmp(s->objects[i].list, list) == 0;
	return n;
}

void
fake_change(FakeService *s, FakeObject *o, char *payload)
{
	o->payload = payload;
	o->rev = ++s->rev;
}

void
fake_delete(FakeService *s, FakeObject *o)
{
	fake_change(s, o, NULL);
}

FakeObject *
fake_put(FakeService *s, const char *list, const char *name, char *payload)
{
	char	   *id = psprintf("%s/%s", list, name);
	FakeObject *o = fake_find(s, id);

	if (o == NULL)
	{
		if (s->nobjects == FAKE_MAX_OBJECTS)
			abort();
		o = &s->objects[s->nobjects++];
		o->list = pstrdup(list);
		o->id = id;
	}
	fake_change(s, o, payload);
	return o;
}

FakeObject *
fake_move(FakeService *s, FakeObject *o, const char *list)
{
	FakeObject *moved = fake_put(s, list, strchr(o->id, '/') + 1, o->payload);

	fake_delete(s, o);
	return moved;
}

static int
serve_list(FakeService *s, const FakeCall *call, FakeAnswer *a)
{
	int			i = call->from;

	for (; i < s->nobjects && a->nobjects < FAKE_PAGE; i++)
	{
		FakeObject *o = &s->objects[i];

		if (o->payload && strcmp(o->list, call->list) == 0 &&
			(s->hide_every == 0 || (i + s->rev) % s->hide_every != 0))
			a->objects[a->nobjects++] = o;
	}
	a->next = i < s->nobjects ? i : 0;
	a->rev = s->rev;
	return 200;
}

static int
serve_changes(FakeService *s, const FakeCall *call, FakeAnswer *a)
{
	if (call->from < s->oldest_cursor)
		return 410;
	for (int i = 0; i < s->nobjects; i++)
		if (s->objects[i].rev > call->from && strcmp(s->objects[i].list, call->list) == 0)
			a->objects[a->nobjects++] = &s->objects[i];
	a->rev = s->rev;
	return 200;
}

/* The object of a list that already has this uid. */
static FakeObject *
uid_taken(FakeService *s, const char *list, const char *payload)
{
	char	   *uid = fake_member(payload, "uid");

	for (int i = 0; i < s->nobjects && s->unique_uids; i++)
		if (s->objects[i].payload && strcmp(s->objects[i].list, list) == 0 &&
			strcmp(fake_member(s->objects[i].payload, "uid"), uid) == 0)
			return &s->objects[i];
	return NULL;
}

static int
serve_write(FakeService *s, const FakeCall *call, FakeAnswer *a)
{
	FakeObject *o = fake_find(s, call->ids[0]);
	bool		alive = o && o->payload;

	if (call->verb == FAKE_CREATE ? alive : !alive)
		return call->verb == FAKE_CREATE ? 412 : 404;
	if (call->verb != FAKE_CREATE && call->verb != FAKE_MOVE &&
		(call->etag == NULL || strcmp(call->etag, etag_of(o)) != 0))
		return 412;
	if (call->verb == FAKE_MOVE && s->no_moves)
		return 501;
	if ((call->verb == FAKE_CREATE && (o = uid_taken(s, call->list, call->payload)) != NULL))
	{
		a->id = o->id;			/* RFC 4791 5.3.2.1: no-uid-conflict tells its name */
		return 412;
	}
	if (call->verb == FAKE_MOVE && uid_taken(s, call->list, o->payload))
		return 501;
	s->writes++;
	switch (call->verb)
	{
		case FAKE_CREATE:
			o = fake_put(s, call->list, strchr(call->ids[0], '/') + 1, normalised(call->payload));
			break;
		case FAKE_UPDATE:
			fake_change(s, o, normalised(call->payload));
			break;
		case FAKE_DELETE:
			fake_delete(s, o);
			return 204;
		default:
			o = fake_move(s, o, call->list);
	}
	a->id = o->id;
	a->etag = s->no_etags ? NULL : etag_of(o);
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
	switch (call->verb)
	{
		case FAKE_LIST:
			resp->status = serve_list(s, call, a);
			break;
		case FAKE_CHANGES:
			resp->status = serve_changes(s, call, a);
			break;
		case FAKE_GET:
			for (int i = 0; i < call->nids; i++)
				a->objects[a->nobjects++] = fake_find(s, call->ids[i]);
			break;
		default:
			resp->status = serve_write(s, call, a);
	}
}

char *
fake_describe(const TsRequest *req)
{
	static const char *const verbs[] = {"list", "changes", "get", "create", "update", "delete", "move"};
	const FakeCall *call = (const FakeCall *) req->body;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%s %s", verbs[call->verb], call->list ? call->list : "");
	for (int i = 0; i < call->nids; i++)
		appendStringInfo(&text, " %s", call->ids[i]);
	if (call->verb >= FAKE_CREATE)
		appendStringInfo(&text, " if %s: %s", call->etag ? call->etag : "none",
						 call->payload ? call->payload : "");
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

/*
 * The provider
 */

static TsConversation *
fake_begin(const TsSite *site, const TsOp *op)
{
	FakeConversation *c = (FakeConversation *)
		ts_conversation_make(sizeof(FakeConversation), &fake_provider, site, op);

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
	return &c->base;
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

	c->call.verb = verbs[p->kind];
	c->call.list = p->kind == TS_PUSH_MOVE ? p->target_list : c->base.op->list_id;
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
	c->over = true;
}

/* Every other object comes with its text at once. */
static void
observe(FakeConversation *c, const FakeObject *o, const char *id, bool with_text)
{
	TsObservation *obs = ts_conversation_observe(&c->base);
	MemoryContext old = MemoryContextSwitchTo(c->base.batch);

	obs->external_id = pstrdup(id);
	obs->gone = o == NULL || o->payload == NULL;
	if (!obs->gone)
	{
		obs->etag = etag_of(o);
		if (with_text || o->rev % 2 == 0)
		{
			obs->payload = pstrdup(o->payload);
			obs->payload_len = strlen(o->payload);
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
	for (int i = 0; i < a->nobjects; i++)
		observe(c, a->objects[i], a->objects[i]->id, false);
	if (c->cursor < 0)
		c->cursor = a->rev;		/* as of the first page */
	c->call.from = a->next;
	if (c->call.verb == FAKE_LIST && a->next != 0)
		return;
	conv->complete = c->call.verb == FAKE_LIST;
	conv->unchanged = c->call.verb == FAKE_CHANGES && a->nobjects == 0;
	conv->cursor = MemoryContextStrdup(conv->cxt, psprintf("%d", c->cursor));
	c->over = true;
}

static void
push_response(FakeConversation *c, const TsResponse *resp, const FakeAnswer *a)
{
	TsPush	   *p = &c->base.op->push[c->i++];

	if (resp->status == 0 || resp->status == 503)
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
	else if (resp->status == 404)
		p->outcome = p->kind == TS_PUSH_DELETE ? TS_OUTCOME_DONE : TS_OUTCOME_GONE;
	else if (resp->status == 501)
		p->outcome = TS_OUTCOME_UNSUPPORTED;
	else if (resp->status == 422)
		p->outcome = TS_OUTCOME_REFUSED;
	else if (resp->status == 500)
		p->outcome = TS_OUTCOME_IN_DOUBT;
	else
	{
		p->outcome = TS_OUTCOME_DONE;
		p->new_external_id = a->id ? MemoryContextStrdup(c->base.cxt, a->id) : NULL;
		p->new_etag = a->etag ? MemoryContextStrdup(c->base.cxt, a->etag) : NULL;
	}
}

static void
fake_response(TsConversation *conv, const TsResponse *resp)
{
	FakeConversation *c = (FakeConversation *) conv;
	const FakeAnswer *a = (const FakeAnswer *) resp->body;

	conv->nrequests++;
	if (conv->op->kind == TS_OP_PUSH)
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
	else
	{
		for (int i = 0; i < a->nobjects; i++)
			observe(c, a->objects[i], c->call.ids[i], true);
		c->over = true;
	}
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
	if (strstr(payload, "poison") != NULL)
	{
		ts_error(err, "TS502", "this cannot be read");
		return false;
	}
	out->is_task = strstr(payload, "no task") == NULL;
	out->uid = fake_member(payload, "uid");
	out->modified_at = fake_member(payload, "modified");
	out->task = fake_task(payload);
	out->is_recurring = out->task.value[TS_RECURRENCE_RULE] != NULL;
	return true;
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

/* Completing a recurring task: on to the next day, or (EXCEPTION) only noted. */
static void
complete_occurrence(TsTask *now, const TsTask *was, const TsCodecOptions *opt, const char **keep)
{
	now->value[TS_STATUS] = "TODO";
	now->value[TS_PERCENT_COMPLETE] = NULL;
	now->value[TS_COMPLETED_AT] = NULL;
	if (opt->settings && strstr(opt->settings, "EXCEPTION"))
		*keep = psprintf("%s+done", *keep);
	else
		now->value[TS_DUE_DATE] = next_day(now->value[TS_DUE_DATE]);
}

static char *
fake_encode(const TsTask *task, TsFieldMask changed, const char *onto, size_t onto_len,
			const TsCodecOptions *opt, TsError *err)
{
	TsTask		was = {0};
	TsTask		now;
	const char *uid = opt->uid;
	const char *keep = "";

	if (onto)
	{
		was = fake_task(onto);
		uid = fake_member(onto, "uid");
		keep = fake_member(onto, "keep");
	}
	now = was;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (changed & FAKE_CARRIES & TS_FIELD_BIT(f))
		{
			now.known |= TS_FIELD_BIT(f);
			now.value[f] = task->value[f];
		}
	if (now.value[TS_PRIORITY] && strcmp(now.value[TS_PRIORITY], "LOW") == 0)
		now.value[TS_PRIORITY] = "NONE";
	if (now.value[TS_TITLE] && strcmp(now.value[TS_TITLE], "unspeakable") == 0)
	{
		ts_error(err, "TS502", "there is no word for this title");
		return NULL;
	}
	if (onto && (changed & TS_FIELD_BIT(TS_STATUS)) && now.value[TS_RECURRENCE_RULE] &&
		now.value[TS_STATUS] && strcmp(now.value[TS_STATUS], "COMPLETED") == 0)
		complete_occurrence(&now, &was, opt, &keep);
	return fake_payload(uid, keep, opt->now, &now);
}

static bool
fake_check_settings(const char *settings, TsError *err)
{
	return true;
}

const TsProvider fake_provider = {
	.type = "FAKE",
	.name = "a service in memory",
	.carries = FAKE_CARRIES,
	.caps = TS_CAP_CONDITIONAL | TS_CAP_MOVE | TS_CAP_CLIENT_IDS | TS_CAP_READ_BACK,
	.fetch_batch = 4,
	.push_batch = 4,
	.check_settings = fake_check_settings,
	.begin = fake_begin,
	.next = fake_next,
	.data = fake_data,
	.response = fake_response,
	.new_external_id = fake_new_external_id,
	.decode = fake_decode,
	.encode = fake_encode,
};
