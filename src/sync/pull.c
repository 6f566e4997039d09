/*-------------------------------------------------------------------------
 *
 * pull.c
 *	  Reading a list: what changed, what is to be fetched, what is missing.
 *
 * A listing names objects with their revisions, some with their text.  What
 * we know at that revision is passed over; what has its text is merged at
 * once; the rest is fetched in batches.  The cursor is kept only when all of
 * that is committed, so that it never covers anything we have not got.
 *
 * That an object is missing from a complete listing is a hint, never proof:
 * each is asked for by its id, and only "it is not there" makes a tombstone.
 * So is that the changes since the cursor do not name what we have made since:
 * what came and went, many a service does not tell of (RFC 6578 does not ask it
 * to).  Tombstones wait in the inbox, behind the cursor, for the barrier.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "sync/cycle.h"

/*
 * The set of ids that a complete listing named: 64-bit hashes, open
 * addressing; 0 marks an empty slot.
 */
static uint64
id_hash(const char *id)
{
	uint64		h = hash_bytes_extended((const unsigned char *) id, strlen(id), 0);

	return h ? h : 1;
}

static bool
was_seen(const TsRun *r, const char *id)
{
	uint64		h = id_hash(id);

	if (r->seen_size == 0)
		return false;
	for (int i = h & (r->seen_size - 1); r->seen[i]; i = (i + 1) & (r->seen_size - 1))
		if (r->seen[i] == h)
			return true;
	return false;
}

static void
put_hash(uint64 *set, int size, uint64 h)
{
	int			i = h & (size - 1);

	while (set[i] && set[i] != h)
		i = (i + 1) & (size - 1);
	set[i] = h;
}

static void
mark_seen(TsRun *r, const char *id)
{
	if (was_seen(r, id))
		return;
	if (r->nseen * 2 >= r->seen_size)
	{
		int			size = r->seen_size ? r->seen_size * 2 : 64;
		uint64	   *set = MemoryContextAllocZero(r->cxt, sizeof(uint64) * size);

		for (int i = 0; i < r->seen_size; i++)
			if (r->seen[i])
				put_hash(set, size, r->seen[i]);
		if (r->seen)
			pfree(r->seen);
		r->seen = set;
		r->seen_size = size;
	}
	put_hash(r->seen, r->seen_size, id_hash(id));
	r->nseen++;
}

static void
forget_seen(TsRun *r)
{
	if (r->seen)
		pfree(r->seen);
	r->seen = NULL;
	r->nseen = r->seen_size = 0;
}

/*
 * Listing
 */

typedef struct ListingWork
{
	TsCycle    *c;
	TsRun	   *r;
	const char **ids;
	int			n;
	TsKnown    *known;
} ListingWork;

static void
known_body(void *arg)
{
	ListingWork *w = arg;

	/* Before the first pull nothing is known, and nothing need be asked. */
	if (w->r->m->first_pull && w->r->m->nlinks == 0)
		w->known = palloc0(sizeof(TsKnown) * w->n);
	else
		w->known = w->c->env->store->known(w->c->env->db, w->r->m, w->ids, w->n);
}

static void
unbury_body(void *arg)
{
	ListingWork *w = arg;

	w->c->env->store->inbox_drop(w->c->env->db, w->r->m, w->ids, w->n);
}

/*
 * Objects that were gone before, and are there.  They may have to wait for a
 * write in doubt, but they are not dead; and when they go again, that is new.
 */
static void
unbury(TsCycle *c, TsRun *r, const char **ids, int n)
{
	ListingWork w = {c, r, ids, n, NULL};

	if (n > 0)
		ts_transact(c, r, unbury_body, &w);
}

/* Whether it is merged is decided when it is known how many there are (brake.c). */
static void
note_change(TsCycle *c, TsRun *r, const TsObservation *obs, bool with_text)
{
	int			max = Min(c->env->mass_change_minimum, TS_OBSERVE_BATCH);

	r->nchanged++;
	if (!with_text || r->ntexts == max)
	{
		ts_ids_add(r, &r->changed, obs->external_id);
		return;
	}
	if (r->texts == NULL)
		r->texts = MemoryContextAlloc(r->cxt, sizeof(TsObservation) * max);
	r->texts[r->ntexts++] = ts_keep_observation(r, obs);
}

/*
 * An object that a listing calls gone.  One that lags behind may speak of an
 * object that has been there again since: it is asked for, too.
 */
static void
listed_as_gone(TsCycle *c, TsRun *r, const char *id)
{
	bool		stale = ts_listing_lag(c) > 0 && ts_guarded(TS_GUARD_STALE);

	ts_ids_add(r, stale ? &r->fetch : &r->gone, id);
}

static void
listing_observed(TsCycle *c, TsRun *r, TsObservation *obs, int n)
{
	ListingWork w = {c, r, palloc(sizeof(char *) * n), n, NULL};
	TsObservation *with_text = palloc(sizeof(TsObservation) * n);
	int			ntext = 0;
	const char **in_doubt = palloc(sizeof(char *) * n);
	int			ndoubt = 0;

	for (int i = 0; i < n; i++)
		w.ids[i] = obs[i].external_id;
	if (!ts_transact(c, r, known_body, &w))
		return;

	for (int i = 0; i < n; i++)
	{
		const TsKnown *k = &w.known[i];
		bool		changed = k->linked && !r->m->first_pull;

		if (obs[i].gone)
		{
			if (k->linked || k->parked)
				listed_as_gone(c, r, obs[i].external_id);
			mark_seen(r, obs[i].external_id);
			continue;
		}
		mark_seen(r, obs[i].external_id);
		if (k->buried && k->in_doubt)
			in_doubt[ndoubt++] = obs[i].external_id;	/* recovery looks at it */
		else if (k->buried)
			ts_ids_add(r, &r->dug_up, obs[i].external_id);	/* asked for, before it counts */
		if (obs[i].foreign || k->in_doubt)
			continue;
		if ((k->linked || k->parked) && !k->buried && k->etag && obs[i].etag &&
			strcmp(k->etag, obs[i].etag) == 0 &&
			!(k->failed && r->lost_creates.n > 0))	/* what was made in doubt may be this */
			continue;
		if (ts_failed(&obs[i].error) || (obs[i].payload && !k->buried && !changed))
			with_text[ntext++] = obs[i];
		else if (changed)
			note_change(c, r, &obs[i], obs[i].payload && !k->buried);
		else
			ts_ids_add(r, &r->fetch, obs[i].external_id);
	}
	unbury(c, r, in_doubt, ndoubt);
	if (ntext > 0)
		ts_merge(c, r, with_text, ntext, r->fetch_seq, false);
	ts_progress(c, r, "listing", r->nseen, 0);
}

typedef struct SeqWork
{
	TsCycle    *c;
	TsRun	   *r;
} SeqWork;

static void pull_end_body(void *arg);

static void
listing_done(TsCycle *c, TsRun *r, TsConversation *conv)
{
	r->complete = conv->complete;
	if (conv->cursor)
		r->cursor = MemoryContextStrdup(r->cxt, conv->cursor);
	r->phase = TS_PHASE_EXAMINE;
	if (!ts_guarded(TS_GUARD_CURSOR))
	{
		SeqWork		w = {c, r};

		ts_transact(c, r, pull_end_body, &w);
	}
}

typedef struct PullStart
{
	TsCycle    *c;
	TsRun	   *r;
	TsInboxRow *inbox;
	int			ninbox;
} PullStart;

static void
pull_start_body(void *arg)
{
	PullStart  *w = arg;

	w->r->fetch_seq = w->c->env->store->next_seq(w->c->env->db);
	if (w->r->read_before)
		w->r->again_seq = w->r->fetch_seq;
	w->inbox = w->c->env->store->inbox(w->c->env->db, w->r->m, &w->ninbox);
	if (w->r->m->first_pull)
	{
		MemoryContext old = MemoryContextSwitchTo(w->r->cxt);

		w->r->unlinked = w->c->env->store->unlinked(w->c->env->db, w->r->m, &w->r->nunlinked);
		MemoryContextSwitchTo(old);

		/*
		 * What the pull is about to make agrees with its links; where there is
		 * nothing else, comparing can wait for the next sync.
		 */
		if (w->r->nunlinked == 0 && w->r->m->nlinks == 0)
			w->r->m->compare_due = false;
	}
}

static bool
is_possible_move(const TsInboxRow *row)
{
	return row->wait_for && strcmp(row->wait_for, TS_WAIT_MOVE) == 0;
}

void
ts_phase_pull(TsCycle *c, TsRun *r)
{
	PullStart	w = {c, r, NULL, 0};
	TsOp	   *op;

	if (!ts_transact(c, r, pull_start_body, &w))
		return;
	for (int i = 0; i < w.ninbox; i++)
	{
		if (w.inbox[i].gone || is_possible_move(&w.inbox[i]))
			r->wants_barrier = true;
		if (!w.inbox[i].gone)
			ts_ids_add(r, &r->fetch, w.inbox[i].external_id);
	}

	ts_progress(c, r, "listing", 0, 0);
	op = ts_new_op(c, r, TS_OP_PULL);
	op->cursor = r->m->cursor;
	op->full = !r->m->first_pull && !r->read_before &&
		((r->m->audit_due && ts_guarded(TS_GUARD_AUDIT)) || r->lost_creates.n > 0 || r->rebase);
	op->want_payloads = r->m->first_pull && r->m->nlinks == 0;
	ts_converse(c, r, listing_observed, listing_done);
}

/*
 * Fetching whole objects: those that changed, and those that are missing.
 */

static void
seq_body(void *arg)
{
	SeqWork    *w = arg;

	w->r->fetch_seq = w->c->env->store->next_seq(w->c->env->db);
}

static void
fetch_observed(TsCycle *c, TsRun *r, TsObservation *obs, int n)
{
	ListingWork w = {c, r, palloc(sizeof(char *) * n), n, NULL};
	TsObservation *alive = palloc(sizeof(TsObservation) * n);
	const char **in_doubt = palloc(sizeof(char *) * n);
	int			nalive = 0;
	int			ndoubt = 0;

	for (int i = 0; i < n; i++)
		w.ids[i] = obs[i].external_id;
	if ((r->barrier_passed || r->in_doubt) && !ts_transact(c, r, known_body, &w))
		return;
	for (int i = 0; i < n; i++)
	{
		if (obs[i].gone)
			ts_ids_add(r, &r->gone, obs[i].external_id);
		else if (w.known && w.known[i].in_doubt)
			in_doubt[ndoubt++] = obs[i].external_id;
		else if (!obs[i].foreign)
			alive[nalive++] = obs[i];
	}
	unbury(c, r, in_doubt, ndoubt);
	if (nalive > 0)
		ts_merge(c, r, alive, nalive, r->fetch_seq, true);
	ts_progress(c, r, "fetching", r->nfetched, r->fetch.n);
}

static void
fetch_done(TsCycle *c, TsRun *r, TsConversation *conv)
{
	/* back to ts_phase_fetch for the next batch */
}

void
ts_phase_fetch(TsCycle *c, TsRun *r)
{
	int			n = Min(r->fetch.n - r->nfetched, c->spec->provider->fetch_batch);
	SeqWork		w = {c, r};
	TsOp	   *op;

	if (n == 0)
	{
		r->phase = r->barrier_passed ? TS_PHASE_BURY
			: r->looked_for_absent ? TS_PHASE_PULLED : TS_PHASE_ABSENT;
		return;
	}
	if (!ts_transact(c, r, seq_body, &w))
		return;
	op = ts_new_op(c, r, TS_OP_FETCH);
	op->ids = (const char **) &r->fetch.id[r->nfetched];
	op->nids = n;
	r->nfetched += n;
	ts_converse(c, r, fetch_observed, fetch_done);
}

typedef struct AbsentWork
{
	TsCycle    *c;
	TsRun	   *r;
	char	  **ids;
	int			n;
} AbsentWork;

static void
linked_ids_body(void *arg)
{
	AbsentWork *w = arg;

	w->ids = w->c->env->store->external_ids(w->c->env->db, w->r->m,
											w->r->complete ? 0 : w->r->m->pulled_seq, &w->n);
	w->r->listed_seq = w->c->env->store->next_seq(w->c->env->db);
}

/*
 * The listing is in: ask for every linked object that it left out, of all if it
 * was complete, else of those written since the cursor that it began with.
 */
void
ts_phase_absent(TsCycle *c, TsRun *r)
{
	AbsentWork	w = {c, r, NULL, 0};

	if (!ts_transact(c, r, linked_ids_body, &w))
		return;
	for (int i = 0; i < w.n; i++)
	{
		if (was_seen(r, w.ids[i]) || !(r->complete || ts_guarded(TS_GUARD_UNTOLD)))
			continue;
		ts_ids_add(r, ts_guarded(TS_GUARD_ABSENCE) || !r->complete ? &r->fetch : &r->gone, w.ids[i]);
		r->untold = true;
	}
	r->looked_for_absent = true;	/* the listing's gaps are on the fetch list now */
	r->was_complete = r->complete;
	r->complete = false;
	forget_seen(r);
	r->phase = TS_PHASE_FETCH;
}

/* Creates in doubt that would have been listed, and were not: never made. */
static void
forget_lost_creates(SeqWork *w)
{
	TsRun	   *r = w->r;
	TsChange   *changes = palloc0(sizeof(TsChange) * (r->lost_creates.n + 1));

	for (int i = 0; i < r->lost_creates.n; i++)
	{
		changes[i].task_id = r->lost_creates.id[i];
		changes[i].clear_intent = true;
		changes[i].owes = true;
	}
	if (r->lost_creates.n > 0)
		w->c->env->store->apply(w->c->env->db, r->m, changes, r->lost_creates.n);
	r->lost_creates.n = 0;
}

/*
 * The end of the pull: tombstones into the inbox and the cursor behind them,
 * in one transaction.
 */
static void
pull_end_body(void *arg)
{
	SeqWork    *w = arg;
	TsRun	   *r = w->r;
	TsPullEnd	end = {r->keep_cursor ? NULL : r->cursor, r->m->caps,
		r->was_complete && !r->keep_cursor, 0, r->untold && !r->keep_cursor};
	TsInboxRow *rows = palloc0(sizeof(TsInboxRow) * (r->gone.n + 1));

	for (int i = 0; i < r->gone.n; i++)
	{
		rows[i].external_id = r->gone.id[i];
		rows[i].gone = true;
		rows[i].fetch_seq = r->fetch_seq;
	}
	if (r->gone.n > 0)
		w->c->env->store->inbox_put(w->c->env->db, r->m, rows, r->gone.n);
	if (r->was_complete)
		forget_lost_creates(w);
	if (!r->keep_cursor)
		r->m->pulled_seq = end.seq = r->listed_seq;
	w->c->env->store->pull_end(w->c->env->db, r->m, &end);
}

void
ts_phase_pulled(TsCycle *c, TsRun *r)
{
	SeqWork		w = {c, r};

	if (r->nheld_back > 0)
		ts_merge_matched(c, r);
	if (r->phase == TS_PHASE_PULLED && r->nfetched < r->fetch.n)
	{
		r->phase = TS_PHASE_FETCH;	/* merging asked for a second look */
		return;
	}
	if (r->phase != TS_PHASE_PULLED || !ts_transact(c, r, pull_end_body, &w))
		return;
	if (r->gone.n > 0)
		r->wants_barrier = r->found_moving = true;
	r->phase = TS_PHASE_BARRIER;
}

/* The pull is through and committed; read what happened since. */
void
ts_pull_again(TsRun *r)
{
	if (r->cursor)
		r->m->cursor = r->cursor;
	if (r->was_complete)
		r->m->first_pull = false;
	r->read_before = true;
	r->cursor = NULL;
	r->was_complete = r->looked_for_absent = false;
	r->fetch.n = r->nfetched = r->gone.n = 0;
	r->changed.n = r->nexamined = r->nchanged = r->ntexts = 0;
	r->phase = TS_PHASE_PULL;
}

/*
 * After the barrier: what is gone there, and what turned up elsewhere.  What a
 * second pull brought waits for the next sync, since the other lists were not
 * read after it.
 */

typedef struct TombstoneWork
{
	TsCycle    *c;
	TsRun	   *r;
	TsInboxRow *rows;
	int			n;
	int			nlinked;		/* how many of those gone are tasks here */
} TombstoneWork;

static void
tombstones_body(void *arg)
{
	TombstoneWork *w = arg;
	const TsStore *store = w->c->env->store;

	store->relink_moves(w->c->env->db, w->r->m);
	w->rows = store->inbox(w->c->env->db, w->r->m, &w->n);
}

/* In the burial stage "seen" has the copies: objects of a sibling's uid that did not move. */
bool
ts_is_copy(const TsRun *r, const char *external_id)
{
	return r->barrier_passed && was_seen(r, external_id);
}

/*
 * Would the lists that were read since tell of what is gone here and has come
 * there?  Where an object that moves becomes a new one, there is nothing to wait
 * for: no list ever tells.
 */
static bool
is_told_everywhere(const TsCycle *c, const TsInboxRow *row)
{
	int64		lag = c->spec->provider->move_lag * INT64CONST(1000000);

	return lag == 0 || row->since + lag <= c->started_at;
}

/*
 * Settle what moved.  What is left is asked for once more, since it may have
 * come and gone while the other lists were read: an object that is there
 * besides the one of the same uid is a task of its own, and one that is still
 * gone is buried.
 */
void
ts_phase_tombstones(TsCycle *c, TsRun *r)
{
	TombstoneWork w = {c, r};

	r->phase = TS_PHASE_BURIED;
	if (!r->wants_barrier)
		return;
	r->unburied = c->unread;
	if (!ts_transact(c, r, tombstones_body, &w) || c->unread)
		return;
	r->barrier_passed = true;
	r->fetch.n = r->nfetched = r->gone.n = 0;
	forget_seen(r);
	for (int i = 0; i < w.n; i++)
	{
		const TsInboxRow *row = &w.rows[i];
		bool		copy = is_possible_move(row);

		if ((r->again_seq && row->fetch_seq >= r->again_seq) || !is_told_everywhere(c, row))
		{
			r->unburied = true;
			continue;
		}
		if (copy)
			mark_seen(r, row->external_id);
		if (copy || row->gone)
			ts_ids_add(r, copy || ts_guarded(TS_GUARD_CONFIRM) ? &r->fetch : &r->gone,
					   row->external_id);
	}
	r->phase = TS_PHASE_FETCH;
}

static void
bounds_body(void *arg)
{
	TombstoneWork *w = arg;
	TsRun	   *r = w->r;
	TsKnown    *known = w->c->env->store->known(w->c->env->db, r->m,
												(const char **) r->gone.id, r->gone.n);

	for (int i = 0; i < r->gone.n; i++)
		w->nlinked += known[i].linked;
}

/* What is gone for good is gone here too, unless that is a great many. */
void
ts_phase_bury(TsCycle *c, TsRun *r)
{
	TombstoneWork w = {c, r};

	if (r->nheld_back > 0)
		ts_merge_matched(c, r);
	if (r->phase >= TS_PHASE_FINISH)
		return;
	r->phase = TS_PHASE_BURIED;
	if (r->gone.n == 0 || !ts_transact(c, r, bounds_body, &w))
		return;
	if (!r->rebase && ts_too_many_deletions(c, r, w.nlinked, false))
		ts_hold(c, r, psprintf("%d of %lld tasks were deleted at the service", w.nlinked,
							   (long long) r->m->nlinks),
				"the deletions go on");
	else
		ts_merge_tombstones(c, r, r->gone.id, r->gone.n);
}
