/*-------------------------------------------------------------------------
 *
 * pull.c
 *	  TS_OP_PULL: what changed in one list since a cursor.
 *
 *		changes		REPORT sync-collection with the cursor's token; alone where
 *					nothing happened and where it works.  Without a token it
 *					lists everything, and gives the first token
 *		state		PROPFIND of the list's markers: did anything change at all?
 *		listing		all objects with their ETags, by calendar-query, or by
 *					PROPFIND where that fails
 *
 * The markers are taken before the listing, never after: what happens between
 * the two is then seen twice instead of never.  What sync-collection says is
 * taken as far as it goes, for servers lie (DAViCal answers an expired token
 * with a full listing without deletions, sabre a token of the future with
 * "nothing changed"); so only a listing sets "complete", and the engine audits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"

#define MAX_PAGES 1000

static const DavStep changes_step;
static const DavStep state_step;
static const DavStep query_step;
static const DavStep members_step;

static void
begin_listing(DavConversation *c)
{
	c->step = c->caps.no_query ? &members_step : &query_step;
}

/*
 * dav_pull_begin
 *		Chooses the cheapest first question that the cursor allows.
 */
void
dav_pull_begin(DavConversation *c)
{
	const TsOp *op = c->base.op;

	c->pull.payloads = op->want_payloads;
	dav_cursor_load(c, op->cursor);
	if (op->cursor == NULL && op->want_payloads && !op->full)
		begin_listing(c);		/* everything at once; the next pull asks for markers */
	else if (op->cursor == NULL && !op->full && !c->caps.no_sync)
	{
		c->pull.token = pstrdup("");
		c->pull.ctag = NULL;
		c->pull.from_scratch = true;
		c->step = &changes_step;
	}
	else if (op->full || op->cursor == NULL)
	{
		c->pull.token = c->pull.ctag = NULL;
		c->step = &state_step;
	}
	else if (c->pull.token != NULL && !c->caps.no_sync)
		c->step = &changes_step;
	else if (c->pull.token != NULL || c->pull.ctag != NULL)
		c->step = &state_step;
	else
		begin_listing(c);		/* a server without any marker */
}

/* ---------- changes ---------- */

/* RFC 6578 3.2.  No limit is sent: some servers answer it with a token that skips changes. */
static void
ask_changes(DavConversation *c, TsRequest *req)
{
	StringInfoData body;

	c->pull.more = false;
	c->pull.named = 0;
	initStringInfo(&body);
	appendStringInfoString(&body, DAV_XML_HEAD "<D:sync-collection xmlns:D=\"DAV:\"><D:sync-token>");
	dav_append_xml(&body, c->pull.token);
	appendStringInfoString(&body, "</D:sync-token><D:sync-level>1</D:sync-level>"
						   "<D:prop><D:getetag/><D:getcontenttype/></D:prop></D:sync-collection>");
	dav_xml_request(c, req, "REPORT", c->list, "0", body.data);
}

static void
changes_entry(DavConversation *c, const DavEntry *entry)
{
	if (entry->status == 507)
		c->pull.more = true;	/* RFC 6578 3.6: the list itself, truncated */
	else if (!dav_entry_is_list(c, entry) &&
			 !(c->pull.from_scratch && dav_is_missing(entry->status)))
	{
		dav_observe(c, entry);
		c->pull.named++;
		c->pull.total++;
	}
}

/* The token is no good, or the report is not there: list everything. */
static void
give_up_changes(DavConversation *c)
{
	c->pull.from_scratch = false;
	c->pull.token = c->pull.ctag = NULL;
	c->step = &state_step;
}

static void
changes_answer(DavConversation *c, const DavAnswer *a)
{
	bool		moved;

	if (a->status / 100 == 2 && !a->understood)
	{
		dav_fail(c, a, c->list);
		return;
	}
	if (!a->understood || a->sync_token == NULL || a->sync_token[0] == '\0' ||
		a->status / 100 != 2)
	{
		bool		bad_token = a->condition != NULL && strcmp(a->condition, "valid-sync-token") == 0;

		if (a->status == 502 || a->status == 504)
		{
			dav_fail(c, a, c->list);
			return;
		}
		if (a->status == 405 || a->status == 501 || a->status == 415 || a->status / 100 == 2 ||
			(a->status == 403 && !bad_token))
			dav_caps_learn(c, &c->caps.no_sync, true);
		give_up_changes(c);
		return;
	}

	moved = strcmp(a->sync_token, c->pull.token) != 0;
	if (c->pull.more && !moved)
	{
		give_up_changes(c);		/* it would send the same part for ever */
		return;
	}
	c->pull.token = pstrdup(a->sync_token);
	c->base.cursor = dav_cursor_text(c->pull.token, NULL);
	c->base.unchanged = !c->pull.from_scratch && c->pull.total == 0 && !c->pull.more;
	c->step = c->pull.more && ++c->pull.pages < MAX_PAGES ? &changes_step : NULL;
	c->base.complete = c->pull.from_scratch && c->step == NULL && !c->pull.more;
}

static const DavStep changes_step = {
	.doing = "asking for changes",
	.failed = "could not read the changes of CalDAV list",
	.ask = ask_changes,
	.entry = changes_entry,
	.answer = changes_answer,
};

/* ---------- state ---------- */

static void
ask_state(DavConversation *c, TsRequest *req)
{
	dav_propfind(c, req, c->list, "0",
				 "<D:sync-token/><S:getctag/><D:supported-report-set/><D:resourcetype/>");
}

static bool
same_marker(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static char *
marker(const DavEntry *entry, DavProp prop)
{
	const char *value = entry->value[prop];

	return value != NULL && value[0] != '\0' ? pstrdup(value) : NULL;
}

/*
 * At the beginning and in an audit the server's own word on what it can do is
 * heard again; in between, a refusal that was met counts for more.
 */
static void
state_entry(DavConversation *c, const DavEntry *entry)
{
	const TsOp *op = c->base.op;
	char	   *token = marker(entry, DAV_SYNC_TOKEN);
	char	   *ctag = marker(entry, DAV_CTAG);

	if (dav_is_missing(entry->status))
	{
		c->pull.list_missing = true;
		return;
	}
	if ((op->full || op->cursor == NULL) && (entry->marks & DAV_HAS_REPORTS) != 0)
	{
		if (entry->marks & DAV_SYNCS)
			dav_caps_learn(c, &c->caps.no_sync, false);
		if (entry->marks & DAV_MULTIGETS)
			dav_caps_learn(c, &c->caps.no_multiget, false);
		if (entry->marks & DAV_QUERIES)
			dav_caps_learn(c, &c->caps.no_query, false);
	}

	c->pull.same = c->pull.ctag != NULL ?
		same_marker(c->pull.ctag, ctag) : same_marker(c->pull.token, token);
	c->pull.cursor = dav_cursor_text(token, ctag);
}

static void
state_answer(DavConversation *c, const DavAnswer *a)
{
	if (dav_is_missing(a->status) || (a->understood && c->pull.list_missing))
		dav_list_gone(c);
	else if (!a->understood || c->pull.cursor == NULL)
		dav_fail(c, a, c->list);
	else if (c->pull.same)
	{
		c->base.unchanged = true;
		c->base.cursor = c->pull.cursor;
		c->step = NULL;
	}
	else
		begin_listing(c);
}

static const DavStep state_step = {
	.doing = "looking for changes",
	.failed = "could not look at CalDAV list",
	.ask = ask_state,
	.entry = state_entry,
	.answer = state_answer,
};

/* ---------- listing ---------- */

/* RFC 4791 7.8, with the Depth it needs and the comp-filter that many servers insist on. */
static void
ask_query(DavConversation *c, TsRequest *req)
{
	c->pull.named = c->pull.named_tasks = 0;
	dav_xml_request(c, req, "REPORT", c->list, "1",
					psprintf(DAV_XML_HEAD
							 "<C:calendar-query xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\">"
							 "<D:prop><D:getetag/>%s</D:prop>"
							 "<C:filter><C:comp-filter name=\"VCALENDAR\"><C:comp-filter name=\"VTODO\"/>"
							 "</C:comp-filter></C:filter></C:calendar-query>",
							 c->pull.payloads ? "<C:calendar-data/>" : ""));
}

static void
ask_members(DavConversation *c, TsRequest *req)
{
	c->pull.named = c->pull.named_tasks = 0;
	c->pull.saw_list = false;
	dav_propfind(c, req, c->list, "1", "<D:getetag/><D:getcontenttype/><D:resourcetype/>");
}

/*
 * A 404 here is no proof of anything: the object was there when the server
 * began to write the listing.
 */
static void
listing_entry(DavConversation *c, const DavEntry *entry)
{
	if (entry->status == 507)
		c->pull.cut = true;
	else if (dav_entry_is_list(c, entry))
	{
		c->pull.saw_list = true;
		if (entry->href != NULL && dav_is_missing(entry->status) &&
			dav_id_same(dav_id_member(c->list, entry->href), c->list))
			c->pull.list_missing = true;
	}
	else if (!dav_is_missing(entry->status))
	{
		TsObservation *obs = dav_observe(c, entry);

		c->pull.named++;
		c->pull.named_tasks += !obs->foreign;
	}
}

static void
end_listing(DavConversation *c)
{
	c->base.complete = !c->pull.cut;
	if (c->pull.cursor != NULL)
		c->base.cursor = c->pull.cursor;
	else if (c->base.op->cursor != NULL)
		c->base.cursor = dav_cursor_text(NULL, NULL);
	c->step = NULL;
}

/*
 * What a calendar-query found is believed, but that it found nothing is not:
 * an empty list is quickly listed in the other way too.
 */
static void
query_answer(DavConversation *c, const DavAnswer *a)
{
	if (a->understood && c->pull.named > 0 && !c->pull.cut)
		end_listing(c);
	else if (a->understood)
	{
		c->pull.query_was_empty = c->pull.named == 0;
		c->pull.cut = false;
		c->step = &members_step;
	}
	else if (a->status / 100 == 2 && c->pull.payloads)
		c->pull.payloads = false;	/* one unreadable object must not hide all others */
	else if (a->status / 100 == 2 || a->status == 502 || a->status == 504)
		dav_fail(c, a, c->list);
	else
	{
		if ((a->status < 500 && !dav_is_missing(a->status)) || a->status == 501)
			dav_caps_learn(c, &c->caps.no_query, true);
		c->step = &members_step;
	}
}

static void
members_answer(DavConversation *c, const DavAnswer *a)
{
	if (dav_is_missing(a->status) || (a->understood && c->pull.list_missing))
		dav_list_gone(c);
	else if (!a->understood)
		dav_fail(c, a, c->list);
	else if (!c->pull.saw_list && c->pull.named == 0)
	{
		/* RFC 4918 9.1: at least the list itself had to be in it */
		ts_error(&c->base.error, "TS502",
				 "the listing of CalDAV list \"%s\" does not even name the list", c->list);
		c->step = NULL;
	}
	else
	{
		if (c->pull.query_was_empty && c->pull.named_tasks > 0)
			dav_caps_learn(c, &c->caps.no_query, true);
		end_listing(c);
	}
}

static const DavStep query_step = {
	.doing = "listing",
	.failed = "could not list the tasks of CalDAV list",
	.ask = ask_query,
	.entry = listing_entry,
	.answer = query_answer,
};

static const DavStep members_step = {
	.doing = "listing",
	.failed = "could not list the objects of CalDAV list",
	.ask = ask_members,
	.entry = listing_entry,
	.answer = members_answer,
};
