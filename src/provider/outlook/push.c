/*-------------------------------------------------------------------------
 *
 * push.c
 *	  TS_OP_PUSH: tasks created, changed, deleted, up to twenty at once.
 *
 * A write must not run over somebody else's.  Whether a PATCH honours If-Match
 * is not documented, so it is tried once: an empty change, on a condition that
 * can't hold.  412: honoured, and then every write is conditional.  Otherwise
 * the tasks are looked at right before they are written to, which leaves a gap
 * of one request; the condition is sent all the same, unless it was seen to fail
 * for a task that was as it should be.
 *
 * What is sent of a change is only what changed (see todo.h).
 *
 * A status that leaves open whether a write took place makes it IN_DOUBT; it is
 * never sent again here.  For a create, the marker in the new task tells later.
 * What an answer shows of a task as it is now goes back with the outcome, so
 * that it need not be read again.
 *
 * A task that is made anew in another list has its steps with it.  That a new
 * task can is not documented either: where it is refused, or has no effect, they
 * come before the old task is deleted (carry.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"
#include "provider/outlook/todo.h"

#define NO_VERSION	"W/\"tasksync-no-such-version\""

static const GraphStep probe_step;
static const GraphStep look_step;
static const GraphStep write_step;
static const GraphStep list_step;

static void push_next(GraphConversation *c);

/* ---------- what is to be done ---------- */

TsPush *
graph_push_at(GraphConversation *c, int i)
{
	return &c->base.op->push[i];
}

/* Is it still to be sent, and depends on what is there? */
static bool
depends(GraphConversation *c, int i)
{
	const TsPush *p = graph_push_at(c, i);

	return p->outcome == TS_OUTCOME_PENDING && p->kind != TS_PUSH_CREATE;
}

/* A new task without its steps. */
static char *
without_steps(const char *body)
{
	TsError		err = {0};

	return ts_json_without(ts_json_parse(body, strlen(body), &err), "checklistItems");
}

/* Does the new task have steps?  They are left out where they are known to be refused. */
static void
note_steps(GraphConversation *c, GraphWrite *w)
{
	TsError		err = {0};
	const TsJson *root = ts_json_parse(w->body, strlen(w->body), &err);

	w->has_steps = ts_json_get_kind(root, "checklistItems", TS_JSON_ARRAY) != NULL;
	if (w->has_steps && c->caps.no_steps)
	{
		w->body = without_steps(w->body);
		w->has_steps = false;
	}
}

/* The outcome that needs no request, or PENDING. */
static TsOutcome
outcome_beforehand(GraphConversation *c, TsPush *p, GraphWrite *w)
{
	if (p->kind == TS_PUSH_MOVE)
		return TS_OUTCOME_REFUSED;	/* the service has no such thing, and we don't claim it */
	if (p->kind == TS_PUSH_CREATE || p->kind == TS_PUSH_UPDATE)
	{
		w->body = ts_todo_body(p->payload, p->payload_len, &p->error);
		if (w->body == NULL && (ts_failed(&p->error) || p->kind == TS_PUSH_CREATE))
			return TS_OUTCOME_REFUSED;
	}
	if (p->kind == TS_PUSH_CREATE)
	{
		note_steps(c, w);
		return TS_OUTCOME_PENDING;
	}
	if (p->etag == NULL)
		return TS_OUTCOME_CONFLICT;
	w->carry = graph_carry_begin(p);
	if (p->kind == TS_PUSH_UPDATE && w->body == NULL)
	{
		p->new_etag = pstrdup(p->etag);
		return TS_OUTCOME_DONE; /* the service has no words for what changed */
	}
	return TS_OUTCOME_PENDING;
}

/*
 * graph_push_begin
 *		Chooses the first step.
 */
void
graph_push_begin(GraphConversation *c)
{
	const TsOp *op = c->base.op;

	c->push.write = palloc0(sizeof(GraphWrite) * Max(op->npush, 1));
	for (int i = 0; i < op->npush; i++)
		graph_push_at(c, i)->outcome = outcome_beforehand(c, graph_push_at(c, i), &c->push.write[i]);
	push_next(c);
}

/* Is it to be looked at before it is sent? */
static bool
needs_look(GraphConversation *c, int i)
{
	const GraphWrite *w = &c->push.write[i];

	return depends(c, i) &&
		(w->suspect || (!w->looked && w->carry == NULL &&
						c->caps.if_match != GRAPH_IF_MATCH_HONOURED));
}

static void
add_looks(GraphConversation *c)
{
	for (int i = 0; i < c->base.op->npush; i++)
	{
		if (needs_look(c, i))
			graph_batch_add(c, i, "GET", graph_task_path(c, graph_push_at(c, i)->external_id), NULL, NULL);
	}
}

static bool
is_etag(const char *version)
{
	return version[0] == '"' || strncmp(version, "W/\"", 3) == 0;
}

static void
add_writes(GraphConversation *c)
{
	for (int i = 0; i < c->base.op->npush; i++)
	{
		const TsPush *p = graph_push_at(c, i);
		const char *body = c->push.write[i].body;

		if (p->outcome != TS_OUTCOME_PENDING || needs_look(c, i) || c->push.write[i].carry != NULL)
			continue;
		if (p->kind == TS_PUSH_CREATE)
			graph_batch_add(c, i, "POST", psprintf("%s/tasks", c->list), NULL, body);
		else
			graph_batch_add(c, i, p->kind == TS_PUSH_UPDATE ? "PATCH" : "DELETE",
							graph_task_path(c, p->external_id),
							c->caps.if_match != GRAPH_IF_MATCH_USELESS && is_etag(p->etag) ? p->etag : NULL,
							body);
	}
}

static bool
anything_depends(GraphConversation *c)
{
	for (int i = 0; i < c->base.op->npush; i++)
	{
		if (depends(c, i))
			return true;
	}
	return false;
}

/*
 * The next step, from what is still open.  What was looked at is written as soon
 * as it fills a batch, before others are looked at: if they are turned away, it
 * has arrived.
 */
static void
push_next(GraphConversation *c)
{
	graph_batch_clear(c);
	c->step = NULL;
	if (anything_depends(c))
	{
		if (c->caps.if_match == GRAPH_IF_MATCH_UNKNOWN)
		{
			c->step = &probe_step;
			return;
		}
		add_writes(c);
		if (c->batch.n < c->batch.size)
		{
			graph_batch_clear(c);
			add_looks(c);
			if (c->batch.n > 0)
			{
				c->step = &look_step;
				return;
			}
			c->step = graph_carry_next(c);
			if (c->step != NULL)
				return;
		}
	}
	add_writes(c);
	if (c->batch.n > 0)
		c->step = &write_step;
	else if (c->push.list_suspect)
		c->step = &list_step;
}

/* ---------- outcomes ---------- */

void
graph_settle(GraphConversation *c, int i, TsOutcome outcome)
{
	TsPush	   *p = graph_push_at(c, i);

	p->outcome = outcome;
	if (outcome != TS_OUTCOME_REFUSED && outcome != TS_OUTCOME_IN_DOUBT && outcome != TS_OUTCOME_CONFLICT)
		memset(&p->error, 0, sizeof(p->error));
}

void
graph_settle_with_words(GraphConversation *c, int i, TsOutcome outcome, const GraphAnswer *a)
{
	TsPush	   *p = graph_push_at(c, i);

	if (p->kind == TS_PUSH_CREATE)
		graph_describe(a, &p->error, "could not make a task in Outlook list", graph_object(c));
	else
		graph_describe(a, &p->error, p->kind == TS_PUSH_DELETE ? "could not delete task of Outlook"
					   : "could not change task of Outlook", psprintf(" \"%s\"", p->external_id));
	graph_settle(c, i, outcome);
}

/* The conversation ends: what is open was not sent. */
static void
fail_all(GraphConversation *c, const GraphAnswer *a)
{
	for (int i = 0; i < c->base.op->npush; i++)
	{
		if (graph_push_at(c, i)->outcome == TS_OUTCOME_PENDING)
			graph_settle(c, i, TS_OUTCOME_NOT_SENT);
	}
	graph_fail(c, a, graph_object(c));
}

/* Is the answer about the service or the account, and not about one task? */
static bool
ends_all(const GraphAnswer *a)
{
	return a->status == 401 || graph_is_busy(a) || a->status / 100 == 3;
}

/* ---------- does the service honour If-Match? ---------- */

static int
probed(GraphConversation *c)
{
	for (int i = 0; i < c->base.op->npush; i++)
	{
		if (depends(c, i))
			return i;
	}
	return -1;
}

static void
ask_probe(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "PATCH", graph_task_path(c, graph_push_at(c, probed(c))->external_id), "{}");
	ts_request_header(req, "If-Match", NO_VERSION);
}

/* Is it an answer to the question?  Some services stumble over an empty change: that is a no. */
static bool
answers_probe(const GraphAnswer *a)
{
	return a->status / 100 == 2 || graph_is_refused(a) || a->status == 500;
}

/* Nothing was written, whatever goes wrong here. */
static void
probe_answer(GraphConversation *c, const GraphAnswer *a)
{
	if (!answers_probe(a))
		fail_all(c, a);
	else if (graph_is_missing(a))
	{
		graph_settle(c, probed(c), TS_OUTCOME_GONE);
		push_next(c);
	}
	else
	{
		graph_learn_if_match(c, a->status == 412 ? GRAPH_IF_MATCH_HONOURED : GRAPH_IF_MATCH_IGNORED);
		push_next(c);
	}
}

static const GraphStep probe_step = {
	.doing = "sending",
	.failed = "could not write to Outlook list",
	.ask = ask_probe,
	.answer = probe_answer,
	.sees_all = true,
};

/* ---------- looking ---------- */

static const TsJson *
task_of(const GraphAnswer *a)
{
	return a->json != NULL && a->json->kind == TS_JSON_OBJECT ? a->json : NULL;
}

/* What a look at a task comes to. */
static void
looked(GraphConversation *c, int i, const GraphAnswer *a)
{
	TsPush	   *p = graph_push_at(c, i);
	GraphWrite *w = &c->push.write[i];

	if (graph_is_missing(a))
		graph_settle(c, i, TS_OUTCOME_GONE);
	else if (a->status / 100 != 2)
		graph_settle_with_words(c, i, TS_OUTCOME_REFUSED, a);
	else if (task_of(a) != NULL && graph_is_version(a->json, p->etag))
	{
		/* 412, and it is the version that was named: no condition would ever hold */
		if (w->suspect)
			graph_learn_if_match(c, GRAPH_IF_MATCH_USELESS);
		w->looked = true;
	}
	else
		graph_settle(c, i, TS_OUTCOME_CONFLICT);	/* or nothing was shown: to be read with all that belongs to it */
	w->suspect = false;
}

/*
 * graph_push_take_reads
 *		A batch that changes none of the tasks: each answer to "take", unless it is
 *		about the service, and then the conversation ends.
 */
void
graph_push_take_reads(GraphConversation *c, const GraphAnswer *a,
					  void (*take) (GraphConversation *c, int i, const GraphAnswer *a))
{
	const GraphAnswer *worst = NULL;

	if (graph_batch_trouble(c, a))
	{
		push_next(c);
		return;
	}
	if ((a->status / 100 != 2 && !graph_is_refused(a)) || !graph_batch_read(c, a))
	{
		fail_all(c, a);
		return;
	}
	for (int i = 0; i < c->batch.n; i++)
	{
		const GraphPart *part = &c->batch.part[i];

		if (part->answer.status / 100 == 2 || graph_is_refused(&part->answer))
			take(c, part->index, &part->answer);
		else if (worst == NULL || part->answer.retry_after > worst->retry_after)
			worst = &part->answer;
	}
	if (worst != NULL && !graph_renew(c, worst))
		fail_all(c, worst);
	else
		push_next(c);
}

static void
look_answer(GraphConversation *c, const GraphAnswer *a)
{
	graph_push_take_reads(c, a, looked);
}

static const GraphStep look_step = {
	.doing = "checking",
	.failed = "could not look at tasks of Outlook list",
	.ask = graph_batch_ask,
	.answer = look_answer,
	.sees_all = true,
};

/* ---------- writing ---------- */

static const TsJson *
recurrence_in(const char *json, size_t len)
{
	TsError		err = {0};

	return ts_json_get_kind(ts_json_parse(json, len, &err), "recurrence", TS_JSON_OBJECT);
}

/*
 * A rule is sent without its end where that is the same as before, since it may be
 * refused.  Has the service taken that for "no end"?  Then it is sent with it, as
 * a change of the version that the service has shown.
 */
static bool
send_lost_end(GraphConversation *c, int i, const TsJson *task)
{
	TsPush	   *p = graph_push_at(c, i);
	GraphWrite *w = &c->push.write[i];
	const TsJson *meant;
	const TsJson *shown = ts_json_get_kind(task, "recurrence", TS_JSON_OBJECT);
	char	   *version;

	if (p->kind != TS_PUSH_UPDATE || w->sends_end || shown == NULL ||
		strcmp(ts_json_get_string(task, "id"), p->external_id) != 0 ||
		recurrence_in(w->body, strlen(w->body)) == NULL)
		return false;
	meant = recurrence_in(p->payload, p->payload_len);
	version = graph_version(task);
	if (version == NULL || ts_todo_range_text(meant)[0] == '\0' ||
		ts_todo_range_text(shown)[0] != '\0')
		return false;
	w->body = psprintf("{\"recurrence\":%s}", ts_json_raw(meant));
	w->sends_end = w->looked = true;
	p->etag = version;
	return true;
}

/* A 400 and the like; what may be the reason is said in our words. */
static void
refused(GraphConversation *c, int i, const GraphAnswer *a)
{
	TsPush	   *p = graph_push_at(c, i);
	const char *body = c->push.write[i].body;
	char	   *said;

	graph_settle_with_words(c, i, TS_OUTCOME_REFUSED, a);
	said = p->error.detail;
	if (p->kind != TS_PUSH_UPDATE ||
		ts_json_get_kind(recurrence_in(body, strlen(body)), "range", TS_JSON_OBJECT) == NULL)
		return;
	ts_error(&p->error, "22023", "Outlook does not let the recurrence rule of a task that is there have another end");
	p->error.detail = said;
	ts_error_hint(&p->error, "Take COUNT or UNTIL out of the recurrence_rule, or insert the task anew and delete this one.");
}

/* A write was accepted; the answer shows the task as it is now, or nobody can say what it did. */
static void
written(GraphConversation *c, int i, const GraphAnswer *a)
{
	TsPush	   *p = graph_push_at(c, i);
	const TsJson *task = task_of(a);
	const char *id = ts_json_get_string(task, "id");

	if (p->kind != TS_PUSH_DELETE && (id == NULL || id[0] == '\0'))
	{
		graph_settle_with_words(c, i, TS_OUTCOME_IN_DOUBT, a);
		return;
	}
	if (send_lost_end(c, i, task))
		return;
	if (p->kind == TS_PUSH_CREATE)
	{
		p->new_external_id = pstrdup(id);
		if (c->push.write[i].lost_steps)
			graph_learn(c, &c->caps.no_steps, true);
	}

	/* of another id: the next occurrence of a task that recurs */
	if (p->kind != TS_PUSH_DELETE && id != NULL &&
		(p->kind == TS_PUSH_CREATE || strcmp(id, p->external_id) == 0))
	{
		p->new_etag = graph_version(task);
		if (p->new_etag != NULL && graph_is_whole(task))
			p->seen = graph_see_written(task, id, p->payload, p->payload_len);
	}
	graph_settle(c, i, TS_OUTCOME_DONE);
}

/* It was refused because it changed there, or the condition itself is no good. */
static void
failed_condition(GraphConversation *c, int i)
{
	GraphWrite *w = &c->push.write[i];

	if (graph_push_at(c, i)->kind == TS_PUSH_CREATE)
		graph_settle(c, i, TS_OUTCOME_CONFLICT);	/* not made, to be tried again */
	else if (!w->looked)
		w->suspect = true;
	else
	{
		/* it was looked at just before: either it changed since, or we are wrong about If-Match */
		graph_learn_if_match(c, GRAPH_IF_MATCH_UNKNOWN);
		graph_settle(c, i, TS_OUTCOME_CONFLICT);
	}
}

static void
missing(GraphConversation *c, int i, const GraphAnswer *a)
{
	if (graph_push_at(c, i)->kind != TS_PUSH_CREATE)
	{
		graph_settle(c, i, TS_OUTCOME_GONE);
		return;
	}
	/* the list may not be there: looked into when all else is done */
	graph_settle_with_words(c, i, TS_OUTCOME_REFUSED, a);
	c->push.write[i].suspect = c->push.list_suspect = true;
}

/* What became of one write; false: it was not tried, and no other should be. */
static bool
take_outcome(GraphConversation *c, int i, const GraphAnswer *a)
{
	GraphWrite *w = &c->push.write[i];

	if (a->status / 100 == 2)
		written(c, i, a);
	else if (ends_all(a))
		return false;
	else if (a->status == 424)
		graph_settle(c, i, TS_OUTCOME_NOT_SENT);	/* another part failed */
	else if (a->status == 412)
		failed_condition(c, i);
	else if (a->status == 409)
		graph_settle_with_words(c, i, TS_OUTCOME_CONFLICT, a);
	else if (graph_is_missing(a))
		missing(c, i, a);
	else if (graph_is_refused(a) && w->has_steps && !w->lost_steps)
	{
		/* with its steps, maybe: again without them, and then we know */
		w->body = without_steps(w->body);
		w->lost_steps = true;
	}
	else if (graph_is_refused(a))
		refused(c, i, a);
	else
		graph_settle_with_words(c, i, TS_OUTCOME_IN_DOUBT, a);
	return true;
}

/* All parts of the batch may have been carried out, and nobody says which. */
static void
doubt_batch(GraphConversation *c, const GraphAnswer *a)
{
	for (int i = 0; i < c->batch.n; i++)
		graph_settle_with_words(c, c->batch.part[i].index, TS_OUTCOME_IN_DOUBT, a);
}

/* No answer, or one that says nothing of any part. */
static void
write_failed(GraphConversation *c, const GraphAnswer *a)
{
	bool		untouched = a->status == 0 ? !a->resp->maybe_applied : ends_all(a);

	if (!untouched)
		doubt_batch(c, a);
	if (untouched || a->status == 0)
		fail_all(c, a);
	else
		push_next(c);
}

static void
write_answer(GraphConversation *c, const GraphAnswer *a)
{
	const GraphAnswer *worst = NULL;

	if (graph_batch_trouble(c, a))
	{
		push_next(c);
		return;
	}
	if ((a->status / 100 != 2 && !graph_is_refused(a)) || !graph_batch_read(c, a))
	{
		write_failed(c, a);
		return;
	}
	for (int i = 0; i < c->batch.n; i++)
	{
		const GraphPart *part = &c->batch.part[i];

		if (!take_outcome(c, part->index, &part->answer) &&
			(worst == NULL || part->answer.retry_after > worst->retry_after))
			worst = &part->answer;
	}
	if (worst != NULL && !graph_renew(c, worst))
		fail_all(c, worst);
	else
		push_next(c);
}

static const GraphStep write_step = {
	.doing = "sending",
	.failed = "could not write to Outlook list",
	.ask = graph_batch_ask,
	.answer = write_answer,
	.sees_all = true,
};

/* ---------- is the list there? ---------- */

static void
ask_list(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "GET", c->list, NULL);
}

static void
list_answer(GraphConversation *c, const GraphAnswer *a)
{
	c->push.list_suspect = false;
	if (!graph_is_missing(a))
	{
		push_next(c);
		return;
	}
	for (int i = 0; i < c->base.op->npush; i++)
	{
		if (c->push.write[i].suspect)
			graph_settle(c, i, TS_OUTCOME_NOT_SENT);
	}
	graph_list_gone(c);
}

static const GraphStep list_step = {
	.doing = "checking",
	.failed = "could not look at Outlook list",
	.ask = ask_list,
	.answer = list_answer,
};
