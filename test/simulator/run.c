/*-------------------------------------------------------------------------
 *
 * run.c
 *	  What happens in a run, drawn from its seed (see run.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "run.h"
#include "sync/guard.h"
#include "tap.h"

/*
 * Drawing
 */

/* splitmix64: one step of the state gives a number */
static uint64
next_random(uint64 *state)
{
	uint64		z = (*state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int
run_any(Run *run, int n)
{
	return n <= 1 ? 0 : (int) (next_random(&run->random) % n);
}

bool
run_one_in(Run *run, int n)
{
	return run_any(run, n) == 0;
}

static void
draw_from(Run *run, EventKey key)
{
	run->random = run->seed;
	run->random = next_random(&run->random) ^ ((uint64) key * UINT64CONST(0xd1342543de82ef95));
}

/* Was the event so ruled out from outside? */
static bool
is_left_out(const Run *run, EventKey key)
{
	for (int i = 0; run->only && i < run->nonly; i++)
		if (run->only[i] == key)
			return false;
	return run->only != NULL;
}

/* Does it happen?  If so, what is drawn next is drawn for it. */
static bool
happens(Run *run, EventKey key, int one_in)
{
	draw_from(run, key);
	if (!run_one_in(run, one_in) || is_left_out(run, key) || run->nevents == MAX_EVENTS)
		return false;
	run->event[run->nevents++] = key;
	return true;
}

void
run_tell(Run *run, const char *site, const char *what, const char *id, const char *value)
{
	if (run->verbose)
		tap_note("%4d %s %s %s %s", run->w->boundary, site, what, id, value ? value : "");
}

/*
 * At every boundary
 */

static void
meanwhile(World *w)
{
	Run		   *run = w->arg;

	for (int i = 0; i < 8 && happens(run, EVENT_KEY(EVENT_USER, w->boundary, i), i ? 3 : 4); i++)
		users_act(run);
	if (happens(run, EVENT_KEY(EVENT_ROLLBACK, w->boundary, 0), 60))
		w->store->fail_in = 1;
	if (happens(run, EVENT_KEY(EVENT_DEATH, w->boundary, 0), 80))
		w->die_at = w->boundary;
}

static WorldFault
some_fault(World *w)
{
	Run		   *run = w->arg;

	if (!happens(run, EVENT_KEY(EVENT_FAULT, w->boundary, 0), 10))
		return WORLD_NO_FAULT;
	return WORLD_NOT_SENT + run_any(run, WORLD_LIST_GONE - WORLD_NOT_SENT + 1);
}

/*
 * The world, and its syncs
 */

/* What a service is like. */
static void
choose_habits(Run *run, FakeService *s)
{
	s->server_names = run_one_in(run, 3);
	s->stable_ids = s->server_names && run_one_in(run, 2);
	s->unconditional = run_one_in(run, 4);
	s->patches = run_one_in(run, 4);
	s->surprises = run_one_in(run, 4);
	s->spawns = run_one_in(run, 4);
	s->copies_markers = s->spawns && run_one_in(run, 2);
	s->no_moves = run_one_in(run, 4) && !s->stable_ids;
	/* Moved by hand and by us at once: a list that takes both is beyond help. */
	s->unique_uids = !s->server_names && (s->no_moves || run_one_in(run, 2));
	s->no_etags = run_one_in(run, 4);
	s->tells = run_one_in(run, 3);
	s->blind = !ts_guarded(TS_GUARD_CONDITION);
	s->page = 1 + run_any(run, 4);
	s->lag = run_one_in(run, 4) ? run_any(run, 300) * INT64CONST(1000000) : 0;
	s->skew = run_one_in(run, 4) ? (run_any(run, 3) - 1) * INT64CONST(86400000000) : 0;
}

/* Drawn apart, so that the other runs are what they would be without. */
static void
choose_manual(Run *run, MemDb *db)
{
	uint64		random = run->random;

	draw_from(run, EVENT_KEY(EVENT_SYNC, 0, 3));
	run->decides = run_one_in(run, 4);
	for (int i = 0; i < db->nmappings && run->decides; i++)
		if (run_one_in(run, 2))
			db->mappings[i].m.policy = TS_MANUAL;
	run->swings = run->decides && run_one_in(run, 4);
	run->random = random;
}

/*
 * Who forgets what came and went since the cursor.  What comes between the pages
 * of a complete listing and goes before the next sync is then beyond help; and so
 * is what goes while a late listing has yet to tell that it came.
 */
static void
choose_memory(Run *run)
{
	uint64		random = run->random;

	draw_from(run, EVENT_KEY(EVENT_SYNC, 0, 4));
	for (int i = 0; i < 2; i++)
		if ((run->w->services[i].forgets = run_one_in(run, 3)))
			run->w->services[i].page = run->w->services[i].lag = 0;
	run->random = random;
}

static void
make_world(Run *run)
{
	MemDb	   *db;

	draw_from(run, EVENT_KEY(EVENT_SYNC, 0, 1));
	run->w = world_create();
	run->w->mass_delete_minimum = 3;
	run->w->store->trace = run->verbose;
	db = &run->w->store->db;
	choose_habits(run, &run->w->services[0]);
	choose_habits(run, &run->w->services[1]);
	for (int i = 0; i < db->nmappings; i++)
		db->mappings[i].m.policy = run_any(run, TS_MANUAL);
	run->moves = run_one_in(run, 2);
	run->moves_there = run->moves && (!run->w->services[0].server_names || run->w->services[0].stable_ids);
	run->families = run_one_in(run, 3);
	run->recurrences = run_one_in(run, 4);
	run->flips = run_one_in(run, 5);
	run->audits = run_one_in(run, 2);
	choose_manual(run, db);
	choose_memory(run);
	run->leaves = run->moves && run_one_in(run, 3);
}

/* What goes wrong without anybody noticing, and is healed by looking at everything. */
static void
be_unreliable(Run *run, FakeService *s)
{
	/*
	 * A list that hides what has come to it makes a move a deletion, and an
	 * object that bears a marker never made.
	 */
	bool		may_hide = run->audits && !run->moves && !s->server_names;

	s->hide_every = may_hide && run_one_in(run, 2) ? 3 : 0;
	s->lose_every = run->audits && !run->moves && run_one_in(run, 6) ? 5 : 0;
	if (run_one_in(run, 6))
		s->oldest_cursor = s->rev;
}

static void
prepare_sync(Run *run)
{
	MemMapping *m = &run->w->store->db.mappings[run_any(run, 3)];

	if (run->audits && run_one_in(run, 3))
		m->m.audit_due = m->m.compare_due = true;
	m->held = false;
	m->m.deletions_confirmed = run_one_in(run, 2);
	if (run->flips && run_one_in(run, 3))
		mem_set_direction(run->w->store, m, run_any(run, TS_FROM_PROVIDER + 1));
	be_unreliable(run, &run->w->services[run_any(run, 2)]);
	run->w->store->swinging = run->swings && run_one_in(run, 2) ? run_any(run, 1 << TS_NFIELDS) : 0;
}

/*
 * Since which change an object that was found dead is so, and no task's; 0: it
 * isn't.  A link that came over to where it was seen before (without an ETag)
 * is looked at before it counts.
 */
static int
ghost_since(World *w, const MemDead *dead)
{
	const MemDb *db = &w->store->db;
	const FakeObject *o = fake_find(world_service(w, dead->mapping_id), dead->external_id);

	for (int i = 0; i < db->nlinks; i++)
		if (db->links[i].used && db->links[i].external_id && db->links[i].etag &&
			same(db->links[i].mapping_id, dead->mapping_id) &&
			same(db->links[i].external_id, dead->external_id))
			return 0;
	return o && o->payload == NULL ? o->rev : 0;
}

/* A sync in which no late listing may make a task of an object that is dead. */
static void
sync_among_ghosts(World *w, const char *provider_id, const char *only)
{
	const MemDb *db = &w->store->db;
	int			since[MEM_MAX_DEAD];
	int			n = db->ndead;
	TsCycleResult result;

	for (int i = 0; i < n; i++)
		since[i] = ghost_since(w, &db->dead[i]);
	(void) world_sync(w, provider_id, only, &result);
	for (int i = 0; i < n && i < db->ndead; i++)
	{
		const MemDead *dead = &db->dead[i];

		if (since[i] != 0 && ghost_since(w, dead) == 0 &&
			fake_find(world_service(w, dead->mapping_id), dead->external_id)->rev == since[i])
			w->broken = psprintf("the dead object %s was taken for a task", dead->external_id);
	}
}

static void
let_it_run(Run *run)
{
	World	   *w = run->w;
	int			n;

	w->arg = run;
	w->meanwhile = meanwhile;
	w->fault = some_fault;
	n = 1 + run_any(run, 5);
	for (int i = 1; i <= n; i++)
	{
		const char *only = NULL;
		bool		mirror;

		if (!happens(run, EVENT_KEY(EVENT_SYNC, i, 0), 1))
			continue;
		run->nsyncs++;
		prepare_sync(run);
		mirror = run_one_in(run, 3);
		if (!mirror && run_one_in(run, 3))
			only = run_one_in(run, 2) ? "A" : "B";
		run_tell(run, "---", "sync", mirror ? "P2" : "P1", only);
		sync_among_ghosts(w, mirror ? "P2" : "P1", only);
		if (w->broken == NULL)
			w->broken = check_sync(run);
		w->die_at = w->store->fail_in = 0;
	}
}

/* Everything that disturbs stops, and every task is where some service looks. */
static void
calm_down(Run *run)
{
	World	   *w = run->w;

	w->meanwhile = NULL;
	w->fault = NULL;
	w->store->swinging = 0;
	for (int i = 0; i < 2; i++)
		w->services[i].hide_every = w->services[i].lose_every = w->services[i].lag = 0;
	for (int i = 0; i < w->store->db.nmappings; i++)
	{
		MemMapping *m = &w->store->db.mappings[i];

		if (m->m.direction != TS_BIDIRECTIONAL)
			mem_set_direction(w->store, m, TS_BIDIRECTIONAL);
		if (run->audits)
			m->m.audit_due = m->m.compare_due = true;
	}
	for (int i = 0; i < w->store->db.ntasks; i++)
	{
		MemTask    *t = &w->store->db.tasks[i];

		if (t->exists && strcmp(t->project, NOWHERE) == 0)
			mem_move(w->store, t->id, "pa");
	}
	run_tell(run, "---", "all quiet", "", NULL);
}

/*
 * Everything comes to rest, and as long as conflicts are open then, a person
 * decides them: what is checked are whole tasks, without fields that rest.
 */
static char *
settle(Run *run)
{
	draw_from(run, EVENT_KEY(EVENT_SYNC, 0, 2));
	for (int i = 0; i < 10; i++)
	{
		if (world_settle(run->w, 20) < 0)
			return "it does not come to rest";
		if (!users_resolve(run))
			return NULL;
		while (users_resolve(run))
			;
	}
	return "conflicts are found for ever";
}

char *
run_seed(Run *run)
{
	MemoryContext old = CurrentMemoryContext;
	char	   *wrong = NULL;

	make_world(run);
	MemoryContextSwitchTo(run->w->cxt);
	let_it_run(run);
	calm_down(run);
	if (run->w->broken)
		wrong = run->w->broken;
	else
		wrong = settle(run);
	if (wrong == NULL)
		wrong = run->w->broken ? run->w->broken : check_run(run);
	MemoryContextSwitchTo(old);
	wrong = wrong ? pstrdup(wrong) : NULL;
	world_destroy(run->w);
	return wrong;
}
