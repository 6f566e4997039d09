/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  What became of writes: the same rules right after sending and, for
 *	  writes in doubt, after a crash.
 *
 * A write that was applied moves both bases of the fields sent: ours to what
 * was sent (not to what the task holds by now), theirs to what the service
 * made of it.  For a write in doubt the object itself tells, field by field:
 * it holds what we sent: delivered; it holds what it held before: not
 * delivered, send again; it holds something else: somebody wrote after us,
 * perhaps having seen our value, so theirs stands and ours is kept as the
 * loser.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "sync/cycle.h"
#include "utils/memutils.h"

#define BIT TS_FIELD_BIT

typedef struct SettleWork
{
	TsCycle    *c;
	TsRun	   *r;
	TsDelivery *d;
	int			n;
	int64		write_seq;
	TsInboxRow *tombstones;
	int			ntombstones;
	TsSideCounts pulled;
	TsSideCounts pushed;
	int64		conflicts;
	int64		errors;
	bool		again;
	TsChange   *changes;		/* one a delivery, then up to two records of what lost */
	int			nchanges;
	TsIntent   *intents;		/* read back */
	int			nintents;
} SettleWork;

static bool
is_there(const TsDelivery *d)
{
	return d->read_back && !d->obs.gone && d->obs.payload && d->remote.is_task;
}

static void
set_base(TsTask *base, TsField f, char *value)
{
	base->known |= BIT(f);
	base->value[f] = value;
}

static bool
same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Did our create make this object?  It bears our name, or our marker. */
static bool
is_ours(const TsDelivery *d)
{
	return d->intent.external_id ? same(d->remote.uid, d->uid)
		: same(d->remote.marker, d->intent.task_id);
}

/*
 * Is what was read back our own write, as the service keeps it?  One that
 * changes what it is given must not tell the ETag (RFC 4791 5.3.4); the time
 * of the last change is the next best sign.
 */
static bool
is_our_revision(const TsDelivery *d)
{
	if (d->push.outcome != TS_OUTCOME_DONE)
		return false;
	return d->push.new_etag ? same(d->push.new_etag, d->obs.etag)
		: same(d->expected.modified_at, d->remote.modified_at);
}

/* A write in doubt whose object is still the one that it was meant for. */
static bool
is_untouched(const TsDelivery *d)
{
	return d->push.outcome == TS_OUTCOME_IN_DOUBT && d->read_back &&
		d->intent.kind == TS_PUSH_UPDATE && same(d->intent.etag, d->obs.etag);
}

/*
 * Move the bases of the fields that were sent.  Returns the fields where
 * another's later value beat ours while the write was in doubt.
 */
static TsFieldMask
move_bases(const TsDelivery *d, TsLinkRow *row)
{
	bool		there = is_there(d);
	bool		ours = there && is_our_revision(d);
	TsFieldMask beaten = 0;

	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		char	   *meant = d->expected.task.value[f];
		char	   *x = there ? d->remote.task.value[f] : meant;

		if (!(d->intent.snap.known & BIT(f)))
			continue;
		if (ours || ts_value_equal(f, x, meant))
		{
			set_base(&row->local_base, f, d->intent.snap.value[f]);
			set_base(&row->remote_base, f, x);
		}
		else if (d->push.outcome != TS_OUTCOME_DONE && !ts_guarded(TS_GUARD_IN_DOUBT))
			continue;			/* not ours, so send it again */
		else if (d->push.outcome == TS_OUTCOME_DONE || d->intent.kind == TS_PUSH_CREATE ||
				 !(row->remote_base.known & BIT(f)) ||
				 !ts_value_equal(f, x, row->remote_base.value[f]))
		{
			/*
			 * Written, or perhaps written, and changed there since: theirs is
			 * the later, even if it goes back to what it was before.
			 */
			set_base(&row->local_base, f, d->intent.snap.value[f]);
			set_base(&row->remote_base, f, meant);
			beaten |= BIT(f);
		}
	}
	return beaten;
}

static bool
is_closed(const char *status)
{
	return same(status, "COMPLETED") || same(status, "CANCELLED");
}

/* Was a status to be sent, and does what was sent say that the task is open? */
static bool
says_open(const TsDelivery *d)
{
	const char *meant = d->expected.task.value[TS_STATUS];

	return (d->intent.snap.known & BIT(TS_STATUS)) && meant != NULL && !is_closed(meant);
}

/*
 * A task that recurs may have to be made open, and completed after that: it was
 * sent as it was made, and the completion is still to be sent.
 */
static void
leave_completion(TsDelivery *d)
{
	static const TsField fields[] = {TS_STATUS, TS_PERCENT_COMPLETE, TS_COMPLETED_AT};

	for (int i = 0; i < lengthof(fields); i++)
		d->intent.snap.value[fields[i]] = d->expected.task.value[fields[i]];
}

/*
 * Completing a recurring task is an operation: the service's object goes on
 * to its next occurrence, and our task follows it.  What was sent of the
 * completion and the dates stands nowhere, so theirs counts as changed.
 */
static bool
follow_recurrence(const TsDelivery *d, TsLinkRow *row)
{
	const TsFieldMask moving = BIT(TS_STATUS) | BIT(TS_PERCENT_COMPLETE) | BIT(TS_COMPLETED_AT) |
		BIT(TS_START_DATE) | BIT(TS_START_TIME) | BIT(TS_DUE_DATE) | BIT(TS_DUE_TIME) |
		BIT(TS_RECURRENCE_RULE) | BIT(TS_REMIND_AT);

	if (!same(d->intent.snap.value[TS_STATUS], "COMPLETED") || !says_open(d))
		return false;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if ((d->intent.snap.known & moving & BIT(f)) &&
			!ts_value_equal(f, d->expected.task.value[f], d->intent.snap.value[f]))
			row->remote_base.known &= ~BIT(f);
	return true;
}

/*
 * The values that lost to a later writer while ours was in doubt: a record of
 * their own, for what was planned since may have found another conflict.
 */
static void
note_beaten(SettleWork *w, const TsDelivery *d, const TsTask *ours, TsFieldMask beaten)
{
	TsChange   *change;

	if (beaten == 0)
		return;
	change = &w->changes[w->nchanges++];
	change->task_id = d->intent.task_id;
	change->has_conflict = true;
	w->conflicts++;
	change->conflict.fields = beaten;
	change->conflict.resolution = "REMOTE";
	change->conflict.local = *ours;
	change->conflict.local.known &= beaten;
	change->conflict.remote = d->remote.task;
	change->conflict.remote.known &= beaten;
}

/* Does a field say more than it does in a task of which nothing is said? */
static bool
says_something(const TsTask *task, TsField f)
{
	const char *value = task->value[f];
	const char *fallback = ts_field_info[f].fallback;

	return value && !(fallback && strcmp(value, fallback) == 0);
}

/* Is a field of the object something that we never agreed on? */
static bool
is_let_be(const TsLinkRow *row, const TsTask *seen, TsField f)
{
	if (row->remote_base.known & BIT(f))
		return !ts_value_equal(f, seen->value[f], row->remote_base.value[f]);
	return says_something(seen, f);
}

/*
 * TO_PROVIDER lets be what they change, until something is sent to the same
 * field, or the object deleted: then it is overruled, and kept as what lost.
 */
static void
note_overruled(SettleWork *w, const TsDelivery *d, const TsLinkRow *row)
{
	bool		deleting = d->intent.kind == TS_PUSH_DELETE;
	TsFieldMask sent = deleting ? w->c->spec->provider->carries : d->intent.snap.known;
	TsFieldMask lost = 0;
	TsRemoteTask seen;
	TsError		err = {0};
	TsChange   *change;

	if (row->payload == NULL || (d->intent.kind != TS_PUSH_UPDATE && !deleting) ||
		!ts_decode(w->c, row->payload, row->payload_len, &seen, &err) || !seen.is_task)
		return;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if ((sent & BIT(f)) && is_let_be(row, &seen.task, f) &&
			(deleting || !ts_value_equal(f, seen.task.value[f], d->expected.task.value[f])))
			lost |= BIT(f);
	if (lost == 0)
		return;
	change = &w->changes[w->nchanges++];
	change->task_id = d->intent.task_id;
	change->has_conflict = true;
	w->conflicts++;
	change->conflict.fields = lost;
	change->conflict.resolution = "LOCAL";
	change->conflict.local = d->intent.snap;
	change->conflict.local.known = lost;
	change->conflict.remote = seen.task;
	change->conflict.remote.known &= lost;
}

static void
settle_written(SettleWork *w, TsDelivery *d, TsLinkRow *row, const TsParent *parent, TsChange *change)
{
	TsFieldMask beaten;
	bool		goes_on;

	note_overruled(w, d, row);
	if (d->intent.kind == TS_PUSH_CREATE && is_closed(d->intent.snap.value[TS_STATUS]) &&
		says_open(d))
		leave_completion(d);
	beaten = move_bases(d, row);
	goes_on = follow_recurrence(d, row);
	row->linked = true;
	if (is_there(d))
	{
		TsPlan		plan;

		ts_plan_row(w->c, w->r, row, &d->remote, parent, &plan);
		ts_change_from_plan(w->c, w->r, row, &plan, &d->remote, change, &w->pulled);
		note_beaten(w, d, &d->intent.snap, beaten);
		change->etag = d->obs.etag;
		change->payload = d->obs.payload;
		change->payload_len = d->obs.payload_len;
		if (plan.remote_patch.known)
			w->again = true;
	}
	else
	{
		change->link_action = TS_LINK_SET;
		change->owes = ts_is_out_of_place(row);
		change->local_base = row->local_base;
		change->remote_base = row->remote_base;
		change->uid = d->intent.external_id ? d->uid : d->push.new_external_id;
		change->parent_uid = d->expected.task.value[TS_PARENT_TASK_ID];
		change->etag = goes_on ? NULL : d->push.new_etag;	/* to be read again */
		change->payload = d->intent.payload;
		change->payload_len = d->intent.payload_len;
	}
	change->external_id = d->push.new_external_id ? d->push.new_external_id
		: d->intent.external_id;
	change->clear_inbox = change->external_id;	/* were there a tombstone, it is of an earlier one */
	change->write_seq = w->write_seq;
	change->clear_intent = true;
}

/*
 * A deletion in doubt of a moved task's first object, and that is not as it was:
 * edited since, or it is gone, and the copy was moved back under its name.  Then
 * what differs in it was never changed by anybody.
 */
static bool
is_perhaps_another(const TsDelivery *d, const TsLinkRow *row)
{
	return d->intent.kind == TS_PUSH_DELETE && d->push.outcome == TS_OUTCOME_IN_DOUBT &&
		row->has_local && row->elsewhere && !same(d->intent.etag, d->obs.etag);
}

/* The values here that the object replaces. */
static TsFieldMask
replaced_here(const TsLinkRow *row, const TsPlan *plan)
{
	TsFieldMask replaced = 0;

	for (TsField f = 0; f < TS_NFIELDS; f++)
		if ((plan->local_patch.known & ~(plan->local_won | plan->remote_won) & BIT(f)) &&
			says_something(&row->local, f))
			replaced |= BIT(f);
	return replaced;
}

/*
 * It was sent, and nothing came of it: to be sent again, but not for ever.  (What an
 * earlier cycle has left behind counts for nothing: we may have died over it.)
 */
static void
note_in_vain(const TsDelivery *d, TsChange *change)
{
	if (ts_failed(&d->push.error))
		change->in_vain = d->push.error;
}

/* Not applied, since it changed there: merge what is there, then try again. */
static void
settle_conflict(SettleWork *w, TsDelivery *d, TsLinkRow *row, const TsParent *parent, TsChange *change)
{
	TsPlan		plan;

	change->clear_intent = true;
	if (!is_there(d))
		return;
	ts_plan_row(w->c, w->r, row, &d->remote, parent, &plan);
	ts_change_from_plan(w->c, w->r, row, &plan, &d->remote, change, &w->pulled);
	change->external_id = row->external_id;
	change->etag = d->obs.etag;
	change->payload = d->obs.payload;
	change->payload_len = d->obs.payload_len;
	if (same(d->intent.etag, d->obs.etag))
		note_in_vain(d, change);
	if (is_perhaps_another(d, row))
		note_beaten(w, d, &row->local, replaced_here(row, &plan));
	d->again = d->intent.kind == TS_PUSH_DELETE && plan.remote_action == TS_ACTION_DELETE;
	w->again = true;
}

/*
 * It is not there any more.  It may have moved, and taken along an update in
 * doubt: the intent goes with the link then, else it is buried with it.
 */
static void
settle_gone(SettleWork *w, TsDelivery *d, TsChange *change)
{
	TsInboxRow *t = &w->tombstones[w->ntombstones++];

	change->clear_intent = d->push.outcome != TS_OUTCOME_IN_DOUBT ||
		d->intent.kind != TS_PUSH_UPDATE;
	t->external_id = d->intent.external_id;
	t->gone = true;
	t->fetch_seq = w->write_seq;
}

static void
settle_failed(SettleWork *w, const TsDelivery *d, TsChange *change)
{
	change->clear_intent = true;
	change->failure = d->push.error;
	if (!ts_failed(&change->failure))
		ts_error(&change->failure, "TS502", "the service refused task %s", d->intent.task_id);
	w->errors++;
}

/*
 * A move in doubt that is refused when it is sent again: the copy that an
 * earlier try may have made is still unknown, so the intent stays for a while.
 */
static void
settle_refused_move(SettleWork *w, const TsDelivery *d, TsChange *change)
{
	const int64 patience = INT64CONST(86400000000);		/* a day, in microseconds */
	int64		now = w->c->env->now(w->c->env->arg);

	settle_failed(w, d, change);
	if (d->resent && now < d->intent.in_doubt_since + patience)
		change->clear_intent = false;
}

/*
 * A service that tells no version of an object, not even when the object is
 * read: nobody can say whether a write would run over somebody else's.
 */
static bool
has_no_version(const TsDelivery *d)
{
	return d->push.outcome == TS_OUTCOME_CONFLICT && d->intent.kind != TS_PUSH_CREATE &&
		is_there(d) && d->intent.etag == NULL && d->obs.etag == NULL;
}

static void
settle_versionless(SettleWork *w, TsDelivery *d, TsChange *change)
{
	ts_error(&d->push.error, "TS502",
			 "could not change \"%s\": the service tells no version (ETag) of it",
			 d->intent.external_id);
	settle_failed(w, d, change);
}

static void
settle_delete(SettleWork *w, TsDelivery *d, TsLinkRow *row, const TsParent *parent, TsChange *change)
{
	bool		gone = d->push.outcome == TS_OUTCOME_DONE || d->push.outcome == TS_OUTCOME_GONE ||
		(d->read_back && d->obs.gone);

	if (gone && d->push.outcome != TS_OUTCOME_DONE && d->push.outcome != TS_OUTCOME_IN_DOUBT &&
		row->has_local && !(row->elsewhere && row->target_mapping_id))
		settle_gone(w, d, change);	/* moved here, and maybe there as well */
	else if (gone)
	{
		note_overruled(w, d, row);
		change->link_action = TS_LINK_DROP;
		change->dead_external_id = d->intent.external_id;
		change->dead_uid = row->uid;
		change->clear_intent = true;
		w->pushed.deleted += !row->has_local;	/* else it was moved, and is elsewhere */
	}
	else if (d->push.outcome == TS_OUTCOME_REFUSED)
		settle_failed(w, d, change);
	else
		settle_conflict(w, d, row, parent, change);
}

static void
settle_move(SettleWork *w, TsDelivery *d, TsLinkRow *row, const TsParent *parent, TsChange *change)
{
	if (d->push.outcome == TS_OUTCOME_DONE && d->push.new_external_id)
	{
		change->link_action = TS_LINK_SET;
		/* No ETag: what others did to it before it moved is yet to be read. */
		change->external_id = d->push.new_external_id;
		change->uid = row->uid;
		change->payload = row->payload;
		change->payload_len = row->payload_len;
		change->parent_uid = row->remote_base.value[TS_PARENT_TASK_ID];
		change->local_base = row->local_base;
		change->remote_base = row->remote_base;
		change->moved_to = d->intent.target_mapping_id;
		change->write_seq = w->write_seq;
		change->clear_intent = true;
		w->pushed.updated++;
	}
	else if (d->push.outcome == TS_OUTCOME_GONE || (d->read_back && d->obs.gone))
		settle_gone(w, d, change);
	else if (d->push.outcome == TS_OUTCOME_REFUSED)
		settle_refused_move(w, d, change);
	else
		settle_conflict(w, d, row, parent, change); /* still where it was: move it again */
}

/*
 * The bases of a copy, which held what the object did when the move was planned.
 * What was merged from the object since is to be sent to the copy.
 */
static void
set_copy_bases(const TsRun *r, const TsDelivery *d, const TsLinkRow *row, TsChange *change)
{
	change->local_base = row->local_base;
	change->remote_base = row->remote_base;
	if (r->m->direction == TS_TO_PROVIDER)
		return;					/* what they changed is let be in the copy, too */
	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		char	   *copied = d->expected.task.value[f];

		if (!(row->remote_base.known & BIT(f)) ||
			ts_value_equal(f, row->remote_base.value[f], copied))
			continue;
		set_base(&change->remote_base, f, copied);
		if (f == TS_PARENT_TASK_ID)
			change->local_base.known &= ~BIT(f);
		else
			set_base(&change->local_base, f,
					 copied ? copied : (char *) ts_field_info[f].fallback);
	}
}

/*
 * A copy in the list that the task moved to.  One that was there already is ours
 * of an earlier try, or the object itself, which somebody moved at the same time.
 */
static void
settle_copy(SettleWork *w, TsDelivery *d, const TsLinkRow *row, TsChange *change)
{
	change->clear_intent = true;
	if (d->push.outcome == TS_OUTCOME_REFUSED)
		settle_refused_move(w, d, change);
	if ((d->push.outcome != TS_OUTCOME_DONE && d->push.outcome != TS_OUTCOME_EXISTS) ||
		!row->linked)
		return;
	change->link_action = TS_LINK_COPY;
	change->moved_to = d->intent.target_mapping_id;
	change->external_id = d->push.new_external_id ? d->push.new_external_id : d->push.external_id;
	change->uid = row->uid;
	change->payload = d->intent.payload;
	change->payload_len = d->intent.payload_len;
	change->parent_uid = d->expected.task.value[TS_PARENT_TASK_ID];
	change->write_seq = w->write_seq;
	set_copy_bases(w->r, d, row, change);
	d->again = true;			/* and now the one here */
	w->pushed.updated++;
}

static void
settle_write(SettleWork *w, TsDelivery *d, TsLinkRow *row, const TsParent *parent, TsChange *change)
{
	bool		creating = d->intent.kind == TS_PUSH_CREATE;
	bool		ours = is_there(d) && is_ours(d);

	switch (d->push.outcome)
	{
		case TS_OUTCOME_DONE:
			settle_written(w, d, row, parent, change);
			if (creating)
				w->pushed.created++;
			else
				w->pushed.updated++;
			break;
		case TS_OUTCOME_IN_DOUBT:
		case TS_OUTCOME_EXISTS:
			if (is_untouched(d))
			{
				/* it never arrived: send it again */
				change->clear_intent = true;
				note_in_vain(d, change);
			}
			else if (is_there(d) && (ours || !creating))
				settle_written(w, d, row, parent, change);
			else if (is_there(d))
				settle_failed(w, d, change);
			else if (d->read_back && d->obs.gone && !creating)
				settle_gone(w, d, change);
			else if (d->read_back && d->obs.gone && d->push.outcome == TS_OUTCOME_IN_DOUBT)
			{
				/* It never arrived, or was deleted since: create it again. */
				change->clear_intent = true;
				change->dead_external_id = d->intent.external_id;
				change->dead_uid = d->uid;
				note_in_vain(d, change);
			}
			else if (d->read_back && d->obs.gone)
				settle_failed(w, d, change);	/* taken, and nobody can say by what */
			break;
		case TS_OUTCOME_CONFLICT:
			if (d->read_back && d->obs.gone)
				settle_gone(w, d, change);
			else
				settle_conflict(w, d, row, parent, change);
			break;
		case TS_OUTCOME_GONE:
			settle_gone(w, d, change);
			break;
		case TS_OUTCOME_REFUSED:
			settle_failed(w, d, change);
			break;
		case TS_OUTCOME_PENDING:
		case TS_OUTCOME_NOT_SENT:
		case TS_OUTCOME_UNSUPPORTED:
			change->clear_intent = true;
			break;
	}
}

static void
settle_one(SettleWork *w, TsDelivery *d, TsLinkRow *row, const TsParent *parent, TsChange *change)
{
	change->task_id = d->intent.task_id;
	if (d->push.outcome == TS_OUTCOME_IN_DOUBT && (!d->read_back || d->resent || d->copying))
	{
		/* the intent stays until somebody can look */
		if (d->intent.kind == TS_PUSH_CREATE && !d->copying)
			note_in_vain(d, change);
		return;
	}
	if (d->push.outcome == TS_OUTCOME_NOT_SENT && d->resent)
		return;					/* … or could send it again */
	if (d->copying)
	{
		settle_copy(w, d, row, change);
		return;
	}
	if (has_no_version(d))
		settle_versionless(w, d, change);
	else if (d->intent.kind == TS_PUSH_DELETE)
		settle_delete(w, d, row, parent, change);
	else if (d->intent.kind == TS_PUSH_MOVE)
		settle_move(w, d, row, parent, change);
	else
		settle_write(w, d, row, parent, change);
	/* Sent, and of no effect: whoever found it may have found it by comparing all. */
	if (change->clear_intent && change->link_action == TS_LINK_KEEP && !ts_failed(&change->failure))
		change->owes = true;
	w->conflicts += ts_is_disputed(change);
}

static void
settle_body(void *arg)
{
	SettleWork *w = arg;
	const TsStore *store = w->c->env->store;
	void	   *db = w->c->env->db;
	const char **task_ids = palloc(sizeof(char *) * w->n);
	const char **parent_uids = palloc(sizeof(char *) * w->n);
	TsLinkRow  *rows;
	TsParent   *parents;

	w->changes = palloc0(sizeof(TsChange) * w->n * 3);
	w->nchanges = w->n;
	memset(&w->pulled, 0, sizeof(w->pulled));
	memset(&w->pushed, 0, sizeof(w->pushed));
	w->conflicts = w->errors = 0;
	w->ntombstones = 0;
	w->tombstones = palloc0(sizeof(TsInboxRow) * w->n);
	for (int i = 0; i < w->n; i++)
	{
		task_ids[i] = w->d[i].intent.task_id;
		parent_uids[i] = w->d[i].remote.task.value[TS_PARENT_TASK_ID];
	}
	rows = store->links_by_task(db, w->r->m, task_ids, w->n);
	parents = ts_find_parents(w->c, w->r, rows, parent_uids, w->n);
	w->write_seq = store->next_seq(db);
	for (int i = 0; i < w->n; i++)
		settle_one(w, &w->d[i], &rows[i], &parents[i], &w->changes[i]);
	store->apply(db, w->r->m, w->changes, w->nchanges);
	if (w->ntombstones > 0)
		store->inbox_put(db, w->r->m, w->tombstones, w->ntombstones);
}

/* Decode what was meant and what was found. */
static void
decode_delivery(TsCycle *c, TsRun *r, TsDelivery *d)
{
	MemoryContext old = MemoryContextSwitchTo(r->batch_cxt);
	TsError		err = {0};

	if (d->intent.payload)
		ts_decode(c, d->intent.payload, d->intent.payload_len, &d->expected, &err);
	if (d->read_back && d->obs.payload &&
		!ts_decode(c, d->obs.payload, d->obs.payload_len, &d->remote, &err))
		d->remote.is_task = false;
	if (d->uid == NULL)
		d->uid = d->expected.uid ? d->expected.uid : d->intent.task_id;
	MemoryContextSwitchTo(old);
}

static bool
settle(TsCycle *c, TsRun *r, TsDelivery *d, int n, TsError *err)
{
	SettleWork	w = {c, r, d, n};

	if (!c->env->store->transact(c->env->db, settle_body, &w, err))
		return false;
	c->result.pulled.created += w.pulled.created;
	c->result.pulled.updated += w.pulled.updated;
	c->result.pushed.created += w.pushed.created;
	c->result.pushed.updated += w.pushed.updated;
	c->result.pushed.deleted += w.pushed.deleted;
	c->result.conflicts += w.conflicts;
	c->result.errors += w.errors;
	r->again |= w.again;
	for (int i = 0; i < n; i++)
		if (d[i].again && (d[i].copying ||
						   (r->after_settle == TS_PHASE_DELETE && ++r->pass < TS_PUSH_PASSES)))
			ts_ids_add(r, &r->deletes, d[i].intent.task_id);
	return true;
}

static void
give_up_body(void *arg)
{
	SettleWork *w = arg;
	TsChange	change = {0};

	change.task_id = w->d->intent.task_id;
	settle_failed(w, w->d, &change);
	w->c->env->store->apply(w->c->env->db, w->r->m, &change, 1);
}

/*
 * One write whose outcome cannot be recorded.  Where a lock was in the way its
 * intent stays, for the next sync to look into; what breaks a rule of the
 * database would do so for ever, and is a failure of that task.
 */
static void
give_up(TsCycle *c, TsRun *r, TsDelivery *d, const TsError *err)
{
	SettleWork	w = {c, r, d, 1};

	if (ts_is_servers_trouble(err))
	{
		ts_run_fail(c, r, err);
		return;
	}
	c->result.errors++;
	if (strncmp(err->sqlstate, "23", 2) != 0)
		return;
	d->push.error = *err;
	ts_transact(c, r, give_up_body, &w);
}

void
ts_phase_settle(TsCycle *c, TsRun *r)
{
	TsError		err = {0};

	for (int i = 0; i < r->ndeliveries; i++)
		decode_delivery(c, r, &r->deliveries[i]);
	if (r->ndeliveries > 0 && !settle(c, r, r->deliveries, r->ndeliveries, &err))
		for (int i = 0; i < r->ndeliveries && r->phase < TS_PHASE_FINISH; i++)
			if (!settle(c, r, &r->deliveries[i], 1, &err))
				give_up(c, r, &r->deliveries[i], &err);
	r->ndeliveries = 0;
	if (ts_failed(&r->push_error))
		ts_run_fail(c, r, &r->push_error);
	else if (r->phase < TS_PHASE_FINISH)
		r->phase = r->after_settle;
}

static void
intents_body(void *arg)
{
	SettleWork *w = arg;
	MemoryContext old = MemoryContextSwitchTo(w->r->batch_cxt);

	w->intents = w->c->env->store->intents(w->c->env->db, w->r->m, &w->nintents);
	w->r->fetch_seq = w->c->env->store->next_seq(w->c->env->db);
	MemoryContextSwitchTo(old);
}

/*
 * A create in doubt that had no name to be asked for by: the object turned up,
 * and bears its marker.  False where that could not be recorded.
 */
bool
ts_settle_found(TsCycle *c, TsRun *r, const TsObservation *obs, const char *task_id, TsError *err)
{
	SettleWork	w = {c, r};
	TsDelivery	d = {0};

	if (!c->env->store->transact(c->env->db, intents_body, &w, err))
		return false;
	for (int i = 0; i < w.nintents; i++)
		if (same(w.intents[i].task_id, task_id) && w.intents[i].kind == TS_PUSH_CREATE)
			d.intent = w.intents[i];
	if (d.intent.task_id == NULL)
	{
		ts_error(err, "40001", "the write that made \"%s\" was settled meanwhile", obs->external_id);
		return false;			/* merged when it is looked at again */
	}
	d.push.outcome = TS_OUTCOME_IN_DOUBT;
	d.push.new_external_id = obs->external_id;
	d.read_back = true;
	d.obs = *obs;
	decode_delivery(c, r, &d);
	return settle(c, r, &d, 1, err);
}

/*
 * Recovery: the intents that an earlier cycle left behind are in doubt.
 */

static void
doubt_body(void *arg)
{
	SettleWork *w = arg;
	bool		new = false;

	intents_body(w);
	for (int i = 0; i < w->nintents; i++)
		new |= w->intents[i].in_doubt_since == 0;
	if (!new)
		return;
	w->c->env->store->intents_doubt(w->c->env->db, w->r->m);
	intents_body(w);
}

/* Has it been long enough, for a complete listing to show what this has made? */
static bool
would_be_listed(const TsCycle *c, const TsIntent *intent)
{
	return intent->kind == TS_PUSH_CREATE && intent->external_id == NULL &&
		(c->env->now(c->env->arg) >= intent->in_doubt_since + ts_listing_lag(c) ||
		 !ts_guarded(TS_GUARD_AUTHORITATIVE));
}

void
ts_phase_recover(TsCycle *c, TsRun *r)
{
	SettleWork	w = {c, r};

	r->nread_back = 0;
	r->after_settle = TS_PHASE_PULL;
	r->phase = TS_PHASE_PULL;
	if (!ts_transact(c, r, doubt_body, &w) || w.nintents == 0)
		return;
	r->in_doubt = true;
	r->ndeliveries = w.nintents;
	r->deliveries = MemoryContextAllocZero(r->batch_cxt, sizeof(TsDelivery) * w.nintents);
	for (int i = 0; i < w.nintents; i++)
	{
		r->deliveries[i].intent = w.intents[i];
		r->deliveries[i].push.outcome = TS_OUTCOME_IN_DOUBT;
		if (would_be_listed(c, &w.intents[i]))
			ts_ids_add(r, &r->lost_creates, w.intents[i].task_id);
	}
	ts_progress(c, r, "recovering", 0, r->ndeliveries);
	r->phase = TS_PHASE_READ_BACK;
}
