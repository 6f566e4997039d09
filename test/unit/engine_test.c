/*-------------------------------------------------------------------------
 *
 * engine_test.c
 *	  The engine in small worlds: chosen scenarios.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "world.h"
#include "tap.h"

#define END TS_NFIELDS

static World *w;
static TsCycleResult result;

static char *
add_task(const char *project, const char *title)
{
	TsTask		task = task_of(TS_TITLE, title, END);

	return mem_insert(w->store, project, &task);
}

static void
edit(const char *task_id, TsField f, const char *value)
{
	TsTask		patch = task_of(f, value, END);

	mem_update(w->store, task_id, &patch);
}

static FakeObject *
add_object(const char *list, const char *name, const char *title)
{
	TsTask		task = task_of(TS_TITLE, title, TS_STATUS, "TODO", TS_PRIORITY, "NONE", TS_TAGS, "[]", END);

	return fake_put(world_service(w, list), list, name,
					fake_payload(psprintf("uid-%s", name), "kept", w->clock, &task));
}

static void
edit_object(FakeObject *o, TsField f, const char *value)
{
	TsTask		task = fake_task(o->payload);

	task.known |= TS_FIELD_BIT(f);
	task.value[f] = (char *) value;
	fake_change(world_service(w, o->list), o,
				fake_payload(fake_member(o->payload, "uid"), fake_member(o->payload, "keep"),
							 w->clock, &task));
}

/* The live object of a task in a list, or NULL. */
static FakeObject *
object_of(const char *task_id, const char *mapping)
{
	MemLink    *l = mem_link(w->store, task_id, mapping);
	FakeObject *o = l && l->external_id ? fake_find(world_service(w, mapping), l->external_id) : NULL;

	return o && o->payload ? o : NULL;
}

static const char *
there(const FakeObject *o, TsField f)
{
	return o ? fake_task(o->payload).value[f] : "(no object)";
}

static const char *
here(const char *task_id, TsField f)
{
	MemTask    *t = mem_task(w->store, task_id);

	return t ? t->fields.value[f] : "(no task)";
}

static void
sync_all(void)
{
	(void) world_sync(w, "P1", NULL, &result);
}

/* A task that was synced, and then moved here, at a service that knows no moves. */
static char *
add_moving(const char *from, const char *to)
{
	char	   *id = add_task(from, "t");

	w->services[0].no_moves = true;
	sync_all();
	mem_move(w->store, id, to);
	return id;
}

/* Which request of a cycle meets which fault. */
static int	fault_in;
static WorldFault the_fault;

static WorldFault
one_fault(World *world)
{
	return --fault_in == 0 ? the_fault : WORLD_NO_FAULT;
}

/* A sync of which one request meets a fault. */
static void
sync_with(WorldFault fault, int request)
{
	the_fault = fault;
	fault_in = request;
	w->fault = one_fault;
	sync_all();
	w->fault = NULL;
}

static void
begin(const char *what)
{
	tap_note("%s", what);
	tap_reset();				/* the world before: its end may still be looked at */
	w = world_create();
	MemoryContextSwitchTo(w->cxt);
}

static void
end(void)
{
	int			rounds = world_settle(w, 12);

	tap_ok(rounds >= 0, "... comes to rest");
	tap_is(world_inconsistency(w), NULL, "... and is consistent");
}

static void
test_there_and_back(void)
{
	char	   *id;
	FakeObject *o;

	begin("a task goes there, an object comes here");
	id = add_task("pa", "from here");
	edit(id, TS_PRIORITY, "LOW");
	o = add_object("A", "n1", "from there");
	sync_all();
	tap_is(there(object_of(id, "A"), TS_TITLE), "from here", "created there");
	tap_ok(mem_task_by_title(w->store, "from there") != NULL, "created here");
	tap_is_int(result.pulled.created, 1, "pulled");
	tap_is_int(result.pushed.created, 1, "pushed");
	edit_object(o, TS_TITLE, "edited there");
	edit(id, TS_TITLE, "edited here");
	sync_all();
	tap_is(there(object_of(id, "A"), TS_TITLE), "edited here", "edited there");
	tap_ok(mem_task_by_title(w->store, "edited there") != NULL, "edited here");
	tap_is(fake_member(o->payload, "keep"), "kept", "what only the service knows is kept");
	tap_is(here(id, TS_PRIORITY), "LOW", "what the service can't say is kept");
	sync_all();
	tap_is_int(result.requests, 2, "nothing to do: one request a list");
	end();
}

/* The service keeps no seconds: our value stays as it is, with and without ETags. */
static void
test_rounding_service(void)
{
	for (int i = 0; i < 2; i++)
	{
		TsTask		task = task_of(TS_TITLE, "t", TS_DUE_DATE, "2026-03-01", TS_DUE_TIME, "10:00:30", END);
		char	   *id;

		begin(i == 0 ? "a service that rounds" : "… and doesn't tell the ETag of what it made of it");
		w->services[0].no_etags = i == 1;
		id = mem_insert(w->store, "pa", &task);
		sync_all();
		edit(id, TS_DUE_TIME, "11:00:45");
		sync_all();
		tap_is(there(object_of(id, "A"), TS_DUE_TIME), "11:00:00", "rounded there");
		tap_is(here(id, TS_DUE_TIME), "11:00:45", "and not here");
		edit_object(object_of(id, "A"), TS_TITLE, "edited there");
		sync_all();
		tap_is(here(id, TS_DUE_TIME), "11:00:45", "nor by an edit of something else");
		tap_is_int(w->store->db.nconflicts, 0, "no conflict");
		end();
	}
}

static void
test_conflict(void)
{
	char	   *id;

	begin("both edit the same field");
	id = add_task("pa", "t");
	sync_all();
	edit(id, TS_TITLE, "here");
	edit_object(object_of(id, "A"), TS_TITLE, "there");
	edit_object(object_of(id, "A"), TS_DESCRIPTION, "only there");
	sync_all();
	tap_is(here(id, TS_TITLE), "there", "the same moment: theirs");
	tap_is(here(id, TS_DESCRIPTION), "only there", "another field is no conflict");
	tap_is_int(w->store->db.nconflicts, 1, "the loser is noted");
	tap_is(w->store->db.conflicts[0].conflict.local.value[TS_TITLE], "here", "... with its value");
	end();
}

static void
test_manual(void)
{
	char	   *id;

	begin("MANUAL freezes the field and nothing else");
	mem_mapping(w->store, "A")->m.policy = TS_MANUAL;
	id = add_task("pa", "t");
	sync_all();
	edit(id, TS_TITLE, "here");
	edit_object(object_of(id, "A"), TS_TITLE, "there");
	sync_all();
	sync_all();
	edit(id, TS_DESCRIPTION, "more here");
	edit_object(object_of(id, "A"), TS_PRIORITY, "HIGH");
	sync_all();
	tap_is(here(id, TS_TITLE), "here", "ours stands here");
	tap_is(there(object_of(id, "A"), TS_TITLE), "there", "theirs there");
	tap_is(there(object_of(id, "A"), TS_DESCRIPTION), "more here", "another field goes there");
	tap_is(here(id, TS_PRIORITY), "HIGH", "another comes here");
	tap_is_int(w->store->db.nconflicts, 1, "one conflict");
	edit_object(object_of(id, "A"), TS_TITLE, "there once more");
	sync_all();
	tap_is(w->store->db.conflicts[0].conflict.remote.value[TS_TITLE], "there once more",
		   "it is kept up to date");
	tap_ok(mem_resolve(w->store, id, true), "decided for theirs");
	tap_is(here(id, TS_TITLE), "there once more", "as it is now");
	end();
	tap_is_int(w->store->db.nconflicts, 1, "and that was all");
}

/* What is merged together rests together: a time without its date is nothing. */
static void
test_manual_register(void)
{
	TsTask		task = task_of(TS_TITLE, "t", TS_DUE_DATE, "2026-03-01", END);

	for (int use_remote = 0; use_remote < 2; use_remote++)
	{
		char	   *id;

		begin(use_remote ? "a due date at rest, decided for theirs" : "… decided for ours");
		mem_mapping(w->store, "A")->m.policy = TS_MANUAL;
		id = mem_insert(w->store, "pa", &task);
		sync_all();
		edit(id, TS_DUE_DATE, NULL);
		edit_object(object_of(id, "A"), TS_DUE_DATE, "2026-03-03");
		sync_all();
		edit_object(object_of(id, "A"), TS_DUE_TIME, "10:00:00");
		sync_all();
		tap_is(here(id, TS_DUE_TIME), NULL, "no time comes here without the date");
		tap_ok(mem_resolve(w->store, id, use_remote), "decided");
		end();
		tap_is(here(id, TS_DUE_DATE), use_remote ? "2026-03-03" : NULL, "the date");
		tap_is(here(id, TS_DUE_TIME), use_remote ? "10:00:00" : NULL, "and its time");
		tap_is(w->store->db.conflicts[0].conflict.remote.value[TS_DUE_TIME], "10:00:00",
			   "theirs is on record");
	}
}

/* A task in A with an open conflict in its title: "here" and "there". */
static char *
add_disputed(void)
{
	char	   *id;

	mem_mapping(w->store, "A")->m.policy = TS_MANUAL;
	id = add_task("pa", "t");
	add_task("pa", "another");
	sync_all();
	edit(id, TS_TITLE, "here");
	edit_object(object_of(id, "A"), TS_TITLE, "there");
	sync_all();
	return id;
}

/* The mapping of the one conflict that is open, or NULL. */
static const char *
where_it_is_open(void)
{
	const MemDb *db = &w->store->db;
	const char *where = NULL;
	int			n = 0;

	for (int i = 0; i < db->nconflicts; i++)
		if (db->conflicts[i].conflict.resolution == NULL)
		{
			where = db->conflicts[i].mapping_id;
			n++;
		}
	return n == 1 ? where : NULL;
}

static void
test_conflict_moves(void)
{
	static const char *const what[] = {"a task in conflict is moved here", "… by create and delete",
	"… there"};

	for (int variant = 0; variant < 3; variant++)
	{
		char	   *id;

		begin(what[variant]);
		w->services[0].no_moves = variant == 1;
		id = add_disputed();
		if (variant == 2)
			fake_move(&w->services[0], object_of(id, "A"), "B");
		else
			mem_move(w->store, id, "pb");
		sync_all();
		sync_all();
		tap_is(where_it_is_open(), "B", "the conflict goes along");
		tap_is(here(id, TS_TITLE), "here", "ours rests here");
		tap_is(there(object_of(id, "B"), TS_TITLE), "there", "theirs there");
		tap_ok(mem_resolve(w->store, id, variant == 1), "decided");
		end();
		tap_is(here(id, TS_TITLE), variant == 1 ? "there" : "here", "for that");
		tap_is(where_it_is_open(), NULL, "and that was all");
	}
}

static void
test_conflict_loses_object(void)
{
	char	   *id;

	begin("the object of a task in conflict is deleted");
	id = add_disputed();
	fake_delete(&w->services[0], object_of(id, "A"));
	sync_all();
	tap_is(here(id, TS_TITLE), "here", "the task stays");
	tap_is(w->store->db.conflicts[0].conflict.resolution, "LOCAL", "ours is what stands");
	tap_is(w->store->db.conflicts[0].conflict.remote.value[TS_TITLE], "there",
		   "theirs is on record");
	edit(id, TS_TITLE, "edited here");
	end();
	tap_is(there(object_of(id, "A"), TS_TITLE), "edited here", "nothing rests any more");

	begin("a task is in conflict with a mirror, and moved out of it");
	mem_mapping(w->store, "M")->m.policy = TS_MANUAL;
	id = add_task("pa", "t");
	sync_all();
	(void) world_sync(w, "P2", NULL, &result);
	edit(id, TS_TITLE, "here");
	edit_object(object_of(id, "M"), TS_TITLE, "there");
	(void) world_sync(w, "P2", NULL, &result);
	tap_is(where_it_is_open(), "M", "it is open");
	mem_move(w->store, id, "pb");
	end();
	tap_is(where_it_is_open(), NULL, "ours is what stands");
	tap_is(there(object_of(id, "B"), TS_TITLE), "here", "... wherever it is now");
}

/* What was decided may be overruled before it is sent: with the precise time. */
static void
test_decided_and_overruled(void)
{
	TsTask		task = task_of(TS_TITLE, "t", TS_DUE_DATE, "2026-03-01", TS_DUE_TIME, "10:00:30", END);
	char	   *id;

	begin("a conflict decided for ours, and changed there before that is sent");
	mem_mapping(w->store, "A")->m.policy = TS_MANUAL;
	id = mem_insert(w->store, "pa", &task);
	sync_all();
	edit(id, TS_DUE_TIME, "11:00:45");
	edit_object(object_of(id, "A"), TS_DUE_DATE, "2026-03-03");
	sync_all();
	tap_ok(mem_resolve(w->store, id, false), "decided");
	mem_mapping(w->store, "A")->m.policy = TS_REMOTE_WINS;
	edit_object(object_of(id, "A"), TS_DUE_DATE, "2026-03-04");
	end();
	tap_is(here(id, TS_DUE_DATE), "2026-03-04", "theirs is here");
	tap_is(here(id, TS_DUE_TIME), "10:00:30", "at the time that was ours, as it was");
}

/* Ours is no parent, theirs one that is not here: not the same. */
static void
test_decided_against_parent(void)
{
	TsTask		child = task_of(TS_TITLE, "child", TS_PARENT_TASK_ID, NULL, END);
	char	   *id;

	begin("decided against a parent that is not here");
	mem_mapping(w->store, "A")->m.policy = TS_MANUAL;
	child.value[TS_PARENT_TASK_ID] = add_task("pa", "parent");
	id = mem_insert(w->store, "pa", &child);
	sync_all();
	edit(id, TS_PARENT_TASK_ID, NULL);
	edit_object(object_of(id, "A"), TS_PARENT_TASK_ID, "uid-late");
	sync_all();
	tap_ok(mem_resolve(w->store, id, false), "decided");
	sync_all();
	tap_is(there(object_of(id, "A"), TS_PARENT_TASK_ID), NULL, "ours is there");
	add_object("A", "late", "late");
	end();
	tap_is(here(id, TS_PARENT_TASK_ID), NULL, "... and stands when theirs comes");
}

static void
test_deletions(void)
{
	char	   *id[6];

	begin("deletions, and edits that beat them");
	for (int i = 0; i < 6; i++)
		id[i] = add_task("pa", psprintf("t%d", i));
	sync_all();
	mem_delete(w->store, id[0]);
	fake_delete(&w->services[0], object_of(id[1], "A"));
	mem_delete(w->store, id[2]);
	edit_object(object_of(id[2], "A"), TS_TITLE, "edited there");
	edit(id[3], TS_TITLE, "edited here");
	fake_delete(&w->services[0], object_of(id[3], "A"));
	mem_delete(w->store, id[4]);
	fake_delete(&w->services[0], object_of(id[4], "A"));
	sync_all();
	tap_ok(object_of(id[0], "A") == NULL, "deleted here: gone there");
	tap_ok(mem_task(w->store, id[1]) == NULL, "deleted there: gone here");
	tap_is(here(id[2], TS_TITLE), "edited there", "an edit there beats a deletion here");
	tap_is(there(object_of(id[3], "A"), TS_TITLE), "edited here", "an edit here beats a deletion there");
	tap_ok(mem_link(w->store, id[4], "A") == NULL, "deleted on both sides: forgotten");
	end();
}

/* An edit that was deleted with its task comes back with it. */
static void
test_revival(void)
{
	char	   *id;

	begin("a revived task is as it was when it was deleted");
	id = add_task("pa", "t");
	sync_all();
	edit(id, TS_DESCRIPTION, "edited, then deleted");
	mem_delete(w->store, id);
	edit_object(object_of(id, "A"), TS_TITLE, "edited there");
	sync_all();
	tap_is(here(id, TS_TITLE), "edited there", "what they edited is theirs");
	tap_is(here(id, TS_DESCRIPTION), "edited, then deleted", "the rest is as it last was here");
	tap_is(there(object_of(id, "A"), TS_DESCRIPTION), "edited, then deleted", "... and goes there");
	end();
}

/* A deletion on its way meets an edit that changes nothing for us. */
static void
touch_object(World *world)
{
	FakeObject *o = fake_find(&world->services[0], world->arg ? world->arg : "");

	if (o && o->payload && world->store->db.nintents > 0 && world->store->db.intents[0].used)
	{
		world->arg = NULL;
		fake_change(&world->services[0], o, o->payload);
	}
}

static void
test_deletion_meets_touch(void)
{
	char	   *id;

	begin("an object is touched while it is being deleted");
	id = add_task("pa", "t");
	add_task("pa", "u");
	sync_all();
	w->arg = object_of(id, "A")->id;
	w->meanwhile = touch_object;
	mem_delete(w->store, id);
	sync_all();
	w->meanwhile = NULL;
	tap_is_int(fake_count(&w->services[0], "A"), 1, "deleted in the same sync");
	end();
}

static void
test_absence(void)
{
	char	   *id;

	begin("absence is no deletion");
	for (int i = 0; i < 8; i++)
		id = add_task("pa", psprintf("t%d", i));
	sync_all();
	w->services[0].hide_every = 2;
	w->services[0].oldest_cursor = 10000;
	sync_all();
	tap_is_int(result.pulled.deleted, 0, "a short listing deletes nothing");
	tap_ok(mem_task(w->store, id) != NULL, "... really");
	w->services[0].hide_every = w->services[0].oldest_cursor = 0;
	end();
}

static void
test_mass_deletion(void)
{
	char	   *id[20];

	begin("many deletions are held");
	for (int i = 0; i < 20; i++)
		id[i] = add_task("pa", psprintf("t%d", i));
	sync_all();
	for (int i = 0; i < 12; i++)
		fake_delete(&w->services[0], object_of(id[i], "A"));
	sync_all();
	tap_ok(mem_mapping(w->store, "A")->held, "held");
	tap_is_int(result.pulled.deleted, 0, "nothing is deleted");

	/* somebody there undoes half of it, and then it is confirmed */
	for (int i = 0; i < 6; i++)
		add_object("A", strchr(fake_find(&w->services[0], psprintf("A/%s", id[i]))->id, '/') + 1, psprintf("t%d", i));
	mem_mapping(w->store, "A")->held = false;
	mem_mapping(w->store, "A")->m.deletions_confirmed = true;
	sync_all();
	tap_is_int(result.pulled.deleted, 6, "confirmed: what is still gone is deleted");
	tap_ok(mem_task(w->store, id[0]) != NULL, "... and what came back is not");
	end();

	begin("many deletions here are held too; moves and drafts are none");
	for (int i = 0; i < 20; i++)
		id[i] = add_task("pa", psprintf("t%d", i));
	sync_all();
	for (int i = 0; i < 12; i++)
		mem_move(w->store, id[i], "nowhere");
	sync_all();
	tap_ok(!mem_mapping(w->store, "A")->held, "moved to where no service looks: not held");
	for (int i = 12; i < 15; i++)
		mem_move(w->store, id[i], "pa");
	tap_is_int(fake_count(&w->services[0], "A"), 20, "... and the objects stay");
	tap_reset();
}

static void
test_moves(void)
{
	char	   *id[5];
	FakeObject *o;

	for (int variant = 0; variant < 3; variant++)
	{
		begin(variant == 0 ? "moves" : variant == 1 ? "moves, one list at a time" : "moves by create and delete");
		w->services[0].no_moves = variant == 2;
		id[4] = add_task("pa", "stays");
		for (int i = 0; i < 4; i++)
			id[i] = add_task("pa", psprintf("t%d", i));
		sync_all();
		edit(id[4], TS_TITLE, "edited, and stays");
		for (int i = 0; i < 3; i++)
			mem_move(w->store, id[i], "pb");
		edit(id[0], TS_TITLE, "edited and moved");
		o = object_of(id[3], "A");
		fake_move(&w->services[0], o, "B");
		edit_object(fake_find(&w->services[0], psprintf("B/%s", id[3])), TS_TITLE, "moved there");
		(void) world_sync(w, "P1", variant == 1 ? "A" : NULL, &result);
		tap_is_int(fake_count(&w->services[0], "B"), 4, "all are in the other list");
		tap_is_int(fake_count(&w->services[0], "A"), 1, "and none in the first");
		tap_is_int(w->store->db.ntasks, 5, "no task is new");
		tap_is_int(result.pulled.deleted + result.pushed.deleted, 0, "and none deleted");
		end();
		tap_is(here(id[3], TS_TITLE), "moved there", "an edit with a move there arrives");
	}
}

/* The service deletes what the user here moves to another project. */
static void
test_move_against_deletion(void)
{
	char	   *id;

	begin("moved here, deleted there: a move is an edit");
	id = add_task("pa", "t");
	add_task("pa", "another");
	sync_all();
	fake_delete(&w->services[0], object_of(id, "A"));
	mem_move(w->store, id, "pb");
	sync_all();
	tap_is(here(id, TS_TITLE), "t", "the task stays");
	end();
	tap_is(there(object_of(id, "B"), TS_TITLE), "t", "... and is made anew in the other list");
}

static void
test_edit_of_what_is_away(void)
{
	char	   *id;
	FakeObject *o;

	begin("edited there while the task is where no service looks");
	id = add_task("pa", "t");
	sync_all();
	o = object_of(id, "A");
	mem_move(w->store, id, "nowhere");
	sync_all();
	edit_object(o, TS_TITLE, "edited there");
	sync_all();
	tap_is(here(id, TS_TITLE), "t", "the task is left alone");
	sync_all();
	tap_is_int(result.requests, 2, "... and so is the object");
	mem_move(w->store, id, "pa");
	sync_all();
	tap_is(here(id, TS_TITLE), "edited there", "the edit arrives when the task is back");
	end();

	begin("... and is then deleted");
	id = add_task("pa", "t");
	add_task("pa", "another");
	sync_all();
	o = object_of(id, "A");
	mem_move(w->store, id, "nowhere");
	sync_all();
	edit_object(o, TS_TITLE, "edited there");
	sync_all();
	mem_delete(w->store, id);
	sync_all();
	tap_is(here(id, TS_TITLE), "edited there", "the edit beats the deletion");
	end();
}

/* What one list has refused, another takes, while the user tries the first once more. */
static void
move_to_and_fro(World *world)
{
	char	   *id = world->arg;
	MemTask    *t = mem_task(world->store, id);
	MemLink    *refused = mem_link(world->store, id, "A");

	if (strcmp(t->fields.value[TS_TITLE], "unspeakable") == 0 && refused && refused->fail_count > 0)
	{
		edit(id, TS_TITLE, "t");
		mem_move(world->store, id, "pb");
	}
	else if (strcmp(t->project, "pb") == 0 && object_of(id, "B"))
		mem_move(world->store, id, "pa");
}

static void
test_move_to_where_it_was_refused(void)
{
	char	   *id;
	FakeObject *o;

	begin("moved to a list that refused the task before");
	w->services[0].server_names = w->services[0].stable_ids = true;
	id = w->arg = add_task("pa", "unspeakable");
	w->meanwhile = move_to_and_fro;
	sync_all();
	w->meanwhile = NULL;
	o = object_of(id, "B");
	tap_ok(o && strcmp(mem_task(w->store, id)->project, "pa") == 0, "made in the other list");
	sync_all();
	tap_ok(o && object_of(id, "A") == o, "it is the same object that moves");
	tap_is_int(fake_count(&w->services[0], "A"), 1, "... and the only one");
	end();
}

/* What they edited in a list that takes nothing from them is overruled by our move. */
static void
test_lost_answer_to_deletion_of_edited(void)
{
	char	   *id;

	begin("the answer is lost when an object edited there makes way for its copy");
	w->services[0].no_moves = true;
	mem_mapping(w->store, "A")->m.direction = TS_TO_PROVIDER;
	id = add_task("pa", "t");
	sync_all();
	edit_object(object_of(id, "A"), TS_TITLE, "edited there");
	sync_all();
	mem_move(w->store, id, "pb");
	sync_with(WORLD_ERROR_AFTER, 5);	/* both lists, move, copy, delete */
	tap_is_int(fake_count(&w->services[0], "A"), 0, "it is deleted");
	end();
	tap_is_int(w->store->db.nconflicts, 1, "what they wrote is in a record");
	tap_is(w->store->db.conflicts[0].conflict.remote.value[TS_TITLE], "edited there", "... with its value");
}

/* TO_PROVIDER: what they wrote before our create was settled is no base of ours. */
static void
test_overruled_without_base(void)
{
	char	   *id;

	begin("TO_PROVIDER overrules what was edited there while the create was in doubt");
	mem_mapping(w->store, "A")->m.direction = TS_TO_PROVIDER;
	id = add_task("pa", "t");
	sync_with(WORLD_LOST_AFTER, 3);	/* both lists, create */
	edit_object(fake_find(&w->services[0], psprintf("A/%s", id)), TS_TITLE, "edited there");
	sync_all();
	edit_object(object_of(id, "A"), TS_TITLE, "edited there again");
	sync_all();
	edit(id, TS_TITLE, "edited here");
	sync_all();
	tap_is(there(object_of(id, "A"), TS_TITLE), "edited here", "ours is there");
	tap_is_int(w->store->db.nconflicts, 2, "a record of each value that lost");
	tap_is(w->store->db.conflicts[1].conflict.remote.value[TS_TITLE], "edited there again", "... the last one too");
	tap_reset();
}

/* No request gets through once an object waits in the inbox. */
static WorldFault
cut_off_when_waiting(World *world)
{
	return world->store->db.ninbox > 0 && world->store->db.inbox[0].used ? WORLD_NOT_SENT : WORLD_NO_FAULT;
}

/* The copy of a move in doubt is deleted there; it is made once more. */
static void
test_copy_deleted_and_made_again(void)
{
	char	   *id;

	begin("the copy of a move in doubt is deleted there");
	id = add_moving("pb", "pa");
	sync_with(WORLD_LOST_AFTER, 4);	/* both lists, move, copy */
	w->fault = cut_off_when_waiting;
	sync_all();
	w->fault = NULL;
	tap_ok(w->store->db.inbox[0].used, "it was seen");
	fake_delete(&w->services[0], fake_find(&w->services[0], psprintf("A/%s", id)));
	sync_all();
	end();
	tap_is_int(fake_count(&w->services[0], "A"), 1, "one object in the new list");
	tap_is_int(fake_count(&w->services[0], "B"), 0, "none in the old one");
	tap_is_int(w->store->db.ntasks, 1, "one task");
}

/* The answer to a deletion is lost, once. */
static WorldFault
lose_deletion(World *world)
{
	const MemDb *db = &world->store->db;

	if (world->arg == NULL || db->nintents == 0 || !db->intents[0].used ||
		db->intents[0].intent.kind != TS_PUSH_DELETE)
		return WORLD_NO_FAULT;
	world->arg = NULL;
	return WORLD_LOST_AFTER;
}

/* … of the object that a copy was made of, and which was edited since. */
static void
lose_deletion_of(FakeObject *first)
{
	(void) world_sync(w, "P1", "A", &result);
	tap_ok(first->payload != NULL, "the first stays until the copy has what was edited");
	(void) world_sync(w, "P1", "B", &result);
	w->arg = first;
	w->fault = lose_deletion;
	(void) world_sync(w, "P1", "A", &result);
	w->fault = NULL;
	tap_ok(first->payload == NULL, "... and is deleted then");
}

/*
 * What was moved here by copy is moved back there, while nobody has heard that
 * the first object is deleted: what turns up is the copy, with its bases.
 */
static void
test_copy_moved_back(void)
{
	FakeObject *o;
	char	   *id;

	begin("a copy is moved to where the object was that it was made of");
	w->services[0].no_moves = true;
	o = add_object("A", "n1", "t");
	sync_all();
	id = mem_task_by_title(w->store, "t")->id;
	mem_move(w->store, id, "pb");
	sync_with(WORLD_NOT_SENT, 5);	/* both lists, move, copy, delete */
	edit_object(o, TS_TITLE, "edited there");
	lose_deletion_of(o);
	fake_move(&w->services[0], fake_find(&w->services[0], psprintf("B/%s", id)), "A");
	end();
	tap_is(here(id, TS_TITLE), "edited there", "the edit stays");
	tap_is(there(object_of(id, "A"), TS_TITLE), "edited there", "... and goes to the copy");
}

/* ... and under the very name of the first: nobody can tell it from that one. */
static void
test_copy_moved_back_by_its_name(void)
{
	char	   *id;
	FakeObject *o;

	begin("a copy is moved back under the name of the object that it was made of");
	w->services[0].no_moves = true;
	id = add_task("pa", "t");
	sync_all();
	o = object_of(id, "A");
	mem_move(w->store, id, "pb");
	sync_with(WORLD_NOT_SENT, 5);	/* both lists, move, copy, delete */
	edit_object(o, TS_TITLE, "edited there");
	lose_deletion_of(o);
	fake_move(&w->services[0], object_of(id, "B"), "A");
	end();
	tap_is(here(id, TS_TITLE), "edited there", "the edit stays");
	tap_is_int(w->store->db.nconflicts, 0, "... and nothing is in conflict");
}

/* A copy that nobody has heard of yet, while its list turns read-only. */
static void
test_copy_in_list_turned_read_only(void)
{
	char	   *id;

	begin("a copy in doubt is in a list that takes nothing from here any more");
	id = add_moving("pb", "pa");
	sync_with(WORLD_LOST_AFTER, 4);	/* both lists, move, copy */
	(void) world_sync(w, "P2", NULL, &result);
	tap_is_int(fake_count(&w->services[1], "M"), 1, "the mirror has it");
	mem_mapping(w->store, "A")->m.direction = TS_FROM_PROVIDER;
	sync_all();
	tap_ok(object_of(id, "A") != NULL, "the copy is the task's object");
	mem_mapping(w->store, "A")->m.direction = TS_BIDIRECTIONAL;
	end();
	tap_is_int(w->store->db.ntasks, 1, "one task");
}

/* Right before the copy is sent, the object is moved there to the same list. */
static FakeObject *moving;

static WorldFault
move_before_copy(World *world)
{
	MemoryContext old = MemoryContextSwitchTo(world->cxt);

	if (--fault_in == 0)
		(void) fake_move(&world->services[0], moving, "B");
	MemoryContextSwitchTo(old);
	return WORLD_NO_FAULT;
}

/* The first object is the copy: its own link ends at once, and its bases with it. */
static void
test_moved_on_both_sides_and_back(void)
{
	char	   *id;

	begin("a task is moved here and there at once, then back there");
	id = add_moving("pa", "pb");
	moving = object_of(id, "A");
	fault_in = 4;				/* both lists, move, copy */
	w->fault = move_before_copy;
	sync_all();
	w->fault = NULL;
	tap_ok(mem_link(w->store, id, "A") == NULL && object_of(id, "B") != NULL, "one link, to where it went");
	edit_object(object_of(id, "B"), TS_DESCRIPTION, "edited there");
	sync_all();
	edit(id, TS_DESCRIPTION, "edited here");
	fake_move(&w->services[0], object_of(id, "B"), "A");
	end();
	tap_is(there(object_of(id, "A"), TS_DESCRIPTION), "edited here", "the later value stands");
	tap_is_int(w->store->db.nconflicts, 0, "no conflict");
}

static void
test_conflict_with_first_object(void)
{
	FakeObject *o;
	char	   *id;

	begin("a moved task's first object is in conflict");
	w->services[0].no_moves = true;
	mem_mapping(w->store, "A")->m.policy = TS_MANUAL;
	o = add_object("A", "n1", "t");
	sync_all();
	id = mem_task_by_title(w->store, "t")->id;
	mem_move(w->store, id, "pb");
	sync_with(WORLD_NOT_SENT, 5);	/* both lists, move, copy, delete */
	edit(id, TS_TITLE, "here");
	edit_object(o, TS_TITLE, "there");
	sync_all();
	sync_all();
	tap_is(where_it_is_open(), "A", "the conflict is open");
	tap_ok(o->payload != NULL, "its object stays for as long");
	tap_ok(mem_resolve(w->store, id, true), "decided");
	end();
	tap_ok(o->payload == NULL, "now it is deleted");
	tap_is(there(object_of(id, "B"), TS_TITLE), "there", "and the other one has the value");
}

/*
 * In a list that takes nothing from them, an object is deleted, its task goes
 * elsewhere, and its next object comes back.
 */
static void
test_move_to_where_it_was_deleted(void)
{
	char	   *id;

	begin("moved there to a list where the task's object had been deleted");
	mem_mapping(w->store, "A")->m.direction = TS_TO_PROVIDER;
	id = add_task("pa", "t");
	add_task("pb", "another");
	sync_all();
	fake_delete(&w->services[0], object_of(id, "A"));
	sync_all();
	tap_ok(mem_link(w->store, id, "A")->dead, "the task stays without an object");
	mem_move(w->store, id, "pb");
	sync_all();
	fake_move(&w->services[0], object_of(id, "B"), "A");
	sync_all();
	tap_is(here(id, TS_TITLE), "t", "the task stays");
	tap_ok(object_of(id, "A") != NULL, "... and is linked to its object");
	end();

	begin("an object of another's uid in a list that takes nothing from them");
	mem_mapping(w->store, "A")->m.direction = TS_TO_PROVIDER;
	add_object("B", "n1", "t");
	sync_all();
	add_object("A", "n1", "copied there");
	sync_all();
	sync_all();
	tap_is_int(w->store->db.ntasks, 1, "it is left alone");
	tap_is_int(result.requests, 2, "... for good");
	tap_reset();
}

/* A listing tells late of a deletion, when the object has been made again. */
static void
test_late_news_of_deletion(void)
{
	FakeService *s;
	char	   *id;
	int64		deleted_at;

	begin("moved away and back by copy, and the listing is late");
	s = &w->services[0];
	s->no_moves = true;
	id = add_task("pa", "t");
	sync_all();
	mem_move(w->store, id, "pb");
	sync_all();
	deleted_at = w->clock;
	mem_move(w->store, id, "pa");
	s->lag = w->clock;			/* nothing is told */
	sync_with(WORLD_NOT_SENT, 6);	/* both lists, what B does not tell of, move, copy, delete */
	tap_ok(object_of(id, "A") && object_of(id, "B"), "both objects are there");
	s->lag = w->clock - deleted_at;
	(void) world_sync(w, "P1", "A", &result);
	s->lag = 0;
	tap_ok(object_of(id, "A") != NULL, "the copy is not taken for gone");
	end();
	tap_is_int(w->store->db.ntasks, 1, "one task");
	tap_is_int(fake_count(s, "A") - fake_count(s, "B"), 1, "... and one object");
}

/* The changes since a cursor need not name what came and went meanwhile. */
static void
test_untold(void)
{
	char	   *id;

	begin("made here, and deleted there before the service has told of it");
	w->services[0].forgets = true;
	sync_all();
	id = add_task("pa", "t");
	add_task("pa", "u");
	sync_all();
	fake_delete(&w->services[0], object_of(id, "A"));
	sync_all();
	tap_is(here(id, TS_TITLE), "(no task)", "it is deleted here");
	end();

	begin("… and moved there");
	w->services[0].forgets = true;
	sync_all();
	id = add_task("pa", "t");
	sync_all();
	fake_move(&w->services[0], object_of(id, "A"), "B");
	sync_all();
	tap_ok(object_of(id, "B") != NULL, "it is the same task");
	end();
	tap_is_int(w->store->db.ntasks, 1, "one task");
}

/* It comes back as soon as we have seen that it is gone. */
static void
move_back(World *world)
{
	FakeObject *o = world->arg;

	if (o->payload == NULL || world->store->db.ninbox == 0 || !world->store->db.inbox[0].used)
		return;
	fake_move(&world->services[0], o, "A");
}

static void
test_moved_to_and_fro_in_doubt(void)
{
	TsTask		task = task_of(TS_TITLE, "t", TS_DUE_DATE, "2026-03-01", TS_DUE_TIME, "10:00:30", END);
	char	   *id;

	begin("moved away and back while an update is in doubt, and the listing is late");
	id = mem_insert(w->store, "pa", &task);
	sync_all();
	edit(id, TS_DUE_TIME, "11:00:45");
	sync_with(WORLD_TOO_MANY, 4);	/* both lists, update, reading back */
	w->arg = fake_move(&w->services[0], object_of(id, "A"), "B");
	w->services[0].lag = INT64CONST(40000000);
	w->meanwhile = move_back;
	(void) world_sync(w, "P1", "A", &result);
	w->meanwhile = NULL;
	w->services[0].lag = 0;
	end();
	tap_is(here(id, TS_DUE_TIME), "11:00:45", "our value keeps its seconds");
	tap_is_int(w->store->db.nconflicts, 0, "no conflict");
}

/* Of a task that is back before its copy is deleted, the copy is deleted there, and the first moved. */
static void
test_copy_deleted_and_first_moved(void)
{
	FakeObject *o;
	char	   *id;

	begin("a copy is deleted there, and what it was made of moved to its list");
	w->services[0].no_moves = true;
	o = add_object("A", "n1", "t");
	sync_all();
	id = mem_task_by_title(w->store, "t")->id;
	mem_move(w->store, id, "pb");
	sync_with(WORLD_NOT_SENT, 5);	/* both lists, move, copy, delete */
	mem_move(w->store, id, "pa");
	edit(id, TS_PRIORITY, "HIGH");
	fake_delete(&w->services[0], object_of(id, "B"));
	fake_move(&w->services[0], o, "B");
	end();
	tap_is_int(w->store->db.ntasks, 1, "it is the same task");
	tap_is_int(fake_count(&w->services[0], "A") + fake_count(&w->services[0], "B"), 1, "... of one object");
}

/* Our own deletion, of which no answer came, is not theirs. */
static void
test_back_while_deletion_in_doubt(void)
{
	char	   *id;

	begin("a task is back while the deletion of its object is in doubt");
	id = add_task("pa", "t");
	tap_ok(world_settle(w, 12) >= 0, "comes to rest");
	mem_move(w->store, id, "pb");
	sync_all();
	the_fault = WORLD_LOST_AFTER;
	fault_in = 2;				/* list, delete */
	w->fault = one_fault;
	(void) world_sync(w, "P2", NULL, &result);
	w->fault = NULL;
	tap_is_int(fake_count(&w->services[1], "M"), 0, "it is deleted in the mirror");
	mem_move(w->store, id, "pa");
	(void) world_sync(w, "P2", NULL, &result);
	tap_is(here(id, TS_TITLE), "t", "the task stays");
	end();
	tap_is_int(fake_count(&w->services[1], "M"), 1, "... and is in the mirror again");
}

/* A copy that was seen in one list has gone on to another. */
static void
test_copy_goes_on(void)
{
	FakeObject *o;
	char	   *id;

	begin("the copy of a move in doubt is moved back, and what it was made of deleted");
	w->services[0].no_moves = true;
	o = add_object("A", "n1", "t");
	sync_all();
	id = mem_task_by_title(w->store, "t")->id;
	edit(id, TS_PRIORITY, "HIGH");
	mem_move(w->store, id, "pb");
	sync_with(WORLD_LOST_AFTER, 4);	/* both lists, move, copy */
	w->fault = cut_off_when_waiting;
	(void) world_sync(w, "P1", "B", &result);
	w->fault = NULL;
	tap_ok(w->store->db.inbox[0].used, "the copy was seen");
	fake_delete(&w->services[0], o);
	fake_move(&w->services[0], fake_find(&w->services[0], psprintf("B/%s", id)), "A");
	w->services[0].oldest_cursor = w->services[0].rev;	/* a listing that does not tell what left */
	end();
	tap_is_int(w->store->db.ntasks, 1, "it is the same task");
	tap_is_int(fake_count(&w->services[0], "A") + fake_count(&w->services[0], "B"), 1, "... of one object");
}

static void
test_mirror(void)
{
	char	   *id;
	FakeObject *o;

	begin("what comes from one list goes to its mirror");
	o = add_object("A", "n1", "from A");
	id = add_task("pa", "from here");
	tap_ok(world_settle(w, 12) >= 0, "comes to rest");
	tap_is_int(fake_count(&w->services[1], "M"), 2, "both are in the mirror");
	edit_object(o, TS_TITLE, "edited at A");
	edit_object(object_of(id, "M"), TS_TITLE, "edited at M");
	tap_ok(world_settle(w, 12) >= 0, "comes to rest");
	tap_is(there(object_of(mem_task_by_title(w->store, "edited at A")->id, "M"), TS_TITLE),
		   "edited at A", "an edit fans out");
	tap_is(there(object_of(id, "A"), TS_TITLE), "edited at M", "... in both directions");
	fake_delete(&w->services[1], object_of(id, "M"));
	tap_ok(world_settle(w, 12) >= 0, "comes to rest");
	tap_is_int(fake_count(&w->services[0], "A"), 1, "a deletion in the mirror reaches the list");
	end();
}

static void
test_directions(void)
{
	char	   *id;
	FakeObject *o;

	begin("FROM_PROVIDER writes nothing there");
	mem_mapping(w->store, "A")->m.direction = TS_FROM_PROVIDER;
	o = add_object("A", "n1", "theirs");
	add_task("pa", "ours");
	sync_all();
	edit(mem_task_by_title(w->store, "theirs")->id, TS_TITLE, "changed here");
	edit_object(o, TS_DESCRIPTION, "changed there");
	sync_all();
	tap_is_int(w->services[0].writes, 0, "no write");
	tap_is(here(mem_task_by_title(w->store, "changed here")->id, TS_DESCRIPTION), "changed there", "what they change comes");
	edit_object(o, TS_TITLE, "changed there too");
	sync_all();
	tap_ok(mem_task_by_title(w->store, "changed there too") != NULL, "theirs wins");
	tap_is_int(w->store->db.nconflicts, 1, "and ours is noted");
	tap_reset();

	begin("TO_PROVIDER takes nothing");
	mem_mapping(w->store, "A")->m.direction = TS_TO_PROVIDER;
	add_object("A", "n1", "theirs");
	id = add_task("pa", "ours");
	sync_all();
	tap_is_int(w->store->db.ntasks, 1, "no import");
	edit_object(object_of(id, "A"), TS_TITLE, "changed there");
	sync_all();
	tap_is(here(id, TS_TITLE), "ours", "no change");
	edit(id, TS_TITLE, "ours again");
	sync_all();
	tap_is(there(object_of(id, "A"), TS_TITLE), "ours again", "the next edit here goes there");
	fake_delete(&w->services[0], object_of(id, "A"));
	sync_all();
	tap_ok(mem_task(w->store, id) != NULL, "no deletion");
	tap_reset();
}

/*
 * A write in doubt, and another's value there: ours was written before that,
 * even if theirs is let be, and goes back to what it was before ours.
 */
static void
test_in_doubt_and_back(void)
{
	char	   *id;

	begin("changed there while a write is in doubt, and back");
	mem_set_direction(w->store, mem_mapping(w->store, "A"), TS_TO_PROVIDER);
	id = add_task("pa", "t");
	sync_all();
	edit(id, TS_TITLE, "here");
	sync_with(WORLD_LOST_AFTER, 3);	/* both lists, update */
	tap_is(there(object_of(id, "A"), TS_TITLE), "here", "it arrived");
	edit_object(object_of(id, "A"), TS_TITLE, "there");
	sync_all();
	edit_object(object_of(id, "A"), TS_TITLE, "t");
	mem_set_direction(w->store, mem_mapping(w->store, "A"), TS_BIDIRECTIONAL);
	end();
	tap_is(here(id, TS_TITLE), "t", "theirs is the later");
}

static void
test_recurrence(void)
{
	static const char *const modes[] = {NULL, "EXCEPTION"};

	for (int i = 0; i < 2; i++)
	{
		TsTask		task = task_of(TS_TITLE, "daily", TS_DUE_DATE, "2026-03-01",
								   TS_RECURRENCE_RULE, "FREQ=DAILY", END);
		char	   *id;

		begin(i == 0 ? "completing a recurring task: the next day" : "… or an exception");
		w->settings = modes[i];
		id = mem_insert(w->store, "pa", &task);
		sync_all();
		edit(id, TS_STATUS, "COMPLETED");
		sync_all();
		tap_is(here(id, TS_STATUS), "TODO", "to be done again");
		tap_is(here(id, TS_COMPLETED_AT), NULL, "not completed");
		tap_is(here(id, TS_PERCENT_COMPLETE), NULL, "no percentage");
		tap_is(here(id, TS_DUE_DATE), i == 0 ? "2026-03-02" : "2026-03-01", "its day");
		tap_is_int(w->store->db.nconflicts, 0, "no conflict");
		end();
	}
}

/* While the completion is under way the user writes something else. */
static void
edit_in_flight(World *world)
{
	if (world->services[0].writes == 2 && world->arg)
	{
		char	   *id = world->arg;

		world->arg = NULL;
		edit(id, TS_DESCRIPTION, "written meanwhile");
	}
}

static void
test_recurrence_in_flight(void)
{
	TsTask		task = task_of(TS_TITLE, "daily", TS_DUE_DATE, "2026-03-01",
							   TS_RECURRENCE_RULE, "FREQ=DAILY", END);
	char	   *id;

	begin("an edit while a recurring task is completed");
	id = mem_insert(w->store, "pa", &task);
	sync_all();
	edit(id, TS_STATUS, "COMPLETED");
	w->arg = id;
	w->meanwhile = edit_in_flight;
	sync_all();
	w->meanwhile = NULL;
	end();
	tap_is(here(id, TS_DESCRIPTION), "written meanwhile", "the edit is not lost");
	tap_is(there(object_of(id, "A"), TS_DESCRIPTION), "written meanwhile", "... and arrives");
	tap_is(here(id, TS_STATUS), "TODO", "the task went on");
}

static void
test_first_sync(void)
{
	begin("the first sync of two lists that are alike");
	add_task("pa", "only here");
	add_task("pa", "Both");
	add_task("pa", "twins");
	add_task("pa", "twins");
	add_object("A", "n1", "both");
	add_object("A", "n2", "twins");
	add_object("A", "n3", "twins");
	add_object("A", "n4", "twins");
	add_object("A", "n5", "only there");
	sync_all();
	tap_is_int(fake_count(&w->services[0], "A"), 6, "objects");
	tap_is_int(w->store->db.ntasks, 6, "tasks");
	tap_is_int(result.pulled.deleted + result.pushed.deleted, 0, "no deletion");
	end();
}

/*
 * The server is out of disk from the n-th transaction of a sync on: it ends
 * with that, and no item is set aside for it.
 */
static void
test_servers_trouble(void)
{
	char	   *wrong = NULL;
	bool		met = true;
	int			n;

	tap_note("the server's disk is full");
	for (n = 1; met && !wrong; n++)
	{
		char	   *id;

		tap_reset();
		w = world_create();
		MemoryContextSwitchTo(w->cxt);
		id = add_task("pa", "here");
		sync_all();
		edit(id, TS_TITLE, "edited here");
		add_task("pa", "new here");
		for (int i = 0; i < 4; i++)
			add_object("A", psprintf("n%d", i), psprintf("there %d", i));
		w->store->fail_in = n;
		w->store->fail_code = "53100";
		sync_all();
		met = w->store->fail_in == 1;
		w->store->fail_in = 0;
		if (met && result.error.sqlstate[0] && strcmp(result.error.sqlstate, "53100") != 0)
			wrong = psprintf("the error is %s", result.error.sqlstate);
		else if (result.errors > 0 || w->store->db.ninbox > 0)
			wrong = "items were set aside";
		sync_all();
		if (!wrong && fake_count(&w->services[0], "A") != 6)
			wrong = "a wrong number of objects";
		else if (!wrong && (world_settle(w, 3) < 0 || world_inconsistency(w)))
			wrong = "no rest";
		if (wrong)
			tap_note("transaction %d: %s", n, wrong);
	}
	tap_ok(wrong == NULL, "in each of %d transactions", n - 2);
	tap_reset();
}

/* Every request of a busy sync fails once in every way. */
static void
test_each_fault(void)
{
	for (the_fault = WORLD_NOT_SENT; the_fault <= WORLD_ERROR_AFTER; the_fault++)
	{
		char	   *wrong = NULL;
		bool		met = true;
		int			n;

		for (n = 1; met && !wrong; n++)
		{
			char	   *id[4];

			w = world_create();
			MemoryContextSwitchTo(w->cxt);
			for (int i = 0; i < 4; i++)
				id[i] = add_task("pa", psprintf("t%d", i));
			sync_all();
			mem_delete(w->store, id[0]);
			edit(id[1], TS_TITLE, "edited here");
			mem_move(w->store, id[2], "pb");
			edit_object(object_of(id[3], "A"), TS_TITLE, "edited there");
			add_task("pb", "new here");
			add_object("B", "n1", "new there");
			fault_in = n;
			w->fault = one_fault;
			sync_all();
			w->fault = NULL;
			met = fault_in <= 0;
			if (world_settle(w, 12) < 0)
				wrong = "no rest";
			else
				wrong = world_inconsistency(w);
			if (wrong == NULL && (w->store->db.nconflicts > 0 || fake_count(&w->services[0], "B") != 3 ||
								  fake_count(&w->services[0], "A") != 2))
				wrong = "conflicts, or a wrong number of objects";
			if (wrong)
				tap_note("fault %d at request %d: %s", the_fault, n, wrong);
			if (!wrong)
				tap_reset();
		}
		tap_ok(wrong == NULL, "fault %d at each of %d requests", the_fault, n - 2);
		tap_reset();
	}
}

static void
test_refusals(void)
{
	char	   *id;

	begin("an object that the service refuses stands alone");
	id = add_task("pa", "unspeakable");
	add_task("pa", "good");
	add_object("A", "n1", "poison");
	add_object("A", "n2", "good too");
	sync_all();
	tap_is_int(result.errors, 2, "two errors");
	tap_is_int(fake_count(&w->services[0], "A"), 3, "the other is sent");
	tap_ok(mem_task_by_title(w->store, "good too") != NULL, "the other comes");
	tap_ok(!ts_failed(&result.error), "the sync went well");
	edit(id, TS_TITLE, "speakable");
	edit_object(fake_find(&w->services[0], "A/n1"), TS_TITLE, "edible");
	end();
	tap_is_int(fake_count(&w->services[0], "A"), 4, "mended: all are there");
}

static void
test_list_gone(void)
{
	char	   *id;

	begin("a list that is gone");
	id = add_task("pa", "t");
	add_task("pb", "u");
	sync_all();
	sync_with(WORLD_LIST_GONE, 1);
	tap_ok(mem_mapping(w->store, "A")->list_missing, "it is missed");
	tap_ok(ts_failed(&mem_mapping(w->store, "A")->error), "an error of its mapping");
	tap_ok(!ts_failed(&mem_mapping(w->store, "B")->error), "... and not of the other");
	tap_ok(mem_task(w->store, id) != NULL, "the task stays");
	end();
}

/*
 * One list could not be read, and in another something is gone: it may have
 * moved there.
 */
static void
test_barrier_with_failure(void)
{
	char	   *id;

	begin("a deletion waits while another list cannot be read");
	id = add_task("pa", "t");
	add_task("pa", "u");
	sync_all();
	fake_move(&w->services[0], object_of(id, "A"), "B");
	sync_with(WORLD_REFUSED, 2);	/* list A, then list B */
	tap_is(here(id, TS_TITLE), "t", "the task is still there");
	end();
	tap_is(here(id, TS_TITLE), "t", "... and the same one in the end");
}

static void
test_parents(void)
{
	char	   *parent;
	char	   *child;
	TsTask		task;

	begin("subtasks");
	task = task_of(TS_TITLE, "parent", END);
	parent = mem_insert(w->store, "pa", &task);
	task = task_of(TS_TITLE, "child", TS_PARENT_TASK_ID, parent, END);
	child = mem_insert(w->store, "pa", &task);
	sync_all();
	tap_is(there(object_of(child, "A"), TS_PARENT_TASK_ID), parent, "named by the parent's uid");

	task = task_of(TS_TITLE, "child there", TS_STATUS, "TODO", TS_PRIORITY, "NONE", TS_TAGS, "[]",
				   TS_PARENT_TASK_ID, "uid-p", END);
	fake_put(&w->services[0], "A", "c", fake_payload("uid-c", "", w->clock, &task));
	sync_all();
	add_object("A", "p", "parent there");
	sync_all();
	tap_is(here(mem_task_by_title(w->store, "child there")->id, TS_PARENT_TASK_ID),
		   mem_task_by_title(w->store, "parent there")->id, "a child that came before its parent");
	end();
}

/* Somebody has entered another account's credentials. */
static void
test_other_account(void)
{
	char	   *id;
	FakeObject *o;

	begin("another account is not synced with before somebody says so");
	w->services[0].account = "me";
	w->credentials = "mine";
	id = add_task("pa", "t");
	o = add_object("A", "n1", "there");
	sync_all();
	sync_all();
	tap_is_int(result.requests, 2, "who it is, is not asked every time");
	w->credentials = "mine again";
	sync_all();
	tap_is_int(result.requests, 3, "... but with other credentials");
	sync_all();
	tap_is_int(result.requests, 2, "... once");

	w->credentials = "yours";
	w->services[0].account = "you";
	edit(id, TS_TITLE, "edited");
	edit_object(o, TS_TITLE, "theirs");
	fake_delete(&w->services[0], object_of(id, "A"));
	sync_all();
	tap_is_int(result.requests, 1, "nothing is read, or sent");
	tap_ok(mem_mapping(w->store, "A")->held && mem_mapping(w->store, "B")->held, "held");
	tap_is(w->store->db.mappings[0].m.account, "me", "it is still known as the one before");

	mem_mapping(w->store, "A")->held = mem_mapping(w->store, "B")->held = false;
	mem_mapping(w->store, "A")->m.deletions_confirmed = true;
	mem_mapping(w->store, "B")->m.deletions_confirmed = true;
	sync_all();
	tap_is(there(object_of(id, "A"), TS_TITLE), "edited", "confirmed: what is not there is made there");
	tap_ok(mem_task_by_title(w->store, "theirs") != NULL, "... and what is, is merged");
	tap_is(w->store->db.mappings[0].m.account, "you", "from now on it is that one");
	end();
	tap_is_int(fake_count(&w->services[0], "A"), 2, "nothing is doubled");
}

/* The provider's address leads to another server, say a restored one. */
static void
test_other_server(void)
{
	for (int restart = 0; restart < 2; restart++)
	{
		char	   *id[4];

		begin(restart ? "... and when the first sync with it is broken off" : "at another server nothing is missing by intention");
		w->services[0].address = "one";
		for (int i = 0; i < 4; i++)
			id[i] = add_task("pa", psprintf("t%d", i));
		sync_all();
		w->services[0].address = "two";
		w->services[0].oldest_cursor = 10000;
		fake_delete(&w->services[0], object_of(id[0], "A"));
		fake_delete(&w->services[0], object_of(id[1], "A"));
		edit_object(object_of(id[2], "A"), TS_TITLE, "edited there");
		mem_delete(w->store, id[3]);
		if (restart)
		{
			w->die_at = w->boundary + 12;
			sync_all();
			w->die_at = 0;
		}
		sync_all();
		tap_is(there(object_of(id[0], "A"), TS_TITLE), "t0", "what is not there is made there");
		tap_is(there(object_of(id[1], "A"), TS_TITLE), "t1", "... each");
		tap_is(here(id[2], TS_TITLE), "edited there", "what is, is merged");
		if (!restart)
			tap_is_int(fake_count(&w->services[0], "A"), 4, "nor is anything deleted there");
		w->services[0].oldest_cursor = 0;
		end();
		tap_is_int(fake_count(&w->services[0], "A"), 3, "... before it was seen to be the same");
	}
}

/* What is missing waits for a list that cannot be read: it is not deleted by that. */
static void
test_other_server_in_parts(void)
{
	char	   *id;

	begin("at another server, of which one list cannot be read at first");
	w->services[0].address = "one";
	id = add_task("pa", "t");
	add_task("pa", "u");
	sync_all();
	w->services[0].address = "two";
	fake_delete(&w->services[0], object_of(id, "A"));
	sync_with(WORLD_REFUSED, 3);	/* list A, the object missing, list B */
	tap_ok(ts_failed(&mem_mapping(w->store, "B")->error), "one could not be read");
	tap_ok(object_of(id, "A") == NULL, "it may have moved there");
	end();
	tap_is(there(object_of(id, "A"), TS_TITLE), "t", "it had not, and is made anew");
}

static void
test_all_changed(void)
{
	char	   *id[12];

	begin("the same field changed all over a list is held");
	w->mass_change_minimum = 4;
	for (int i = 0; i < 12; i++)
		id[i] = add_task("pa", psprintf("t%d", i));
	sync_all();
	for (int i = 0; i < 12; i++)
		edit_object(object_of(id[i], "A"), TS_STATUS, "COMPLETED");
	sync_all();
	tap_is(here(id[11], TS_STATUS), "COMPLETED", "a list that is completed is not");
	for (int i = 0; i < 7; i++)
		edit_object(object_of(id[i], "A"), i < 5 ? TS_TITLE : TS_DESCRIPTION, psprintf("new %d", i));
	sync_all();
	tap_is(here(id[0], TS_TITLE), "new 0", "nor are changes of this and that");

	add_object("A", "n1", "new there");
	for (int i = 0; i < 8; i++)
		edit_object(object_of(id[i], "A"), TS_DUE_DATE, "2026-05-05");
	sync_all();
	tap_ok(mem_mapping(w->store, "A")->held, "held");
	tap_is_int(result.pulled.updated, 0, "nothing is changed");
	tap_is(here(id[0], TS_DUE_DATE), NULL, "... really");
	sync_all();
	tap_is(here(id[0], TS_DUE_DATE), NULL, "... as long as nobody confirms it");

	mem_mapping(w->store, "A")->held = false;
	mem_mapping(w->store, "A")->m.deletions_confirmed = true;
	sync_all();
	tap_is(here(id[0], TS_DUE_DATE), "2026-05-05", "confirmed");
	tap_is(here(id[7], TS_DUE_DATE), "2026-05-05", "... all");
	tap_ok(mem_task_by_title(w->store, "new there") != NULL, "nothing was lost of what else came");
	end();
}

/* Held, it is still read for the other lists' sake, and still not changed. */
static void
test_all_changed_is_read(void)
{
	char	   *id[12];
	char	   *other;

	begin("a list that is held for its changes can be moved to and from");
	w->mass_change_minimum = 4;
	for (int i = 0; i < 12; i++)
		id[i] = add_task("pa", psprintf("t%d", i));
	other = add_task("pb", "comes over");
	sync_all();
	for (int i = 0; i < 8; i++)
		edit_object(object_of(id[i], "A"), TS_DUE_DATE, "2026-05-05");
	sync_all();
	fake_move(&w->services[0], object_of(other, "B"), "A");
	sync_all();
	tap_ok(mem_task(w->store, other) != NULL, "what moved there is not deleted");
	tap_ok(object_of(other, "A") != NULL, "... but linked there");
	tap_is(here(id[0], TS_DUE_DATE), NULL, "what waits still waits");
	end();
	tap_is(here(id[0], TS_DUE_DATE), "2026-05-05", "... and is not forgotten");
}

static void
test_swinging(void)
{
	char	   *id;

	begin("a field that swings to and fro comes to rest as a conflict");
	id = add_task("pa", "t");
	sync_all();
	w->store->swinging = TS_FIELD_BIT(TS_TITLE);
	edit_object(object_of(id, "A"), TS_TITLE, "once more");
	edit_object(object_of(id, "A"), TS_DESCRIPTION, "and this");
	sync_all();
	w->store->swinging = 0;
	tap_is(here(id, TS_TITLE), "t", "ours stands here");
	tap_is(there(object_of(id, "A"), TS_TITLE), "once more", "theirs there");
	tap_is(here(id, TS_DESCRIPTION), "and this", "another field goes on");
	tap_is_int(w->store->db.nconflicts, 1, "one conflict");
	tap_is(w->store->db.conflicts[0].conflict.resolution, NULL, "... for a person to settle");
	w->store->swinging = TS_FIELD_BIT(TS_PRIORITY);
	edit_object(object_of(id, "A"), TS_PRIORITY, "HIGH");
	edit_object(object_of(id, "A"), TS_DESCRIPTION, "there");
	edit(id, TS_DESCRIPTION, "here");
	sync_all();
	w->store->swinging = 0;
	tap_is(w->store->db.conflicts[0].conflict.resolution, NULL, "... even with another that is settled");
	tap_is_int(w->store->db.nconflicts, 2, "... which is a record of its own");
	tap_is(w->store->db.conflicts[1].conflict.resolution, "REMOTE", "... and decided");
	tap_is(w->store->db.conflicts[1].conflict.local.value[TS_DESCRIPTION], "here", "... with the loser");
	tap_is(where_it_is_open(), "A", "one is open");
	edit_object(object_of(id, "A"), TS_TITLE, "and once more");
	edit(id, TS_TITLE, "u");
	sync_all();
	tap_is_int(w->store->db.nconflicts, 2, "it stays at rest");
	tap_is(there(object_of(id, "A"), TS_TITLE), "and once more", "... on both sides");
	tap_reset();
}

int
main(void)
{
	tap_start();
	test_there_and_back();
	test_rounding_service();
	test_conflict();
	test_manual();
	test_manual_register();
	test_conflict_moves();
	test_conflict_loses_object();
	test_decided_and_overruled();
	test_decided_against_parent();
	test_deletions();
	test_revival();
	test_deletion_meets_touch();
	test_absence();
	test_mass_deletion();
	test_moves();
	test_move_against_deletion();
	test_edit_of_what_is_away();
	test_move_to_where_it_was_refused();
	test_lost_answer_to_deletion_of_edited();
	test_overruled_without_base();
	test_copy_deleted_and_made_again();
	test_copy_moved_back();
	test_copy_moved_back_by_its_name();
	test_copy_in_list_turned_read_only();
	test_moved_on_both_sides_and_back();
	test_conflict_with_first_object();
	test_move_to_where_it_was_deleted();
	test_late_news_of_deletion();
	test_untold();
	test_moved_to_and_fro_in_doubt();
	test_copy_deleted_and_first_moved();
	test_back_while_deletion_in_doubt();
	test_copy_goes_on();
	test_mirror();
	test_directions();
	test_in_doubt_and_back();
	test_recurrence();
	test_recurrence_in_flight();
	test_first_sync();
	test_each_fault();
	test_servers_trouble();
	test_refusals();
	test_list_gone();
	test_barrier_with_failure();
	test_parents();
	test_other_account();
	test_other_server();
	test_other_server_in_parts();
	test_all_changed();
	test_all_changed_is_read();
	test_swinging();
	return tap_done();
}
