/*-------------------------------------------------------------------------
 *
 * checks.c
 *	  What must hold, read off the values: after each sync,
 *
 *	  - no task is gone that nobody deleted
 *	  - no value that was replaced here and there is here again
 *
 *	  and when all is quiet,
 *
 *	  - all sides agree, with one object a task and list (world.c)
 *	  - there is one task for each that nobody deleted, at most one for others
 *	  - every value that nobody overwrote having seen it is still there, or in
 *		a record of a conflict
 *	  - no value has come back that somebody overwrote having seen it (but for
 *		tasks that somebody deleted: an edit elsewhere revives its own state)
 *	  - no value is there that nobody wrote, nor one less precise than it was
 *	  - what no service has a word for is as it was, and what only the service
 *		knows too
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "run.h"

static bool
is_kept(const TsTask *task, const Value *v)
{
	return (task->known & TS_FIELD_BIT(v->field)) && same(task->value[v->field], v->text);
}

/* Is a value in a task, in the trash, or in a record of what lost? */
static bool
is_somewhere(const MemDb *db, const Value *v)
{
	for (int i = 0; i < db->ntasks; i++)
		if (db->tasks[i].exists && is_kept(&db->tasks[i].fields, v))
			return true;
	for (int i = 0; i < db->ntrash; i++)
		if (is_kept(&db->trash[i].fields, v))
			return true;
	for (int i = 0; i < db->nconflicts; i++)
		if (is_kept(&db->conflicts[i].conflict.local, v) || is_kept(&db->conflicts[i].conflict.remote, v))
			return true;
	return false;
}

/* A recurring task goes on to its next day by itself. */
static bool
is_moving(const Run *run, TsField f, int item)
{
	return f == TS_DUE_DATE && run->items[item].recurs;
}

/* Occurrences that the service made itself have the title of the first. */
static int
count_spawned(const Run *run, int item)
{
	int			n = 0;

	for (int s = 0; s < 2; s++)
		for (int i = 0; i < run->w->services[s].nobjects; i++)
		{
			const FakeObject *o = &run->w->services[s].objects[i];
			TsTask		task = fake_task(o->states->payload ? o->states->payload
										 : o->states->before->payload);

			n += strstr(o->id, "spawned") != NULL && item_of(&task) == item;
		}
	return n;
}

static char *
wrong_number(const Run *run, int item)
{
	const MemDb *db = &run->w->store->db;
	int			n = 0;

	for (int i = 0; i < db->ntasks; i++)
		n += db->tasks[i].exists && item_of(&db->tasks[i].fields) == item;
	if ((n > 1 && n > 1 + count_spawned(run, item)) || (n == 0 && !run->items[item].deleted))
		return psprintf("item %d: %d tasks", item, n);
	return NULL;
}

/*
 * Is this a value that may not be seen again, since somebody replaced it?  A
 * mapping that goes to the provider only lets their edits be, until it is
 * flipped; and so does a field that swings, until its object is gone.
 */
static bool
may_not_return(const Run *run, const Value *v)
{
	return v->edited && !v->kept && !run->items[v->item].deleted && v->field != TS_DUE_DATE &&
		!run->flips && !run->swings && count_spawned(run, v->item) == 0;
}

static char *
wrong_value(Run *run, const MemTask *t, TsField f)
{
	const char *text = t->fields.value[f];
	int			item = item_of(&t->fields);

	if (text == NULL || is_moving(run, f, item))
		return NULL;
	for (int i = 0; i < run->nvalues; i++)
	{
		const Value *v = &run->values[i];

		if (v->field != f || !same(v->text, text))
			continue;
		if (may_not_return(run, v))
			return psprintf("\"%s\" came back", text);
		return v->item == item ? NULL
			: psprintf("task %s of item %d has a value of item %d", t->id, item, v->item);
	}
	return psprintf("\"%s\" of task %s was written by nobody", text, t->id);
}

/* "10:30:00" where "10:30:15" was written here, and nobody wrote 10:30 there. */
static char *
wrong_time(const Run *run, const MemTask *t)
{
	const char *text = t->fields.value[TS_DUE_TIME];
	bool		here = false;

	for (int i = 0; text && i < run->ntimes; i++)
	{
		const Time *time = &run->times[i];

		if (time->item != item_of(&t->fields) || strncmp(time->text, text, 5) != 0)
			continue;
		if (!time->here || same(time->text, text))
			return NULL;
		here = true;
	}
	return here ? psprintf("the time %s of task %s lost its seconds", text, t->id) : NULL;
}

static char *
wrong_task(Run *run, const MemTask *t)
{
	const FakeService *s = run->w->services;
	char	   *wrong = NULL;

	/*
	 * Where it is a surprise, nobody can tell a write in doubt from another's
	 * edit; and what comes back may come from a service that never knew.
	 */
	if (!s[0].surprises && !s[1].surprises && !run->items[item_of(&t->fields)].recurs &&
		!run->items[item_of(&t->fields)].deleted)
		wrong = wrong_time(run, t);

	for (int f = 0; f < TRACKED && !wrong; f++)
		wrong = wrong_value(run, t, tracked[f]);
	/*
	 * Nobody remembers what else was in a task that only FROM_PROVIDER mappings
	 * knew, or that was deleted where no service looks before its first object
	 * was heard of.
	 */
	if (!wrong && t->id[0] == '0' &&
		!((run->flips || run->leaves) && run->items[item_of(&t->fields)].deleted) &&
		!same(t->fields.value[TS_URL], numbered("https://example.org/", item_of(&t->fields), "")))
		wrong = psprintf("task %s lost its url, which no service has", t->id);
	return wrong;
}

/* Objects that were made there bear their first name. */
static char *
wrong_object(const FakeObject *o)
{
	const char *keep;
	const char *name = strrchr(o->id, '/') ? strrchr(o->id, '/') + 1 : o->id;

	if (o->payload == NULL || name[0] != 'n')
		return NULL;
	keep = fake_member(o->payload, "keep");
	return same(keep, name) ? NULL
		: psprintf("object %s lost what only the service knows", o->id);
}

char *
check_run(Run *run)
{
	World	   *w = run->w;
	const MemDb *db = &w->store->db;
	char	   *wrong = world_inconsistency(w);

	for (int item = 1; item <= run->nitems && !wrong; item++)
		wrong = wrong_number(run, item);
	for (int i = 0; i < run->nvalues && !wrong; i++)
	{
		const Value *v = &run->values[i];

		/* Overwritten there, where our side alone counts, and gone before we knew. */
		if (run->flips && run->items[v->item].deleted)
			continue;
		if (!v->edited && !v->deleted && !is_moving(run, v->field, v->item) && !is_somewhere(db, v))
			wrong = psprintf("\"%s\" of item %d was lost silently", v->text, v->item);
	}
	for (int i = 0; i < db->ntasks && !wrong; i++)
		if (db->tasks[i].exists)
			wrong = wrong_task(run, &db->tasks[i]);
	for (int s = 0; s < 2; s++)
		for (int i = 0; i < w->services[s].nobjects && !wrong; i++)
			wrong = wrong_object(&w->services[s].objects[i]);
	return wrong;
}

/* A task that is gone though nobody deleted it, here or there; it may come back yet. */
static char *
missed(const Run *run)
{
	const MemDb *db = &run->w->store->db;

	for (int i = 0; i < db->ntasks; i++)
		if (!db->tasks[i].exists && !run->items[item_of(&db->tasks[i].fields)].deleted)
			return psprintf("nobody deleted task %s of item %d, and it is gone", db->tasks[i].id,
							item_of(&db->tasks[i].fields));
	return NULL;
}

static bool
is_here(const Run *run, const Value *v)
{
	const MemDb *db = &run->w->store->db;

	for (int i = 0; i < db->ntasks; i++)
		if (db->tasks[i].exists && item_of(&db->tasks[i].fields) == v->item &&
			same(db->tasks[i].fields.value[v->field], v->text))
			return true;
	return false;
}

/*
 * A value that somebody replaced, and that was replaced here, and is here again:
 * an old state of the object was taken for a new one.
 */
static char *
relapsed(Run *run)
{
	for (int i = 0; i < run->nvalues; i++)
	{
		Value	   *v = &run->values[i];
		bool		here = is_here(run, v);

		if (here && v->left && may_not_return(run, v))
			return psprintf("\"%s\" came back for a while", v->text);
		v->left |= v->here && !here;
		v->here = here;
	}
	return NULL;
}

/* What must hold after each sync, whatever is still on its way. */
char *
check_sync(Run *run)
{
	char	   *wrong = missed(run);

	return wrong ? wrong : relapsed(run);
}
