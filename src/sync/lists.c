/*-------------------------------------------------------------------------
 *
 * lists.c
 *	  The lists themselves: made at the service, named and coloured alike, and
 *	  whose they are.
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
 * Before anything is read of a list, that look also tells whose account this is,
 * at first and whenever the credentials or the server are others than before.
 * In another account's list nothing that we know is missing by anybody's
 * intention, and nothing of ours should turn up: it is held until somebody says
 * that it is meant so.  At another server the ids must prove themselves anew.
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
		r->phase = TS_PHASE_LOOK;
}

void
ts_phase_list_create(TsCycle *c, TsRun *r)
{
	TsOp	   *op;

	if (r->m->external_list_id)
	{
		r->phase = TS_PHASE_LOOK;
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

/* Names and colours are compared at first, and where a complete listing is due. */
static bool
names_are_due(const TsCycle *c, const TsRun *r)
{
	const TsMapping *m = r->m;

	if (r->pull_only)
		return false;
	if (!m->list_agreed)
		return m->sync_project_name || m->project_from_list;
	return m->sync_project_name && (c->spec->provider->caps & TS_CAP_LISTS) &&
		m->audit_due && !m->first_pull && m->direction != TS_TO_PROVIDER;
}

static char *
current_scope(TsCycle *c, const TsRun *r)
{
	const TsProvider *provider = c->spec->provider;

	return psprintf("%s %s", provider->scope ? provider->scope(c->spec->site) : "",
					r->m->external_list_id);
}

static bool
account_is_due(TsCycle *c, const TsRun *r)
{
	return (c->spec->provider->caps & TS_CAP_ACCOUNT) && !c->account_told &&
		(r->m->audit_due || r->m->scope == NULL ||
		 !same(r->m->auth_version, c->spec->site->auth_version) ||
		 !same(r->m->scope, current_scope(c, r)));
}

/* What was looked at is known: may this list be synced, and how? */
static void
check_scope(TsCycle *c, TsRun *r)
{
	TsMapping  *m = r->m;
	bool		other_account = m->account && c->account && !same(m->account, c->account);

	r->phase = TS_PHASE_RECOVER;
	if (other_account && !m->deletions_confirmed)
	{
		ts_hold(c, r, psprintf("the service says that this is the account \"%s\", and no longer \"%s\"",
							   c->account, m->account),
				"the list be synced with it");
		return;
	}
	r->rebase = other_account || (m->scope && !same(m->scope, current_scope(c, r)));
	if (r->rebase)
	{
		m->cursor = NULL;
		m->caps = MemoryContextStrdup(r->cxt, "{}");
	}
}

static void
looked(TsCycle *c, TsRun *r, TsConversation *conv)
{
	const TsList *l = own_list(r, conv);

	if (l)
	{
		r->list = MemoryContextAllocZero(r->cxt, sizeof(TsList));
		r->list->name = l->name ? MemoryContextStrdup(r->cxt, l->name) : NULL;
		r->list->color = l->color ? MemoryContextStrdup(r->cxt, l->color) : NULL;
	}
	if (c->spec->provider->caps & TS_CAP_ACCOUNT)
	{
		c->account_told = true;
		c->account = conv->account ? MemoryContextStrdup(c->cxt, conv->account) : NULL;
	}
	check_scope(c, r);
}

/* One look at the list, if there is a reason to. */
void
ts_phase_look(TsCycle *c, TsRun *r)
{
	r->phase = TS_PHASE_RECOVER;
	if (c->env->would_send)
		return;
	if (names_are_due(c, r) || account_is_due(c, r))
	{
		ts_new_op(c, r, TS_OP_LISTS);
		ts_converse(c, r, NULL, looked);
	}
	else
		check_scope(c, r);
}

static void
scope_body(void *arg)
{
	ListWork   *w = arg;
	const TsScope scope = {current_scope(w->c, w->r), w->c->account, w->c->spec->site->auth_version};

	w->c->env->store->scope_known(w->c->env->db, w->r->m, &scope);
}

/*
 * What was missing is settled by now, or must wait: then the next sync begins
 * over again.
 */
static bool
keep_scope(TsCycle *c, TsRun *r)
{
	const TsMapping *m = r->m;
	ListWork	w = {c, r};

	if (r->rebase && r->unburied)
		return true;
	if (!r->rebase && m->scope && same(m->auth_version, c->spec->site->auth_version) &&
		(c->account == NULL || same(m->account, c->account)))
		return true;
	return ts_transact(c, r, scope_body, &w);
}

/* The names of list and project as they are now: the base of the next comparison. */
static void
compare_names(TsCycle *c, TsRun *r)
{
	const TsMapping *m = r->m;
	const TsList *l = r->list;
	ListWork	w = {c, r, l, m->project_name, NULL, m->list_agreed || m->project_from_list};

	if (l == NULL || l->name == NULL)
	{
		if (m->list_agreed)
			return;
		w.set_project = false;
	}
	else
	{
		w.name = l->name;
		w.color = l->color;
		if (m->list_agreed && same(l->name, m->base_name) && same(l->color, m->base_color))
			return;
	}
	ts_transact(c, r, agreed_body, &w);
}

void
ts_phase_list_meta(TsCycle *c, TsRun *r)
{
	TsMapping  *m = r->m;
	bool		renamed_here = !same(m->project_name, m->base_project_name);
	bool		recolored_here = m->project_color &&
		!same(m->project_color, m->base_project_color);

	r->phase = TS_PHASE_CANDIDATES;
	if (c->env->would_send || !keep_scope(c, r))
		return;
	if (m->list_agreed && m->sync_project_name && (c->spec->provider->caps & TS_CAP_LISTS) &&
		m->direction != TS_FROM_PROVIDER && (renamed_here || recolored_here))
	{
		TsOp	   *op = ts_new_op(c, r, TS_OP_LIST_UPDATE);

		op->name = renamed_here ? m->project_name : m->base_name;
		op->color = recolored_here ? m->project_color : m->base_color;
		ts_converse(c, r, NULL, renamed);
	}
	else if (names_are_due(c, r))
		compare_names(c, r);
}
