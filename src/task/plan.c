/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  The planner (see plan.h).
 *
 * Existence is decided first (is the task there on neither, one or both
 * sides, and was it before?), then the fields, register by register.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "task/datetime.h"
#include "task/plan.h"

#define BIT TS_FIELD_BIT

/* The merge of one register, or of one field that stands alone. */
typedef struct Merge
{
	const TsPlanInput *in;
	TsPlan	   *out;
	TsFieldMask changed_here;
	TsFieldMask changed_there;
} Merge;

static const char *const policy_names[] = {"LATEST_WINS", "LOCAL_WINS", "REMOTE_WINS", "MANUAL"};
static const char *const direction_names[] = {"BIDIRECTIONAL", "TO_PROVIDER", "FROM_PROVIDER"};

bool
ts_policy_by_name(const char *name, TsPolicy *policy)
{
	for (int i = 0; i < lengthof(policy_names); i++)
		if (strcmp(name, policy_names[i]) == 0)
		{
			*policy = (TsPolicy) i;
			return true;
		}
	return false;
}

bool
ts_direction_by_name(const char *name, TsDirection *direction)
{
	for (int i = 0; i < lengthof(direction_names); i++)
		if (strcmp(name, direction_names[i]) == 0)
		{
			*direction = (TsDirection) i;
			return true;
		}
	return false;
}

static void
set_field(TsTask *task, TsField f, const char *value)
{
	task->known |= BIT(f);
	task->value[f] = (char *) value;
}

static void
forget_field(TsTask *task, TsField f)
{
	task->known &= ~BIT(f);
	task->value[f] = NULL;
}

/* A value that says no more than "nobody set this". */
static bool
is_blank(TsField f, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return true;
	return ts_field_info[f].fallback != NULL && strcmp(value, ts_field_info[f].fallback) == 0;
}

static bool
is_completed(const TsTask *task)
{
	return task->value[TS_STATUS] != NULL && strcmp(task->value[TS_STATUS], "COMPLETED") == 0;
}

/* The remote value of a field as our side would hold it. */
static const char *
remote_value(const TsPlanInput *in, TsField f)
{
	const char *value = in->remote->value[f];

	if (f == TS_PARENT_TASK_ID)
		return in->remote_parent;
	return value != NULL ? value : ts_field_info[f].fallback;
}

/* Is the field the same on both sides, whatever the bases say? */
static bool
sides_agree(const TsPlanInput *in, TsField f)
{
	if (f == TS_PARENT_TASK_ID && in->remote->value[f] != NULL && in->remote_parent == NULL)
		return false;			/* a parent that we do not have yet */
	return ts_value_equal(f, in->local->value[f], remote_value(in, f));
}

/*
 * Does one side have no due date, and the other a rule?  Taken from one each, they
 * might be a rule that has nothing to begin at, which some services can't say.
 */
static bool
may_lose_anchor(const TsPlanInput *in)
{
	const TsTask *one = in->local;
	const TsTask *other = in->remote;

	if (one == NULL || (one->value[TS_DUE_DATE] == NULL) == (other->value[TS_DUE_DATE] == NULL))
		return false;
	return (one->value[TS_DUE_DATE] ? one : other)->value[TS_RECURRENCE_RULE] != NULL;
}

/*
 * Has the due date moved there alone, away from a rule that they hold in other words
 * than we?  Ours may name no day, and be of its due date's; theirs is of the day that
 * it was.  What ours meant is what theirs says.
 */
static bool
leaves_rule_behind(const TsPlanInput *in)
{
	const TsFieldMask both = BIT(TS_DUE_DATE) | BIT(TS_RECURRENCE_RULE);
	const TsTask *ours = in->local_base;
	const TsTask *theirs = in->remote_base;

	if (in->local == NULL || ours == NULL || theirs == NULL ||
		(ours->known & theirs->known & in->remote->known & both) != both ||
		ours->value[TS_RECURRENCE_RULE] == NULL || theirs->value[TS_RECURRENCE_RULE] == NULL)
		return false;
	return ts_task_diff(theirs, in->remote, both) == BIT(TS_DUE_DATE) &&
		ts_task_diff(ours, in->local, BIT(TS_RECURRENCE_RULE)) == 0 &&
		ts_task_diff(ours, theirs, BIT(TS_RECURRENCE_RULE)) != 0;
}

/*
 * Registers: the fields that are merged together with f.  The zone belongs to
 * the due time, or to the start where neither side has a due date.
 */
static TsFieldMask
register_of(const TsPlanInput *in, TsField f)
{
	const TsFieldMask start = BIT(TS_START_DATE) | BIT(TS_START_TIME);
	const TsFieldMask due = BIT(TS_DUE_DATE) | BIT(TS_DUE_TIME) |
		(may_lose_anchor(in) || leaves_rule_behind(in) ? BIT(TS_RECURRENCE_RULE) : 0);
	const TsFieldMask done = BIT(TS_STATUS) | BIT(TS_PERCENT_COMPLETE) | BIT(TS_COMPLETED_AT);
	bool		no_due = (in->local == NULL || in->local->value[TS_DUE_DATE] == NULL) &&
		in->remote->value[TS_DUE_DATE] == NULL;

	if (BIT(f) & done)
		return done;
	if (BIT(f) & (due | (no_due ? 0 : BIT(TS_TIME_ZONE))))
		return due | (no_due ? 0 : BIT(TS_TIME_ZONE));
	if (BIT(f) & (start | (no_due ? BIT(TS_TIME_ZONE) : 0)))
		return start | (no_due ? BIT(TS_TIME_ZONE) : 0);
	return BIT(f);
}

/*
 * A task that is opened again there has no time of completion any more here,
 * even if the service never had one: not a change of ours.
 */
static void
forget_completion(Merge *m)
{
	const TsPlanInput *in = m->in;
	TsFieldMask bit = BIT(TS_COMPLETED_AT);

	if (is_completed(in->remote) || in->remote->value[TS_COMPLETED_AT] != NULL ||
		in->local->value[TS_COMPLETED_AT] == NULL ||
		!(in->carries & in->local->known & ~in->frozen & bit))
		return;
	set_field(&m->out->local_patch, TS_COMPLETED_AT, NULL);
	set_field(&m->out->local_base, TS_COMPLETED_AT, NULL);
}

/*
 * What their value is here.  Where they still hold what they made of ours (a
 * service may keep no seconds), that is ours, not what came back of it.
 */
static const char *
taken_value(const TsPlanInput *in, TsFieldMask changed_there, TsField f)
{
	const TsTask *base = in->local_base;

	if (!(changed_there & BIT(f)) && in->remote->value[f] && base && base->value[f])
		return base->value[f];
	return remote_value(in, f);
}

/* Their value stands: ours follows where it differs. */
static void
take_remote(Merge *m, TsFieldMask fields)
{
	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		const char *value;

		if (!(fields & BIT(f)))
			continue;
		value = taken_value(m->in, m->changed_there, f);
		if (!ts_value_equal(f, m->in->local->value[f], value))
			set_field(&m->out->local_patch, f, value);
		set_field(&m->out->local_base, f, value);
		set_field(&m->out->remote_base, f, m->in->remote->value[f]);
	}
	if (fields & BIT(TS_STATUS))
		forget_completion(m);
}

/*
 * Our value stands: theirs is noted as seen by both bases, as if it had been
 * taken and then changed here again.  So ours differs from its base, and goes
 * out, even if it is changed back meanwhile to what it was before.
 */
static void
keep_local(Merge *m, TsFieldMask fields)
{
	const TsPlanInput *in = m->in;
	TsPlan	   *out = m->out;

	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		const char *theirs;
		bool		waits;		/* for a parent that we do not have yet */

		if (!(fields & BIT(f)))
			continue;
		theirs = sides_agree(in, f) ? in->local->value[f] : taken_value(in, m->changed_there, f);
		waits = f == TS_PARENT_TASK_ID && !sides_agree(in, f) &&
			ts_value_equal(f, in->local->value[f], theirs);
		set_field(&out->remote_base, f, in->remote->value[f]);
		if (waits || !ts_value_equal(f, in->local->value[f], theirs))
			set_field(&out->remote_patch, f, in->local->value[f]);
		if (waits)
			forget_field(&out->local_base, f);
		else
			set_field(&out->local_base, f, theirs);
	}
}

/* Both sides hold the same: the bases move there, nothing is written. */
static void
agree(Merge *m, TsFieldMask fields)
{
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (fields & BIT(f))
		{
			set_field(&m->out->local_base, f, m->in->local->value[f]);
			set_field(&m->out->remote_base, f, m->in->remote->value[f]);
		}
}

static bool
has_tag(char **tags, int n, const char *tag)
{
	for (int i = 0; i < n; i++)
		if (strcmp(tags[i], tag) == 0)
			return true;
	return false;
}

/*
 * Tags are a set: what either side added is there, what either side removed is
 * not.  Nobody's change is overruled, so this is never a conflict.
 */
static void
merge_tags(Merge *m)
{
	const TsPlanInput *in = m->in;
	int			nlb,
				nrb,
				nl,
				nr,
				n = 0;
	char	  **lb = ts_tags_split(in->local_base->value[TS_TAGS], &nlb);
	char	  **rb = ts_tags_split(in->remote_base->value[TS_TAGS], &nrb);
	char	  **l = ts_tags_split(in->local->value[TS_TAGS], &nl);
	char	  **r = ts_tags_split(in->remote->value[TS_TAGS], &nr);
	char	  **tags = palloc(sizeof(char *) * (nl + nr + 1));
	char	   *merged;

	for (int i = 0; i < nl; i++)
		if (has_tag(r, nr, l[i]) || !has_tag(lb, nlb, l[i]) || !has_tag(rb, nrb, l[i]))
			tags[n++] = l[i];
	for (int i = 0; i < nr; i++)
		if (!has_tag(rb, nrb, r[i]) && !has_tag(tags, n, r[i]))
			tags[n++] = r[i];
	merged = ts_tags_join(tags, n);

	if (!ts_value_equal(TS_TAGS, in->local->value[TS_TAGS], merged))
		set_field(&m->out->local_patch, TS_TAGS, merged);
	if (!ts_value_equal(TS_TAGS, in->remote->value[TS_TAGS], merged))
		set_field(&m->out->remote_patch, TS_TAGS, merged);
	/* What is still to be sent differs from this base, which is theirs. */
	set_field(&m->out->local_base, TS_TAGS, remote_value(in, TS_TAGS));
	set_field(&m->out->remote_base, TS_TAGS, in->remote->value[TS_TAGS]);
}

/* LATEST_WINS: was any part of the register changed here after "remote_time"? */
static bool
local_is_later(const TsPlanInput *in, TsFieldMask fields)
{
	int64		ours,
				theirs;

	if (in->remote_time == NULL || in->local_times == NULL)
		return false;
	if (!ts_timestamp_parse(in->remote_time, &theirs))
		return false;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if ((fields & BIT(f)) && in->local_times[f] != NULL &&
			ts_timestamp_parse(in->local_times[f], &ours) && ours > theirs)
			return true;
	return false;
}

/*
 * Have they no rule any more because the task was completed there?  The next
 * occurrence has it then, and what is done is not to recur by another.
 */
static bool
has_passed_on_rule(const TsPlanInput *in)
{
	return in->remote_base != NULL && !is_completed(in->remote_base) && is_completed(in->remote) &&
		in->remote_base->value[TS_RECURRENCE_RULE] != NULL && in->remote->value[TS_RECURRENCE_RULE] == NULL;
}

static bool
local_wins(const TsPlanInput *in, TsFieldMask fields)
{
	if (in->direction == TS_FROM_PROVIDER)
		return false;
	if (in->direction == TS_TO_PROVIDER)
		return true;
	if (fields == BIT(TS_RECURRENCE_RULE) && has_passed_on_rule(in))
		return false;
	switch (in->policy)
	{
		case TS_LOCAL_WINS:
			return true;
		case TS_REMOTE_WINS:
			return false;
		case TS_LATEST_WINS:
		case TS_MANUAL:
			break;
	}

	/* A completion is never undone by a concurrent edit of the progress. */
	if ((fields & BIT(TS_STATUS)) && is_completed(in->local) != is_completed(in->remote))
		return is_completed(in->local);
	return local_is_later(in, fields);
}

/*
 * Both sides changed it and they differ.  (Where there never was a base, a
 * side that has nothing to say yields without a conflict.)
 */
static void
settle_conflict(Merge *m, TsFieldMask fields)
{
	const TsPlanInput *in = m->in;
	TsFieldMask differ = 0;
	bool		local_blank = true;
	bool		remote_blank = true;
	bool		based = false;

	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		if (!(fields & BIT(f)) || sides_agree(in, f))
			continue;
		differ |= BIT(f);
		local_blank &= is_blank(f, in->local->value[f]);
		remote_blank &= is_blank(f, in->remote->value[f]);
		based |= in->local_base && (in->local_base->known & BIT(f)) != 0;
		based |= in->remote_base && (in->remote_base->known & BIT(f)) != 0;
	}

	if (!based && remote_blank && in->direction != TS_FROM_PROVIDER)
		keep_local(m, fields);
	else if (!based && local_blank && in->direction != TS_TO_PROVIDER)
		take_remote(m, fields);
	else if (in->policy == TS_MANUAL && in->direction == TS_BIDIRECTIONAL)
		m->out->conflicts |= fields;	/* they rest together */
	else if (local_wins(in, fields))
	{
		keep_local(m, fields);
		m->out->conflicts |= differ;
		m->out->local_won |= differ;
	}
	else
	{
		take_remote(m, fields);
		m->out->conflicts |= differ;
		m->out->remote_won |= differ;
	}
}

/*
 * Their parent is below the task here: both sides were moved at once, each
 * under what became its child.  Ours stands, or there would be a circle.
 */
static void
break_circle(Merge *m, TsFieldMask fields)
{
	keep_local(m, fields);
	m->out->conflicts |= fields;
	m->out->local_won |= fields;
	if (m->in->direction != TS_FROM_PROVIDER)
		return;
	m->out->remote_patch.known &= ~fields;
	set_field(&m->out->local_base, TS_PARENT_TASK_ID, m->in->local->value[TS_PARENT_TASK_ID]);
}

static TsFieldMask
differing(const TsPlanInput *in, TsFieldMask fields)
{
	TsFieldMask differ = 0;

	for (TsField f = 0; f < TS_NFIELDS; f++)
		if ((fields & BIT(f)) && !sides_agree(in, f))
			differ |= BIT(f);
	return differ;
}

static void
merge_register(Merge *m, TsFieldMask fields)
{
	const TsPlanInput *in = m->in;
	bool		here = (m->changed_here & fields) != 0;
	bool		there = (m->changed_there & fields) != 0;
	TsFieldMask differ = here || there ? differing(in, fields) : 0;

	if (!here && !there)
		return;
	if (differ == 0)
		agree(m, fields);
	else if (there && in->circular && fields == BIT(TS_PARENT_TASK_ID) &&
			 in->direction != TS_TO_PROVIDER)
		break_circle(m, fields);
	else if (there && (fields & in->swinging) && in->direction == TS_BIDIRECTIONAL)
		m->out->conflicts |= fields;
	else if (here && there && fields == BIT(TS_TAGS) &&
			 in->direction == TS_BIDIRECTIONAL && in->local_base && in->remote_base)
		merge_tags(m);
	else if (here && there)
		settle_conflict(m, fields);
	else if (there && in->direction != TS_TO_PROVIDER)
		take_remote(m, fields & m->changed_there);
	else if (there)
		return;					/* left alone, until the direction changes */
	else if (in->direction != TS_FROM_PROVIDER)
	{
		for (TsField f = 0; f < TS_NFIELDS; f++)
			if (fields & m->changed_here & BIT(f))
				set_field(&m->out->remote_patch, f, in->local->value[f]);
	}
}

/* Fields that differ from their own side's base, or that have none. */
static TsFieldMask
changed_since(const TsTask *base, const TsTask *now, TsFieldMask mask)
{
	TsTask		nothing = {0};

	return ts_task_diff(base ? base : &nothing, now, mask) & now->known;
}

static void
plan_both_there(const TsPlanInput *in, TsPlan *out)
{
	TsFieldMask carried = in->carries & in->remote->known & in->local->known & ~in->frozen;
	Merge		m = {in, out};
	TsFieldMask done = 0;

	m.changed_here = changed_since(in->local_base, in->local, carried);
	m.changed_there = changed_since(in->remote_base, in->remote, carried);
	if (leaves_rule_behind(in))
		m.changed_there |= carried & BIT(TS_RECURRENCE_RULE);
	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		TsFieldMask fields = register_of(in, f) & carried;

		if ((BIT(f) & carried) && !(done & BIT(f)) && !(register_of(in, f) & in->frozen))
			merge_register(&m, fields);
		done |= fields;
	}
	if (out->local_patch.known)
		out->local_action = TS_ACTION_UPDATE;
	if (out->remote_patch.known)
		out->remote_action = TS_ACTION_UPDATE;
}

/* Not there, here it is: new here, or deleted there. */
static void
plan_only_here(const TsPlanInput *in, TsPlan *out)
{
	TsFieldMask carried = in->carries & in->local->known;
	bool		linked = in->local_base != NULL || in->remote_base != NULL;
	bool		edited = linked && changed_since(in->local_base, in->local, carried) != 0;

	if (linked && in->direction == TS_TO_PROVIDER && !edited)
		return;
	if (linked && (!edited || in->direction == TS_FROM_PROVIDER))
	{
		out->local_action = TS_ACTION_DELETE;
		return;
	}
	if (in->direction == TS_FROM_PROVIDER)
		return;

	out->remote_action = TS_ACTION_CREATE;
	out->edit_beat_delete = linked;
	out->remote_patch = *in->local;
	out->remote_patch.known = carried;
	out->local_base.known = 0;
	out->remote_base.known = 0;
}

/* There it is, here it is not: new there, or deleted here. */
static void
plan_only_there(const TsPlanInput *in, TsPlan *out)
{
	TsFieldMask carried = in->carries & in->remote->known;
	bool		linked = in->local_base != NULL || in->remote_base != NULL;
	TsFieldMask edited = changed_since(in->remote_base, in->remote, carried);

	if (linked && (edited == 0 || in->direction == TS_TO_PROVIDER))
	{
		if (in->direction != TS_FROM_PROVIDER)
			out->remote_action = TS_ACTION_DELETE;
		out->conflicts = out->local_won = edited;
		return;
	}
	if (in->direction == TS_TO_PROVIDER)
		return;

	/*
	 * A revival: the registers that they edited are theirs, the rest is ours
	 * as it last stood, with the precision that the service may lack.
	 */
	out->local_action = TS_ACTION_CREATE;
	out->edit_beat_delete = linked;
	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		bool		theirs = (edited & register_of(in, f)) || in->local_base == NULL ||
			!(in->local_base->known & BIT(f));

		if (!(carried & BIT(f)))
			continue;
		if (!theirs)
			out->as_before |= BIT(f);
		set_field(&out->local_patch, f, theirs ? taken_value(in, edited, f) : in->local_base->value[f]);
		set_field(&out->local_base, f, out->local_patch.value[f]);
		set_field(&out->remote_base, f, in->remote->value[f]);
	}
}

/*
 * Decide what to do with one task.
 *
 * Total and deterministic; the patches' values point into the input or into
 * CurrentMemoryContext.  Planning again after the patches were applied and the
 * bases taken over gives nothing to do.
 */
void
ts_plan_task(const TsPlanInput *in, TsPlan *out)
{
	memset(out, 0, sizeof(*out));
	if (in->local_base)
		out->local_base = *in->local_base;
	if (in->remote_base)
		out->remote_base = *in->remote_base;

	if (in->local && in->remote)
		plan_both_there(in, out);
	else if (in->local)
		plan_only_here(in, out);
	else if (in->remote)
		plan_only_there(in, out);
}

void
ts_plan_delivered(const TsPlan *plan, TsTask *local_base, TsTask *remote_base)
{
	*local_base = plan->local_base;
	*remote_base = plan->remote_base;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (plan->remote_patch.known & BIT(f))
		{
			set_field(local_base, f, plan->remote_patch.value[f]);
			set_field(remote_base, f, plan->remote_patch.value[f]);
		}
}
