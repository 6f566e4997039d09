/*-------------------------------------------------------------------------
 *
 * push.c
 *	  What goes out: from tasks that may differ to requests.
 *
 * Candidates are only hints (the journal, retries, now and then everything);
 * what is sent is what differs from the link's local base.  Before anything
 * is sent, the intent is durable; what became of it is settled afterwards
 * (settle.c), after a crash just the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "sync/cycle.h"
#include "utils/memutils.h"

/* The fields changed here since the last agreement, and not at rest. */
TsFieldMask
ts_unsent(const TsCycle *c, const TsLinkRow *row)
{
	return ts_task_diff(&row->local_base, &row->local, c->spec->provider->carries) &
		row->local.known & ~row->frozen;
}

/* The task as it is to be encoded: a service knows the parent by its own name. */
static bool
outgoing_task(TsCycle *c, const TsLinkRow *row, TsTask *task)
{
	*task = row->local;
	if (task->value[TS_PARENT_TASK_ID] == NULL)
		return true;
	if (row->parent_uid)
		task->value[TS_PARENT_TASK_ID] = row->parent_uid;
	else if (row->parent_waits && !(c->spec->provider->caps & TS_CAP_CLIENT_IDS))
		return false;
	else if (!row->parent_waits)
		task->value[TS_PARENT_TASK_ID] = NULL;	/* the parent is not in this list */
	return true;
}

/* Fill in what encoding gives; an object that cannot be said is refused here. */
static void
encode(TsCycle *c, const TsLinkRow *row, const TsTask *task, TsDelivery *d)
{
	bool		creating = d->intent.kind == TS_PUSH_CREATE;
	TsCodecOptions opt;
	TsError		err = {0};
	char	   *payload;

	if (c->spec->provider->caps & TS_CAP_CLIENT_IDS)
		ts_codec_options(c, &opt, d->uid, NULL);
	else
		ts_codec_options(c, &opt, NULL, row->task_id);
	if (creating)
	{
		opt.copy_of = row->copy_of;
		opt.copy_len = row->copy_len;
	}
	payload = c->spec->provider->encode(task, d->intent.snap.known,
										creating ? NULL : row->payload,
										creating ? 0 : row->payload_len, &opt, &err);
	if (payload == NULL)
	{
		d->push.outcome = TS_OUTCOME_REFUSED;
		d->push.error = err;
		return;
	}
	d->intent.payload = payload;
	d->intent.payload_len = strlen(payload);
}

static void
prepare(TsDelivery *d, const TsLinkRow *row, TsPushKind kind)
{
	memset(d, 0, sizeof(*d));
	d->intent.kind = kind;
	d->intent.task_id = row->task_id;
	d->intent.external_id = row->external_id;
	d->intent.etag = row->etag;
	d->uid = row->uid ? row->uid : row->task_id;
}

static void
prepare_push(TsDelivery *d)
{
	d->push.kind = d->intent.kind;
	d->push.external_id = d->intent.external_id;
	d->push.etag = d->intent.etag;
	d->push.payload = d->intent.payload;
	d->push.payload_len = d->intent.payload_len;
	d->push.target_list = d->intent.target_list;
	if (d->moved == NULL)
		return;
	d->push.has_moved = true;
	d->push.payload = d->moved->payload;
	d->push.payload_len = d->moved->payload_len;
	d->push.target_id = d->moved->target_external_id;
	if (d->push.target_id)
		d->push.target_list = d->moved->target_list_id;
}

static bool
deliver_create(TsCycle *c, TsRun *r, const TsLinkRow *row, TsDelivery *d)
{
	TsTask		task;
	char		name[37];

	if (!outgoing_task(c, row, &task))
	{
		ts_ids_add(r, &r->waiting, row->task_id);
		return false;
	}
	prepare(d, row, TS_PUSH_CREATE);

	/*
	 * The first object of a task is named after it, so that one we lost track
	 * of is found again; the next (the first was deleted there) is not, since
	 * services remember names of deleted objects.
	 */
	if (row->linked && row->uid)
		c->env->uuid(c->env->arg, name);
	else
		strlcpy(name, row->task_id, sizeof(name));
	if (c->spec->provider->caps & TS_CAP_CLIENT_IDS)
		d->intent.external_id = c->spec->provider->new_external_id(r->m->external_list_id, name);
	d->intent.etag = NULL;
	d->intent.snap = row->local;
	d->intent.snap.known &= c->spec->provider->carries;
	encode(c, row, &task, d);
	return true;
}

static bool
deliver_update(TsCycle *c, const TsLinkRow *row, TsDelivery *d)
{
	TsFieldMask unsent = ts_unsent(c, row);
	TsTask		task;

	if (unsent == 0 || !outgoing_task(c, row, &task))
		return false;
	prepare(d, row, TS_PUSH_UPDATE);
	d->intent.snap = row->local;
	d->intent.snap.known = unsent;
	encode(c, row, &task, d);
	return true;
}

/* In a rehearsal a write is told, not sent. */
static bool
rehearsed(TsCycle *c, TsRun *r, TsPushKind kind, const TsLinkRow *row)
{
	if (c->env->would_send == NULL)
		return false;
	c->env->would_send(c->env->arg, r->m, kind, row);
	return true;
}

/*
 * Nothing goes to the object of this link any more.  (A link whose object was
 * deleted there, kept so that none is made anew, ends with its task.)
 */
static bool
is_finished(const TsLinkRow *row)
{
	return row->dead && (row->has_local || row->external_id);
}

/* What this candidate calls for; false: nothing, or not now. */
static bool
deliver(TsCycle *c, TsRun *r, const TsLinkRow *row, TsDelivery *d)
{
	if (is_finished(row))
		return false;
	if (!row->has_local || !row->in_project)
	{
		if (!row->linked)
			return false;
		if (row->has_local && row->external_id && row->target_mapping_id && !row->elsewhere &&
			r->m->native_moves)
		{
			prepare(d, row, TS_PUSH_MOVE);
			d->intent.target_list = row->target_list_id;
			d->intent.target_mapping_id = row->target_mapping_id;
			d->intent.payload = row->payload;
			d->intent.payload_len = row->payload_len;
			return true;
		}
		ts_ids_add(r, &r->deletes, row->task_id);
		r->ndeleted += !row->has_local && row->external_id;
		return false;
	}
	if (!row->linked || row->external_id == NULL)
		return deliver_create(c, r, row, d);
	return deliver_update(c, row, d);
}

typedef struct PushWork
{
	TsCycle    *c;
	TsRun	   *r;
	TsIntent   *intents;
	int			n;
	TsLinkRow  *rows;
	TsChange   *changes;
	int			nchanges;
} PushWork;

static void
candidates_body(void *arg)
{
	PushWork   *w = arg;
	TsRun	   *r = w->r;
	MemoryContext old = MemoryContextSwitchTo(r->batch_cxt);

	r->rows = w->c->env->store->candidates(w->c->env->db, r->m, r->after,
										   TS_CANDIDATE_BATCH, &r->nrows);
	MemoryContextSwitchTo(old);
}

static void
intents_body(void *arg)
{
	PushWork   *w = arg;

	w->c->env->store->intents_put(w->c->env->db, w->r->m, w->intents, w->n);
}

static void
push_end_body(void *arg)
{
	PushWork   *w = arg;

	w->c->env->store->push_end(w->c->env->db, w->r->m);
}

/* Make the intents durable, then send. */
static void
start_sending(TsCycle *c, TsRun *r, TsPhase after)
{
	PushWork	w = {c, r, palloc(sizeof(TsIntent) * r->ndeliveries), 0};

	for (int i = 0; i < r->ndeliveries; i++)
	{
		prepare_push(&r->deliveries[i]);
		if (r->deliveries[i].push.outcome == TS_OUTCOME_PENDING)
			w.intents[w.n++] = r->deliveries[i].intent;
	}
	if (w.n > 0 && ts_guarded(TS_GUARD_INTENT) && !ts_transact(c, r, intents_body, &w))
		return;
	r->sent = r->nread_back = 0;
	r->after_settle = after;
	r->phase = TS_PHASE_SEND;
}

static bool
load_candidates(TsCycle *c, TsRun *r)
{
	PushWork	w = {c, r};

	MemoryContextReset(r->batch_cxt);
	r->nrows = r->next_row = 0;
	if (!ts_transact(c, r, candidates_body, &w))
		return false;
	r->last_candidates = r->nrows < TS_CANDIDATE_BATCH;
	if (r->nrows > 0)
		r->after = MemoryContextStrdup(r->cxt, r->rows[r->nrows - 1].task_id);
	return true;
}

static void
waiting_body(void *arg)
{
	PushWork   *w = arg;
	TsRun	   *r = w->r;
	TsChange   *changes = palloc0(sizeof(TsChange) * r->waiting.n);

	for (int i = 0; i < r->waiting.n; i++)
	{
		changes[i].task_id = r->waiting.id[i];
		changes[i].owes = true;
	}
	w->c->env->store->apply(w->c->env->db, r->m, changes, r->waiting.n);
}

/*
 * Every candidate was looked at: once more if the world moved meanwhile, or if
 * parents were created that others waited for.  Who still waits is to be
 * looked at by the next sync.
 */
static void
end_of_pass(TsCycle *c, TsRun *r)
{
	PushWork	w = {c, r};
	bool		parents = r->waiting.n > 0 && c->result.pushed.created > r->pushed_before;

	r->after = NULL;
	r->last_candidates = false;
	r->pushed_before = c->result.pushed.created;
	if (parents || (r->again && ++r->pass < TS_PUSH_PASSES))
	{
		r->again = false;
		r->waiting.n = r->deletes.n = r->ndeleted = 0;
	}
	else if (r->waiting.n == 0 || ts_transact(c, r, waiting_body, &w))
		r->phase = TS_PHASE_PUSHED;
}

void
ts_phase_candidates(TsCycle *c, TsRun *r)
{
	MemoryContext old;

	if (r->m->direction == TS_FROM_PROVIDER)
	{
		r->phase = TS_PHASE_PUSHED;
		return;
	}
	if (r->next_row == r->nrows)
	{
		if (r->last_candidates)
		{
			end_of_pass(c, r);
			return;
		}
		if (!load_candidates(c, r))
			return;
	}

	old = MemoryContextSwitchTo(r->batch_cxt);
	r->deliveries = palloc(sizeof(TsDelivery) * TS_PUSH_BATCH);
	r->ndeliveries = 0;
	while (r->next_row < r->nrows && r->ndeliveries < TS_PUSH_BATCH)
	{
		const TsLinkRow *row = &r->rows[r->next_row++];
		TsDelivery *d = &r->deliveries[r->ndeliveries];

		if (deliver(c, r, row, d) && !rehearsed(c, r, d->intent.kind, row))
			r->ndeliveries++;
	}
	MemoryContextSwitchTo(old);
	if (r->ndeliveries > 0)
	{
		ts_progress(c, r, "sending", r->next_row, r->nrows);
		start_sending(c, r, TS_PHASE_CANDIDATES);
	}
}

/*
 * Sending
 */

/*
 * A move that the service has no word for: a copy there, first of all.  Once
 * that is linked, the object here is deleted like any whose task has left.
 */
static void
copy_instead(TsCycle *c, TsDelivery *d)
{
	d->copying = true;
	d->push.kind = TS_PUSH_CREATE;
	d->push.external_id = c->spec->provider->new_external_id(d->intent.target_list,
															 d->intent.task_id);
	d->push.outcome = TS_OUTCOME_PENDING;
}

/* What is there now, as the answer to a write or a read showed it. */
static void
keep_sight(TsDelivery *d, const TsObservation *obs)
{
	d->read_back = true;
	d->obs = *obs;
	d->obs.external_id = pstrdup(obs->external_id);
	d->obs.etag = obs->etag ? pstrdup(obs->etag) : NULL;
	if (obs->payload)
		d->obs.payload = pnstrdup(obs->payload, obs->payload_len);
	ts_error_copy(&d->obs.error, &obs->error, CurrentMemoryContext);
}

static void
sent(TsCycle *c, TsRun *r, TsConversation *conv)
{
	MemoryContext old = MemoryContextSwitchTo(r->batch_cxt);

	for (int i = 0; i < c->op.npush; i++)
	{
		TsDelivery *d = &r->deliveries[r->sent + i];
		const TsPush *p = &c->op.push[i];

		d->push.outcome = p->outcome == TS_OUTCOME_PENDING ? TS_OUTCOME_NOT_SENT : p->outcome;
		d->push.new_external_id = p->new_external_id ? pstrdup(p->new_external_id) : NULL;
		d->push.new_etag = p->new_etag ? pstrdup(p->new_etag) : NULL;
		ts_error_copy(&d->push.error, &p->error, r->batch_cxt);
		if (p->seen)
			keep_sight(d, p->seen);
		if (d->push.outcome == TS_OUTCOME_UNSUPPORTED)
			copy_instead(c, d);
	}
	MemoryContextSwitchTo(old);
	if (!ts_failed(&conv->error))
		return;					/* on to those that are still to be sent */
	for (int i = r->sent; i < r->ndeliveries; i++)
		if (r->deliveries[i].push.outcome == TS_OUTCOME_PENDING)
			r->deliveries[i].push.outcome = TS_OUTCOME_NOT_SENT;
	ts_error_copy(&r->push_error, &conv->error, r->cxt);
	r->phase = TS_PHASE_SETTLE;
}

void
ts_phase_send(TsCycle *c, TsRun *r)
{
	TsOp	   *op;
	TsDelivery *d;
	int			n = 0;

	while (r->sent < r->ndeliveries &&
		   r->deliveries[r->sent].push.outcome != TS_OUTCOME_PENDING)
		r->sent++;
	if (r->sent == r->ndeliveries)
	{
		r->phase = TS_PHASE_READ_BACK;
		return;
	}

	d = &r->deliveries[r->sent];
	op = ts_new_op(c, r, TS_OP_PUSH);
	op->push = MemoryContextAllocZero(c->op_cxt,
									  sizeof(TsPush) * c->spec->provider->push_batch);
	if (d->copying)
		op->list_id = d->intent.target_list;
	while (n < c->spec->provider->push_batch && r->sent + n < r->ndeliveries &&
		   d[n].push.outcome == TS_OUTCOME_PENDING &&
		   (n == 0 || (!d->copying && !d[n].copying)))	/* copies go alone, to their own list */
	{
		op->push[n] = d[n].push;
		op->push[n].new_external_id = NULL;
		n++;
	}
	op->npush = n;
	ts_converse(c, r, NULL, sent);
}

/*
 * Reading back what was pushed: what the service really keeps.
 */

static const char *
read_back_id(const TsCycle *c, const TsDelivery *d)
{
	if (d->read_back)
		return NULL;			/* the push's answer told */
	switch (d->push.outcome)
	{
		case TS_OUTCOME_DONE:
			if (d->intent.kind == TS_PUSH_DELETE || d->intent.kind == TS_PUSH_MOVE ||
				!(c->spec->provider->caps & TS_CAP_READ_BACK))
				return NULL;
			break;
		case TS_OUTCOME_CONFLICT:
		case TS_OUTCOME_EXISTS:
		case TS_OUTCOME_IN_DOUBT:
			break;
		default:
			return NULL;
	}
	if (d->intent.kind == TS_PUSH_MOVE)
		return d->copying ? NULL : d->intent.external_id;
	return d->push.new_external_id ? d->push.new_external_id : d->intent.external_id;
}

static void
read_back_observed(TsCycle *c, TsRun *r, TsObservation *obs, int n)
{
	MemoryContext old = MemoryContextSwitchTo(r->batch_cxt);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < r->ndeliveries; j++)
		{
			TsDelivery *d = &r->deliveries[j];
			const char *id = read_back_id(c, d);

			if (id == NULL || strcmp(id, obs[i].external_id) != 0)
				continue;
			keep_sight(d, &obs[i]);
		}
	MemoryContextSwitchTo(old);
}

static void
read_back_done(TsCycle *c, TsRun *r, TsConversation *conv)
{
	/* back to ts_phase_read_back for the next batch */
}

/*
 * A move in doubt whose object is still here: either it was never made, or as a
 * copy, and then it is the object as it was then that tells what is new in it.
 * So the same is sent again.
 */
static bool
resend_moves(TsRun *r)
{
	bool		any = false;

	for (int i = 0; i < r->ndeliveries; i++)
	{
		TsDelivery *d = &r->deliveries[i];

		if (d->intent.kind != TS_PUSH_MOVE || d->push.outcome != TS_OUTCOME_IN_DOUBT ||
			!d->read_back || d->obs.gone || d->resent)
			continue;
		prepare_push(d);
		d->push.outcome = TS_OUTCOME_PENDING;
		d->resent = any = true;
	}
	r->sent = 0;
	return any;
}

void
ts_phase_read_back(TsCycle *c, TsRun *r)
{
	TsOp	   *op = ts_new_op(c, r, TS_OP_FETCH);
	int			batch = c->spec->provider->fetch_batch;

	op->ids = MemoryContextAlloc(c->op_cxt, sizeof(char *) * (batch + 1));
	while (r->nread_back < r->ndeliveries && op->nids < batch)
	{
		const char *id = read_back_id(c, &r->deliveries[r->nread_back++]);

		if (id)
			op->ids[op->nids++] = id;
	}
	if (op->nids == 0)
		r->phase = resend_moves(r) ? TS_PHASE_SEND : TS_PHASE_SETTLE;
	else
		ts_converse(c, r, read_back_observed, read_back_done);
}

/*
 * Deletions made here, last of all.
 */

/* What a task that has left this list calls for. */
static void
leave(PushWork *w, const TsLinkRow *row)
{
	TsRun	   *r = w->r;

	if (!row->linked || row->in_project || is_finished(row))
		return;
	if (row->external_id == NULL || (row->has_local && !row->project_mapped))
	{
		/* moved where no service looks: the object stays; or never sent */
		TsChange   *change = &w->changes[w->nchanges++];

		change->task_id = row->task_id;
		change->link_action = row->external_id ? TS_LINK_PART : TS_LINK_DROP;
		change->clear_intent = true;
	}
	else if (row->has_local && (!row->elsewhere || row->owed_elsewhere ||
								(row->frozen && row->target_mapping_id)))
	{
		/* not before all of it is where it went, nor while a conflict rests with this one */
		TsChange   *change = &w->changes[w->nchanges++];

		change->task_id = row->task_id;
		change->owes = true;
	}
	else if (!rehearsed(w->c, r, TS_PUSH_DELETE, row))
	{
		TsDelivery *d = &r->deliveries[r->ndeliveries++];

		prepare(d, row, TS_PUSH_DELETE);
		d->moved = row->has_local ? row : NULL;
	}
}

static void
delete_body(void *arg)
{
	PushWork   *w = arg;
	TsRun	   *r = w->r;
	MemoryContext old = MemoryContextSwitchTo(r->batch_cxt);

	r->ndeliveries = 0;
	w->nchanges = 0;
	w->changes = palloc0(sizeof(TsChange) * w->n);
	w->rows = w->c->env->store->links_by_task(w->c->env->db, r->m,
											  (const char **) &r->deletes.id[r->next_delete],
											  w->n);
	for (int i = 0; i < w->n; i++)
		leave(w, &w->rows[i]);
	if (w->nchanges > 0)
		w->c->env->store->apply(w->c->env->db, r->m, w->changes, w->nchanges);
	MemoryContextSwitchTo(old);
}

void
ts_phase_delete(TsCycle *c, TsRun *r)
{
	PushWork	w = {c, r};
	MemoryContext old;

	if (r->rebase)
	{
		r->phase = TS_PHASE_FINISH; /* the next sync has looked at what they are */
		return;
	}
	if (r->next_delete == 0 && ts_too_many_deletions(c, r, r->ndeleted, true))
	{
		ts_hold(c, r, psprintf("%d of %lld tasks were deleted here", r->ndeleted,
							   (long long) r->m->nlinks),
				"the deletions go on");
		return;
	}
	if (r->next_delete == r->deletes.n)
	{
		if (r->m->direction == TS_FROM_PROVIDER || ts_transact(c, r, push_end_body, &w))
			r->phase = TS_PHASE_FINISH;
		return;
	}

	MemoryContextReset(r->batch_cxt);
	old = MemoryContextSwitchTo(r->batch_cxt);
	r->deliveries = palloc(sizeof(TsDelivery) * TS_PUSH_BATCH);
	MemoryContextSwitchTo(old);
	w.n = Min(TS_PUSH_BATCH, r->deletes.n - r->next_delete);
	if (!ts_transact(c, r, delete_body, &w))
		return;
	r->next_delete += w.n;
	ts_progress(c, r, "deleting", r->next_delete, r->deletes.n);
	if (r->ndeliveries > 0)
		start_sending(c, r, TS_PHASE_DELETE);
}
