/*-------------------------------------------------------------------------
 *
 * users.c
 *	  What users do, here and at the services, and what they saw of it.
 *
 * Titles, descriptions and due dates are unique and say whose they are, so
 * that at the end it can be read off the values what became of each.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "run.h"
#include "task/datetime.h"

const TsField tracked[TRACKED] = {TS_TITLE, TS_DESCRIPTION, TS_DUE_DATE};

/*
 * Values
 */

static char *
new_value(Run *run, TsField f, int item)
{
	Value	   *v = &run->values[run->nvalues++];
	TsCivil		day;

	if (run->nvalues == MAX_VALUES)
		abort();
	v->field = f;
	v->item = item;
	v->edited = v->deleted = v->kept = v->here = v->left = false;
	if (f == TS_DUE_DATE)
	{
		ts_wall_from_seconds((INT64CONST(20000) + run->nvalues * 30) * 86400, &day);
		v->text = ts_date_text(&day);
	}
	else
		v->text = numbered(numbered("item ", item, " value "), run->nvalues, "");
	return v->text;
}

int
item_of(const TsTask *task)
{
	return task->value[TS_TITLE] ? number_at(task->value[TS_TITLE] + strlen("item ")) : 0;
}

/* Some user saw this task and deletes it, or (field f) writes another value. */
static void
saw(Run *run, const TsTask *task, int f)
{
	for (int i = 0; i < run->nvalues; i++)
	{
		Value	   *v = &run->values[i];
		const char *text = task->value[v->field];

		if ((f >= 0 && f != v->field) || text == NULL || !same(text, v->text))
			continue;
		if (f < 0)
			v->deleted = true;
		else
		{
			v->edited = true;
			v->kept = false;
		}
	}
	if (f < 0)
		run->items[item_of(task)].deleted = true;
}

static char *
new_time(Run *run, int item, bool here)
{
	Time	   *t = &run->times[run->ntimes++];

	if (run->ntimes == MAX_VALUES)
		abort();
	t->item = item;
	t->here = here;
	t->text = psprintf("%02d:%02d:%02d", run_any(run, 24), run_any(run, 60), run_any(run, 60));
	return t->text;
}

/* Something to write to one field. */
static char *
some_value(Run *run, TsField f, const TsTask *task, bool here)
{
	static const char *const statuses[] = {"TODO", "IN_PROGRESS", "COMPLETED", "CANCELLED"};
	static const char *const priorities[] = {"NONE", "LOW", "MEDIUM", "HIGH"};
	static const char *const tags[] = {"[]", "[\"x\"]", "[\"x\", \"y\"]", "[\"z\"]"};

	switch (f)
	{
		case TS_STATUS:
			return (char *) statuses[run_any(run, 4)];
		case TS_PRIORITY:
			return (char *) priorities[run_any(run, 4)];
		case TS_TAGS:
			return (char *) tags[run_any(run, 4)];
		case TS_DUE_TIME:
			return task->value[TS_DUE_DATE] ? new_time(run, item_of(task), here) : NULL;
		default:
			return new_value(run, f, item_of(task));
	}
}

static TsField
some_field(Run *run)
{
	static const TsField fields[] = {TS_TITLE, TS_TITLE, TS_DESCRIPTION, TS_DUE_DATE, TS_DUE_TIME,
	TS_STATUS, TS_PRIORITY, TS_TAGS};

	return fields[run_any(run, lengthof(fields))];
}

static void
set(TsTask *task, TsField f, char *value)
{
	task->known |= TS_FIELD_BIT(f);
	task->value[f] = value;
}

static TsTask
new_task(Run *run)
{
	TsTask		task = {0};

	if (++run->nitems == MAX_ITEMS)
		abort();
	set(&task, TS_TITLE, new_value(run, TS_TITLE, run->nitems));
	set(&task, TS_STATUS, "TODO");
	set(&task, TS_PRIORITY, "NONE");
	set(&task, TS_TAGS, "[]");
	if (run_one_in(run, 2))
		set(&task, TS_DESCRIPTION, new_value(run, TS_DESCRIPTION, run->nitems));
	return task;
}

/*
 * Here
 */

static MemTask *
some_task(Run *run)
{
	MemDb	   *db = &run->w->store->db;
	int			start = run_any(run, db->ntasks);

	for (int i = 0; i < db->ntasks; i++)
	{
		MemTask    *t = &db->tasks[(start + i) % db->ntasks];

		if (t->exists)
			return t;
	}
	return NULL;
}

static void
create_here(Run *run)
{
	TsTask		task = new_task(run);

	/* what no service has a word for is to stay as it is */
	set(&task, TS_URL, numbered("https://example.org/", run->nitems, ""));
	run_tell(run, "here", "new", mem_insert(run->w->store, run_one_in(run, 3) ? "pb" : "pa", &task),
			 task.value[TS_TITLE]);
}

static void
edit_here(Run *run, MemTask *t)
{
	TsField		f = some_field(run);
	TsTask		patch = {0};

	set(&patch, f, some_value(run, f, &t->fields, true));
	run_tell(run, "here", ts_field_info[f].name, t->id, patch.value[f]);
	saw(run, &t->fields, f);
	mem_update(run->w->store, t->id, &patch);
}

static bool
is_ancestor(Run *run, const MemTask *t, const MemTask *of)
{
	while (of && of != t)
		of = of->fields.value[TS_PARENT_TASK_ID]
			? mem_task(run->w->store, of->fields.value[TS_PARENT_TASK_ID]) : NULL;
	return of == t;
}

static void
adopt_here(Run *run, MemTask *t)
{
	MemTask    *parent = some_task(run);
	TsTask		patch = {0};

	if (is_ancestor(run, t, parent))
		parent = NULL;
	set(&patch, TS_PARENT_TASK_ID, parent ? parent->id : NULL);
	run_tell(run, "here", "parent", t->id, parent ? parent->id : NULL);
	mem_update(run->w->store, t->id, &patch);
}

/* Only in the list that no other mirrors: two services would each go on to the next. */
static void
recur_here(Run *run, MemTask *t)
{
	TsTask		patch = {0};

	if (strcmp(t->project, "pb") != 0 || run->moves)
		return;
	run->items[item_of(&t->fields)].recurs = true;
	set(&patch, TS_RECURRENCE_RULE, "FREQ=DAILY");
	if (t->fields.value[TS_DUE_DATE] == NULL)
		set(&patch, TS_DUE_DATE, new_value(run, TS_DUE_DATE, item_of(&t->fields)));
	if (t->fields.value[TS_RECURRENCE_RULE])
		set(&patch, TS_STATUS, "COMPLETED");
	run_tell(run, "here", "recurs", t->id, patch.value[TS_STATUS]);
	mem_update(run->w->store, t->id, &patch);
}

static MemTask *
some_task_in_conflict(Run *run)
{
	MemDb	   *db = &run->w->store->db;
	int			start = run_any(run, db->nconflicts);

	for (int i = 0; i < db->nconflicts; i++)
	{
		const MemConflict *k = &db->conflicts[(start + i) % db->nconflicts];

		if (k->conflict.resolution == NULL && mem_task(run->w->store, k->task_id))
			return mem_task(run->w->store, k->task_id);
	}
	return NULL;
}

/*
 * Who decides has seen both values of the fields in conflict: the one that is
 * gone now must not come back, and the one that is kept may.
 */
static void
decided(Run *run, const TsTask *was, const TsTask *now, const TsConflict *k)
{
	for (int i = 0; i < run->nvalues; i++)
	{
		Value	   *v = &run->values[i];
		bool		was_here = same(v->text, was->value[v->field]);
		bool		is_here = same(v->text, now->value[v->field]);

		if (!(k->fields & TS_FIELD_BIT(v->field)))
			continue;
		if (is_here && was_here)
			v->kept = true;
		else if (is_here)
			v->edited = false;
		else if (was_here || same(v->text, k->remote.value[v->field]))
			v->edited = true;
	}
}

static void
resolve_here(Run *run, MemTask *t)
{
	MemDb	   *db = &run->w->store->db;
	TsTask		was = t->fields;
	bool		use_remote = run_one_in(run, 2);
	bool		open[MEM_MAX_CONFLICTS];

	for (int i = 0; i < db->nconflicts; i++)
		open[i] = db->conflicts[i].conflict.resolution == NULL && same(db->conflicts[i].task_id, t->id);
	run_tell(run, "here", "resolve", t->id, use_remote ? "USE_REMOTE" : "KEEP_LOCAL");
	if (!mem_resolve(run->w->store, t->id, use_remote))
		(void) mem_resolve(run->w->store, t->id, false);
	for (int i = 0; i < db->nconflicts; i++)
		if (open[i])
			decided(run, &was, &t->fields, &db->conflicts[i].conflict);
}

bool
users_resolve(Run *run)
{
	MemTask    *t = some_task_in_conflict(run);

	if (t)
		resolve_here(run, t);
	return t != NULL;
}

static void
act_here(Run *run)
{
	MemTask    *t = some_task(run);
	int			what;

	if (run->decides && run_one_in(run, 6) && users_resolve(run))
		return;
	what = run_any(run, 24);
	if (t == NULL || what < 4)
		create_here(run);
	else if (what < 17)
		edit_here(run, t);
	else if (what < 19)
	{
		run_tell(run, "here", "delete", t->id, t->fields.value[TS_TITLE]);
		saw(run, &t->fields, -1);
		mem_delete(run->w->store, t->id);
	}
	else if (what < 21 && run->moves)
	{
		const char *to = strcmp(t->project, "pa") == 0 ? "pb" : "pa";

		if (run->leaves && run_one_in(run, 3))
			to = NOWHERE;
		run_tell(run, "here", "move", t->id, to);
		mem_move(run->w->store, t->id, to);
	}
	else if (what < 23 && run->families)
		adopt_here(run, t);
	else if (run->recurrences)
		recur_here(run, t);
	else
		edit_here(run, t);
}

/*
 * There
 */

static FakeObject *
some_object(Run *run, FakeService *s)
{
	int			start = run_any(run, s->nobjects);

	for (int i = 0; i < s->nobjects; i++)
	{
		FakeObject *o = &s->objects[(start + i) % s->nobjects];

		/* what the provider has just looked at, to overwrite it, is a race that nobody can win */
		if (o->payload && !(s->looked_at && same(s->looked_at, o->id)))
			return o;
	}
	return NULL;
}

static void
create_there(Run *run, FakeService *s, const char *list)
{
	TsTask		task = new_task(run);
	char	   *name = numbered("n", run->nitems, "");

	run_tell(run, list, "new", name, task.value[TS_TITLE]);
	fake_put(s, list, name, fake_payload(s->server_names ? NULL : psprintf("uid-%s", name), name,
										 fake_now(s), &task));
}

/*
 * An object that we made, but have not heard of yet, can't be told from a new
 * one when it turns up elsewhere; nor one that comes and goes between the
 * lists several times while they are read from a copy.  Duplicates that are not
 * to be avoided, and users here avoid them.
 */
static bool
may_be_moved(Run *run, FakeService *s, const FakeObject *o)
{
	const MemDb *db = &run->w->store->db;

	if (o->moved_in == run->nsyncs || (s->looked_at && same(s->looked_at, o->id)))
		return false;
	for (int i = 0; i < db->nlinks; i++)
		if (db->links[i].used && db->links[i].external_id &&
			world_service(run->w, db->links[i].mapping_id) == s &&
			same(db->links[i].external_id, o->id))
			return true;
	return fake_member(o->payload, "keep")[0] != '\0';	/* made there */
}

static void
edit_there(Run *run, FakeService *s, FakeObject *o)
{
	TsField		f = some_field(run);
	TsTask		task = fake_task(o->payload);
	char	   *value;

	saw(run, &task, f);
	value = some_value(run, f, &task, false);
	if (f == TS_PRIORITY && strcmp(value, "LOW") == 0)
		value = "NONE";
	task.value[f] = value;
	if (f == TS_STATUS && strcmp(value, "COMPLETED") != 0)
		task.value[TS_COMPLETED_AT] = NULL;
	run_tell(run, "there", ts_field_info[f].name, o->id, value);
	fake_edit(s, o, fake_edited(o->payload, fake_now(s), &task));
}

/* Another object of the same list as its parent, or none. */
static void
adopt_there(Run *run, FakeService *s, FakeObject *o)
{
	FakeObject *parent = some_object(run, s);
	TsTask		task = fake_task(o->payload);
	const char *uid = NULL;

	if (parent && same(parent->list, o->list) && !fake_is_ancestor(s, o, parent))
		uid = fake_uid(parent);
	task.value[TS_PARENT_TASK_ID] = (char *) uid;
	run_tell(run, "there", "parent", o->id, uid);
	fake_edit(s, o, fake_edited(o->payload, fake_now(s), &task));
}

static void
act_there(Run *run)
{
	int			which = run_one_in(run, 3);
	FakeService *s = &run->w->services[which];
	FakeObject *o = some_object(run, s);
	const char *list = which ? "M" : run_one_in(run, 3) ? "B" : "A";
	int			what = run_any(run, 22);

	if (o == NULL || what < 3)
		create_there(run, s, list);
	else if (what < 15)
		edit_there(run, s, o);
	else if (what < 17)
	{
		TsTask		task = fake_task(o->payload);

		run_tell(run, "there", "delete", o->id, task.value[TS_TITLE]);
		saw(run, &task, -1);
		fake_delete(s, o);
	}
	else if (what < 20 && run->moves_there && !which)
	{
		const char *to = strcmp(o->list, "A") == 0 ? "B" : "A";

		if (!may_be_moved(run, s, o) || fake_lists_uid(s, to, fake_uid(o)))
			return;
		run_tell(run, "there", "move", o->id, NULL);
		fake_move(s, o, to)->moved_in = run->nsyncs;
	}
	else if (run->families)
		adopt_there(run, s, o);
	else
		edit_there(run, s, o);
}

/* Somebody does something somewhere. */
void
users_act(Run *run)
{
	if (run->w->store->db.ntasks >= MEM_MAX_TASKS - 20)
		return;
	if (run_one_in(run, 2))
		act_here(run);
	else
		act_there(run);
}
