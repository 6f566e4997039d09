/*-------------------------------------------------------------------------
 *
 * lists.c
 *	  The lists themselves: made at the service, named and coloured alike.
 *
 * The name and colour last agreed on are the base.  Ours changed: tell the
 * service, at the next sync.  Theirs changed: seen when a complete listing is
 * due anyway, so that a sync with nothing to do stays one request.  Both: ours
 * stands.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "sync/cycle.h"

typedef struct ListWork
{
	TsCycle    *c;
	TsRun	   *r;
	const TsList *list;
	const char *name;
	const char *color;
	bool		set_project;
} ListWork;

static bool
same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void
made_body(void *arg)
{
	ListWork   *w = arg;

	w->c->env->store->list_made(w->c->env->db, w->r->m, w->list);
}

static void
list_made(TsCycle *c, TsRun *r, TsConversation *conv)
{
	ListWork	w = {c, r, conv->lists};

	r->m->external_list_id = MemoryContextStrdup(r->cxt, conv->lists[0].id);
	if (ts_transact(c, r, made_body, &w))
		r->phase = TS_PHASE_RECOVER;
}

void
ts_phase_list_create(TsCycle *c, TsRun *r)
{
	TsOp	   *op;

	if (r->m->external_list_id)
	{
		r->phase = TS_PHASE_RECOVER;
		return;
	}
	ts_progress(c, r, "making the list", 0, 0);
	op = ts_new_op(c, r, TS_OP_LIST_CREATE);
	op->name = r->m->name ? r->m->name : r->m->project_name;
	op->color = r->m->project_color;
	op->new_list_hint = r->m->id;
	ts_converse(c, r, NULL, list_made);
}

static void
agreed_body(void *arg)
{
	ListWork   *w = arg;

	w->c->env->store->list_agreed(w->c->env->db, w->r->m, w->name, w->color, w->set_project);
}

/* A service that won't rename keeps its name; asking again would not help. */
static void
renamed(TsCycle *c, TsRun *r, TsConversation *conv)
{
	ListWork	w = {c, r, NULL, r->m->project_name, r->m->project_color, false};

	if (ts_failed(&conv->error) && strcmp(conv->error.sqlstate, "TS502") != 0)
	{
		ts_run_fail(c, r, &conv->error);
		return;
	}
	if (ts_failed(&conv->error))
		c->result.errors++;
	if (ts_transact(c, r, agreed_body, &w))
		r->phase = TS_PHASE_CANDIDATES;
}

static void
looked(TsCycle *c, TsRun *r, TsConversation *conv)
{
	r->phase = TS_PHASE_CANDIDATES;
	for (int i = 0; i < conv->nlists; i++)
	{
		const TsList *l = &conv->lists[i];
		ListWork	w = {c, r, l, l->name, l->color, true};

		if (!same(l->id, r->m->external_list_id))
			continue;
		if (!same(l->name, r->m->base_name) || !same(l->color, r->m->base_color))
			ts_transact(c, r, agreed_body, &w);
		return;
	}
}

void
ts_phase_list_meta(TsCycle *c, TsRun *r)
{
	TsMapping  *m = r->m;
	TsOp	   *op;

	r->phase = TS_PHASE_CANDIDATES;
	if (!m->sync_project_name || !(c->spec->provider->caps & TS_CAP_LISTS) || m->base_name == NULL)
		return;
	if (m->direction != TS_FROM_PROVIDER &&
		(!same(m->project_name, m->base_name) ||
		 (m->project_color && !same(m->project_color, m->base_color))))
	{
		op = ts_new_op(c, r, TS_OP_LIST_UPDATE);
		op->name = m->project_name;
		op->color = m->project_color;
		ts_converse(c, r, NULL, renamed);
	}
	else if (m->audit_due && !m->first_pull && m->direction != TS_TO_PROVIDER)
	{
		ts_new_op(c, r, TS_OP_LISTS);
		ts_converse(c, r, NULL, looked);
	}
}
