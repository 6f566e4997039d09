/*-------------------------------------------------------------------------
 *
 * fetch.c
 *	  TS_OP_FETCH: these objects, whole.
 *
 * calendar-multiget asks for many at once (RFC 4791 7.9), and is trusted only
 * for what it brings.  What it left out, called missing, or could not say is
 * asked for once more by a GET of its own: servers leave objects out silently,
 * cap the number they answer, fail the whole report for one missing object, or
 * answer with an href that we can't match.  Only a 404 or 410 to the GET of
 * the object itself proves it gone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "provider/caldav/caldav.h"

#define STRICT_BATCH 16			/* where one missing object fails the whole report */

static const DavStep multiget_step;
static const DavStep get_step;
static const DavStep list_step;

/*
 * Moves on: through all the ids in batches, then once more, singly, through
 * those that are left.  A batch of one is a GET, which proves absence at once.
 */
static void
fetch_next(DavConversation *c)
{
	DavFetch   *f = &c->fetch;
	int			n = c->base.op->nids;

	while (f->from < n && f->done[f->from])
		f->from++;
	if (f->from == n && !f->singly)
	{
		f->singly = true;
		for (f->from = 0; f->from < n && f->done[f->from]; f->from++)
			;
	}
	f->to = Min(n, f->from + (f->singly ? 1 : f->size));
	if (f->from == n)
		c->step = NULL;
	else
		c->step = f->to - f->from == 1 ? &get_step : &multiget_step;
}

/* Where half a batch went well, a larger one may again. */
static void
grow(DavConversation *c)
{
	c->fetch.size = Min(c->base.op->nids, c->fetch.size * 2);
}

/*
 * dav_fetch_begin
 *		Chooses the first batch.
 */
void
dav_fetch_begin(DavConversation *c)
{
	const TsOp *op = c->base.op;
	DavFetch   *f = &c->fetch;

	f->id = palloc(sizeof(char *) * Max(op->nids, 1));
	f->done = palloc0(sizeof(bool) * Max(op->nids, 1));
	for (int i = 0; i < op->nids; i++)
		f->id[i] = dav_id_member(op->ids[i], dav_id_path(op->ids[i]));
	f->singly = c->caps.no_multiget;
	f->size = c->caps.strict_multiget ? Min(op->nids, STRICT_BATCH) : op->nids;
	fetch_next(c);
}

/* ---------- many ---------- */

static void
ask_multiget(DavConversation *c, TsRequest *req)
{
	StringInfoData body;

	initStringInfo(&body);
	appendStringInfoString(&body, DAV_XML_HEAD
						   "<C:calendar-multiget xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\">"
						   "<D:prop><D:getetag/><C:calendar-data/></D:prop>");
	for (int i = c->fetch.from; i < c->fetch.to; i++)
	{
		appendStringInfoString(&body, "<D:href>");
		dav_append_xml(&body, dav_id_path(c->fetch.id[i]));
		appendStringInfoString(&body, "</D:href>");
	}
	appendStringInfoString(&body, "</C:calendar-multiget>");
	dav_xml_request(c, req, "REPORT", c->list, "1", body.data);
}

static void
multiget_entry(DavConversation *c, const DavEntry *entry)
{
	DavFetch   *f = &c->fetch;
	char	   *id;

	if (entry->href == NULL || entry->status >= 400 || entry->too_long ||
		entry->value[DAV_CALENDAR_DATA] == NULL || entry->value[DAV_CALENDAR_DATA][0] == '\0')
		return;
	id = dav_id_member(c->list, entry->href);
	for (int i = f->from; i < f->to; i++)
	{
		if (!f->done[i] && strcmp(f->id[i], id) == 0)
		{
			f->done[i] = true;
			dav_observe(c, entry);
			break;
		}
	}
	pfree(id);
}

/* Ask for half as many, and again for the same ones. */
static void
halve(DavConversation *c)
{
	c->fetch.size = Max(1, (c->fetch.to - c->fetch.from) / 2);
	fetch_next(c);
}

static void
multiget_answer(DavConversation *c, const DavAnswer *a)
{
	if (a->understood)
	{
		c->fetch.from = c->fetch.to;
		grow(c);
		fetch_next(c);
	}
	else if (a->status / 100 == 2)
		halve(c);				/* one unreadable object must not hide all others */
	else if (dav_is_missing(a->status))
	{
		c->fetch.was_missing = true;
		halve(c);
	}
	else if (a->status == 413 || a->status == 500 || a->status == 507)
		halve(c);
	else if (a->status > 500 && a->status != 501)
		dav_fail(c, a, c->list);
	else
	{
		dav_caps_learn(c, &c->caps.no_multiget, true);
		c->fetch.singly = true;
		fetch_next(c);
	}
}

static const DavStep multiget_step = {
	.doing = "fetching",
	.failed = "could not fetch tasks of CalDAV list",
	.ask = ask_multiget,
	.entry = multiget_entry,
	.answer = multiget_answer,
};

/* ---------- one ---------- */

static void
ask_get(DavConversation *c, TsRequest *req)
{
	dav_request(c, req, "GET", c->fetch.id[c->fetch.from]);
	ts_request_header(req, "Accept", "text/calendar");
}

/* A login page of some proxy is a 200 as well. */
static bool
is_page(const TsResponse *resp)
{
	const char *type = ts_response_header(resp, "content-type");

	return resp->body_len == 0 || (type != NULL && pg_strncasecmp(type, "text/html", 9) == 0);
}

/*
 * Whether an object's text can be kept as it is, which is what later edits are
 * made on: a database takes UTF-8 without NULs only.  (What comes inside XML
 * can be nothing else.)
 */
static bool
is_text(const TsResponse *resp)
{
	return pg_encoding_verifymbstr(PG_UTF8, resp->body, resp->body_len) == resp->body_len;
}

/* This id is dealt with. */
static void
done_one(DavConversation *c)
{
	c->fetch.done[c->fetch.from++] = true;
	grow(c);
	fetch_next(c);
}

static TsObservation *
observe_one(DavConversation *c)
{
	TsObservation *obs = ts_conversation_observe(&c->base);

	obs->external_id = MemoryContextStrdup(c->base.batch, c->fetch.id[c->fetch.from]);
	return obs;
}

static void
get_answer(DavConversation *c, const DavAnswer *a)
{
	const TsResponse *resp = a->resp;
	TsObservation *obs;
	MemoryContext old;

	if (dav_is_missing(a->status) && !c->fetch.list_is_there)
	{
		c->step = &list_step;
		return;
	}

	obs = observe_one(c);
	old = MemoryContextSwitchTo(c->base.batch);
	if (dav_is_missing(a->status))
		obs->gone = true;
	else if (a->status != 200)
		dav_describe(a, &obs->error, c->step->failed, obs->external_id);
	else if (is_page(resp))
		ts_error(&obs->error, "TS502", "%s \"%s\": the answer is no calendar object",
				 c->step->failed, obs->external_id);
	else if (!is_text(resp))
		ts_error(&obs->error, "TS502", "%s \"%s\": the object is not UTF-8 text",
				 c->step->failed, obs->external_id);
	else
	{
		obs->etag = dav_etag(ts_response_header(resp, "etag"));
		obs->payload = pnstrdup(resp->body, resp->body_len);
		obs->payload_len = resp->body_len;
	}
	MemoryContextSwitchTo(old);
	done_one(c);
}

static const DavStep get_step = {
	.doing = "fetching",
	.failed = "could not fetch",
	.ask = ask_get,
	.answer = get_answer,
};

/* ---------- the list ---------- */

/*
 * With its list an object goes too, but not because somebody deleted a task:
 * before the first one is reported gone, make sure that the list is not.
 */
static void
ask_list(DavConversation *c, TsRequest *req)
{
	dav_propfind(c, req, c->list, "0", "<D:resourcetype/>");
}

static void
list_entry(DavConversation *c, const DavEntry *entry)
{
	c->fetch.list_is_there = !dav_is_missing(entry->status);
	c->fetch.list_missing = !c->fetch.list_is_there;
}

static void
list_answer(DavConversation *c, const DavAnswer *a)
{
	if (dav_is_missing(a->status) || (a->understood && c->fetch.list_missing))
		dav_list_gone(c);
	else if (!a->understood || !c->fetch.list_is_there)
		dav_fail(c, a, c->list);
	else
	{
		if (c->fetch.was_missing)
			dav_caps_learn(c, &c->caps.strict_multiget, true);
		observe_one(c)->gone = true;
		done_one(c);
	}
}

static const DavStep list_step = {
	.doing = "fetching",
	.failed = "could not look at CalDAV list",
	.ask = ask_list,
	.entry = list_entry,
	.answer = list_answer,
};
