/*-------------------------------------------------------------------------
 *
 * merge.c
 *	  Observations into tasks.
 *
 * A batch of observations is loaded with its links and tasks (locked),
 * planned in memory and applied, in one transaction.  A batch that fails is
 * split until the bad item stands alone; that one is set aside in the inbox
 * with its payload and its error, and the others go through.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "sync/cycle.h"
#include "task/datetime.h"

/*
 * Planning one row
 */

void
ts_plan_row(TsCycle *c, TsRun *r, const TsLinkRow *row, const TsRemoteTask *remote,
			const TsParent *parent, TsPlan *plan)
{
	TsPlanInput in = {0};
	bool		based = row->linked && (row->local_base.known || row->remote_base.known);

	in.local_base = based ? &row->local_base : NULL;
	in.remote_base = based ? &row->remote_base : NULL;
	in.local = row->has_local ? &row->local : NULL;
	in.remote = remote ? &remote->task : NULL;
	in.carries = c->spec->provider->carries;
	in.policy = r->m->policy;
	in.direction = r->m->direction;
	in.frozen = row->frozen;
	in.swinging = row->swinging;
	in.local_times = (const char *const *) row->local_times;
	in.remote_time = remote ? remote->modified_at : NULL;
	in.remote_parent = parent ? parent->task_id : NULL;
	in.circular = parent && parent->circular;
	if (!ts_guarded(TS_GUARD_FIELD_MERGE) && in.local && in.remote && in.remote_base &&
		ts_task_diff(in.remote_base, in.remote, in.carries) != 0)
		in.local_base = in.local;	/* theirs, whatever was changed here */
	ts_plan_task(&in, plan);
}

static void
restrict_to(TsTask *to, const TsTask *from, TsFieldMask mask)
{
	*to = *from;
	to->known = from->known & mask;
}

static void
set_conflict(TsConflict *k, TsFieldMask fields, const TsLinkRow *row, const TsRemoteTask *remote)
{
	k->fields = fields;
	restrict_to(&k->base, &row->local_base, fields);
	if (row->has_local)
		restrict_to(&k->local, &row->local, fields);
	if (remote)
		restrict_to(&k->remote, &remote->task, fields);
}

/* What the plan overruled, and what it could not decide, now or before. */
static void
conflict_from_plan(const TsLinkRow *row, const TsPlan *plan, const TsRemoteTask *remote,
				   TsChange *change)
{
	TsFieldMask decided = plan->local_won | plan->remote_won;
	TsFieldMask resting = row->has_local && remote ? row->frozen : 0;

	set_conflict(&change->open, (plan->conflicts & ~decided) | resting, row, remote);
	if (plan->edit_beat_delete)
		decided = plan->local_patch.known | plan->remote_patch.known;
	else if (decided == 0)
		return;
	change->has_conflict = true;
	set_conflict(&change->conflict, decided, row, remote);
	if (plan->edit_beat_delete)
		change->conflict.resolution = row->has_local ? "LOCAL" : "REMOTE";
	else if (plan->local_won && plan->remote_won)
		change->conflict.resolution = "MERGED";
	else
		change->conflict.resolution = plan->local_won ? "LOCAL" : "REMOTE";
}

bool
ts_is_disputed(const TsChange *change)
{
	return change->has_conflict || change->open.fields;
}

/*
 * A service may say "completed" without saying when.  Here a completed task has
 * a time: that of the object's last change, or now.  It is no change to be
 * sent, so the base has it too.
 */
static void
date_completion(TsCycle *c, TsChange *change)
{
	const TsFieldMask status = TS_FIELD_BIT(TS_STATUS);
	const char *word = change->task_patch.value[TS_STATUS];
	char	   *at;

	if (change->task_action == TS_ACTION_NONE || !(change->task_patch.known & status) ||
		word == NULL || strcmp(word, "COMPLETED") != 0 ||
		change->task_patch.value[TS_COMPLETED_AT] || change->local_base.value[TS_COMPLETED_AT])
		return;
	at = change->modified_at ? (char *) change->modified_at
		: ts_timestamp_text(c->env->now(c->env->arg));
	change->task_patch.value[TS_COMPLETED_AT] = at;
	change->task_patch.known |= TS_FIELD_BIT(TS_COMPLETED_AT);
	change->local_base.value[TS_COMPLETED_AT] = at;
	change->local_base.known |= TS_FIELD_BIT(TS_COMPLETED_AT);
}

/*
 * The task was deleted or moved while its object was on the way: nobody wrote
 * into the journal for a link that was yet to be.
 */
bool
ts_is_out_of_place(const TsLinkRow *row)
{
	return row->task_id && (!row->has_local || !row->in_project);
}

/*
 * The change that carries out a plan for an object that is there.  The
 * caller fills in external id, etag and payload.
 */
void
ts_change_from_plan(TsCycle *c, TsRun *r, const TsLinkRow *row, const TsPlan *plan,
					const TsRemoteTask *remote, TsChange *change, TsSideCounts *counts)
{
	change->task_id = row->task_id;
	change->task_action = plan->local_action;
	change->task_patch = plan->local_patch;
	change->revived = plan->local_action == TS_ACTION_CREATE && row->task_id != NULL;
	if (change->revived)
		change->task_patch.known &= ~plan->as_before;
	change->link_action = TS_LINK_SET;
	change->local_base = plan->local_base;
	change->remote_base = ts_guarded(TS_GUARD_DUAL_BASE) ? plan->remote_base : plan->local_base;
	change->uid = remote->uid;
	change->parent_uid = remote->task.value[TS_PARENT_TASK_ID];
	change->modified_at = remote->modified_at;
	change->owes = plan->remote_patch.known != 0 || ts_is_out_of_place(row);
	if (plan->local_action == TS_ACTION_CREATE && row->task_id == NULL)
	{
		char	   *id = palloc(37);

		c->env->uuid(c->env->arg, id);
		change->task_id = id;
	}
	if (plan->local_action == TS_ACTION_CREATE)
		counts->created++;
	else if (plan->local_action == TS_ACTION_UPDATE)
		counts->updated++;
	date_completion(c, change);
	conflict_from_plan(row, plan, remote, change);
}

/*
 * Merging a batch
 */

typedef struct MergeWork
{
	TsCycle    *c;
	TsRun	   *r;
	TsMergeItem *items;
	int			n;
} MergeWork;

static bool
is_earlier(const char *time, const char *known)
{
	int64		a,
				b;

	return time && known && ts_timestamp_parse(time, &a) && ts_timestamp_parse(known, &b) && a < b;
}

/* May this observation be older than what we know?  (A listing may lag behind.) */
static bool
is_stale(const MergeWork *w, const TsMergeItem *item, const TsLinkRow *row, bool *superseded)
{
	*superseded = false;
	if (!ts_guarded(TS_GUARD_STALE) || item->obs.etag == NULL || (row->etag && strcmp(row->etag, item->obs.etag) == 0))
		return false;
	for (int i = 0; i < row->nprev_etags; i++)
		if (strcmp(row->prev_etags[i], item->obs.etag) == 0 && !item->fresh)
			return *superseded = true;
	return item->seq < row->write_seq ||
		(!item->fresh && (ts_listing_lag(w->c) > 0 ||
						  is_earlier(item->remote.modified_at, row->modified_at)));
}

static bool
same_title(const char *a, const char *b)
{
	return a && b && pg_strcasecmp(a, b) == 0;
}

/* First pull: does some unlinked task here look like this object? */
static bool
looks_like(const TsTask *local, const TsTask *remote)
{
	bool		done_here = strcmp(local->value[TS_STATUS], "COMPLETED") == 0;
	bool		done_there = remote->value[TS_STATUS] &&
		strcmp(remote->value[TS_STATUS], "COMPLETED") == 0;

	return same_title(local->value[TS_TITLE], remote->value[TS_TITLE]) &&
		ts_value_equal(TS_DUE_DATE, local->value[TS_DUE_DATE], remote->value[TS_DUE_DATE]) &&
		done_here == done_there;
}

static bool
may_match(const TsRun *r, const TsMergeItem *item)
{
	for (int i = 0; i < r->nunlinked; i++)
		if (r->unlinked[i].task_id && looks_like(&r->unlinked[i].local, &item->remote.task))
			return true;
	return false;
}

/*
 * First pull: does some unlinked task here look like this object, and not the one
 * whose marker it bears?  (Services copy markers: to the next of a recurring task,
 * to what somebody duplicates.)
 */
static bool
matches_another(const TsRun *r, const TsMergeItem *item, const TsLinkRow *row)
{
	return !(row->has_local && looks_like(&row->local, &item->remote.task)) && may_match(r, item);
}

/* First pull: a task that is known to be this object matches no other. */
static void
no_longer_unlinked(TsRun *r, const char *task_id)
{
	for (int i = 0; i < r->nunlinked; i++)
		if (r->unlinked[i].task_id && strcmp(r->unlinked[i].task_id, task_id) == 0)
			r->unlinked[i].task_id = NULL;
}

/*
 * All lists were read, and it is there besides the linked object of its uid: a
 * task of its own.  But one id is one object, wherever it is: then the link's
 * list has not told yet that it left.
 */
static bool
is_copy(MergeWork *w, const TsMergeItem *item, const char *sibling)
{
	const TsStore *store = w->c->env->store;
	TsRun	   *other = ts_run_of(w->c, sibling);
	TsInboxRow	left = {.external_id = item->obs.external_id, .gone = true, .fetch_seq = item->seq};

	if (other == NULL || !ts_is_copy(w->r, item->obs.external_id))
		return false;
	if (other == w->r || !store->known(w->c->env->db, other->m, &left.external_id, 1)->linked)
		return true;
	store->inbox_put(w->c->env->db, other->m, &left, 1);
	return false;
}

/* It may be the linked object of that uid, from another list or with a new name. */
static bool
may_have_moved(MergeWork *w, const TsMergeItem *item, const TsLinkRow *row)
{
	return ts_guarded(TS_GUARD_BARRIER) &&
		row->sibling && item->match == NULL && w->c->env->would_send == NULL &&
		!is_copy(w, item, row->sibling);
}

/* What to do with an object that no link here knows; true = a change was made. */
static bool
merge_unlinked(MergeWork *w, TsMergeItem *item, TsLinkRow *row, const TsParent *parent,
			   TsChange *change)
{
	TsPlan		plan;
	bool		moved;

	if (row->id_is_dead && !item->fresh && ts_guarded(TS_GUARD_DEAD))
	{
		item->verdict = TS_MERGE_REFETCH;
		return false;
	}
	moved = may_have_moved(w, item, row);
	if (w->r->m->first_pull && matches_another(w->r, item, row) &&
		!(moved && strcmp(row->sibling, w->r->m->id) != 0))
	{
		item->verdict = TS_MERGE_HOLD_BACK;
		return false;
	}
	if (moved)
	{
		item->verdict = TS_MERGE_WAIT_MOVE;
		return false;
	}
	if (row->task_id)
		no_longer_unlinked(w->r, row->task_id);
	ts_plan_row(w->c, w->r, row, &item->remote, parent, &plan);
	if (plan.local_action == TS_ACTION_NONE && !row->has_local)
		return false;			/* TO_PROVIDER: not ours to take in */
	ts_change_from_plan(w->c, w->r, row, &plan, &item->remote, change, &item->counts);
	return true;
}

static bool
merge_linked(MergeWork *w, TsMergeItem *item, TsLinkRow *row, const TsParent *parent,
			 TsChange *change)
{
	TsPlan		plan;
	bool		superseded;

	if (is_stale(w, item, row, &superseded))
	{
		item->verdict = superseded ? TS_MERGE_DONE : TS_MERGE_REFETCH;
		return false;
	}
	ts_plan_row(w->c, w->r, row, &item->remote, parent, &plan);
	ts_change_from_plan(w->c, w->r, row, &plan, &item->remote, change, &item->counts);
	return true;
}

/*
 * Might the list's cursor not know of this object?  Until the cursor is kept, of
 * none that is new, or there again; nor then of what was found by asking, and came
 * since it was listed.  So these count as written by us: should they go, we ask
 * for them.
 */
static bool
is_perhaps_untold(const TsRun *r, const TsMergeItem *item, const TsLinkRow *row)
{
	if (!row->linked)
		return !r->m->first_pull;
	for (int i = 0; i < r->dug_up.n; i++)
		if (strcmp(r->dug_up.id[i], item->obs.external_id) == 0)
			return true;
	return r->looked_for_absent && item->seq > r->listed_seq &&
		!(row->etag && item->obs.etag && strcmp(row->etag, item->obs.etag) == 0);
}

static bool
merge_item(MergeWork *w, TsMergeItem *item, TsLinkRow *row, const TsParent *parent,
		   TsChange *change)
{
	bool		changed;

	memset(&item->counts, 0, sizeof(item->counts));
	if (item->verdict == TS_MERGE_AGAIN)
		return false;
	if (!item->remote.is_task)
	{
		item->verdict = TS_MERGE_FOREIGN;
		return false;
	}
	if (row->linked && row->dead)
	{
		if (row->parted)
			item->verdict = TS_MERGE_WAIT_RETURN;
		else if (may_have_moved(w, item, row))
			item->verdict = TS_MERGE_WAIT_MOVE;
		return false;
	}
	if (row->create_in_doubt)
	{
		item->verdict = TS_MERGE_ADOPT;
		return false;
	}
	if (row->linked)
		changed = merge_linked(w, item, row, parent, change);
	else
		changed = merge_unlinked(w, item, row, parent, change);
	if (!changed)
		return false;
	item->conflict = ts_is_disputed(change);
	change->external_id = item->obs.external_id;
	change->etag = item->obs.etag;
	change->payload = item->obs.payload;
	change->payload_len = item->obs.payload_len;
	change->clear_inbox = item->obs.external_id;
	if (is_perhaps_untold(w->r, item, row))
		change->write_seq = item->seq;
	if (row->linked && row->external_id == NULL)
		change->clear_intent = true;	/* the feed is the best lookup of a create in doubt */
	return true;
}

/* What an item that ended as something to remember in the inbox waits for, or NULL. */
static const char *
waits_for(const TsMergeItem *item)
{
	switch (item->verdict)
	{
		case TS_MERGE_WAIT_MOVE:
			return TS_WAIT_MOVE;
		case TS_MERGE_WAIT_RETURN:
			return TS_WAIT_RETURN;
		case TS_MERGE_FOREIGN:
			return TS_WAIT_FOREIGN;
		default:
			return NULL;
	}
}

static void
put_waiting(MergeWork *w)
{
	TsInboxRow *rows = palloc0(sizeof(TsInboxRow) * w->n);
	int			n = 0;

	for (int i = 0; i < w->n; i++)
	{
		const TsMergeItem *item = &w->items[i];

		if (waits_for(item) == NULL)
			continue;
		rows[n].external_id = item->obs.external_id;
		rows[n].etag = item->obs.etag;
		rows[n].fetch_seq = item->seq;
		rows[n].wait_for = waits_for(item);
		if (item->verdict == TS_MERGE_WAIT_MOVE)
		{
			rows[n].uid = item->remote.uid;
			rows[n].payload = item->obs.payload;
			rows[n].payload_len = item->obs.payload_len;
		}
		n++;
	}
	if (n > 0)
		w->c->env->store->inbox_put(w->c->env->db, w->r->m, rows, n);
}

static bool
is_uuid(const char *text)
{
	for (int i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-'
			: !isxdigit((unsigned char) text[i]))
			return false;
	return text[36] == '\0';
}

/* The task that we made an object for: its marker, or its uid where that is ours to choose. */
static const char *
marker_of(const TsRemoteTask *remote)
{
	const char *name = remote->marker ? remote->marker : remote->uid;

	return name && is_uuid(name) && ts_guarded(TS_GUARD_MARKER) ? name : NULL;
}

static TsLinkRow *
load_rows(MergeWork *w)
{
	const TsStore *store = w->c->env->store;
	const char **ids = palloc(sizeof(char *) * w->n);
	const char **uids = palloc(sizeof(char *) * w->n);
	const char **markers = palloc(sizeof(char *) * w->n);

	for (int i = 0; i < w->n; i++)
	{
		ids[i] = w->items[i].match ? w->items[i].match : w->items[i].obs.external_id;
		uids[i] = w->items[i].remote.uid;
		markers[i] = marker_of(&w->items[i].remote);
	}
	if (w->items[0].match)
		return store->links_by_task(w->c->env->db, w->r->m, ids, w->n);
	return store->links(w->c->env->db, w->r->m, ids, uids, markers, w->n);
}

/*
 * Is somebody changing back what we bring, time after time?  (Another program
 * that syncs the same tasks, or a trigger here.)  Such a field comes to rest as
 * an open conflict.
 */
static void
find_swinging(MergeWork *w, TsLinkRow *rows)
{
	const char **task_ids = palloc(sizeof(char *) * w->n);
	int		   *place = palloc(sizeof(int) * w->n);
	TsFieldMask *fields;
	int			n = 0;

	if (w->r->m->direction != TS_BIDIRECTIONAL || w->r->m->first_pull)
		return;
	for (int i = 0; i < w->n; i++)
		if (rows[i].linked && rows[i].has_local)
		{
			place[n] = i;
			task_ids[n++] = rows[i].task_id;
		}
	if (n == 0)
		return;
	fields = w->c->env->store->swinging(w->c->env->db, w->r->m, task_ids, n);
	for (int i = 0; i < n; i++)
		rows[place[i]].swinging = fields[i];
}

/* The parents of some objects as they are here, and whether that can be. */
TsParent *
ts_find_parents(TsCycle *c, TsRun *r, const TsLinkRow *rows, const char **parent_uids, int n)
{
	const TsStore *store = c->env->store;
	TsParent   *parents = palloc0(sizeof(TsParent) * (n + 1));
	const char **task_ids = palloc(sizeof(char *) * (n + 1));
	char	  **ids = store->parents(c->env->db, r->m, parent_uids, n);
	bool		any = false;
	bool	   *circular;

	for (int i = 0; i < n; i++)
	{
		parents[i].task_id = ids[i];
		task_ids[i] = rows[i].task_id;
		any |= ids[i] && task_ids[i];
	}
	if (!any)
		return parents;
	circular = store->circular(c->env->db, r->m, task_ids, ids, n);
	for (int i = 0; i < n; i++)
		parents[i].circular = circular[i];
	return parents;
}

/*
 * Objects that nobody has linked, and of which more than one bear the same marker:
 * the one that looks like its task takes it, or else the first, and the others are
 * looked at once it has.
 */
static void
choose_bearers(MergeWork *w, const TsLinkRow *rows)
{
	for (int i = 0; i < w->n; i++)
		w->items[i].verdict = TS_MERGE_DONE;
	for (int i = 0; i < w->n; i++)
	{
		int			bearer = i;

		if (rows[i].task_id == NULL || rows[i].external_id || w->items[i].match ||
			w->items[i].verdict == TS_MERGE_AGAIN)
			continue;
		for (int j = i + 1; j < w->n; j++)
		{
			if (rows[j].task_id == NULL || strcmp(rows[j].task_id, rows[i].task_id) != 0)
				continue;
			w->items[j].verdict = TS_MERGE_AGAIN;
			if (rows[j].has_local && looks_like(&rows[j].local, &w->items[j].remote.task) &&
				!looks_like(&rows[bearer].local, &w->items[bearer].remote.task))
			{
				w->items[bearer].verdict = TS_MERGE_AGAIN;
				w->items[j].verdict = TS_MERGE_DONE;
				bearer = j;
			}
		}
	}
}

static void
merge_body(void *arg)
{
	MergeWork  *w = arg;
	const TsStore *store = w->c->env->store;
	const char **parent_uids = palloc0(sizeof(char *) * w->n);
	TsChange   *changes = palloc0(sizeof(TsChange) * w->n);
	TsLinkRow  *rows = load_rows(w);
	const char **left_alone = palloc(sizeof(char *) * w->n);
	TsParent   *parents;
	int			n = 0;
	int			nleft = 0;

	for (int i = 0; i < w->n; i++)
		parent_uids[i] = w->items[i].remote.task.value[TS_PARENT_TASK_ID];
	parents = ts_find_parents(w->c, w->r, rows, parent_uids, w->n);
	find_swinging(w, rows);
	choose_bearers(w, rows);
	for (int i = 0; i < w->n; i++)
		if (merge_item(w, &w->items[i], &rows[i], &parents[i], &changes[n]))
			n++;
		else
		{
			memset(&changes[n], 0, sizeof(TsChange));
			if (w->items[i].fresh && w->items[i].verdict == TS_MERGE_DONE)
				left_alone[nleft++] = w->items[i].obs.external_id;
		}
	if (n > 0)
		store->apply(w->c->env->db, w->r->m, changes, n);
	if (nleft > 0)				/* asked for perhaps because it waited */
		store->inbox_drop(w->c->env->db, w->r->m, left_alone, nleft);
	put_waiting(w);
}

/* A copy that lasts as long as the run. */
TsObservation
ts_keep_observation(TsRun *r, const TsObservation *obs)
{
	TsObservation copy = *obs;

	copy.external_id = MemoryContextStrdup(r->cxt, obs->external_id);
	copy.etag = obs->etag ? MemoryContextStrdup(r->cxt, obs->etag) : NULL;
	copy.payload = MemoryContextAlloc(r->cxt, obs->payload_len + 1);
	memcpy(copy.payload, obs->payload, obs->payload_len);
	copy.payload[obs->payload_len] = '\0';
	return copy;
}

static void
hold_back(TsRun *r, const TsMergeItem *item)
{
	MemoryContext old = MemoryContextSwitchTo(r->cxt);
	TsMergeItem *copy;

	if (r->nheld_back == r->max_held_back)
	{
		int			max = r->max_held_back ? r->max_held_back * 2 : 64;
		TsMergeItem *items = palloc(sizeof(TsMergeItem) * max);

		if (r->nheld_back)
			memcpy(items, r->held_back, sizeof(TsMergeItem) * r->nheld_back);
		r->held_back = items;
		r->max_held_back = max;
	}
	copy = &r->held_back[r->nheld_back++];
	memset(copy, 0, sizeof(*copy));
	copy->seq = item->seq;
	copy->fresh = item->fresh;
	copy->obs = ts_keep_observation(r, &item->obs);
	MemoryContextSwitchTo(old);
}

/* After the commit: what the batch leaves to be done, and its numbers. */
static void
merged(MergeWork *w)
{
	TsCycleResult *res = &w->c->result;

	for (int i = 0; i < w->n; i++)
	{
		const TsMergeItem *item = &w->items[i];

		res->pulled.created += item->counts.created;
		res->pulled.updated += item->counts.updated;
		res->conflicts += item->conflict;
		switch (item->verdict)
		{
			case TS_MERGE_REFETCH:
				ts_ids_add(w->r, &w->r->fetch, item->obs.external_id);
				break;
			case TS_MERGE_HOLD_BACK:
				hold_back(w->r, item);
				break;
			case TS_MERGE_ADOPT:
			case TS_MERGE_AGAIN:
				break;
			case TS_MERGE_WAIT_MOVE:
				w->r->wants_barrier = w->r->found_moving = true;
				break;
			case TS_MERGE_DONE:
			case TS_MERGE_WAIT_RETURN:
			case TS_MERGE_FOREIGN:
				break;
		}
	}
}

typedef struct ParkWork
{
	TsCycle    *c;
	TsRun	   *r;
	const TsMergeItem *item;
	const TsError *err;
} ParkWork;

static void
park_body(void *arg)
{
	ParkWork   *w = arg;
	TsInboxRow	row = {0};

	row.external_id = w->item->obs.external_id;
	row.uid = w->item->remote.uid;
	row.etag = w->item->obs.etag;
	row.payload = w->item->obs.payload;
	row.payload_len = w->item->obs.payload_len;
	row.fetch_seq = w->item->seq;
	row.error = *w->err;
	w->c->env->store->inbox_put(w->c->env->db, w->r->m, &row, 1);
}

/* A bad item: kept with its payload and its error, tried again later. */
static void
park(TsCycle *c, TsRun *r, const TsMergeItem *item, const TsError *err)
{
	ParkWork	w = {c, r, item, err};

	/* It is what a create in doubt has made: that one was not lost. */
	for (int i = 0; i < r->lost_creates.n && item->remote.marker; i++)
		if (strcmp(r->lost_creates.id[i], item->remote.marker) == 0)
			r->lost_creates.id[i] = r->lost_creates.id[--r->lost_creates.n];
	c->result.errors++;
	ts_transact(c, r, park_body, &w);
}

/* What creates in doubt have made settles them. */
static void
adopt(TsCycle *c, TsRun *r, const TsMergeItem *items, int n)
{
	for (int i = 0; i < n; i++)
	{
		TsError		err = {0};

		if (items[i].verdict == TS_MERGE_ADOPT &&
			!ts_settle_found(c, r, &items[i].obs, items[i].remote.marker, &err))
			park(c, r, &items[i], &err);
	}
}

static void merge_split(TsCycle *c, TsRun *r, TsMergeItem *items, int n);

/* The others that bear a marker, now that its task has its object. */
static void
merge_others(TsCycle *c, TsRun *r, const TsMergeItem *items, int n)
{
	TsMergeItem *others = palloc(sizeof(TsMergeItem) * n);
	int			nothers = 0;

	for (int i = 0; i < n; i++)
		if (items[i].verdict == TS_MERGE_AGAIN)
			others[nothers++] = items[i];
	merge_split(c, r, others, nothers);
	pfree(others);
}

static void
merge_split(TsCycle *c, TsRun *r, TsMergeItem *items, int n)
{
	MergeWork	w = {c, r, items, n};
	TsError		err = {0};

	if (n == 0 || r->phase >= TS_PHASE_FINISH)
		return;
	if (c->env->store->transact(c->env->db, merge_body, &w, &err))
	{
		merged(&w);
		adopt(c, r, items, n);
		merge_others(c, r, items, n);
	}
	else if (ts_is_servers_trouble(&err))
		ts_run_fail(c, r, &err);
	else if (n == 1)
		park(c, r, items, &err);
	else
	{
		merge_split(c, r, items, n / 2);
		merge_split(c, r, items + n / 2, n - n / 2);
	}
}

/*
 * Merge what was observed.  "seq" was taken when the request that brought it
 * started; "fresh": it was asked for by its id.
 */
void
ts_merge(TsCycle *c, TsRun *r, TsObservation *obs, int n, int64 seq, bool fresh)
{
	TsMergeItem *items = palloc0(sizeof(TsMergeItem) * n);
	int			nitems = 0;

	for (int i = 0; i < n; i++)
	{
		TsMergeItem *item = &items[nitems];
		TsError		err = {0};

		memset(item, 0, sizeof(*item));
		item->obs = obs[i];
		item->seq = seq;
		item->fresh = fresh;
		if (ts_failed(&obs[i].error))
			park(c, r, item, &obs[i].error);
		else if (!ts_decode(c, obs[i].payload, obs[i].payload_len, &item->remote, &err))
			park(c, r, item, &err);
		else
			nitems++;
	}
	merge_split(c, r, items, nitems);
}

/*
 * The first sync of two lists that both have tasks
 */

static bool
same_in_all(const TsTask *local, const TsTask *remote, TsFieldMask carries)
{
	carries &= ~TS_FIELD_BIT(TS_PARENT_TASK_ID);
	return ts_task_diff(local, remote, carries & local->known & remote->known) == 0;
}

/* How many of the unlinked tasks here, or of the objects held back, look like this? */
static int
count_like(const TsRun *r, const TsTask *remote)
{
	int			n = 0;

	for (int i = 0; i < r->nunlinked; i++)
		n += r->unlinked[i].task_id && looks_like(&r->unlinked[i].local, remote);
	return n;
}

/*
 * Pair the objects held back with the tasks here that look like them.  One to
 * one is a pair.  Several to several are only paired where all else agrees;
 * the others are taken for different tasks of the same title.
 */
void
ts_merge_matched(TsCycle *c, TsRun *r)
{
	TsMergeItem *pairs = palloc0(sizeof(TsMergeItem) * r->nheld_back);
	TsMergeItem *single = palloc0(sizeof(TsMergeItem) * r->nheld_back);
	int			npairs = 0,
				nsingle = 0,
				nunlinked;
	int		   *twins = palloc0(sizeof(int) * r->nheld_back);

	for (int i = 0; i < r->nheld_back; i++)
	{
		TsError		err = {0};

		ts_decode(c, r->held_back[i].obs.payload, r->held_back[i].obs.payload_len,
				  &r->held_back[i].remote, &err);
	}
	for (int i = 0; i < r->nheld_back; i++)
		for (int j = 0; j < r->nheld_back; j++)
			twins[i] += looks_like(&r->held_back[i].remote.task, &r->held_back[j].remote.task);

	for (int i = 0; i < r->nheld_back; i++)
	{
		TsMergeItem *item = &r->held_back[i];
		bool		alone = twins[i] == 1 && count_like(r, &item->remote.task) == 1;

		for (int j = 0; j < r->nunlinked && item->match == NULL; j++)
		{
			TsLinkRow  *row = &r->unlinked[j];

			if (row->task_id && looks_like(&row->local, &item->remote.task) &&
				(alone || same_in_all(&row->local, &item->remote.task,
									  c->spec->provider->carries)))
			{
				item->match = row->task_id;
				row->task_id = NULL;
			}
		}
		if (item->match)
			pairs[npairs++] = *item;
		else
			single[nsingle++] = *item;
	}
	/* What is still without a partner is not to be held back once more. */
	nunlinked = r->nunlinked;
	r->nunlinked = 0;
	r->nheld_back = 0;
	merge_split(c, r, pairs, npairs);
	merge_split(c, r, single, nsingle);
	r->nunlinked = nunlinked;
}

/*
 * Tombstones: these objects are proved gone.
 */

typedef struct GoneWork
{
	TsCycle    *c;
	TsRun	   *r;
	char	  **ids;
	int			n;
	TsSideCounts counts;
	int64		conflicts;
} GoneWork;

/*
 * The object is not where the link's ids are good for now: nobody deleted it.
 * It is made anew there, or where nothing is to be sent the task stays alone.
 */
static void
rebase(GoneWork *w, const TsLinkRow *row, const char *external_id, TsChange *change)
{
	bool		sends = row->has_local && w->r->m->direction != TS_FROM_PROVIDER;

	change->task_id = row->task_id;
	change->clear_inbox = external_id;
	change->clear_intent = true;
	change->link_action = sends ? TS_LINK_UNBIND : TS_LINK_DROP;
	change->owes = sends;
}

/*
 * The object is gone for good.  A task that was moved to another project here
 * was edited, and stays: its new project's list gets it.
 */
static void
bury(GoneWork *w, const TsLinkRow *row, const char *external_id, TsChange *change)
{
	TsPlan		plan;

	ts_plan_row(w->c, w->r, row, NULL, NULL, &plan);
	change->task_id = row->task_id;
	change->dead_external_id = external_id;
	change->dead_uid = row->uid;
	change->clear_inbox = external_id;
	change->clear_intent = true;
	change->link_action = TS_LINK_DROP;
	if (row->has_local && !row->in_project)
		return;
	if (plan.local_action == TS_ACTION_DELETE)
	{
		change->task_action = TS_ACTION_DELETE;
		w->counts.deleted++;
	}
	else if (plan.remote_action == TS_ACTION_CREATE)
	{
		change->link_action = TS_LINK_UNBIND;
		change->owes = true;
		conflict_from_plan(row, &plan, NULL, change);
		w->conflicts += ts_is_disputed(change);
	}
	else if (row->has_local)
		change->link_action = TS_LINK_DEAD;
}

static void
gone_body(void *arg)
{
	GoneWork   *w = arg;
	const TsStore *store = w->c->env->store;
	const char **nothing = palloc0(sizeof(char *) * w->n);
	TsChange   *changes = palloc0(sizeof(TsChange) * w->n);
	TsLinkRow  *rows = store->links(w->c->env->db, w->r->m, (const char **) w->ids,
									nothing, nothing, w->n);
	int			n = 0;

	memset(&w->counts, 0, sizeof(w->counts));
	w->conflicts = 0;
	for (int i = 0; i < w->n; i++)
		if (rows[i].linked && rows[i].external_id)
			(w->r->rebase ? rebase : bury) (w, &rows[i], w->ids[i], &changes[n++]);
	if (n > 0)
		store->apply(w->c->env->db, w->r->m, changes, n);
	store->inbox_drop(w->c->env->db, w->r->m, (const char **) w->ids, w->n);
}

void
ts_merge_tombstones(TsCycle *c, TsRun *r, char **external_ids, int n)
{
	for (int i = 0; i < n && r->phase < TS_PHASE_FINISH; i += TS_OBSERVE_BATCH)
	{
		GoneWork	w = {c, r, external_ids + i, Min(n - i, TS_OBSERVE_BATCH)};

		if (!ts_transact(c, r, gone_body, &w))
			return;
		c->result.pulled.deleted += w.counts.deleted;
		c->result.conflicts += w.conflicts;
	}
}
