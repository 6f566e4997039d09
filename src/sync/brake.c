/*-------------------------------------------------------------------------
 *
 * brake.c
 *	  What makes a sync stop and ask a person.
 *
 * A great many deletions, on either side, and the same field changed all over
 * a list are more often somebody's mistake (a wrong script, a time zone, a
 * server's migration) than what anybody wanted.  The mapping is HELD then, with
 * nothing of it done, until confirm_deletions() says that it is meant so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "sync/cycle.h"

/* More than a share of so many, and more than a number. */
static bool
beyond(int64 n, int64 of, int percent, int minimum)
{
	return n > minimum && n * 100 > of * percent;
}

/*
 * The mass-delete brake.  A list that is empty all at once is held even if it
 * was short.
 */
bool
ts_too_many_deletions(const TsCycle *c, const TsRun *r, int n, bool here)
{
	if (r->m->deletions_confirmed)
		return false;
	return beyond(n, r->m->nlinks, c->env->mass_delete_percent, c->env->mass_delete_minimum) ||
		(!here && n >= 2 && n >= r->m->nlinks);
}

typedef struct HoldWork
{
	TsCycle    *c;
	TsRun	   *r;
	const char *why;
} HoldWork;

static void
hold_body(void *arg)
{
	HoldWork   *w = arg;

	w->c->env->store->hold(w->c->env->db, w->r->m, w->why);
}

/* The mapping goes no further: "why" has happened, and "what" waits to be confirmed. */
void
ts_hold(TsCycle *c, TsRun *r, const char *why, const char *what)
{
	HoldWork	w = {c, r, psprintf("%s; confirm_deletions() lets %s", why, what)};

	if (!r->m->held && !ts_transact(c, r, hold_body, &w))
		return;
	r->held = true;
	r->phase = TS_PHASE_FINISH;
}

/*
 * The all-changed brake: many linked objects have changed.  Before any of them
 * is merged they are read, and the fields counted that are not as they were.
 * (A list is completed, and opened again, as a whole every day: that counts
 * for nothing.)
 */
typedef struct ExamineWork
{
	TsCycle    *c;
	TsRun	   *r;
	const char **ids;
	int			n;
	TsLinkRow  *rows;
} ExamineWork;

#define ANY_DAY \
	(TS_FIELD_BIT(TS_STATUS) | TS_FIELD_BIT(TS_COMPLETED_AT) | TS_FIELD_BIT(TS_PERCENT_COMPLETE))

static void
examine_body(void *arg)
{
	ExamineWork *w = arg;
	const char **nothing = palloc0(sizeof(char *) * w->n);

	w->rows = w->c->env->store->links(w->c->env->db, w->r->m, w->ids, nothing, nothing, w->n);
}

static void
examine_observed(TsCycle *c, TsRun *r, TsObservation *obs, int n)
{
	ExamineWork w = {c, r, palloc(sizeof(char *) * n), n, NULL};

	for (int i = 0; i < n; i++)
		w.ids[i] = obs[i].external_id;
	if (!ts_transact(c, r, examine_body, &w))
		return;
	for (int i = 0; i < n; i++)
	{
		TsRemoteTask remote;
		TsFieldMask changed;
		TsError		err = {0};

		if (obs[i].payload == NULL || !w.rows[i].linked ||
			!ts_decode(c, obs[i].payload, obs[i].payload_len, &remote, &err) || !remote.is_task)
			continue;			/* no change of fields, whatever it is */
		changed = ts_task_diff(&w.rows[i].remote_base, &remote.task,
							   c->spec->provider->carries & remote.task.known &
							   w.rows[i].remote_base.known & ~ANY_DAY);
		for (TsField f = 0; f < TS_NFIELDS; f++)
			r->nfield[f] += (changed & TS_FIELD_BIT(f)) != 0;
	}
}

static void
examine_done(TsCycle *c, TsRun *r, TsConversation *conv)
{
	/* back to ts_phase_examine for the next batch */
}

static bool
too_many_changes(const TsCycle *c, const TsRun *r, int n)
{
	return beyond(n, r->m->nlinks, c->env->mass_change_percent, c->env->mass_change_minimum);
}

/* All of them were read: is it too much of one field?  Then nothing is taken in. */
static bool
are_too_many(TsCycle *c, TsRun *r)
{
	TsField		most = 0;

	for (TsField f = 1; f < TS_NFIELDS; f++)
		if (r->nfield[f] > r->nfield[most])
			most = f;
	if (!too_many_changes(c, r, r->nfield[most]))
		return false;

	/* One that is held already is read for the other lists' sake: for what is new in it. */
	r->keep_cursor = true;
	if (!r->m->held)
		ts_hold(c, r, psprintf("\"%s\" was changed in %d of %lld tasks at the service",
							   ts_field_info[most].name, r->nfield[most],
							   (long long) r->m->nlinks),
				"the changes in");
	return true;
}

/* Read the next batch of what has changed; false: all of it was read. */
static bool
examine(TsCycle *c, TsRun *r)
{
	int			n = Min(r->changed.n - r->nexamined, c->spec->provider->fetch_batch);
	TsOp	   *op;

	if (r->nfield == NULL)
	{
		r->nfield = MemoryContextAllocZero(r->cxt, sizeof(int) * TS_NFIELDS);
		examine_observed(c, r, r->texts, r->ntexts);
	}
	if (n == 0 || r->phase >= TS_PHASE_FINISH)
		return false;
	r->phase = TS_PHASE_EXAMINE;
	op = ts_new_op(c, r, TS_OP_FETCH);
	op->ids = (const char **) &r->changed.id[r->nexamined];
	op->nids = n;
	r->nexamined += n;
	ts_progress(c, r, "examining", r->nexamined, r->changed.n);
	ts_converse(c, r, examine_observed, examine_done);
	return true;
}

/* After the listing: what has changed is taken in, unless that is too much. */
void
ts_phase_examine(TsCycle *c, TsRun *r)
{
	bool		many = !r->m->deletions_confirmed && c->env->would_send == NULL &&
		too_many_changes(c, r, r->nchanged);

	r->phase = TS_PHASE_FETCH;
	if (many && (examine(c, r) || r->phase >= TS_PHASE_FINISH || are_too_many(c, r)))
		return;
	for (int i = 0; i < r->changed.n; i++)
		ts_ids_add(r, &r->fetch, r->changed.id[i]);
	if (r->ntexts > 0)
		ts_merge(c, r, r->texts, r->ntexts, r->fetch_seq, false);
	r->changed.n = r->ntexts = 0;
}
