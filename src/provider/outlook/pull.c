/*-------------------------------------------------------------------------
 *
 * pull.c
 *	  TS_OP_PULL: what changed in one list since a cursor.
 *
 *		delta		a round of delta queries, page by page, that ends in the link
 *					which the next round begins with; without a link it names
 *					everything that is there
 *		listing		all tasks, page by page: where delta queries are refused, and
 *					where they can't be made to tell what the first pull needs
 *
 * A cursor is that link.  One that is no good any more (400, 404, 410: the
 * service forgets them as it likes) means that everything is to be named once
 * more.
 *
 * A task's text is only given in a first pull, and where all of it was shown:
 * what a page leaves out is unchanged, or cleared, or only missing (reports
 * say that lists leave out "recurrence"), so the engine asks for the task
 * itself.  Pages are given on as they come.  A task that comes again in the
 * round is told again, without text: the engine asks, and so the last wins.
 * A removal is a hint for the same reason, and treated as one by the engine.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"

#define MAX_PAGES	2000
#define PAGE_SIZE	"odata.maxpagesize=500"

static const GraphStep delta_step;
static const GraphStep listing_step;

/* What every round begins with. */
static void
begin_pages(GraphConversation *c, const char *path, const GraphStep *step)
{
	GraphPull  *p = &c->pull;

	p->at = path;
	p->npages = p->nchanges = 0;
	memset(&p->pages, 0, sizeof(p->pages));
	memset(&p->tasks, 0, sizeof(p->tasks));
	c->step = step;
}

static void
begin_listing(GraphConversation *c)
{
	GraphPull  *p = &c->pull;

	p->from_cursor = p->silent = false;
	p->expanded = !c->caps.no_expand;
	begin_pages(c, psprintf("%s/tasks%s", c->list, p->expanded ? "?" GRAPH_EXPAND : ""), &listing_step);
}

/*
 * A round that names everything.  If tasks are wanted whole, and a delta query
 * can't be made to show what belongs to them (the marker of those that we
 * made), a listing follows that can.
 */
static void
begin_round(GraphConversation *c)
{
	GraphPull  *p = &c->pull;

	p->from_cursor = false;
	p->expanded = p->payloads && !c->caps.no_delta_expand;
	p->silent = p->payloads && !p->expanded && !c->caps.no_expand;
	begin_pages(c, psprintf("%s/tasks/delta%s", c->list, p->expanded ? "?" GRAPH_EXPAND : ""), &delta_step);
}

/*
 * Batches may be as large as they were at first.  If they are still too large, a
 * run fails for it: so it is tried when a full pull is over and kept, and not in
 * one, that would be due again.
 */
static void
forget_sizes(GraphConversation *c)
{
	graph_learn(c, &c->caps.small_batches, false);
	graph_learn(c, &c->caps.single_parts, false);
	graph_learn(c, &c->caps.larger_again, false);
}

/*
 * graph_pull_begin
 *		Goes on from the cursor, or begins at the beginning.  In an audit the
 *		service is asked anew for what it refused: asking costs a request, and if
 *		it refuses again the conversation goes on without.
 */
void
graph_pull_begin(GraphConversation *c)
{
	const TsOp *op = c->base.op;
	GraphPull  *p = &c->pull;
	char	   *delta = op->cursor != NULL && !op->full ? graph_cursor_delta(op->cursor) : NULL;

	p->payloads = op->want_payloads;
	if (op->full)
	{
		graph_learn(c, &c->caps.no_delta, false);
		graph_learn(c, &c->caps.no_delta_expand, false);
		graph_learn(c, &c->caps.no_expand, false);
		graph_learn(c, &c->caps.no_batch, false);
		graph_learn(c, &c->caps.no_steps, false);
		graph_learn_if_match(c, GRAPH_IF_MATCH_UNKNOWN);
		graph_learn(c, &c->caps.larger_again, c->caps.small_batches);
	}
	else if (c->caps.larger_again)
		forget_sizes(c);
	if (c->caps.no_delta)
		begin_listing(c);
	else if (delta == NULL)
		begin_round(c);
	else
	{
		begin_pages(c, delta, &delta_step);
		p->from_cursor = true;
	}
}

/* ---------- pages ---------- */

static void
ask_page(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "GET", c->pull.at, NULL);
	ts_request_header(req, "Prefer", PAGE_SIZE);
}

/* One task of a page. */
static void
observe(GraphConversation *c, const TsJson *task, const char *id)
{
	GraphPull  *p = &c->pull;
	bool		removed = ts_json_get(task, "@removed") != NULL;
	bool		again = !graph_set_add(c, &p->tasks, id);
	TsObservation *obs;
	MemoryContext old;

	p->nchanges++;
	if (p->silent || (removed && !p->from_cursor && !again))
		return;
	obs = ts_conversation_observe(&c->base);
	old = MemoryContextSwitchTo(c->base.batch);
	obs->external_id = pstrdup(id);
	obs->gone = removed;
	if (!removed)
		obs->etag = again ? NULL : graph_version(task);
	if (p->payloads && !removed && !again && graph_is_whole(task) && graph_has_belongings(task))
	{
		obs->payload = ts_json_raw(task);
		obs->payload_len = task->raw_len;
	}
	MemoryContextSwitchTo(old);
}

static void
unreadable(GraphConversation *c, const char *why)
{
	ts_error(&c->base.error, "TS502", "%s%s: %s", c->step->failed, graph_object(c), why);
}

/*
 * Takes in a page and turns to the next, if there is one.  True when this was
 * the last; on an error the conversation's is set.
 */
static bool
read_page(GraphConversation *c, const GraphAnswer *a)
{
	GraphPull  *p = &c->pull;
	const TsJson *value = ts_json_get_kind(a->json, "value", TS_JSON_ARRAY);
	char	   *next;

	if (value == NULL)
	{
		unreadable(c, ts_failed(&a->problem) ? a->problem.message : "the service's answer is no page of tasks");
		return false;
	}
	for (const TsJson *task = value->first; task != NULL; task = task->next)
	{
		const char *id = ts_json_get_string(task, "id");

		if (id == NULL || id[0] == '\0')
		{
			unreadable(c, "a task in the service's answer has no id");
			return false;
		}
		observe(c, task, id);
	}
	next = graph_page_link(c, a, "@odata.nextLink");
	if (next == NULL)
		return !ts_failed(&c->base.error);
	if (!graph_set_add(c, &p->pages, next) || ++p->npages >= MAX_PAGES)
	{
		unreadable(c, "its pages never end");
		return false;
	}
	p->at = next;
	return false;
}

/* ---------- delta ---------- */

/* The link is no good, or was lost on the way: from the beginning, once. */
static bool
start_over(GraphConversation *c, const GraphAnswer *a)
{
	GraphPull  *p = &c->pull;
	bool		first_page = p->npages == 0 && !p->from_cursor;

	if (p->restarted || first_page || (a->status != 400 && !graph_is_missing(a)))
		return false;
	p->restarted = true;
	begin_round(c);
	return true;
}

/* A round that was refused at its first request. */
static void
refused(GraphConversation *c, const GraphAnswer *a)
{
	GraphPull  *p = &c->pull;

	if (start_over(c, a))
		return;
	if (p->npages > 0)
		graph_fail(c, a, graph_object(c));
	else if (graph_is_missing(a))
		graph_list_gone(c);
	else if (a->status == 403 || a->status == 405 || a->status == 501)
	{
		graph_learn(c, &c->caps.no_delta, true);
		begin_listing(c);
	}
	else if (p->expanded)
	{
		graph_learn(c, &c->caps.no_delta_expand, true);
		begin_round(c);
	}
	else
		graph_fail(c, a, graph_object(c));
}

static void
end_round(GraphConversation *c, const GraphAnswer *a)
{
	GraphPull  *p = &c->pull;
	char	   *delta = graph_page_link(c, a, "@odata.deltaLink");

	if (ts_failed(&c->base.error))
		return;
	if (delta == NULL)
	{
		unreadable(c, "the last page has no delta link");
		return;
	}
	/* where nothing happened the link that we have is as good */
	if (!p->from_cursor || p->nchanges > 0)
		c->base.cursor = graph_cursor_text(delta);
	if (p->silent)
	{
		begin_listing(c);
		return;
	}
	c->base.unchanged = p->from_cursor && p->nchanges == 0;
	c->base.complete = !p->from_cursor;
	c->step = NULL;
}

static void
delta_answer(GraphConversation *c, const GraphAnswer *a)
{
	if (a->status / 100 != 2)
		refused(c, a);
	else if (read_page(c, a))
		end_round(c, a);
}

static const GraphStep delta_step = {
	.doing = "asking for changes",
	.failed = "could not read the changes of Outlook list",
	.ask = ask_page,
	.answer = delta_answer,
};

/* ---------- listing ---------- */

static void
listing_answer(GraphConversation *c, const GraphAnswer *a)
{
	GraphPull  *p = &c->pull;

	if (a->status / 100 == 2)
	{
		if (read_page(c, a))
		{
			c->base.complete = true;
			c->step = NULL;
		}
	}
	else if (p->npages > 0)
		graph_fail(c, a, graph_object(c));
	else if (graph_is_missing(a))
		graph_list_gone(c);
	else if (p->expanded && a->status != 403)
	{
		graph_learn(c, &c->caps.no_expand, true);
		begin_listing(c);
	}
	else
		graph_fail(c, a, graph_object(c));
}

static const GraphStep listing_step = {
	.doing = "listing",
	.failed = "could not list the tasks of Outlook list",
	.ask = ask_page,
	.answer = listing_answer,
};
