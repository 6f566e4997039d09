/*-------------------------------------------------------------------------
 *
 * graph.c
 *	  Driving a conversation with Microsoft Graph from step to step.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "common/hashfn.h"
#include "provider/outlook/graph.h"
#include "provider/outlook/provider.h"
#include "utils/memutils.h"

/* The first step of the op. */
static void
begin_op(GraphConversation *c)
{
	switch (c->base.op->kind)
	{
		case TS_OP_LISTS:
			graph_lists_begin(c);
			break;
		case TS_OP_PULL:
			graph_pull_begin(c);
			break;
		case TS_OP_FETCH:
			graph_fetch_begin(c);
			break;
		case TS_OP_PUSH:
			graph_push_begin(c);
			break;
		case TS_OP_LIST_CREATE:
			graph_list_create_begin(c);
			break;
		case TS_OP_LIST_UPDATE:
			graph_list_update_begin(c);
			break;
		case TS_OP_LIST_DELETE:
			graph_list_delete_begin(c);
			break;
	}
}

/*
 * A name for this conversation's requests in the service's own logs, by which
 * its support finds them.  It has no other use, so that a machine without
 * randomness has none.
 */
static void
name_requests(GraphConversation *c)
{
	unsigned char b[10];

	if (getentropy(b, sizeof(b)) != 0)
		memset(b, 0, sizeof(b));
	snprintf(c->request_id, sizeof(c->request_id),
			 "%02x%02x%02x%02x-%02x%02x-4%x%02x-8%x%02x-000000000000",
			 b[0], b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7], b[8] & 15, b[9]);
}

/*
 * graph_begin
 *		A conversation about op at site.  A bad base_url is found out here: then
 *		there is no first step, and the error stands in the conversation.
 */
TsConversation *
graph_begin(const TsSite *site, const TsOp *op)
{
	GraphConversation *c;
	MemoryContext old;

	c = (GraphConversation *) ts_conversation_make(sizeof(GraphConversation),
												   &ts_outlook_provider, site, op);
	old = MemoryContextSwitchTo(c->base.cxt);
	c->scratch = AllocSetContextCreate(c->base.cxt, "tasksync Graph request",
									   ALLOCSET_DEFAULT_SIZES);
	graph_caps_load(&c->caps, op->caps);
	graph_batch_begin(c);
	name_requests(c);
	if (!ts_base_url(site->url != NULL ? site->url : ts_outlook_provider.default_url, &c->site))
	{
		ts_error(&c->base.error, "22023", "invalid \"base_url\" of an Outlook provider");
		ts_error_hint(&c->base.error, "It must be an http or https URL without a user name or password.");
	}
	else
	{
		if (op->list_id != NULL)
			c->list = psprintf("/me/todo/lists/%s", ts_path_segment(op->list_id));
		begin_op(c);
	}
	MemoryContextSwitchTo(old);
	return &c->base;
}

/*
 * graph_next
 *		The next request, valid until the next call; false: it is over.
 */
bool
graph_next(TsConversation *conv, TsRequest *req)
{
	GraphConversation *c = (GraphConversation *) conv;
	MemoryContext old;

	if (c->step == NULL || ts_failed(&conv->error))
		return false;
	MemoryContextReset(c->scratch);
	memset(req, 0, sizeof(*req));
	old = MemoryContextSwitchTo(c->scratch);
	conv->doing = c->step->doing;
	conv->nrequests++;
	c->step->ask(c, req);
	req->renew = c->renews;
	c->renews = false;
	MemoryContextSwitchTo(old);
	return true;
}

/* No request here is streamed: an answer is read when all of it is there. */
void
graph_data(TsConversation *conv, const char *chunk, size_t len)
{
}

/* Reads the body; what is no JSON is only worth words, and a success's a problem. */
static void
read_body(GraphAnswer *a)
{
	const TsResponse *resp = a->resp;
	TsError		problem = {0};

	a->request_id = ts_response_header(resp, "request-id");
	if (resp->body_len > 0)
		a->json = ts_json_parse(resp->body, resp->body_len, &problem);
	if (a->status / 100 == 2)
		a->problem = problem;
}

/*
 * graph_response
 *		The answer is over: what it means, and what comes next.
 */
void
graph_response(TsConversation *conv, const TsResponse *resp)
{
	GraphConversation *c = (GraphConversation *) conv;
	GraphAnswer a = {.status = resp->status,.resp = resp,.whole = resp,.retry_after = resp->retry_after};
	const GraphStep *step = c->step;
	MemoryContext old;

	if (step == NULL)
		return;
	old = MemoryContextSwitchTo(c->scratch);
	if (resp->status != 0)
		read_body(&a);
	MemoryContextSwitchTo(conv->cxt);
	if (step->sees_all || !graph_common_trouble(c, &a))
		step->answer(c, &a);
	if (ts_failed(&conv->error))
	{
		conv->complete = conv->unchanged = false;
		c->step = NULL;
	}
	MemoryContextSwitchTo(old);
}

/*
 * graph_request
 *		A request about a path below the base URL; its body, if any, is JSON.
 */
void
graph_request(GraphConversation *c, TsRequest *req, const char *method, const char *path,
			  const char *body)
{
	char	   *id = pstrdup(c->request_id);

	snprintf(id + strlen(id) - 6, 7, "%06d", c->base.nrequests % 1000000);
	req->method = method;
	req->url = psprintf("%s%s", c->site.root, path);
	req->safe = strcmp(method, "GET") == 0;
	ts_request_header(req, "Accept", "application/json");
	ts_request_header(req, "client-request-id", id);
	if (c->base.site->user_agent != NULL)
		ts_request_header(req, "User-Agent", c->base.site->user_agent);
	if (body != NULL)
	{
		ts_request_header(req, "Content-Type", "application/json");
		req->body = body;
		req->body_len = strlen(body);
	}
}

/*
 * graph_list_gone
 *		Ends the conversation: the list itself is not there.
 */
void
graph_list_gone(GraphConversation *c)
{
	c->base.list_gone = true;
	ts_error(&c->base.error, "TS502", "the Outlook list \"%s\" is no longer there",
			 c->base.op->list_id);
	c->step = NULL;
}

/* The path of a task of the op's list. */
char *
graph_task_path(const GraphConversation *c, const char *id)
{
	return psprintf("%s/tasks/%s", c->list, ts_path_segment(id));
}

/*
 * Sets of texts
 */

static bool
place_hash(uint64 *table, int size, uint64 h)
{
	int			i = h & (size - 1);

	while (table[i] != 0 && table[i] != h)
		i = (i + 1) & (size - 1);
	if (table[i] == h)
		return false;
	table[i] = h;
	return true;
}

/*
 * graph_set_add
 *		False when the text is in the set already.
 */
bool
graph_set_add(GraphConversation *c, GraphSet *set, const char *text)
{
	uint64		h = hash_bytes_extended((const unsigned char *) text, strlen(text), 0) | 1;

	if (set->n * 2 >= set->size)
	{
		int			size = Max(64, set->size * 2);
		uint64	   *table = MemoryContextAllocZero(c->base.cxt, sizeof(uint64) * size);

		for (int i = 0; i < set->size; i++)
		{
			if (set->hash[i] != 0)
				place_hash(table, size, set->hash[i]);
		}
		if (set->hash != NULL)
			pfree(set->hash);
		set->hash = table;
		set->size = size;
	}
	if (!place_hash(set->hash, set->size, h))
		return false;
	set->n++;
	return true;
}

/*
 * graph_page_link
 *		The path that a page's link of this name leads to; NULL when it has none,
 *		or with the conversation's error set when it leads elsewhere: the account's
 *		token goes nowhere but to the address that was configured.
 */
char *
graph_page_link(GraphConversation *c, const GraphAnswer *a, const char *name)
{
	const char *link = ts_json_get_string(a->json, name);
	char	   *path = link != NULL ? ts_link_below(&c->site, link) : NULL;
	char	   *origin;

	if (link == NULL || path != NULL)
		return path;
	origin = ts_link_origin(link);
	ts_error(&c->base.error, "42501", "%s%s: a link in the answer leads elsewhere",
			 c->step->failed, graph_object(c));
	if (origin != NULL)
		ts_error_detail(&c->base.error, "It leads to %s, and not below %s.", origin, c->site.root);
	ts_error_hint(&c->base.error, "If that is where the service is, set the provider's base_url to it.");
	return NULL;
}
