/*-------------------------------------------------------------------------
 *
 * plan_test.c
 *	  The planner, exhaustively over small worlds.
 *
 * Three subjects of different kinds are planned together: a text (title), a
 * register of two fields (due date and time) and a set (tags).  Each goes
 * through all combinations of its two bases and two sides; all three together
 * through the combinations of a few telling states, with every policy,
 * direction, mask of what the service carries and mask of what is frozen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "tap.h"
#include "task/plan.h"

#define BIT TS_FIELD_BIT

#define NSUBJECTS 3

/* What a subject's fields hold in one place; '-': the record does not know it. */
typedef struct State
{
	char		local_base;
	char		remote_base;
	char		local;
	char		remote;
} State;

typedef struct World
{
	State		state[NSUBJECTS];
	bool		linked;
	bool		has_local;
	bool		has_remote;
	TsFieldMask carries;
	TsFieldMask frozen;
	TsPolicy	policy;
	TsDirection direction;
} World;

/* The records of a world, and a plan over them. */
typedef struct Case
{
	World		world;
	TsTask		local_base;
	TsTask		remote_base;
	TsTask		local;
	TsTask		remote;
	TsPlanInput in;
	TsPlan		plan;
} Case;

static const TsFieldMask subjects[NSUBJECTS] = {
	BIT(TS_TITLE),
	BIT(TS_DUE_DATE) | BIT(TS_DUE_TIME),
	BIT(TS_TAGS)
};

static int64 nplans;
static int	nbroken;

/*
 * The value of a field in state 'a', 'b', 'c', 'n' (not set) …; in the
 * register 'c' is another time on the date of 'b', so that half of it is alike.
 */
static char *
value_of(TsField f, char state)
{
	switch (f)
	{
		case TS_TITLE:
			return state == 'a' ? "a" : state == 'b' ? "b" : state == 'c' ? "c" : "";
		case TS_DUE_DATE:
			return state == 'a' ? "2026-01-01" : state == 'n' ? NULL : "2026-02-02";
		case TS_DUE_TIME:
			return state == 'a' ? "10:00:00" : state == 'c' ? "12:00:00" : NULL;
		case TS_TAGS:
			return state == 'a' ? "[\"x\", \"y\"]" : state == 'b' ? "[\"y\", \"z\"]"
				: state == 'c' ? "[\"x\", \"w\"]" : "[]";
		default:
			return NULL;
	}
}

static void
fill(TsTask *task, int subject, char state)
{
	for (TsField f = 0; state != '-' && f < TS_NFIELDS; f++)
		if (subjects[subject] & BIT(f))
		{
			task->known |= BIT(f);
			task->value[f] = value_of(f, state);
		}
}

static void
set_up(Case *k, const World *w)
{
	memset(k, 0, sizeof(*k));
	k->world = *w;
	for (int i = 0; i < NSUBJECTS; i++)
	{
		fill(&k->local_base, i, w->state[i].local_base);
		fill(&k->remote_base, i, w->state[i].remote_base);
		fill(&k->local, i, w->state[i].local);
		fill(&k->remote, i, w->state[i].remote);
	}
	k->in.local_base = w->linked ? &k->local_base : NULL;
	k->in.remote_base = w->linked ? &k->remote_base : NULL;
	k->in.local = w->has_local ? &k->local : NULL;
	k->in.remote = w->has_remote ? &k->remote : NULL;
	k->in.carries = w->carries;
	k->in.frozen = w->frozen;
	k->in.policy = w->policy;
	k->in.direction = w->direction;
}

static void
complain(const Case *k, const char *what)
{
	const World *w = &k->world;

	if (++nbroken > 20)
		return;
	tap_note("%s: %s%s%s policy %d direction %d carries %x frozen %x", what,
			 w->linked ? "linked " : "", w->has_local ? "here " : "", w->has_remote ? "there " : "",
			 w->policy, w->direction, w->carries, w->frozen);
	for (int i = 0; i < NSUBJECTS; i++)
		tap_note("   local_base %c remote_base %c local %c remote %c", w->state[i].local_base,
				 w->state[i].remote_base, w->state[i].local, w->state[i].remote);
}

#define CHECK(k, condition) \
	do { if (!(condition)) complain(k, #condition); } while (0)

static bool
same_record(const TsTask *a, const TsTask *b)
{
	return a->known == b->known && ts_task_diff(a, b, TS_ALL_FIELDS) == 0;
}

static bool
same_plan(const TsPlan *a, const TsPlan *b)
{
	return a->local_action == b->local_action && a->remote_action == b->remote_action &&
		a->conflicts == b->conflicts && a->local_won == b->local_won &&
		a->remote_won == b->remote_won && same_record(&a->local_patch, &b->local_patch) &&
		same_record(&a->remote_patch, &b->remote_patch) &&
		same_record(&a->local_base, &b->local_base) &&
		same_record(&a->remote_base, &b->remote_base);
}

static void
apply_patch(TsTask *task, const TsTask *patch)
{
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (patch->known & BIT(f))
		{
			task->known |= BIT(f);
			task->value[f] = patch->value[f];
		}
}

/* Our side of the world once a plan's actions there are done. */
static void
act(Case *k, const TsPlan *plan, bool delivered)
{
	if (plan->local_action == TS_ACTION_DELETE)
		k->in.local = NULL;
	else if (plan->local_action != TS_ACTION_NONE)
	{
		k->in.local = &k->local;
		apply_patch(&k->local, &plan->local_patch);
	}
	if (!delivered)
		return;
	if (plan->remote_action == TS_ACTION_DELETE)
		k->in.remote = NULL;
	else if (plan->remote_action != TS_ACTION_NONE)
	{
		k->in.remote = &k->remote;
		apply_patch(&k->remote, &plan->remote_patch);
	}
}

/* Nothing is left to be done once a plan was carried out. */
static void
check_idempotent(const Case *k)
{
	Case		after = *k;
	TsPlan		again;

	after.in.local = k->in.local ? &after.local : NULL;
	after.in.remote = k->in.remote ? &after.remote : NULL;
	if (k->plan.remote_action == TS_ACTION_CREATE)
		after.remote = (TsTask) {0};
	if (k->plan.local_action == TS_ACTION_CREATE)
		after.local = (TsTask) {0};
	act(&after, &k->plan, true);
	if (after.in.local == NULL && after.in.remote == NULL)
		return;
	if (after.in.local && after.in.remote)
	{
		ts_plan_delivered(&k->plan, &after.local_base, &after.remote_base);
		after.in.local_base = &after.local_base;
		after.in.remote_base = &after.remote_base;
		after.in.frozen |= k->plan.conflicts & ~(k->plan.local_won | k->plan.remote_won);
	}
	else if (after.in.local == NULL || k->world.direction == TS_FROM_PROVIDER ||
			 k->world.direction == TS_TO_PROVIDER)
		return;					/* one side only, and it stays so */
	ts_plan_task(&after.in, &again);
	CHECK(k, again.local_action == TS_ACTION_NONE);
	CHECK(k, again.remote_action == TS_ACTION_NONE);
	CHECK(k, again.conflicts == 0);
}

/* Planned again before the remote patch was delivered, the same is still to be sent. */
static void
check_resumable(const Case *k)
{
	Case		after = *k;
	TsPlan		again;

	if (!k->in.local || !k->in.remote)
		return;
	after.in.local = &after.local;
	after.in.remote = &after.remote;
	act(&after, &k->plan, false);
	after.local_base = k->plan.local_base;
	after.remote_base = k->plan.remote_base;
	after.in.local_base = &after.local_base;
	after.in.remote_base = &after.remote_base;
	after.in.frozen |= k->plan.conflicts & ~(k->plan.local_won | k->plan.remote_won);
	ts_plan_task(&after.in, &again);
	CHECK(k, again.local_patch.known == 0);
	CHECK(k, again.conflicts == 0);
	CHECK(k, same_record(&again.remote_patch, &k->plan.remote_patch));
}

static bool
is_one_of(const Case *k, TsField f, const char *value)
{
	return ts_value_equal(f, value, k->local.value[f]) ||
		ts_value_equal(f, value, k->remote.value[f]) ||
		ts_value_equal(f, value, k->local_base.value[f]) ||
		ts_value_equal(f, value, k->remote_base.value[f]) ||
		ts_value_equal(f, value, ts_field_info[f].fallback);
}

static bool
has_tag(const char *tags, const char *tag)
{
	return tags && strstr(tags, tag) != NULL;
}

/* What either side added is there, what either side removed is not. */
static void
check_tags(const Case *k, const char *merged)
{
	static const char *const all[] = {"\"x\"", "\"y\"", "\"z\"", "\"w\""};

	for (int i = 0; i < lengthof(all); i++)
	{
		bool		here = has_tag(k->local.value[TS_TAGS], all[i]);
		bool		there = has_tag(k->remote.value[TS_TAGS], all[i]);
		bool		was_here = has_tag(k->local_base.value[TS_TAGS], all[i]);
		bool		was_there = has_tag(k->remote_base.value[TS_TAGS], all[i]);

		if (here && there)
			CHECK(k, has_tag(merged, all[i]));
		if (!here && !there)
			CHECK(k, !has_tag(merged, all[i]));
		if ((here && !was_here && !was_there) || (there && !was_here && !was_there))
			CHECK(k, has_tag(merged, all[i]));
		if (was_here && was_there && here != there)
			CHECK(k, !has_tag(merged, all[i]));
	}
}

static void
check_values(const Case *k)
{
	const TsPlan *p = &k->plan;
	TsFieldMask touched = p->local_patch.known | p->remote_patch.known | p->conflicts;

	CHECK(k, (touched & ~k->in.carries) == 0);
	if (k->in.local && k->in.remote)
	{
		CHECK(k, (touched & k->in.frozen) == 0);
		CHECK(k, !k->in.local_base ||
			  ts_task_diff(&p->local_base, &k->local_base, k->in.frozen | ~k->in.carries) == 0);
		CHECK(k, !k->in.remote_base ||
			  ts_task_diff(&p->remote_base, &k->remote_base, k->in.frozen | ~k->in.carries) == 0);
	}
	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		if (f == TS_TAGS)
			continue;
		if (p->local_patch.known & BIT(f))
			CHECK(k, is_one_of(k, f, p->local_patch.value[f]));
		if (p->remote_patch.known & BIT(f))
			CHECK(k, is_one_of(k, f, p->remote_patch.value[f]));
	}
}

static void
check_direction(const Case *k)
{
	const TsPlan *p = &k->plan;

	if (k->world.direction == TS_TO_PROVIDER)
		CHECK(k, p->local_action == TS_ACTION_NONE);
	if (k->world.direction == TS_FROM_PROVIDER)
		CHECK(k, p->remote_action == TS_ACTION_NONE);
	if (!k->world.linked)
		CHECK(k, p->local_action != TS_ACTION_DELETE && p->remote_action != TS_ACTION_DELETE);
}

static TsFieldMask
changed(const TsTask *base, const TsTask *now, TsFieldMask mask)
{
	TsTask		nothing = {0};

	return ts_task_diff(base ? base : &nothing, now, mask) & now->known;
}

/* Two-way: a change of one side alone gets across; of two, the loser is named. */
static void
check_no_silent_loss(const Case *k)
{
	const TsPlan *p = &k->plan;

	if (!k->in.local || !k->in.remote || k->world.direction != TS_BIDIRECTIONAL)
		return;
	for (int i = 0; i < NSUBJECTS; i++)
	{
		TsFieldMask fields = subjects[i] & k->in.carries & ~k->in.frozen;
		TsFieldMask here = changed(k->in.local_base, &k->local, fields);
		TsFieldMask there = changed(k->in.remote_base, &k->remote, fields);
		TsFieldMask differ = ts_task_diff(&k->local, &k->remote, fields);

		if (differ == 0)
			CHECK(k, ((p->local_patch.known | p->remote_patch.known | p->conflicts) & fields) == 0);
		else if (here && !there)
			CHECK(k, (p->remote_patch.known & fields) == here && !(p->local_patch.known & fields));
		else if (there && !here)
			CHECK(k, !(p->remote_patch.known & fields) && (p->local_patch.known & fields & ~there) == 0);
		else if (here && there && fields == BIT(TS_TAGS) && k->world.linked)
			check_tags(k, p->local_patch.known & fields ? p->local_patch.value[TS_TAGS]
					   : k->local.value[TS_TAGS]);
		else if (here && there && k->world.linked)
		{
			bool		based = ((k->local_base.known | k->remote_base.known) & fields) != 0;

			CHECK(k, !based || (p->conflicts & differ) == differ);
			CHECK(k, (p->local_won & p->remote_won) == 0);
			CHECK(k, k->world.policy == TS_MANUAL ||
				  ((p->local_won | p->remote_won) & fields) == (p->conflicts & fields));
		}
	}
}

static void
check_world(const World *w)
{
	Case		k;
	TsPlan		again;

	set_up(&k, w);
	ts_plan_task(&k.in, &k.plan);
	ts_plan_task(&k.in, &again);
	nplans++;
	CHECK(&k, same_plan(&k.plan, &again));
	check_values(&k);
	check_direction(&k);
	check_no_silent_loss(&k);
	check_idempotent(&k);
	check_resumable(&k);
	if (nplans % 1000 == 0)
		tap_reset();
}

static void
check_policies(World *w)
{
	for (TsPolicy policy = TS_LATEST_WINS; policy <= TS_MANUAL; policy++)
		for (TsDirection d = TS_BIDIRECTIONAL; d <= TS_FROM_PROVIDER; d++)
		{
			w->policy = policy;
			w->direction = d;
			check_world(w);
		}
}

static void
check_existences(World *w)
{
	for (int exists = 0; exists < 8; exists++)
	{
		w->linked = (exists & 1) != 0;
		w->has_local = (exists & 2) != 0;
		w->has_remote = (exists & 4) != 0;
		check_policies(w);
	}
}

/* One subject in all its states, the others at rest. */
static void
test_each_subject(void)
{
	static const char bases[] = "-anb";
	static const char sides[] = "anbc";
	World		w = {0};

	nbroken = 0;
	w.carries = subjects[0] | subjects[1] | subjects[2];
	for (int subject = 0; subject < NSUBJECTS; subject++)
		for (int i = 0; i < 256; i++)
		{
			for (int j = 0; j < NSUBJECTS; j++)
				w.state[j] = (State) {'a', 'a', 'a', 'a'};
			w.state[subject] = (State) {bases[i & 3], bases[i >> 2 & 3], sides[i >> 4 & 3], sides[i >> 6]};
			check_existences(&w);
		}
	tap_is_int(nbroken, 0, "every state of one subject (" INT64_FORMAT " plans)", nplans);
}

/* All three in telling states, with all masks. */
static void
test_together(void)
{
	static const State telling[] = {
		{'a', 'a', 'a', 'a'},	/* nothing */
		{'a', 'a', 'b', 'a'},	/* changed here */
		{'a', 'a', 'a', 'b'},	/* changed there */
		{'a', 'a', 'b', 'b'},	/* alike */
		{'a', 'a', 'b', 'c'},	/* differently */
		{'a', 'b', 'a', 'b'},	/* the service keeps it its own way */
		{'a', 'b', 'c', 'b'},	/* … and it changed here */
		{'-', '-', 'b', 'n'},	/* no base */
		{'a', '-', 'a', 'b'},	/* half recorded */
	};
	int			n = lengthof(telling);
	World		w = {0};

	nbroken = 0;
	nplans = 0;
	w.linked = w.has_local = w.has_remote = true;
	for (int i = 0; i < n * n * n; i++)
	{
		w.state[0] = telling[i % n];
		w.state[1] = telling[i / n % n];
		w.state[2] = telling[i / n / n];
		for (int masks = 0; masks < 64; masks++)
		{
			w.carries = w.frozen = 0;
			for (int s = 0; s < NSUBJECTS; s++)
			{
				w.carries |= masks & (1 << s) ? 0 : subjects[s];
				w.frozen |= masks & (8 << s) ? subjects[s] : 0;
			}
			check_policies(&w);
		}
	}
	tap_is_int(nbroken, 0, "three subjects together (" INT64_FORMAT " plans)", nplans);
}

/*
 * Single decisions that the properties above do not pin down.
 */

typedef struct Decision
{
	const char *what;
	TsPolicy	policy;
	const char *local_time;
	const char *remote_time;
	bool		completed_here;
	bool		local_wins;
} Decision;

static void
test_latest(void)
{
	static const Decision decisions[] = {
		{"later here", TS_LATEST_WINS, "2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00", false, true},
		{"later there", TS_LATEST_WINS, "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", false, false},
		{"the same moment: theirs", TS_LATEST_WINS, "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00", false, false},
		{"no time here: theirs", TS_LATEST_WINS, NULL, "2026-01-01T00:00:00+00:00", false, false},
		{"no time there: theirs", TS_LATEST_WINS, "2026-01-01T00:00:00+00:00", NULL, false, false},
		{"a completion is not undone", TS_LATEST_WINS, "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", true, true},
		{"local policy", TS_LOCAL_WINS, NULL, NULL, false, true},
		{"remote policy", TS_REMOTE_WINS, "2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00", true, false},
	};

	for (int i = 0; i < lengthof(decisions); i++)
	{
		const Decision *d = &decisions[i];
		const char *times[TS_NFIELDS] = {[TS_STATUS] = d->local_time};
		TsTask		base = {.known = BIT(TS_STATUS)};
		TsTask		local = base;
		TsTask		remote = base;
		TsPlanInput in = {&base, &base, &local, &remote, TS_ALL_FIELDS, d->policy};
		TsPlan		plan;

		base.value[TS_STATUS] = "TODO";
		local.value[TS_STATUS] = d->completed_here ? "COMPLETED" : "CANCELLED";
		remote.value[TS_STATUS] = "IN_PROGRESS";
		in.local_times = times;
		in.remote_time = d->remote_time;
		ts_plan_task(&in, &plan);
		tap_ok(plan.local_won == (d->local_wins ? BIT(TS_STATUS) : 0) &&
			   plan.remote_won == (d->local_wins ? 0 : BIT(TS_STATUS)), "%s", d->what);
	}
}

/* A parent there that is not known here yet is no change here, and is not sent back. */
static void
test_unknown_parent(void)
{
	TsTask		base = {.known = BIT(TS_PARENT_TASK_ID)};
	TsTask		local = base;
	TsTask		remote = base;
	TsPlanInput in = {&base, &base, &local, &remote, TS_ALL_FIELDS};
	TsPlan		plan;

	remote.value[TS_PARENT_TASK_ID] = "uid-of-parent";
	ts_plan_task(&in, &plan);
	tap_ok(plan.local_action == TS_ACTION_NONE && plan.remote_action == TS_ACTION_NONE,
		   "a parent that is not here yet: nothing to do");
	tap_is(plan.remote_base.value[TS_PARENT_TASK_ID], "uid-of-parent", "... but noted");
	in.remote_parent = "id-here";
	ts_plan_task(&in, &plan);
	tap_is(plan.local_patch.value[TS_PARENT_TASK_ID], "id-here", "a parent that is here is taken");
}

/* One side sets a rule, the other takes away the due date that it would begin at. */
static void
test_anchor(void)
{
	const TsFieldMask fields = BIT(TS_DUE_DATE) | BIT(TS_RECURRENCE_RULE);

	for (int local_rules = 0; local_rules < 2; local_rules++)
		for (TsPolicy policy = TS_LATEST_WINS; policy <= TS_MANUAL; policy++)
		{
			TsTask		base = {.known = fields,.value = {[TS_DUE_DATE] = "2026-01-02"}};
			TsTask		ruled = base;
			TsTask		dateless = {.known = fields};
			TsPlanInput in = {&base, &base, local_rules ? &ruled : &dateless,
				local_rules ? &dateless : &ruled, TS_ALL_FIELDS, policy};
			TsPlan		plan;
			bool		local_won;

			ruled.value[TS_RECURRENCE_RULE] = "FREQ=DAILY";
			ts_plan_task(&in, &plan);
			local_won = (plan.local_won & fields) != 0;
			if (policy == TS_MANUAL)
				tap_ok((plan.conflicts & fields) == fields, "a rule and its due date rest together");
			else
				tap_ok((plan.conflicts & fields) == fields && (plan.local_patch.known & fields) == (local_won ? 0 : fields) &&
					   (plan.remote_patch.known & fields) == (local_won ? fields : 0), "... or one side's stand, both");
		}
}

/* … and where both have a date, each goes its own way. */
static void
test_two_dates(void)
{
	const TsFieldMask fields = BIT(TS_DUE_DATE) | BIT(TS_RECURRENCE_RULE);
	TsTask		base = {.known = fields,.value = {[TS_DUE_DATE] = "2026-01-02"}};
	TsTask		local = base;
	TsTask		remote = base;
	TsPlanInput in = {&base, &base, &local, &remote, TS_ALL_FIELDS};
	TsPlan		plan;

	local.value[TS_RECURRENCE_RULE] = "FREQ=DAILY";
	remote.value[TS_DUE_DATE] = "2026-01-03";
	ts_plan_task(&in, &plan);
	tap_ok(plan.conflicts == 0 && plan.local_patch.known == BIT(TS_DUE_DATE) &&
		   plan.remote_patch.known == BIT(TS_RECURRENCE_RULE), "a rule here and another date there are both taken");
}

/* A rule here that names no day, and one there that does, whose due date moves there. */
static void
test_day_left_behind(void)
{
	const TsFieldMask fields = BIT(TS_DUE_DATE) | BIT(TS_RECURRENCE_RULE);
	TsTask		local_base = {.known = fields,.value = {[TS_DUE_DATE] = "2027-03-01",[TS_RECURRENCE_RULE] = "FREQ=WEEKLY"}};
	TsTask		remote_base = {.known = fields,.value = {[TS_DUE_DATE] = "2027-03-01",[TS_RECURRENCE_RULE] = "FREQ=WEEKLY;BYDAY=MO"}};
	TsTask		local = local_base;
	TsTask		remote = remote_base;
	TsPlanInput in = {&local_base, &remote_base, &local, &remote, TS_ALL_FIELDS, TS_LOCAL_WINS};
	TsPlan		plan;

	remote.value[TS_DUE_DATE] = "2027-03-04";
	ts_plan_task(&in, &plan);
	tap_ok(plan.conflicts == 0 && plan.remote_patch.known == 0 && plan.local_patch.known == fields, "the day stays where its due date goes");
	tap_is(plan.local_patch.value[TS_RECURRENCE_RULE], "FREQ=WEEKLY;BYDAY=MO", "... and is named here, too");
	local.value[TS_DUE_DATE] = "2027-03-05";
	ts_plan_task(&in, &plan);
	tap_ok(plan.local_won == fields && plan.remote_patch.known == fields, "... unless it goes elsewhere here, and that stands");
	tap_is(plan.remote_patch.value[TS_RECURRENCE_RULE], "FREQ=WEEKLY", "... with the rule that follows it");
	local = local_base;
	local.value[TS_RECURRENCE_RULE] = "FREQ=DAILY";
	ts_plan_task(&in, &plan);
	tap_ok(plan.conflicts == 0 && plan.local_patch.known == BIT(TS_DUE_DATE) && plan.remote_patch.known == BIT(TS_RECURRENCE_RULE),
		   "... or there is another rule by now");
}

/* Completed there, where the next occurrence has the rule now, and another rule here. */
static void
test_rule_of_what_is_done(void)
{
	const TsFieldMask fields = BIT(TS_STATUS) | BIT(TS_RECURRENCE_RULE);
	TsTask		base = {.known = fields,.value = {[TS_STATUS] = "TODO",[TS_RECURRENCE_RULE] = "FREQ=WEEKLY"}};
	TsTask		local = base;
	TsTask		remote = {.known = fields,.value = {[TS_STATUS] = "COMPLETED"}};

	local.value[TS_RECURRENCE_RULE] = "FREQ=DAILY";
	for (TsPolicy policy = TS_LATEST_WINS; policy <= TS_REMOTE_WINS; policy++)
	{
		TsPlanInput in = {&base, &base, &local, &remote, TS_ALL_FIELDS, policy};
		TsPlan		plan;

		ts_plan_task(&in, &plan);
		tap_ok(plan.local_patch.known == fields && plan.local_patch.value[TS_RECURRENCE_RULE] == NULL &&
			   plan.remote_patch.known == 0 && plan.remote_won == BIT(TS_RECURRENCE_RULE), "what is done does not recur by another rule");
	}
}

int
main(void)
{
	tap_start();
	test_each_subject();
	test_together();
	test_latest();
	test_unknown_parent();
	test_anchor();
	test_two_dates();
	test_day_left_behind();
	test_rule_of_what_is_done();
	return tap_done();
}
