/*-------------------------------------------------------------------------
 *
 * cycle.c
 *	  The stages of a cycle and the conversations within them.
 *
 * A run (one mapping) stands in a phase; a phase's function either moves the
 * run to another phase or begins a conversation, whose end does.  All runs go
 * through the pull stage before any goes on to push, and through the push
 * stage before any deletes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "sync/cycle.h"
#include "utils/memutils.h"

typedef void (*PhaseFunction) (TsCycle *c, TsRun *r);

static void phase_finish(TsCycle *c, TsRun *r);

static const PhaseFunction phase_functions[] = {
	[TS_PHASE_LIST_CREATE] = ts_phase_list_create,
	[TS_PHASE_LOOK] = ts_phase_look,
	[TS_PHASE_RECOVER] = ts_phase_recover,
	[TS_PHASE_PULL] = ts_phase_pull,
	[TS_PHASE_EXAMINE] = ts_phase_examine,
	[TS_PHASE_FETCH] = ts_phase_fetch,
	[TS_PHASE_ABSENT] = ts_phase_absent,
	[TS_PHASE_PULLED] = ts_phase_pulled,
	[TS_PHASE_TOMBSTONES] = ts_phase_tombstones,
	[TS_PHASE_BURY] = ts_phase_bury,
	[TS_PHASE_LIST_META] = ts_phase_list_meta,
	[TS_PHASE_CANDIDATES] = ts_phase_candidates,
	[TS_PHASE_SEND] = ts_phase_send,
	[TS_PHASE_READ_BACK] = ts_phase_read_back,
	[TS_PHASE_SETTLE] = ts_phase_settle,
	[TS_PHASE_DELETE] = ts_phase_delete,
	[TS_PHASE_FINISH] = phase_finish,
};

static void
add_run(TsCycle *c, TsMapping *m, bool pull_only)
{
	TsRun	   *r = &c->runs[c->nruns++];

	r->m = m;
	r->pull_only = pull_only;
	r->held = m->held;
	m->native_moves = (c->spec->provider->caps & TS_CAP_MOVE) != 0;
	r->phase = TS_PHASE_LIST_CREATE;
	r->cxt = AllocSetContextCreate(c->cxt, "tasksync mapping", ALLOCSET_DEFAULT_SIZES);
	r->batch_cxt = AllocSetContextCreate(r->cxt, "tasksync push batch", ALLOCSET_DEFAULT_SIZES);
}

/*
 * Begin a cycle in a context of its own below CurrentMemoryContext.  env and
 * spec (with all that they point to) must outlive it.
 */
TsCycle *
ts_cycle_begin(const TsEnv *env, const TsCycleSpec *spec)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "tasksync cycle",
											  ALLOCSET_DEFAULT_SIZES);
	TsCycle    *c = MemoryContextAllocZero(cxt, sizeof(TsCycle));

	c->env = env;
	c->spec = spec;
	c->cxt = cxt;
	c->step = AllocSetContextCreate(cxt, "tasksync step", ALLOCSET_DEFAULT_SIZES);
	c->op_cxt = AllocSetContextCreate(cxt, "tasksync operation", ALLOCSET_SMALL_SIZES);
	c->runs = MemoryContextAllocZero(cxt, sizeof(TsRun) *
									 (spec->nmappings + spec->nsiblings + 1));
	c->stage_end = TS_PHASE_BARRIER;
	c->result.retry_after = -1;
	c->started_at = env->now(env->arg);
	for (int i = 0; i < spec->nmappings; i++)
		add_run(c, &spec->mappings[i], false);
	return c;
}

void
ts_cycle_end(TsCycle *c)
{
	MemoryContextDelete(c->cxt);
}

const TsCycleResult *
ts_cycle_result(const TsCycle *c)
{
	return &c->result;
}

/* So many lists that the service can't answer for are a service that is out of order. */
#define MAX_SICK_LISTS 3

/* Is the whole service out of reach, so that its other lists need not try? */
static bool
stops_everything(const TsError *err)
{
	return strcmp(err->sqlstate, "TS401") == 0 || strcmp(err->sqlstate, "TS503") == 0 ||
		strcmp(err->sqlstate, "42501") == 0;
}

/*
 * Does an error tell of the server and not of what was to be written: out of
 * disk or memory, an I/O error, a shutdown?  Trying each item alone would only
 * set all of them aside.
 */
bool
ts_is_servers_trouble(const TsError *err)
{
	return strncmp(err->sqlstate, "53", 2) == 0 || strncmp(err->sqlstate, "57", 2) == 0 ||
		strncmp(err->sqlstate, "58", 2) == 0;
}

/* The run ends here with an error; what it committed so far stands. */
void
ts_run_fail(TsCycle *c, TsRun *r, const TsError *err)
{
	ts_error_copy(&r->error, err, r->cxt);
	if (!ts_failed(&c->result.error))
		ts_error_copy(&c->result.error, err, c->cxt);
	r->phase = TS_PHASE_FINISH;
	if (!stops_everything(err) || (r->only_here && ++c->nsick < MAX_SICK_LISTS))
		return;
	for (int i = 0; i < c->nruns; i++)
		if (c->runs[i].phase < TS_PHASE_FINISH)
		{
			ts_error_copy(&c->runs[i].error, err, c->runs[i].cxt);
			c->runs[i].phase = TS_PHASE_FINISH;
		}
}

/* One transaction; false (and the run has failed) when it was rolled back. */
bool
ts_transact(TsCycle *c, TsRun *r, void (*body) (void *arg), void *arg)
{
	TsError		err = {0};

	if (c->env->store->transact(c->env->db, body, arg, &err))
		return true;
	ts_run_fail(c, r, &err);
	return false;
}

void
ts_ids_add(TsRun *r, TsIds *ids, const char *id)
{
	if (ids->n == ids->max)
	{
		int			max = ids->max ? ids->max * 2 : 64;

		if (ids->id == NULL)
			ids->id = MemoryContextAlloc(r->cxt, sizeof(char *) * max);
		else
			ids->id = repalloc(ids->id, sizeof(char *) * max);
		ids->max = max;
	}
	ids->id[ids->n++] = MemoryContextStrdup(r->cxt, id);
}

void
ts_codec_options(TsCycle *c, TsCodecOptions *opt, const char *uid, const char *marker)
{
	opt->uid = uid;
	opt->marker = marker;
	opt->default_time_zone = c->env->default_time_zone;
	opt->settings = c->spec->site->settings;
	opt->now = c->env->now(c->env->arg);
}

bool
ts_decode(TsCycle *c, const char *payload, size_t len, TsRemoteTask *out, TsError *err)
{
	TsCodecOptions opt;

	ts_codec_options(c, &opt, NULL, NULL);
	memset(out, 0, sizeof(*out));
	return c->spec->provider->decode(payload, len, &opt, out, err);
}

void
ts_progress(TsCycle *c, TsRun *r, const char *doing, int64 done, int64 total)
{
	if (c->env->progress)
		c->env->progress(c->env->arg, r->m, doing, done, total);
}

/* How far listings may be behind, in microseconds. */
int64
ts_listing_lag(const TsCycle *c)
{
	return c->spec->provider->listing_lag * INT64CONST(1000000);
}

/* The run of a mapping, if its list is among those read by this cycle. */
TsRun *
ts_run_of(const TsCycle *c, const char *mapping_id)
{
	for (int i = 0; i < c->nruns; i++)
		if (strcmp(c->runs[i].m->id, mapping_id) == 0)
			return &c->runs[i];
	return NULL;
}

/*
 * Conversations
 */

/* A blank operation on the run's list; fill it in, then ts_converse(). */
TsOp *
ts_new_op(TsCycle *c, TsRun *r, TsOpKind kind)
{
	MemoryContextReset(c->op_cxt);
	memset(&c->op, 0, sizeof(c->op));
	c->op.kind = kind;
	c->op.list_id = r->m->external_list_id;
	c->op.caps = r->m->caps;
	return &c->op;
}

/*
 * Begin the conversation for c->op.  on_observed gets what was seen, in
 * batches, as it comes; on_done is called once when it is over without an
 * error (an error ends the run), and must move the run to another phase.
 */
void
ts_converse(TsCycle *c, TsRun *r,
			void (*on_observed) (TsCycle *c, TsRun *r, TsObservation *obs, int n),
			void (*on_done) (TsCycle *c, TsRun *r, TsConversation *conv))
{
	MemoryContext old = MemoryContextSwitchTo(c->cxt);

	c->on_observed = on_observed;
	c->on_done = on_done;
	c->conv = c->spec->provider->begin(c->spec->site, &c->op);
	MemoryContextSwitchTo(old);
}

static TsRun *
current_run(TsCycle *c)
{
	return &c->runs[c->current];
}

/* Hand on what was observed so far, when it is a batch or the last of it. */
static void
drain(TsCycle *c, bool last)
{
	TsConversation *conv = c->conv;
	int			n = conv->nobs;

	if (n == 0 || (!last && n < TS_OBSERVE_BATCH))
		return;
	MemoryContextReset(c->step);
	if (c->on_observed && current_run(c)->phase < TS_PHASE_FINISH)
	{
		MemoryContext old = MemoryContextSwitchTo(c->step);

		c->on_observed(c, current_run(c), conv->obs, n);
		MemoryContextSwitchTo(old);
	}
	ts_conversation_take(conv);
}

/* The list is not there: an error at first, a disconnection when that lasts. */
static void
list_is_missing(void *arg)
{
	TsCycle    *c = arg;

	(void) c->env->store->list_missing(c->env->db, current_run(c)->m);
}

/* Operations whose failure is not yet the mapping's: on_done decides. */
static bool
handles_errors(TsOpKind kind)
{
	return kind == TS_OP_PUSH || kind == TS_OP_LIST_UPDATE;
}

static void
end_conversation(TsCycle *c)
{
	TsConversation *conv = c->conv;
	TsRun	   *r = current_run(c);

	drain(c, true);
	c->conv = NULL;
	if (conv->caps)
		r->m->caps = MemoryContextStrdup(r->cxt, conv->caps);
	if (conv->auth_failed)
		c->result.auth_failed = true;
	r->only_here = conv->only_here;
	if (conv->retry_after > c->result.retry_after)
		c->result.retry_after = conv->retry_after;
	if (conv->list_gone)
	{
		r->list_gone = true;
		ts_transact(c, r, list_is_missing, c);
	}
	if (ts_failed(&conv->error) && !handles_errors(c->op.kind))
		ts_run_fail(c, r, &conv->error);
	else if (r->phase < TS_PHASE_FINISH)
		c->on_done(c, r, conv);
	ts_conversation_end(conv);
}

/*
 * Stages
 */

/*
 * A run that is over before its time is finished in the last stage.  (The order
 * of the phases says nothing here: recovery borrows some of the push stage.)
 */
static bool
at_stage_end(const TsCycle *c, const TsRun *r)
{
	return r->phase == c->stage_end || r->phase == TS_PHASE_END ||
		(r->phase == TS_PHASE_FINISH && c->stage_end != TS_PHASE_END);
}

/* Some list met a deletion: could it be a move to a list that we did not read? */
static bool
siblings_needed(const TsCycle *c)
{
	if (c->siblings_in || c->spec->nsiblings == 0)
		return false;
	for (int i = 0; i < c->nruns; i++)
		if (c->runs[i].wants_barrier && !ts_failed(&c->runs[i].error))
			return true;
	return false;
}

/*
 * What is gone from one list may have come to another after that one was read,
 * and what has come to one be gone from another: the earlier ones are read
 * again, once.  True when there are any.
 */
static bool
read_earlier_lists_again(TsCycle *c)
{
	bool		any = false;
	bool		moving_later = false;

	for (int i = c->nruns - 1; i >= 0 && !c->pulled_again; i--)
	{
		TsRun	   *r = &c->runs[i];

		if (r->phase != TS_PHASE_BARRIER)
			continue;
		if (moving_later)
			ts_pull_again(r);
		any |= moving_later;
		moving_later |= r->found_moving;
	}
	c->pulled_again = true;
	return any;
}

/* The current stage is through: open the next one; false at the very end. */
static bool
next_stage(TsCycle *c)
{
	c->current = 0;
	switch (c->stage_end)
	{
		case TS_PHASE_BARRIER:
			if (siblings_needed(c))
			{
				c->siblings_in = true;
				for (int i = 0; i < c->spec->nsiblings; i++)
					add_run(c, &c->spec->siblings[i], true);
				return true;
			}
			if (read_earlier_lists_again(c))
				return true;
			for (int i = 0; i < c->nruns; i++)
				if (c->runs[i].phase == TS_PHASE_BARRIER)
					c->runs[i].phase = c->runs[i].pull_only ? TS_PHASE_END
						: TS_PHASE_TOMBSTONES;
				else if (!c->runs[i].list_gone || c->runs[i].m->gone_since == NULL)
					c->unread = true;	/* missing once is no proof */
			c->stage_end = TS_PHASE_BURIED;
			return true;
		case TS_PHASE_BURIED:
			for (int i = 0; i < c->nruns; i++)
				if (c->runs[i].phase == TS_PHASE_BURIED)
					c->runs[i].phase = TS_PHASE_LIST_META;
			c->stage_end = TS_PHASE_PUSHED;
			return true;
		case TS_PHASE_PUSHED:
			for (int i = 0; i < c->nruns; i++)
				if (c->runs[i].phase == TS_PHASE_PUSHED)
					c->runs[i].phase = TS_PHASE_DELETE;
			c->stage_end = TS_PHASE_END;
			return true;
		default:
			return false;
	}
}

/* One step of the current run; false when the cycle is over. */
static bool
advance(TsCycle *c)
{
	TsRun	   *r;
	MemoryContext old;

	while (c->current < c->nruns && at_stage_end(c, current_run(c)))
		c->current++;
	if (c->current == c->nruns)
		return next_stage(c);

	r = current_run(c);
	MemoryContextReset(c->step);
	old = MemoryContextSwitchTo(c->step);
	phase_functions[r->phase] (c, r);
	MemoryContextSwitchTo(old);
	return true;
}

static void
finish_body(void *arg)
{
	TsCycle    *c = arg;
	TsRun	   *r = current_run(c);

	c->env->store->mapping_end(c->env->db, r->m, &r->error);
}

static void
phase_finish(TsCycle *c, TsRun *r)
{
	r->phase = TS_PHASE_END;
	if (!r->held)
		ts_transact(c, r, finish_body, c);
	r->phase = TS_PHASE_END;
	MemoryContextReset(r->batch_cxt);
}

/*
 * The next request of the cycle, or false when it is over.  The request stays
 * valid until its response was handed in.
 */
bool
ts_cycle_next(TsCycle *c, TsRequest *req)
{
	for (;;)
	{
		if (c->conv == NULL)
		{
			if (!advance(c))
				return false;
			continue;
		}
		memset(req, 0, sizeof(*req));
		if (c->spec->provider->next(c->conv, req))
		{
			c->result.requests++;
			return true;
		}
		end_conversation(c);
	}
}

void
ts_cycle_data(TsCycle *c, const char *chunk, size_t len)
{
	c->spec->provider->data(c->conv, chunk, len);
	drain(c, false);
}

void
ts_cycle_response(TsCycle *c, const TsResponse *resp)
{
	c->spec->provider->response(c->conv, resp);
	drain(c, false);
}
