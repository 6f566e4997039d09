/*-------------------------------------------------------------------------
 *
 * carry.c
 *	  Before a task is deleted that was made anew in another list: what has come
 *	  to it there since comes along.
 *
 * The new task was made of the old one as we knew it.  People may have gone on
 * with that: its fields are told by the next pull, but its steps are no fields,
 * and need not even change its version, so that what we knew may be old.  So both
 * are asked for their steps, and the old task for its version once more, right
 * before it is deleted.  A step that was renamed, reopened or deleted there since
 * we looked is so in the new task as well; one that is ticked is ticked; one that
 * only the old task has is added, no matter why it is missing: services that don't
 * take steps with a new task get them here.  The same done twice changes nothing,
 * so that a failure at any point is no loss.
 *
 * A pull between the copy and the deletion hides what was known when the copy was
 * made.  Then nothing is taken away: the step is in the new task under both names,
 * or as it was.
 *
 * Files can't come along: they hold the deletion back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"

static const GraphStep read_step;
static const GraphStep change_step;

static void
keep_steps(GraphChecklist *list, const TsJson *value)
{
	for (const TsJson *e = value ? value->first : NULL; e != NULL; e = e->next)
	{
		const char *id = ts_json_get_string(e, "id");
		const char *name = ts_json_get_string(e, "displayName");

		if (id == NULL || name == NULL)
			continue;
		if (list->n == list->max)
		{
			list->max = Max(16, list->max * 2);
			list->step = list->step ? repalloc(list->step, sizeof(GraphChecklistStep) * list->max)
				: palloc(sizeof(GraphChecklistStep) * list->max);
		}
		list->step[list->n++] = (GraphChecklistStep) {
			.id = pstrdup(id),.name = pstrdup(name),.is_checked = ts_json_get_bool(e, "isChecked")
		};
	}
}

/* The steps of the old task that the new one was made with. */
static void
keep_known_steps(GraphChecklist *list, const TsPush *p)
{
	TsError		err = {0};

	if (p->payload != NULL)
		keep_steps(list, ts_json_get_kind(ts_json_parse(p->payload, p->payload_len, &err),
										  "checklistItems", TS_JSON_ARRAY));
}

/*
 * graph_carry_begin
 *		What is to be looked at before a write; NULL: nothing, since it deletes no
 *		task that moved.
 */
GraphCarry *
graph_carry_begin(const TsPush *p)
{
	GraphCarry *carry;

	if (!p->has_moved)
		return NULL;
	carry = palloc0(sizeof(GraphCarry));
	if (p->target_list != NULL && p->target_id != NULL)
	{
		carry->new_steps = psprintf("/me/todo/lists/%s/tasks/%s/checklistItems",
									ts_path_segment(p->target_list), ts_path_segment(p->target_id));
		keep_known_steps(&carry->known, p);
	}
	else
		carry->stage = GRAPH_CARRY_TASK;	/* to another service: only files matter */
	return carry;
}

static GraphCarry *
carry_at(GraphConversation *c, int i)
{
	return graph_push_at(c, i)->outcome == TS_OUTCOME_PENDING ? c->push.write[i].carry : NULL;
}

static char *
first_page(const char *steps)
{
	return psprintf("%s?" GRAPH_ALL_OF_THEM, steps);
}

/* The next read of each task that moved, and else the next change. */
const GraphStep *
graph_carry_next(GraphConversation *c)
{
	for (int i = 0; i < c->base.op->npush; i++)
	{
		GraphCarry *carry = carry_at(c, i);
		char	   *old = carry ? graph_task_path(c, graph_push_at(c, i)->external_id) : NULL;

		if (carry == NULL || carry->stage == GRAPH_CARRY_CHANGE)
			continue;
		if (carry->page)
			graph_batch_add(c, i, "GET", carry->page, NULL, NULL);
		else if (carry->stage == GRAPH_CARRY_NEW)
			graph_batch_add(c, i, "GET", first_page(carry->new_steps), NULL, NULL);
		else if (carry->stage == GRAPH_CARRY_OLD)
			graph_batch_add(c, i, "GET", first_page(psprintf("%s/checklistItems", old)), NULL, NULL);
		else
			graph_batch_add(c, i, "GET", old, NULL, NULL);
	}
	if (c->batch.n > 0)
		return &read_step;
	for (int i = 0; i < c->base.op->npush; i++)
	{
		GraphCarry *carry = carry_at(c, i);

		if (carry != NULL)
			graph_batch_add(c, i, carry->change->method, carry->change->path, NULL, carry->change->body);
	}
	return c->batch.n > 0 ? &change_step : NULL;
}

/*
 * Reading
 */

/* Not now, and nobody can say why: the next sync looks again. */
static void
put_off(GraphConversation *c, int i)
{
	graph_settle(c, i, TS_OUTCOME_NOT_SENT);
}

/* A page of steps; then the next one, or the next stage. */
static void
take_steps(GraphConversation *c, int i, const GraphAnswer *a)
{
	GraphCarry *carry = carry_at(c, i);
	const TsJson *value = ts_json_get_kind(a->json, "value", TS_JSON_ARRAY);
	char	   *next;

	if (value == NULL)
	{
		put_off(c, i);
		return;
	}
	keep_steps(carry->stage == GRAPH_CARRY_NEW ? &carry->new : &carry->old, value);
	next = graph_page_link(c, a, "@odata.nextLink");
	carry->page = next ? pstrdup(next) : NULL;
	if (ts_failed(&c->base.error))
	{
		/* it leads elsewhere, which is no reason not to write the others */
		graph_push_at(c, i)->error = c->base.error;
		memset(&c->base.error, 0, sizeof(c->base.error));
		graph_settle(c, i, TS_OUTCOME_REFUSED);
	}
	else if (next && !graph_set_add(c, &carry->pages, next))
		put_off(c, i);
	else if (next == NULL)
		carry->stage++;
}

static void
change_later(GraphCarry *carry, const char *method, char *path, char *body)
{
	GraphCarryChange *change = palloc0(sizeof(GraphCarryChange));
	GraphCarryChange **at = &carry->change;

	while (*at != NULL)
		at = &(*at)->next;
	change->method = method;
	change->path = path;
	change->body = body;
	*at = change;
}

/* A step of the new task of that name that no other stands for, in that state if there is one. */
static GraphChecklistStep *
unpaired(GraphChecklist *list, const char *name, bool is_checked, bool same_state)
{
	GraphChecklistStep *found = NULL;

	for (int i = 0; i < list->n; i++)
	{
		GraphChecklistStep *step = &list->step[i];

		if (step->is_paired || strcmp(step->name, name) != 0)
			continue;
		if (step->is_checked == is_checked)
			return step;
		if (found == NULL && !same_state)
			found = step;
	}
	return found;
}

static const GraphChecklistStep *
step_with_id(const GraphChecklist *list, const char *id)
{
	for (int i = 0; i < list->n; i++)
		if (strcmp(list->step[i].id, id) == 0)
			return &list->step[i];
	return NULL;
}

static char *
step_body(const char *name, bool is_checked)
{
	StringInfoData body;

	initStringInfo(&body);
	ts_json_open(&body);
	if (name != NULL)
		ts_json_put_string(&body, "displayName", name);
	ts_json_put_raw(&body, "isChecked", is_checked ? "true" : "false", is_checked ? 4 : 5);
	ts_json_close(&body);
	return body.data;
}

static char *
new_step_path(const GraphCarry *carry, const GraphChecklistStep *step)
{
	return psprintf("%s/%s", carry->new_steps, ts_path_segment(step->id));
}

/* A step of both: the new one becomes as the old one is. */
static void
pair_steps(GraphCarry *carry, GraphChecklistStep *old, GraphChecklistStep *new)
{
	const GraphChecklistStep *known = step_with_id(&carry->known, old->id);
	bool		is_reopened = known && known->is_checked && !old->is_checked;
	bool		is_checked = old->is_checked || (new->is_checked && !is_reopened);
	bool		is_renamed = strcmp(old->name, new->name) != 0;

	old->is_paired = new->is_paired = true;
	if (is_renamed || is_checked != new->is_checked)
		change_later(carry, "PATCH", new_step_path(carry, new),
				  step_body(is_renamed ? old->name : NULL, is_checked));
}

/*
 * What the steps of the new task lack.  It has other ids, so steps are paired by
 * their names, which need not be unique: those in the same state belong together
 * first; then, of one that was renamed, by the name that it was sent with.
 */
static void
compare_steps(GraphCarry *carry)
{
	for (int way = 0; way < 3; way++)
		for (int i = 0; i < carry->old.n; i++)
		{
			GraphChecklistStep *step = &carry->old.step[i];
			const GraphChecklistStep *like = way < 2 ? step : step_with_id(&carry->known, step->id);
			GraphChecklistStep *other = step->is_paired || like == NULL ? NULL :
				unpaired(&carry->new, like->name, like->is_checked, way == 0);

			if (other != NULL)
				pair_steps(carry, step, other);
		}
	for (int i = 0; i < carry->old.n; i++)
	{
		const GraphChecklistStep *step = &carry->old.step[i];

		if (!step->is_paired)
			change_later(carry, "POST", carry->new_steps, step_body(step->name, step->is_checked));
	}
	for (int i = 0; i < carry->known.n; i++)
	{
		const GraphChecklistStep *step = &carry->known.step[i];
		GraphChecklistStep *other = step_with_id(&carry->old, step->id) ? NULL :
			unpaired(&carry->new, step->name, step->is_checked, true);

		if (other == NULL)
			continue;
		other->is_paired = true;
		change_later(carry, "DELETE", new_step_path(carry, other), NULL);
	}
}

static void
refuse_files(GraphConversation *c, int i)
{
	TsPush	   *p = graph_push_at(c, i);

	ts_error(&p->error, "55000", "task \"%s\" of Outlook has files, which can't come along to another list",
			 p->external_id);
	ts_error_hint(&p->error, "The task is in its new list already; this one stays until it has no files any more and retry_failed() is called.");
	graph_settle(c, i, TS_OUTCOME_REFUSED);
}

static void
take_task(GraphConversation *c, int i, const GraphAnswer *a)
{
	GraphWrite *w = &c->push.write[i];

	if (a->json == NULL || a->json->kind != TS_JSON_OBJECT)
		put_off(c, i);
	else if (!graph_is_version(a->json, graph_push_at(c, i)->etag))
		graph_settle(c, i, TS_OUTCOME_CONFLICT);
	else if (ts_json_get_bool(a->json, "hasAttachments"))
		refuse_files(c, i);
	else
	{
		w->looked = true;
		compare_steps(w->carry);
		w->carry->stage = GRAPH_CARRY_CHANGE;
		if (w->carry->change == NULL)
			w->carry = NULL;
	}
}

static void
take_read(GraphConversation *c, int i, const GraphAnswer *a)
{
	GraphCarry *carry = carry_at(c, i);
	MemoryContext old = MemoryContextSwitchTo(c->base.cxt);

	if (graph_is_missing(a) && carry->stage == GRAPH_CARRY_NEW)
		put_off(c, i);			/* the pull of its list finds out what became of it */
	else if (graph_is_missing(a))
		graph_settle(c, i, TS_OUTCOME_GONE);
	else if (a->status / 100 != 2)
		graph_settle_with_words(c, i, TS_OUTCOME_REFUSED, a);
	else if (carry->stage == GRAPH_CARRY_TASK)
		take_task(c, i, a);
	else
		take_steps(c, i, a);
	MemoryContextSwitchTo(old);
}

static void
read_answer(GraphConversation *c, const GraphAnswer *a)
{
	graph_push_take_reads(c, a, take_read);
}

static const GraphStep read_step = {
	.doing = "checking",
	.failed = "could not look at tasks that leave Outlook list",
	.ask = graph_batch_ask,
	.answer = read_answer,
	.sees_all = true,
};

/*
 * Changing
 */

/* Whether it was done or not: if anything went wrong, the next sync sees. */
static void
take_change(GraphConversation *c, int i, const GraphAnswer *a)
{
	GraphWrite *w = &c->push.write[i];

	if (graph_is_refused(a) && !graph_is_missing(a))
		graph_settle_with_words(c, i, TS_OUTCOME_REFUSED, a);
	else if (a->status / 100 != 2)
		put_off(c, i);
	else
	{
		w->carry->change = w->carry->change->next;
		w->looked = false;		/* it was a while ago */
		if (w->carry->change == NULL)
			w->carry = NULL;
	}
}

static void
change_answer(GraphConversation *c, const GraphAnswer *a)
{
	graph_push_take_reads(c, a, take_change);
}

static const GraphStep change_step = {
	.doing = "sending",
	.failed = "could not bring along the steps of a task of Outlook list",
	.ask = graph_batch_ask,
	.answer = change_answer,
	.sees_all = true,
};
