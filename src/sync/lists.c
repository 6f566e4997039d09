/*-------------------------------------------------------------------------
 *
 * lists.c
 *	  The lists themselves: made at the service, named and coloured alike.
 *
 * As with tasks there are two bases: what the list was called, and the project,
 * when they were last compared.  Ours changed: tell the service, at the next
 * sync.  Theirs changed: seen when a complete listing is due anyway, so that a
 * sync with nothing to do stays one request.  Both: ours stands.
 *
 * The first sync only takes note of the names: a project and a list that were
 * there before keep theirs until somebody changes one.  A project that was
 * made for the list takes the list's.
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
	ListWork	w = {c, r, NULL, conv->op->name, conv->op->color, false};

	if (ts_failed(&conv->error) && strcmp(conv->error.sqlstate, "TS502") != 0)
	{
		ts_run_fail(c, r, &conv->error);
		return;
	}
	if (ts_failed(&conv->error))
	{
		w.name = r->m->base_name;
		w.color = r->m->base_color;
		c->result.errors++;
	}
	if (ts_transact(c, r, agreed_body, &w))
		r->phase = TS_PHASE_CANDIDATES;
}

/* The run's list among all of the service; people may have left out the last slash. */
static const TsList *
own_list(const TsRun *r, const TsConversation *conv)
{
	const char *id = r->m->external_list_id;
	size_t		len = strlen(id);

	while (len > 0 && id[len - 1] == '/')
		len--;
	for (int i = 0; i < conv->nlists; i++)
	{
		const char *other = conv->lists[i].id;

		if (strncmp(other, id, len) == 0 && strspn(other + len, "/") == strlen(other + len))
			return &conv->lists[i];
	}
	return NULL;
}

static void
looked_first(TsCycle *c, TsRun *r, TsConversation *conv)
{
	const TsList *l = own_list(r, conv);
	ListWork	w = {c, r, l, r->m->project_name, NULL, false};

	if (l && l->name)
	{
		w.name = l->name;
		w.color = l->color;
		w.set_project = r->m->project_from_list;
	}
	if (ts_transact(c, r, agreed_body, &w))
		r->phase = TS_PHASE_CANDIDATES;
}

static void
looked_again(TsCycle *c, TsRun *r, TsConversation *conv)
{
	const TsList *l = own_list(r, conv);

	r->phase = TS_PHASE_CANDIDATES;
	if (l && l->name && (!same(l->name, r->m->base_name) || !same(l->color, r->m->base_color)))
	{
		ListWork	w = {c, r, l, l->name, l->color, true};

		ts_transact(c, r, agreed_body, &w);
	}
}

void
ts_phase_list_meta(TsCycle *c, TsRun *r)
{
	TsMapping  *m = r->m;
	bool		renamed_here = !same(m->project_name, m->base_project_name);
	bool		recolored_here = m->project_color &&
		!same(m->project_color, m->base_project_color);

	r->phase = TS_PHASE_CANDIDATES;
	if (c->env->would_send)
		return;
	if (!m->list_agreed && (m->sync_project_name || m->project_from_list))
	{
		ts_new_op(c, r, TS_OP_LISTS);
		ts_converse(c, r, NULL, looked_first);
		return;
	}
	if (!m->sync_project_name || !(c->spec->provider->caps & TS_CAP_LISTS))
		return;
	if (m->direction != TS_FROM_PROVIDER && (renamed_here || recolored_here))
	{
		TsOp	   *op = ts_new_op(c, r, TS_OP_LIST_UPDATE);

		op->name = renamed_here ? m->project_name : m->base_name;
		op->color = recolored_here ? m->project_color : m->base_color;
		ts_converse(c, r, NULL, renamed);
	}
	else if (m->audit_due && !m->first_pull && m->direction != TS_TO_PROVIDER)
	{
		ts_new_op(c, r, TS_OP_LISTS);
		ts_converse(c, r, NULL, looked_again);
	}
}
