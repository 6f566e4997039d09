/*-------------------------------------------------------------------------
 *
 * fetch.c
 *	  TS_OP_FETCH: these tasks, whole.
 *
 * That a task is not there is only believed when its list is: of a list that
 * was deleted, or is out of reach, all tasks seem gone.
 *
 * A task is not whole without what belongs to it: its links, one of which may be
 * our marker, and its steps, which a move takes along.  Where $expand is refused,
 * or ignored, those are asked for one by one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"

static const GraphStep fetch_step;
static const GraphStep belongings_step;
static const GraphStep list_step;

/* The next batch of belongings. */
static void
ask_for_belongings(GraphConversation *c)
{
	const TsOp *op = c->base.op;
	GraphFetch *f = &c->fetch;

	while (f->asked < f->nbare * GRAPH_NBELONGINGS && c->batch.n < c->batch.size)
	{
		char	   *task = graph_task_path(c, op->ids[f->bare[f->asked / GRAPH_NBELONGINGS].index]);

		graph_batch_add(c, f->asked, "GET",
						psprintf("%s/%s?" GRAPH_ALL_OF_THEM, task, graph_belongings[f->asked % GRAPH_NBELONGINGS]),
						NULL, NULL);
		f->asked++;
	}
	c->step = &belongings_step;
}

/* The next batch, or what is left to do after the last. */
static void
fetch_next(GraphConversation *c)
{
	const TsOp *op = c->base.op;
	GraphFetch *f = &c->fetch;

	graph_batch_clear(c);
	if (f->nbare > 0)
	{
		ask_for_belongings(c);
		return;
	}
	f->under_way = f->next;
	while (f->next < op->nids && c->batch.n < c->batch.size)
	{
		char	   *path = graph_task_path(c, op->ids[f->next]);

		if (!f->plain)
			path = psprintf("%s?" GRAPH_EXPAND, path);
		graph_batch_add(c, f->next++, "GET", path, NULL, NULL);
	}
	c->step = c->batch.n > 0 ? &fetch_step : f->ngone > 0 ? &list_step : NULL;
}

/*
 * graph_fetch_begin
 *		Chooses the first batch.
 */
void
graph_fetch_begin(GraphConversation *c)
{
	c->fetch.plain = c->caps.no_expand;
	c->fetch.gone = palloc(sizeof(int) * Max(c->base.op->nids, 1));
	c->fetch.bare = palloc(sizeof(GraphBare) * GRAPH_BATCH);
	fetch_next(c);
}

static TsObservation *
observe(GraphConversation *c, int index)
{
	TsObservation *obs = ts_conversation_observe(&c->base);

	obs->external_id = MemoryContextStrdup(c->base.batch, c->base.op->ids[index]);
	return obs;
}

/* One task, as its part of the answer shows it. */
static void
take_part(GraphConversation *c, const GraphPart *part)
{
	const GraphAnswer *a = &part->answer;
	const TsJson *task = a->json != NULL && a->json->kind == TS_JSON_OBJECT ? a->json : NULL;
	const char *id = ts_json_get_string(task, "id");
	const char *wanted = c->base.op->ids[part->index];
	MemoryContext old = MemoryContextSwitchTo(c->base.batch);

	if (graph_is_missing(a))
		c->fetch.gone[c->fetch.ngone++] = part->index;
	else if (a->status / 100 == 2 && task != NULL && (id == NULL || strcmp(id, wanted) == 0) &&
			 graph_is_whole(task) && !graph_has_belongings(task))
	{
		GraphBare  *bare = &c->fetch.bare[c->fetch.nbare++];

		memset(bare, 0, sizeof(*bare));
		bare->index = part->index;
		bare->task = MemoryContextStrdup(c->base.cxt, ts_json_raw(task));
	}
	else if (a->status / 100 == 2 && task != NULL && (id == NULL || strcmp(id, wanted) == 0))
	{
		TsObservation *obs = observe(c, part->index);

		obs->etag = graph_version(task);
		obs->payload = ts_json_raw(task);
		obs->payload_len = task->raw_len;
	}
	else
		graph_describe(a, &observe(c, part->index)->error, c->step->failed,
					   psprintf(" \"%s\"", wanted));
	MemoryContextSwitchTo(old);
}

/* What is no answer to the question, but about the service. */
static bool
ends_all(const GraphAnswer *a)
{
	return a->status == 0 || (a->status / 100 != 2 && !graph_is_refused(a));
}

/* Is all of the batch to be asked for again, with another token? */
static bool
needs_token(GraphConversation *c)
{
	for (int i = 0; i < c->batch.n; i++)
	{
		if (graph_renew(c, &c->batch.part[i].answer))
			return true;
	}
	return false;
}

/*
 * Does a part dislike $expand?  It does if the batch is refused with it, and
 * not without.
 */
static bool
is_disliked(GraphConversation *c)
{
	for (int i = 0; i < c->batch.n; i++)
	{
		if (c->batch.part[i].answer.status == 400)
			return !c->fetch.plain;
	}
	if (c->fetch.plain)
		graph_learn(c, &c->caps.no_expand, true);
	return false;
}

static void
fetch_answer(GraphConversation *c, const GraphAnswer *a)
{
	GraphFetch *f = &c->fetch;
	const GraphAnswer *worst = NULL;

	if (graph_batch_trouble(c, a))
	{
		f->next = f->under_way;
		fetch_next(c);
		return;
	}
	if (!graph_batch_read(c, a))
	{
		graph_fail(c, a, graph_object(c));
		return;
	}
	if (needs_token(c))
	{
		f->next = f->under_way;
		fetch_next(c);
		return;
	}
	if (is_disliked(c))
	{
		f->plain = true;
		f->next = f->under_way;
		fetch_next(c);
		return;
	}
	for (int i = 0; i < c->batch.n; i++)
	{
		const GraphPart *part = &c->batch.part[i];

		if (!ends_all(&part->answer))
			take_part(c, part);
		else if (worst == NULL || part->answer.retry_after > worst->retry_after)
			worst = &part->answer;
	}
	if (worst != NULL)
		graph_fail(c, worst, graph_object(c));
	else
		fetch_next(c);
}

static const GraphStep fetch_step = {
	.doing = "fetching",
	.failed = "could not read tasks of Outlook list",
	.ask = graph_batch_ask,
	.answer = fetch_answer,
};

/* The tasks, with what belongs to them, as if they had been shown so. */
static void
dress(GraphConversation *c)
{
	GraphFetch *f = &c->fetch;
	MemoryContext old = MemoryContextSwitchTo(c->base.batch);

	for (int i = 0; i < f->nbare; i++)
	{
		const GraphBare *bare = &f->bare[i];
		TsObservation *obs = observe(c, bare->index);
		TsError		err = {0};
		const TsJson *task = ts_json_parse(bare->task, strlen(bare->task), &err);
		StringInfoData whole;

		initStringInfo(&whole);
		ts_json_open(&whole);
		ts_json_put_members(&whole, task, NULL);
		for (int k = 0; k < GRAPH_NBELONGINGS; k++)
		{
			if (bare->belongings[k] != NULL && ts_json_get(task, graph_belongings[k]) == NULL)
				ts_json_put_raw(&whole, graph_belongings[k], bare->belongings[k], strlen(bare->belongings[k]));
		}
		ts_json_close(&whole);
		obs->etag = graph_version(task);
		obs->payload = whole.data;
		obs->payload_len = whole.len;
	}
	MemoryContextSwitchTo(old);
	f->nbare = f->asked = 0;
}

/* Belongings that can't be read are not known; the task itself is. */
static void
belongings_answer(GraphConversation *c, const GraphAnswer *a)
{
	GraphFetch *f = &c->fetch;
	const GraphAnswer *worst = NULL;

	if (graph_batch_trouble(c, a))
	{
		f->asked = c->batch.part[0].index;
		fetch_next(c);
		return;
	}
	if (!graph_batch_read(c, a))
	{
		graph_fail(c, a, graph_object(c));
		return;
	}
	if (needs_token(c))
	{
		f->asked = c->batch.part[0].index;
		fetch_next(c);
		return;
	}
	for (int i = 0; i < c->batch.n; i++)
	{
		const GraphPart *part = &c->batch.part[i];
		const TsJson *value = ts_json_get_kind(part->answer.json, "value", TS_JSON_ARRAY);

		if (ends_all(&part->answer))
		{
			if (worst == NULL || part->answer.retry_after > worst->retry_after)
				worst = &part->answer;
		}
		else if (part->answer.status / 100 == 2 && value != NULL)
			f->bare[part->index / GRAPH_NBELONGINGS].belongings[part->index % GRAPH_NBELONGINGS] =
				MemoryContextStrdup(c->base.cxt, ts_json_raw(value));
	}
	if (worst != NULL)
	{
		graph_fail(c, worst, graph_object(c));
		return;
	}
	if (f->asked == f->nbare * GRAPH_NBELONGINGS)
		dress(c);
	fetch_next(c);
}

static const GraphStep belongings_step = {
	.doing = "fetching",
	.failed = "could not read what belongs to tasks of Outlook list",
	.ask = graph_batch_ask,
	.answer = belongings_answer,
};

static void
ask_list(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "GET", c->list, NULL);
}

static void
list_answer(GraphConversation *c, const GraphAnswer *a)
{
	GraphFetch *f = &c->fetch;

	if (graph_is_missing(a))
		graph_list_gone(c);
	else if (a->status / 100 != 2)
		graph_fail(c, a, graph_object(c));
	else
	{
		for (int i = 0; i < f->ngone; i++)
			observe(c, f->gone[i])->gone = true;
	}
	c->step = NULL;
}

static const GraphStep list_step = {
	.doing = "fetching",
	.failed = "could not read Outlook list",
	.ask = ask_list,
	.answer = list_answer,
};
