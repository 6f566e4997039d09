/*-------------------------------------------------------------------------
 *
 * caldav.c
 *	  Driving a CalDAV conversation from step to step.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"
#include "provider/caldav/provider.h"
#include "utils/memutils.h"

/* The first step of the op. */
static void
begin_op(DavConversation *c)
{
	switch (c->base.op->kind)
	{
		case TS_OP_LISTS:
		case TS_OP_LIST_CREATE:
			dav_discover(c);
			break;
		case TS_OP_PULL:
			dav_pull_begin(c);
			break;
		case TS_OP_FETCH:
			dav_fetch_begin(c);
			break;
		case TS_OP_PUSH:
			dav_push_begin(c);
			break;
		case TS_OP_LIST_UPDATE:
			dav_list_update_begin(c);
			break;
		case TS_OP_LIST_DELETE:
			dav_list_delete_begin(c);
			break;
	}
}

/*
 * dav_begin
 *		A conversation about op at site.  A bad URL, or none, is found out here: then
 *		there is no first step, and the error stands in the conversation.
 */
TsConversation *
dav_begin(const TsSite *site, const TsOp *op)
{
	DavConversation *c;
	MemoryContext old;

	c = (DavConversation *) ts_conversation_make(sizeof(DavConversation),
												 &ts_caldav_provider, site, op);
	old = MemoryContextSwitchTo(c->base.cxt);
	c->scratch = AllocSetContextCreate(c->base.cxt, "tasksync CalDAV request",
									   ALLOCSET_DEFAULT_SIZES);
	dav_caps_load(&c->caps, op->caps);
	if (site->url == NULL || !dav_url_split(site->url, &c->origin, &c->root))
	{
		ts_error(&c->base.error, "22023", "invalid CalDAV url");
		ts_error_hint(&c->base.error, "It must be an http or https URL without a user name or password.");
	}
	else
	{
		if (op->list_id != NULL)
			c->list = dav_id_collection(op->list_id);
		begin_op(c);
	}
	MemoryContextSwitchTo(old);
	return &c->base;
}

/*
 * dav_next
 *		The next request, valid until the next call; false: it is over.
 */
bool
dav_next(TsConversation *conv, TsRequest *req)
{
	DavConversation *c = (DavConversation *) conv;
	MemoryContext old;

	if (c->step == NULL || ts_failed(&conv->error))
		return false;

	MemoryContextReset(c->scratch);
	c->xml = NULL;
	memset(&c->answer, 0, sizeof(c->answer));
	memset(req, 0, sizeof(*req));

	old = MemoryContextSwitchTo(c->scratch);
	conv->doing = c->step->doing;
	c->step->ask(c, req);
	conv->nrequests++;
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * dav_list_gone
 *		Ends the conversation: the list itself is not there.
 */
void
dav_list_gone(DavConversation *c)
{
	c->base.list_gone = true;
	ts_error(&c->base.error, "TS502", "the CalDAV list \"%s\" is no longer there", c->list);
	c->step = NULL;
}

/* Keeps of an entry what an error or a write's outcome needs. */
static void
note_entry(DavConversation *c, const DavEntry *entry)
{
	DavAnswer  *a = &c->answer;

	if (entry->failure > a->failure)
		a->failure = entry->failure;
	if (entry->condition != NULL && a->condition == NULL)
	{
		a->condition = MemoryContextStrdup(c->scratch, entry->condition);
		if (entry->condition_href != NULL)
			a->condition_href = MemoryContextStrdup(c->scratch, entry->condition_href);
	}
	if (entry->message != NULL && a->message == NULL)
		a->message = MemoryContextStrdup(c->scratch, entry->message);
}

/* One <response> of the step's multistatus. */
static void
found_entry(void *arg, const DavEntry *entry)
{
	DavConversation *c = arg;
	MemoryContext old = MemoryContextSwitchTo(c->base.cxt);

	if (entry->failure > 0 || entry->condition != NULL)
		note_entry(c, entry);
	if (c->step->entry != NULL)
		c->step->entry(c, entry);
	MemoryContextSwitchTo(old);
}

/* One <response> of a body that only explains a failure. */
static void
found_explanation(void *arg, const DavEntry *entry)
{
	note_entry(arg, entry);
}

/*
 * dav_data
 *		A piece of a streamed 2xx body.
 */
void
dav_data(TsConversation *conv, const char *chunk, size_t len)
{
	DavConversation *c = (DavConversation *) conv;

	if (c->step == NULL)
		return;
	if (c->xml == NULL)
		c->xml = dav_xml_begin(c->scratch, found_entry, c);
	dav_xml_feed(c->xml, chunk, len);
}

/* Whether a failure's body is worth reading as XML. */
static bool
is_xml(const TsResponse *resp)
{
	const char *type = ts_response_header(resp, "content-type");

	return resp->body_len > 0 && type != NULL && strstr(type, "xml") != NULL;
}

/* Reads what is left to read of the body, and closes the reader. */
static void
read_body(DavConversation *c, const TsResponse *resp)
{
	DavAnswer  *a = &c->answer;
	bool		wanted = resp->status / 100 == 2 &&
		(c->step->entry != NULL || resp->status == 207);

	if (!wanted && !is_xml(resp))
		return;
	if (c->xml == NULL)
		c->xml = dav_xml_begin(c->scratch, wanted ? found_entry : found_explanation, c);
	if (resp->body_len > 0)
		dav_xml_feed(c->xml, resp->body, resp->body_len);
	a->understood = dav_xml_finish(c->xml, &a->problem) && wanted;
	a->sync_token = c->xml->sync_token;
	note_entry(c, &c->xml->top);
}

/*
 * dav_response
 *		The answer is over: what it means, and what comes next.
 */
void
dav_response(TsConversation *conv, const TsResponse *resp)
{
	DavConversation *c = (DavConversation *) conv;
	DavAnswer  *a = &c->answer;
	const DavStep *step = c->step;
	MemoryContext old;

	if (step == NULL)
		return;

	old = MemoryContextSwitchTo(c->scratch);
	a->resp = resp;
	a->status = resp->status;
	read_body(c, resp);

	/* a write's 207 is no success: look inside (Xandikos answers so to a PUT) */
	if (a->status == 207 && step->entry == NULL)
		a->status = !a->understood ? 502 : a->failure > 0 ? a->failure : 200;

	MemoryContextSwitchTo(conv->cxt);
	if (!(step->trouble != NULL && step->trouble(c, a)) &&
		!dav_common_trouble(c, a))
		step->answer(c, a);
	if (ts_failed(&conv->error))
		c->step = NULL;
	MemoryContextSwitchTo(old);
}
