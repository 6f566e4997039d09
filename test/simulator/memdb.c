/*-------------------------------------------------------------------------
 *
 * memdb.c
 *	  The engine's store in memory, and its user (see memdb.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <setjmp.h>

#include "memdb.h"
#include "tap.h"
#include "task/datetime.h"
#include "utils/memutils.h"

#define BIT TS_FIELD_BIT
#define RETRY_DELAY 1			/* of the store's clock, which counts changes */

static MemTask *task_row(MemStore *s, const char *id);

static char *
keep(MemStore *s, const char *text)
{
	return text ? MemoryContextStrdup(s->cxt, text) : NULL;
}

/* The id of a task: one text, so that mostly its address says who is meant. */
static char *
keep_id(MemStore *s, const char *task_id)
{
	MemTask    *t = task_row(s, task_id);

	return t ? t->id : keep(s, task_id);
}

static void
keep_task(MemStore *s, TsTask *to, const TsTask *from)
{
	MemoryContext old = MemoryContextSwitchTo(s->cxt);

	ts_task_copy(to, from);
	MemoryContextSwitchTo(old);
}

/* Leave the body: what an ERROR does in a server. */
static void
raise(MemStore *s, const char *sqlstate, const char *why)
{
	s->sqlstate = sqlstate;
	s->why = why;
	longjmp(*(jmp_buf *) s->escape, 1);
}

/* A new row of a table, zeroed; rows no longer used are used again. */
#define ADD(s, array, count) \
	((count) < lengthof(array) ? memset(&(array)[(count)++], 0, sizeof((array)[0])) \
	 : (raise(s, "54000", "the table is full"), (void *) (array)))

#define ADD_OR_REUSE(row, s, array, count) \
	do { \
		int			i_ = 0; \
		while (i_ < (count) && (array)[i_].used) \
			i_++; \
		row = i_ < (count) ? memset(&(array)[i_], 0, sizeof((array)[0])) : ADD(s, array, count); \
	} while (0)

/*
 * Rows by their keys
 */

MemMapping *
mem_mapping(MemStore *s, const char *id)
{
	for (int i = 0; i < s->db.nmappings; i++)
		if (same(s->db.mappings[i].m.id, id))
			return &s->db.mappings[i];
	return NULL;
}

static MemTask *
task_row(MemStore *s, const char *id)
{
	for (int i = 0; i < s->db.ntasks; i++)
		if (same_id(s->db.tasks[i].id, id))
			return &s->db.tasks[i];
	return NULL;
}

MemTask *
mem_task(MemStore *s, const char *task_id)
{
	MemTask    *t = task_row(s, task_id);

	return t && t->exists ? t : NULL;
}

MemTask *
mem_task_by_title(MemStore *s, const char *title)
{
	for (int i = 0; i < s->db.ntasks; i++)
		if (s->db.tasks[i].exists && same(s->db.tasks[i].fields.value[TS_TITLE], title))
			return &s->db.tasks[i];
	return NULL;
}

MemLink *
mem_link(MemStore *s, const char *task_id, const char *mapping_id)
{
	for (int i = 0; i < s->db.nlinks; i++)
	{
		MemLink    *l = &s->db.links[i];

		if (l->used && same(l->mapping_id, mapping_id) && same_id(l->task_id, task_id))
			return l;
	}
	return NULL;
}

static MemLink *
link_by_external_id(MemStore *s, const char *mapping_id, const char *external_id)
{
	for (int i = 0; i < s->db.nlinks; i++)
	{
		MemLink    *l = &s->db.links[i];

		if (l->used && same(l->mapping_id, mapping_id) && l->external_id &&
			same(l->external_id, external_id))
			return l;
	}
	return NULL;
}

static MemInbox *
inbox_row(MemStore *s, const char *mapping_id, const char *external_id)
{
	for (int i = 0; i < s->db.ninbox; i++)
		if (s->db.inbox[i].used && same(s->db.inbox[i].mapping_id, mapping_id) &&
			same(s->db.inbox[i].row.external_id, external_id))
			return &s->db.inbox[i];
	return NULL;
}

static MemIntent *
intent_row(MemStore *s, const char *mapping_id, const char *task_id)
{
	for (int i = 0; i < s->db.nintents; i++)
		if (s->db.intents[i].used && same(s->db.intents[i].mapping_id, mapping_id) &&
			same_id(s->db.intents[i].intent.task_id, task_id))
			return &s->db.intents[i];
	return NULL;
}

static MemDead *
dead_row(MemStore *s, const char *mapping_id, const char *external_id)
{
	for (int i = 0; i < s->db.ndead; i++)
		if (same(s->db.dead[i].mapping_id, mapping_id) &&
			same(s->db.dead[i].external_id, external_id))
			return &s->db.dead[i];
	return NULL;
}

static bool
has_link(MemStore *s, const char *task_id, const char *provider_id)
{
	for (int i = 0; i < s->db.nlinks; i++)
		if (s->db.links[i].used && same_id(s->db.links[i].task_id, task_id) &&
			same(mem_mapping(s, s->db.links[i].mapping_id)->m.provider_id, provider_id))
			return true;
	return false;
}

/* Does any provider have an object of the task? */
static bool
is_anywhere(MemStore *s, const char *task_id)
{
	for (int i = 0; i < s->db.nlinks; i++)
		if (s->db.links[i].used && same_id(s->db.links[i].task_id, task_id) && s->db.links[i].external_id)
			return true;
	return false;
}

/* The task that this uid was the name of at the provider, before its object died. */
static char *
task_of_dead(MemStore *s, const TsMapping *m, const char *uid)
{
	for (int i = s->db.ndead - 1; uid && i >= 0; i--)
	{
		const MemDead *d = &s->db.dead[i];

		if (same(d->uid, uid) && !has_link(s, d->task_id, m->provider_id) &&
			same(mem_mapping(s, d->mapping_id)->m.provider_id, m->provider_id))
			return d->task_id;
	}
	return NULL;
}

/*
 * Tasks, with what their triggers do
 */

static bool
has_mapping(MemStore *s, const char *provider_id, const char *project)
{
	for (int i = 0; i < s->db.nmappings; i++)
		if (same(s->db.mappings[i].m.provider_id, provider_id) &&
			same(s->db.mappings[i].m.project_id, project))
			return true;
	return false;
}

static bool
carries(MemStore *s, const TsMapping *m, const MemTask *t)
{
	return same(m->project_id, t->project) &&
		(m->mirror || t->home == NULL || same(t->home, m->provider_id) ||
		 !has_mapping(s, t->home, t->project));
}

static void
write_journal(MemStore *s, const MemTask *t, TsFieldMask fields, bool deleted)
{
	char	   *at = keep(s, ts_timestamp_text(s->now));

	for (int i = 0; i < s->db.nmappings; i++)
	{
		const TsMapping *m = &s->db.mappings[i].m;
		MemChange  *c;

		if (m->direction == TS_FROM_PROVIDER || same(m->id, s->origin) ||
			(!carries(s, m, t) && mem_link(s, t->id, m->id) == NULL))
			continue;
		c = ADD(s, s->db.changes, s->db.nchanges);
		c->task_id = t->id;
		c->mapping_id = m->id;
		c->fields = fields;
		c->at = at;
		if (deleted)
		{
			c->old = MemoryContextAlloc(s->cxt, sizeof(TsTask));
			*c->old = t->fields;
		}
	}
}

static bool
is_done(const TsTask *t)
{
	return same(t->value[TS_STATUS], "COMPLETED");
}

static void
follow_status(MemStore *s, MemTask *t, const TsTask *was)
{
	TsTask	   *f = &t->fields;

	if (is_done(f) && f->value[TS_COMPLETED_AT] == NULL)
		f->value[TS_COMPLETED_AT] = keep(s, ts_timestamp_text(s->now));
	if (was == NULL || is_done(f) == is_done(was))
		return;
	if (is_done(was) && same(f->value[TS_COMPLETED_AT], was->value[TS_COMPLETED_AT]))
		f->value[TS_COMPLETED_AT] = NULL;
	if (s->origin != NULL || !same(f->value[TS_PERCENT_COMPLETE], was->value[TS_PERCENT_COMPLETE]))
		return;
	if (is_done(f))
		f->value[TS_PERCENT_COMPLETE] = "100";
	else if (same(f->value[TS_PERCENT_COMPLETE], "100"))
		f->value[TS_PERCENT_COMPLETE] = NULL;
}

static void
refuse_cycles(MemStore *s, const MemTask *t)
{
	int			depth = 0;

	for (const char *id = t->fields.value[TS_PARENT_TASK_ID]; id;)
	{
		MemTask    *parent = mem_task(s, id);

		if (parent == NULL || same(id, t->id) || ++depth > MEM_MAX_TASKS)
			raise(s, "23514", parent ? "a task is its own ancestor" : "the parent does not exist");
		id = parent->fields.value[TS_PARENT_TASK_ID];
	}
}

static void
set_fields(MemStore *s, MemTask *t, const TsTask *patch)
{
	TsTask		copy;

	keep_task(s, &copy, patch);
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (patch->known & BIT(f))
			t->fields.value[f] = copy.value[f] ? copy.value[f] : (char *) ts_field_info[f].fallback;
}

static void
insert_task(MemStore *s, const char *id, const char *project, const char *home, const TsTask *fields)
{
	MemTask    *t = task_row(s, id);
	char	   *kept_id;

	if (t == NULL)
		t = ADD(s, s->db.tasks, s->db.ntasks);
	else if (t->exists)
		raise(s, "23505", "duplicate key of a task");
	kept_id = t->id ? t->id : keep(s, id);
	memset(t, 0, sizeof(*t));
	t->id = kept_id;
	t->exists = true;
	t->project = keep(s, project);
	t->home = keep(s, home);
	t->fields.known = TS_ALL_FIELDS;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		t->fields.value[f] = (char *) ts_field_info[f].fallback;
	set_fields(s, t, fields);
	follow_status(s, t, NULL);
	refuse_cycles(s, t);
	write_journal(s, t, fields->known, false);
}

static void
update_task(MemStore *s, MemTask *t, const TsTask *patch)
{
	TsTask		was = t->fields;
	TsFieldMask changed;

	set_fields(s, t, patch);
	follow_status(s, t, &was);
	refuse_cycles(s, t);
	changed = ts_task_diff(&was, &t->fields, TS_ALL_FIELDS);
	if (changed)
		write_journal(s, t, changed, false);
}

static void
delete_task(MemStore *s, MemTask *t)
{
	TsTask		orphan = {.known = BIT(TS_PARENT_TASK_ID)};

	write_journal(s, t, TS_ALL_FIELDS, true);
	t->exists = false;
	if (s->origin)
	{
		MemTrash   *old = ADD(s, s->db.trash, s->db.ntrash);

		old->task_id = t->id;
		old->at = s->now;
		old->fields = t->fields;
	}
	for (int i = 0; i < s->db.ntasks; i++)
		if (s->db.tasks[i].exists &&
			same(s->db.tasks[i].fields.value[TS_PARENT_TASK_ID], t->id))
			update_task(s, &s->db.tasks[i], &orphan);
}

char *
mem_insert(MemStore *s, const char *project, const TsTask *fields)
{
	char	   *id = psprintf("00000000-0000-0000-0000-%012d", ++s->nids);

	insert_task(s, id, project, NULL, fields);
	return task_row(s, id)->id;
}

void
mem_update(MemStore *s, const char *task_id, const TsTask *fields)
{
	update_task(s, mem_task(s, task_id), fields);
}

void
mem_delete(MemStore *s, const char *task_id)
{
	delete_task(s, mem_task(s, task_id));
}

void
mem_move(MemStore *s, const char *task_id, const char *project)
{
	MemTask    *t = mem_task(s, task_id);

	t->project = keep(s, project);
	write_journal(s, t, 0, false);
}

MemStore *
mem_create(TsFieldMask carried)
{
	MemStore   *s = palloc(sizeof(MemStore));

	memset(s, 0, offsetof(MemStore, db) + offsetof(MemDb, tasks));
	s->cxt = CurrentMemoryContext;
	s->carries = carried;
	return s;
}

MemMapping *
mem_add_mapping(MemStore *s, const char *id, const char *provider_id, const char *project,
				const char *list)
{
	MemMapping *m = ADD(s, s->db.mappings, s->db.nmappings);

	m->m.id = keep(s, id);
	m->m.user_id = "user";
	m->m.provider_id = keep(s, provider_id);
	m->m.project_id = keep(s, project);
	m->m.external_list_id = keep(s, list);
	m->m.first_pull = m->m.compare_due = true;
	return m;
}

/* Another direction: what was let be until now counts again. */
void
mem_set_direction(MemStore *s, MemMapping *m, TsDirection direction)
{
	if (m->m.direction == direction)
		return;
	m->m.direction = direction;
	m->m.cursor = NULL;
	for (int i = 0; i < s->db.nmappings; i++)
		if (same(s->db.mappings[i].m.provider_id, m->m.provider_id))
			s->db.mappings[i].m.compare_due = true;
	for (int i = 0; i < s->db.nlinks; i++)
		if (s->db.links[i].used && s->db.links[i].parted)
			mem_mapping(s, s->db.links[i].mapping_id)->m.compare_due = true;
	for (int i = 0; i < s->db.nlinks; i++)
	{
		MemLink    *l = &s->db.links[i];

		if (!l->used || !same(l->mapping_id, m->m.id))
			continue;
		l->etag = NULL;
		if (l->dead && mem_task(s, l->task_id))
		{
			l->dead = false;
			l->local_base.known = l->remote_base.known = 0;
		}
	}
}

static int64
count_links(MemStore *s, const char *mapping_id)
{
	int64		n = 0;

	for (int i = 0; i < s->db.nlinks; i++)
		n += s->db.links[i].used && s->db.links[i].external_id &&
			same(s->db.links[i].mapping_id, mapping_id);
	return n;
}

TsMapping *
mem_load_mappings(MemStore *s, const char *provider_id, const char *only, bool others, int *n)
{
	TsMapping  *result = palloc0(sizeof(TsMapping) * MEM_MAX_MAPPINGS);

	*n = 0;
	for (int i = 0; i < s->db.nmappings; i++)
	{
		const MemMapping *m = &s->db.mappings[i];

		if (!same(m->m.provider_id, provider_id) ||
			(m->held || (only && !same(m->m.id, only))) != others)
			continue;
		result[*n] = m->m;
		result[*n].held = m->held;
		result[(*n)++].nlinks = count_links(s, m->m.id);
	}
	return result;
}

/*
 * The store
 */

#define TABLES(what) \
	what(tasks, ntasks) what(links, nlinks) what(inbox, ninbox) what(intents, nintents) \
	what(dead, ndead) what(changes, nchanges) what(conflicts, nconflicts) what(trash, ntrash) \
	what(mappings, nmappings)

/* Sets of tables. */
#define NUMBER(array, count) number_of_##array,
enum
{
	TABLES(NUMBER)
	NTABLES
};

#define JUST(array) (1 << number_of_##array)
#define ALL_TABLES ((1 << NTABLES) - 1)

/* The rows in use: what lies behind them is nothing anybody looks at. */
static void
copy_tables(MemDb *to, const MemDb *from, int tables)
{
#define COPY_ROWS(array, count) \
	if (tables & JUST(array)) \
		memcpy(to->array, from->array, sizeof(from->array[0]) * (to->count = from->count));

	TABLES(COPY_ROWS)
	if (tables & JUST(tasks))
		to->task_writes = from->task_writes;
}

/* The unit tests have the time to find a function of the store that forgets to_write(). */
#ifdef PGSHIM_ARENA
#define FINDS_FORGOTTEN false
#else
#define FINDS_FORGOTTEN true
#endif

static bool
equal_tables(const MemDb *a, const MemDb *b, int tables)
{
#define EQUAL_ROWS(array, count) \
	if ((tables & JUST(array)) && (a->count != b->count || \
								   memcmp(a->array, b->array, sizeof(a->array[0]) * a->count) != 0)) \
		return false;

	TABLES(EQUAL_ROWS)
	return true;
}

/* Every function of the store that writes begins with this. */
static MemStore *
to_write(void *db, int tables)
{
	MemStore   *s = db;

	copy_tables(&s->saved, &s->db, tables & ~s->written);
	s->written |= tables;
	return s;
}

static bool
attempt(MemStore *s, void (*body) (void *arg), void *arg, TsError *err)
{
	MemoryContext old = CurrentMemoryContext;
	jmp_buf		escape;

	if (FINDS_FORGOTTEN)
		copy_tables(&s->saved, &s->db, ALL_TABLES);
	s->written = 0;
	s->escape = &escape;
	s->origin = NULL;
	if (setjmp(escape) == 0)
	{
		body(arg);
		if (s->fail_in > 0 && --s->fail_in == 0)
		{
			s->fail_in = s->fail_code != NULL;
			raise(s, s->fail_code ? s->fail_code : "55P03",
				  s->fail_code ? "the server is in trouble" : "the lock was not to be had");
		}
		s->origin = NULL;
		if (FINDS_FORGOTTEN && !equal_tables(&s->db, &s->saved, ALL_TABLES & ~s->written))
		{
			tap_note("a function of the store writes without to_write()");
			abort();
		}
		return true;
	}
	MemoryContextSwitchTo(old);
	s->origin = NULL;
	copy_tables(&s->db, &s->saved, s->written);
	if (s->trace)
		tap_note("       rolled back: %s", s->why);
	ts_error(err, s->sqlstate, "%s", s->why);
	return false;
}

static bool
transact(void *db, void (*body) (void *arg), void *arg, TsError *err)
{
	MemStore   *s = db;

	if (s->before)
		s->before(s->arg);
	return attempt(s, body, arg, err);
}

static int64
next_seq(void *db)
{
	return ++((MemStore *) db)->db.seq;
}

static TsKnown *
known(void *db, const TsMapping *m, const char **external_ids, int n)
{
	MemStore   *s = db;
	TsKnown    *result = palloc0(sizeof(TsKnown) * n);

	for (int i = 0; i < n; i++)
	{
		MemLink    *l = link_by_external_id(s, m->id, external_ids[i]);
		MemInbox   *w = inbox_row(s, m->id, external_ids[i]);

		result[i].linked = l != NULL;
		result[i].parked = w && !w->row.gone;
		result[i].failed = result[i].parked && w->fail_count > 0;
		result[i].buried = w && w->row.gone;
		result[i].etag = result[i].parked && w->row.etag ? (char *) w->row.etag : l ? l->etag : NULL;
		for (int k = 0; k < s->db.nintents; k++)
			if (s->db.intents[k].used && same(s->db.intents[k].mapping_id, m->id) &&
				same(s->db.intents[k].intent.external_id, external_ids[i]))
				result[i].in_doubt = true;
	}
	return result;
}

static char **
external_ids(void *db, const TsMapping *m, int64 written_since, int *n)
{
	MemStore   *s = db;
	char	  **ids = palloc(sizeof(char *) * s->db.nlinks);

	*n = 0;
	for (int i = 0; i < s->db.nlinks; i++)
	{
		const MemLink *l = &s->db.links[i];

		if (l->used && l->external_id && same(l->mapping_id, m->id) &&
			(written_since == 0 || l->write_seq > written_since))
			ids[(*n)++] = l->external_id;
	}
	return ids;
}

static char *
uid_of(MemStore *s, const TsMapping *m, const char *task_id)
{
	MemLink    *l = mem_link(s, task_id, m->id);

	return l && !l->dead ? l->uid : NULL;
}

static const TsMapping *
home_mapping(MemStore *s, const char *project)
{
	for (int i = 0; i < s->db.nmappings; i++)
		if (same(s->db.mappings[i].m.project_id, project) &&
			s->db.mappings[i].m.direction != TS_FROM_PROVIDER)
			return &s->db.mappings[i].m;
	return NULL;
}

/* Is a task to have an object in this mapping's list? */
static bool
belongs(MemStore *s, const TsMapping *m, const MemTask *t)
{
	if (!same(t->project, m->project_id))
		return false;
	if (m->mirror)
		return true;
	if (home_mapping(s, t->project) == NULL || !same(home_mapping(s, t->project)->id, m->id) ||
		!(t->home == NULL || same(t->home, m->provider_id) || !has_mapping(s, t->home, t->project)))
		return false;
	for (int i = 0; i < s->db.nlinks; i++)
	{
		const MemLink *l = &s->db.links[i];
		const TsMapping *o = &mem_mapping(s, l->mapping_id)->m;

		if (l->used && !l->dead && same_id(l->task_id, t->id) && !same(o->id, m->id) &&
			same(o->project_id, t->project) && !o->mirror)
			return false;
	}
	return true;
}

/* Is there an object of the task in another list of the provider, which will be moved? */
static bool
comes_over(MemStore *s, const TsMapping *m, const MemTask *t)
{
	for (int i = 0; i < s->db.nlinks; i++)
	{
		const MemLink *l = &s->db.links[i];

		if (m->native_moves && l->used && l->external_id && same_id(l->task_id, t->id) &&
			!same(l->mapping_id, m->id) &&
			same(mem_mapping(s, l->mapping_id)->m.provider_id, m->provider_id))
			return true;
	}
	return false;
}

/* Is the rest to follow?  An object that was seen there waits for this one to go. */
static bool
is_owed(MemStore *s, const MemTask *t, const MemLink *l, const char *mapping_id)
{
	MemInbox   *seen = l && l->external_id ? inbox_row(s, mapping_id, l->external_id) : NULL;

	if (l == NULL || (seen && same(seen->row.wait_for, TS_WAIT_MOVE)) ||
		ts_task_diff(&l->local_base, &t->fields, l->local_base.known) == 0)
		return false;
	for (int i = 0; i < s->db.nchanges; i++)
		if (!s->db.changes[i].synced && same(s->db.changes[i].mapping_id, mapping_id) &&
			same_id(s->db.changes[i].task_id, t->id))
			return true;
	return false;
}

/* Where the task's project has a list, when that is not this mapping's. */
static void
look_elsewhere(MemStore *s, const TsMapping *m, const MemTask *t, TsLinkRow *row)
{
	for (int i = 0; i < s->db.nmappings; i++)
	{
		const TsMapping *o = &s->db.mappings[i].m;
		MemLink    *l;
		bool		is_home;

		if (!same(o->project_id, t->project) || same(o->project_id, m->project_id) ||
			o->direction == TS_FROM_PROVIDER)
			continue;
		l = mem_link(s, t->id, o->id);
		row->project_mapped = true;
		is_home = !o->mirror || same(o->provider_id, t->home) || same(o->id, home_mapping(s, t->project)->id);
		row->elsewhere |= l && l->external_id && is_home;
		row->owed_elsewhere |= is_home && is_owed(s, t, l, o->id);
		if (same(o->provider_id, m->provider_id) && belongs(s, o, t))
		{
			row->target_mapping_id = o->id;
			row->target_list_id = o->external_list_id;
			row->target_external_id = l ? l->external_id : NULL;
		}
	}
}

static void
read_times(MemStore *s, const TsMapping *m, TsLinkRow *row)
{
	for (int i = 0; i < s->db.nchanges; i++)
	{
		const MemChange *c = &s->db.changes[i];

		if (c->synced || !same(c->mapping_id, m->id) || !same_id(c->task_id, row->task_id))
			continue;
		for (TsField f = 0; f < TS_NFIELDS; f++)
			if (c->fields & BIT(f))
				row->local_times[f] = c->at;
	}
}

static void
read_row(MemStore *s, const TsMapping *m, const char *task_id, TsLinkRow *row)
{
	MemLink    *l = task_id ? mem_link(s, task_id, m->id) : NULL;
	MemTask    *t = task_id ? mem_task(s, task_id) : NULL;
	const char *parent = t ? t->fields.value[TS_PARENT_TASK_ID] : NULL;
	bool		parted = false;

	memset(row, 0, sizeof(*row));
	row->task_id = (char *) task_id;
	row->mapping_id = m->id;
	if (l)
	{
		row->linked = true;
		row->dead = l->dead;
		parted = l->parted;
		row->external_id = l->external_id;
		row->etag = l->etag;
		row->uid = l->uid;
		row->payload = l->payload;
		row->payload_len = l->payload ? strlen(l->payload) : 0;
		row->modified_at = l->modified_at;
		row->write_seq = l->write_seq;
		row->prev_etags = l->prev_etags;
		row->nprev_etags = l->nprev_etags;
		row->local_base = l->local_base;
		row->remote_base = l->remote_base;
		row->fail_count = l->fail_count;
		read_times(s, m, row);
		for (int i = 0; i < s->db.nconflicts; i++)
			if (s->db.conflicts[i].conflict.resolution == NULL &&
				same_id(s->db.conflicts[i].task_id, task_id) &&
				same(s->db.conflicts[i].mapping_id, m->id))
				row->frozen |= s->db.conflicts[i].conflict.fields;
	}
	if (t)
	{
		row->has_local = true;
		row->local = t->fields;
		row->in_project = same(t->project, m->project_id);
		look_elsewhere(s, m, t, row);
		row->parted = parted && !row->in_project && !row->project_mapped;
		row->dead |= row->parted;
	}
	if (parent)
	{
		row->parent_uid = uid_of(s, m, parent);
		row->parent_waits = row->parent_uid == NULL &&
			(mem_link(s, parent, m->id) ? same(mem_task(s, parent)->project, m->project_id)
			 : belongs(s, m, mem_task(s, parent)));
	}
}

/* A create in doubt, of an object that the service was to name. */
static MemIntent *
lost_create(MemStore *s, const TsMapping *m, const char *marker)
{
	MemIntent  *w = marker ? intent_row(s, m->id, marker) : NULL;

	return w && w->intent.kind == TS_PUSH_CREATE && w->intent.external_id == NULL ? w : NULL;
}

/* Whose an object without a link is all the same. */
static char *
task_by_names(MemStore *s, const TsMapping *m, const char *uid, const char *marker)
{
	MemIntent  *w = lost_create(s, m, marker);

	if (w)
		return w->intent.task_id;
	if (marker && mem_task(s, marker) && !has_link(s, marker, m->provider_id) &&
		(same(mem_task(s, marker)->project, m->project_id) || !is_anywhere(s, marker)))
		return mem_task(s, marker)->id;
	return task_of_dead(s, m, uid);
}

static TsLinkRow *
links(void *db, const TsMapping *m, const char **ids, const char **uids, const char **markers,
	  int n)
{
	MemStore   *s = db;
	TsLinkRow  *rows = palloc(sizeof(TsLinkRow) * n);

	for (int i = 0; i < n; i++)
	{
		MemLink    *found = link_by_external_id(s, m->id, ids[i]);
		char	   *sibling = NULL;

		for (int k = 0; k < s->db.nlinks; k++)
		{
			MemLink    *l = &s->db.links[k];

			if (!l->used || uids[i] == NULL || !same(l->uid, uids[i]))
				continue;
			if (same(l->mapping_id, m->id) && l->external_id == NULL && found == NULL &&
				!(l->dead && mem_task(s, l->task_id) == NULL))
				found = l;
			else if (l->external_id &&
					 (!same(l->external_id, ids[i]) || !same(l->mapping_id, m->id)) &&
					 same(mem_mapping(s, l->mapping_id)->m.provider_id, m->provider_id))
				sibling = l->mapping_id;
		}
		read_row(s, m, found ? found->task_id : task_by_names(s, m, uids[i], markers[i]), &rows[i]);
		rows[i].create_in_doubt = lost_create(s, m, markers[i]) != NULL && rows[i].external_id == NULL;
		rows[i].sibling = sibling;
		rows[i].id_is_dead = dead_row(s, m->id, ids[i]) != NULL;
	}
	return rows;
}

static TsLinkRow *
links_by_task(void *db, const TsMapping *m, const char **task_ids, int n)
{
	TsLinkRow  *rows = palloc(sizeof(TsLinkRow) * n);

	for (int i = 0; i < n; i++)
		read_row(db, m, task_ids[i], &rows[i]);
	return rows;
}

static char **
parents(void *db, const TsMapping *m, const char **uids, int n)
{
	MemStore   *s = db;
	char	  **result = palloc0(sizeof(char *) * (n + 1));

	for (int i = 0; i < n; i++)
		for (int k = 0; k < s->db.nlinks; k++)
			if (s->db.links[k].used && uids[i] && same(s->db.links[k].uid, uids[i]) &&
				same(s->db.links[k].mapping_id, m->id) && mem_task(s, s->db.links[k].task_id))
				result[i] = s->db.links[k].task_id;
	return result;
}

static TsLinkRow *
unlinked(void *db, const TsMapping *m, int *n)
{
	MemStore   *s = db;
	TsLinkRow  *rows = palloc(sizeof(TsLinkRow) * s->db.ntasks);

	*n = 0;
	for (int i = 0; i < s->db.ntasks; i++)
		if (s->db.tasks[i].exists && same(s->db.tasks[i].project, m->project_id) &&
			mem_link(s, s->db.tasks[i].id, m->id) == NULL)
			read_row(s, m, s->db.tasks[i].id, &rows[(*n)++]);
	return rows;
}

static void
inbox_put(void *db, const TsMapping *m, const TsInboxRow *rows, int n)
{
	MemStore   *s = to_write(db, JUST(inbox));

	for (int i = 0; i < n && s->trace; i++)
		tap_note("       %s: inbox %s %s", m->id, rows[i].external_id, rows[i].gone ? "gone"
				 : rows[i].wait_for ? rows[i].wait_for : rows[i].error.message);
	for (int i = 0; i < n; i++)
	{
		MemInbox   *w = inbox_row(s, m->id, rows[i].external_id);
		bool		failed = ts_failed(&rows[i].error);
		int64		since = w && w->row.gone == rows[i].gone ? w->row.since : s->now;

		if (w == NULL)
			ADD_OR_REUSE(w, s, s->db.inbox, s->db.ninbox);
		w->used = true;
		w->mapping_id = m->id;
		w->row = rows[i];
		w->row.since = since;
		w->row.external_id = keep(s, rows[i].external_id);
		w->row.etag = keep(s, rows[i].etag);
		w->row.uid = keep(s, rows[i].uid);
		w->row.wait_for = keep(s, rows[i].wait_for);
		w->row.payload = keep(s, rows[i].payload);
		w->fail_count = failed ? w->fail_count + 1 : 0;
		w->retry_at = failed ? s->now + RETRY_DELAY : 0;
		memset(&w->row.error, 0, sizeof(TsError));
	}
}

/* A possible move that is our own, not yet finished. */
static bool
is_our_move(MemStore *s, const TsMapping *m, const MemInbox *w)
{
	for (int i = 0; i < s->db.nlinks; i++)
	{
		const MemLink *l = &s->db.links[i];
		const MemTask *t;
		const MemIntent *move;

		if (!l->used || l->uid == NULL || same(l->mapping_id, m->id) ||
			!same(mem_mapping(s, l->mapping_id)->m.provider_id, m->provider_id) ||
			!same(w->row.uid, l->uid))
			continue;
		t = mem_task(s, l->task_id);
		move = intent_row(s, l->mapping_id, l->task_id);
		if ((t && same(t->project, m->project_id)) ||
			(move && same(move->intent.target_mapping_id, m->id)))
			return true;
	}
	return false;
}

/* What came for a task that is where no service looks. */
static bool
is_away(MemStore *s, const TsMapping *m, const MemInbox *w)
{
	MemLink    *l = link_by_external_id(s, m->id, w->row.external_id);
	TsLinkRow	row;

	if (l == NULL)
		return false;
	read_row(s, m, l->task_id, &row);
	return row.parted;
}

static TsInboxRow *
inbox(void *db, const TsMapping *m, int *n)
{
	MemStore   *s = db;
	TsInboxRow *rows = palloc(sizeof(TsInboxRow) * s->db.ninbox);

	*n = 0;
	for (int i = 0; i < s->db.ninbox; i++)
	{
		const MemInbox *w = &s->db.inbox[i];
		bool		moving = same(w->row.wait_for, TS_WAIT_MOVE);

		if (w->used && same(w->mapping_id, m->id) && !(moving && is_our_move(s, m, w)) &&
			(w->row.gone || moving || (w->retry_at && w->retry_at <= s->now) ||
			 (same(w->row.wait_for, TS_WAIT_RETURN) && !is_away(s, m, w))))
			rows[(*n)++] = w->row;
	}
	return rows;
}

static void
inbox_drop(void *db, const TsMapping *m, const char **ids, int n)
{
	for (int i = 0; i < n; i++)
	{
		MemInbox   *w = inbox_row(to_write(db, JUST(inbox)), m->id, ids[i]);

		if (w)
			w->used = false;
	}
}

static bool
has_object(MemStore *s, const char *task_id, const char *mapping_id)
{
	MemLink    *l = mem_link(s, task_id, mapping_id);

	return l && l->external_id;
}

/* A link of a task that never came to an object makes way for one that has. */
static void
clear_way(MemStore *s, const char *task_id, const char *mapping_id)
{
	MemLink    *l = mem_link(s, task_id, mapping_id);

	if (l && l->external_id == NULL)
		l->used = false;
}

/* The object that a link goes to: of several, the one that was seen last. */
static MemInbox *
waiting_move(MemStore *s, const MemLink *l, const char *provider_id)
{
	MemInbox   *last = NULL;

	for (int i = 0; i < s->db.ninbox; i++)
	{
		MemInbox   *w = &s->db.inbox[i];

		if (w->used && l->uid && !w->row.gone && same(w->row.uid, l->uid) &&
			link_by_external_id(s, w->mapping_id, w->row.external_id) == NULL &&
			same(mem_mapping(s, w->mapping_id)->m.provider_id, provider_id) &&
			(same(w->mapping_id, l->mapping_id) ? !same(w->row.external_id, l->external_id)
			 : !has_object(s, l->task_id, w->mapping_id)) &&
			(last == NULL || w->row.fetch_seq > last->row.fetch_seq))
			last = w;
	}
	return last;
}

/* An open conflict is about what a link has on its other side: it goes with it … */
static void
move_conflicts(MemStore *s, const char *task_id, const char *from, char *to)
{
	for (int i = 0; i < s->db.nconflicts; i++)
	{
		MemConflict *k = &s->db.conflicts[i];

		if (k->conflict.resolution == NULL && same_id(k->task_id, task_id) &&
			same(k->mapping_id, from))
			k->mapping_id = to;
	}
}

/* … and where there is nothing any more, ours is what stands. */
static void
close_conflicts(MemStore *s, const char *task_id, const char *mapping_id)
{
	for (int i = 0; i < s->db.nconflicts; i++)
	{
		MemConflict *k = &s->db.conflicts[i];

		if (k->conflict.resolution == NULL && same_id(k->task_id, task_id) &&
			same(k->mapping_id, mapping_id))
			k->conflict.resolution = "LOCAL";
	}
}

/* What is still to be sent goes with the link. */
static void
move_journal(MemStore *s, const char *task_id, const char *from, char *to)
{
	for (int i = 0; i < s->db.nchanges; i++)
		if (!s->db.changes[i].synced && same_id(s->db.changes[i].task_id, task_id) &&
			same(s->db.changes[i].mapping_id, from))
			s->db.changes[i].mapping_id = to;
}

/* So does an update in doubt. */
static void
move_intent(MemStore *s, const char *task_id, const char *from, char *to, const char *external_id)
{
	MemIntent  *w = intent_row(s, from, task_id);

	if (w == NULL)
		return;
	w->used = w->intent.kind == TS_PUSH_UPDATE;
	if (w->used && !same(from, to) && intent_row(s, to, task_id))
		raise(s, "23505", "duplicate key of an intent");
	w->mapping_id = to;
	w->intent.external_id = (char *) external_id;
}

/* Something is to be sent, and nobody may have written so into the journal. */
static void
note_owed(MemStore *s, const TsMapping *m, const char *task_id)
{
	MemChange  *c;

	for (int i = 0; i < s->db.nchanges; i++)
		if (!s->db.changes[i].synced && same_id(s->db.changes[i].task_id, task_id) &&
			same(s->db.changes[i].mapping_id, m->id))
			return;
	c = ADD(s, s->db.changes, s->db.nchanges);
	c->task_id = keep_id(s, task_id);
	c->mapping_id = m->id;
	c->at = keep(s, ts_timestamp_text(s->now));
}

/* The tombstone of a link's object, unless we have written the object since. */
static MemInbox *
tombstone_of(MemStore *s, const MemLink *l)
{
	MemInbox   *w = inbox_row(s, l->mapping_id, l->external_id);

	return w && w->row.gone && w->row.fetch_seq >= l->write_seq ? w : NULL;
}

/*
 * Another link of the same task and provider, whose object is there, or that the
 * task has gone to; none where the task's own object was moved on.
 */
static MemLink *
link_elsewhere(MemStore *s, const MemLink *l)
{
	const TsMapping *m = &mem_mapping(s, l->mapping_id)->m;
	MemTask    *t = mem_task(s, l->task_id);

	if (t && same(t->project, m->project_id) && waiting_move(s, l, m->provider_id))
		return NULL;
	for (int i = 0; i < s->db.nlinks; i++)
	{
		MemLink    *o = &s->db.links[i];
		const TsMapping *om = &mem_mapping(s, o->mapping_id)->m;

		if (o != l && o->used && o->external_id && same(o->task_id, l->task_id) &&
			same(om->provider_id, m->provider_id) &&
			(tombstone_of(s, o) == NULL ||
			 (t && same(t->project, om->project_id) && !same(t->project, m->project_id))))
			return o;
	}
	return NULL;
}

/* The task is in another list of the provider already: this link of it is over. */
static void
follow_link(MemStore *s, MemLink *l, MemInbox *gone, MemLink *other)
{
	MemTask    *t = mem_task(s, l->task_id);

	gone->used = false;
	move_journal(s, l->task_id, l->mapping_id, other->mapping_id);
	note_owed(s, &mem_mapping(s, other->mapping_id)->m, l->task_id);
	close_conflicts(s, l->task_id, l->mapping_id);
	l->used = false;
	if (intent_row(s, l->mapping_id, l->task_id))
		intent_row(s, l->mapping_id, l->task_id)->used = false;
	if (t && same(t->project, mem_mapping(s, l->mapping_id)->m.project_id))
		mem_move(s, t->id, mem_mapping(s, other->mapping_id)->m.project_id);
}

/* The link goes to the object that waits, with the task. */
static void
move_link(MemStore *s, MemLink *l, MemInbox *gone, MemInbox *w)
{
	MemTask    *t = mem_task(s, l->task_id);

	gone->used = false;
	move_journal(s, l->task_id, l->mapping_id, w->mapping_id);
	note_owed(s, &mem_mapping(s, w->mapping_id)->m, l->task_id);
	move_intent(s, l->task_id, l->mapping_id, w->mapping_id, w->row.external_id);
	move_conflicts(s, l->task_id, l->mapping_id, w->mapping_id);
	clear_way(s, l->task_id, w->mapping_id);
	l->mapping_id = w->mapping_id;
	l->external_id = (char *) w->row.external_id;
	l->etag = NULL;
	l->nprev_etags = 0;
	l->write_seq = next_seq(s);
	w->row.wait_for = NULL;
	w->retry_at = s->now;
	if (t && !same(t->project, mem_mapping(s, w->mapping_id)->m.project_id))
		mem_move(s, t->id, mem_mapping(s, w->mapping_id)->m.project_id);
}

/* A link of the provider whose object is gone. */
static MemInbox *
gone_from(MemStore *s, const MemLink *l, const char *provider_id)
{
	return l->used && l->external_id && same(mem_mapping(s, l->mapping_id)->m.provider_id, provider_id)
		? tombstone_of(s, l) : NULL;
}

static int
relink_moves(void *db, const TsMapping *m)
{
	MemStore   *s = to_write(db, ALL_TABLES);
	int			moved = 0;

	s->origin = m->id;
	for (int i = 0; i < s->db.nlinks; i++)
	{
		MemLink    *l = &s->db.links[i];
		MemInbox   *gone = gone_from(s, l, m->provider_id);
		MemLink    *other = gone ? link_elsewhere(s, l) : NULL;

		if (other == NULL)
			continue;
		if (s->trace)
			tap_note("       %s is gone, but %s is there", l->external_id, other->external_id);
		follow_link(s, l, gone, other);
		moved++;
	}
	for (int i = 0; i < s->db.nlinks; i++)
	{
		MemLink    *l = &s->db.links[i];
		MemInbox   *gone = gone_from(s, l, m->provider_id);
		MemInbox   *w = gone ? waiting_move(s, l, m->provider_id) : NULL;

		if (w == NULL)
			continue;
		if (s->trace)
			tap_note("       relink %s: %s to %s", l->task_id, l->external_id, w->row.external_id);
		move_link(s, l, gone, w);
		moved++;
	}
	s->origin = NULL;
	return moved;
}

/* Most of a record stays as it was. */
static void
renew_task(MemStore *s, TsTask *task, const TsTask *now)
{
	task->known = now->known;
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (!same(task->value[f], now->value[f]))
			task->value[f] = keep(s, now->value[f]);
}

static void
set_link(MemStore *s, const TsMapping *m, const TsChange *c)
{
	MemLink    *l = mem_link(s, c->task_id, m->id);
	MemLink    *other = link_by_external_id(s, m->id, c->external_id);

	if (other && other != l)
		raise(s, "23505", "duplicate key of a link");
	if (l == NULL)
	{
		ADD_OR_REUSE(l, s, s->db.links, s->db.nlinks);
		l->used = true;
		l->task_id = keep_id(s, c->task_id);
		l->mapping_id = m->id;
	}
	if (l->etag && !same(l->etag, c->etag))
	{
		memmove(&l->prev_etags[1], &l->prev_etags[0], sizeof(char *) * 3);
		l->prev_etags[0] = l->etag;
		l->nprev_etags = Min(4, l->nprev_etags + 1);
	}
	l->dead = l->parted = false;
	l->external_id = keep(s, c->external_id);
	l->etag = keep(s, c->etag);
	if (c->uid)
		l->uid = keep(s, c->uid);
	l->parent_uid = keep(s, c->parent_uid);
	if (c->payload)
		l->payload = keep(s, c->payload);
	if (c->modified_at)
		l->modified_at = keep(s, c->modified_at);
	l->write_seq = Max(l->write_seq, c->write_seq);
	renew_task(s, &l->local_base, &c->local_base);
	renew_task(s, &l->remote_base, &c->remote_base);
	l->fail_count = 0;
	l->retry_at = 0;
}

/* "Completed" without a time: the trigger's time is no change to be sent. */
static void
take_over_completion(MemStore *s, const TsMapping *m, const TsChange *c)
{
	MemLink    *l = mem_link(s, c->task_id, m->id);
	MemTask    *t = mem_task(s, c->task_id);

	if ((c->task_patch.known & BIT(TS_STATUS)) && is_done(&c->task_patch) && t &&
		c->local_base.value[TS_COMPLETED_AT] == NULL)
	{
		l->local_base.known |= BIT(TS_COMPLETED_AT);
		l->local_base.value[TS_COMPLETED_AT] = t->fields.value[TS_COMPLETED_AT];
	}
}

static bool *
circular(void *db, const TsMapping *m, const char **task_ids, char **parent_ids, int n)
{
	MemStore   *s = db;
	bool	   *result = palloc0(sizeof(bool) * (n + 1));

	for (int i = 0; i < n; i++)
		for (const char *id = task_ids[i] ? parent_ids[i] : NULL; id && !result[i];)
		{
			MemTask    *t = mem_task(s, id);

			result[i] = same(id, task_ids[i]);
			id = t ? t->fields.value[TS_PARENT_TASK_ID] : NULL;
		}
	return result;
}

static void
resolve_parents(MemStore *s, const TsMapping *m)
{
	for (int i = 0; i < s->db.nlinks; i++)
	{
		MemLink    *child = &s->db.links[i];
		MemTask    *t;

		if (!child->used || child->parent_uid == NULL || !same(child->mapping_id, m->id))
			continue;
		t = mem_task(s, child->task_id);
		if (t == NULL || t->fields.value[TS_PARENT_TASK_ID] || !(child->local_base.known & BIT(TS_PARENT_TASK_ID)) ||
			child->local_base.value[TS_PARENT_TASK_ID])
			continue;
		for (int k = 0; k < s->db.nlinks; k++)
		{
			MemLink    *parent = &s->db.links[k];

			if (parent->used && parent != child && same(parent->mapping_id, m->id) &&
				same(parent->uid, child->parent_uid) && mem_task(s, parent->task_id) &&
				!circular(s, m, (const char **) &child->task_id, &parent->task_id, 1)[0])
			{
				TsTask		patch = {.known = BIT(TS_PARENT_TASK_ID)};

				patch.value[TS_PARENT_TASK_ID] = parent->task_id;
				update_task(s, t, &patch);
				child->local_base.value[TS_PARENT_TASK_ID] = parent->task_id;
				break;
			}
		}
	}
}

static MemConflict *
open_conflict(MemStore *s, const char *task_id, const char *mapping_id)
{
	for (int i = 0; i < s->db.nconflicts; i++)
	{
		MemConflict *k = &s->db.conflicts[i];

		if (k->conflict.resolution == NULL && same(k->mapping_id, mapping_id) &&
			same_id(k->task_id, task_id))
			return k;
	}
	return NULL;
}

/* What a record says of more fields, in addition or instead. */
static void
add_fields(MemStore *s, TsTask *task, const TsTask *more)
{
	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (more->known & BIT(f))
			task->value[f] = keep(s, more->value[f]);
	task->known |= more->known;
}

/* Each conflict that was decided is a record. */
static void
note_conflict(MemStore *s, const TsMapping *m, const TsChange *c, const TsConflict *conflict)
{
	MemConflict *k = ADD(s, s->db.conflicts, s->db.nconflicts);

	k->task_id = keep_id(s, c->task_id);
	k->mapping_id = m->id;
	k->conflict = *conflict;
	keep_task(s, &k->conflict.base, &conflict->base);
	keep_task(s, &k->conflict.local, &conflict->local);
	keep_task(s, &k->conflict.remote, &conflict->remote);
}

/* What waits for a person is one row per task and mapping, kept up to date. */
static void
note_open(MemStore *s, const TsMapping *m, const TsChange *c)
{
	MemConflict *k = open_conflict(s, c->task_id, m->id);

	if (k == NULL)
	{
		note_conflict(s, m, c, &c->open);
		return;
	}
	k->conflict.fields |= c->open.fields;
	add_fields(s, &k->conflict.base, &c->open.base);
	add_fields(s, &k->conflict.local, &c->open.local);
	add_fields(s, &k->conflict.remote, &c->open.remote);
}

/* Whoever has the task's project looks at it: this link was in the way perhaps. */
static void
hint_lists(MemStore *s, const char *task_id)
{
	MemTask    *t = mem_task(s, task_id);

	for (int i = 0; i < s->db.nmappings && t; i++)
		if (same(s->db.mappings[i].m.project_id, t->project) &&
			s->db.mappings[i].m.direction != TS_FROM_PROVIDER)
			note_owed(s, &s->db.mappings[i].m, task_id);
}

/* A deleted task as it last was here, or its base where nobody knows any more. */
static TsTask
as_it_was(MemStore *s, const TsChange *c)
{
	TsTask		fields = c->local_base;
	int64		at = 0;

	for (int i = 0; i < s->db.ntrash; i++)
		if (same(s->db.trash[i].task_id, c->task_id) && s->db.trash[i].at >= at)
		{
			fields = s->db.trash[i].fields;
			at = s->db.trash[i].at;
		}
	for (int i = 0; i < s->db.nchanges; i++)
	{
		int64		deleted_at;

		if (s->db.changes[i].old && same(s->db.changes[i].task_id, c->task_id) &&
			ts_timestamp_parse(s->db.changes[i].at, &deleted_at) && deleted_at >= at)
		{
			fields = *s->db.changes[i].old;
			at = deleted_at;
		}
	}
	return fields;
}

static void
apply_task(MemStore *s, const TsMapping *m, const TsChange *c)
{
	MemTask    *t = mem_task(s, c->task_id);

	if (c->task_action == TS_ACTION_CREATE)
	{
		TsTask		fields = {0};

		if (c->revived)
			fields = as_it_was(s, c);
		for (TsField f = 0; f < TS_NFIELDS; f++)
			if (c->task_patch.known & BIT(f))
			{
				fields.known |= BIT(f);
				fields.value[f] = c->task_patch.value[f];
			}
		if (fields.value[TS_PARENT_TASK_ID] && !mem_task(s, fields.value[TS_PARENT_TASK_ID]))
			fields.value[TS_PARENT_TASK_ID] = NULL;
		insert_task(s, c->task_id, m->project_id, m->provider_id, &fields);
		for (int i = 0; i < s->db.nlinks && c->revived; i++)
		{
			MemLink    *l = &s->db.links[i];

			if (l->used && l->dead && same(l->task_id, c->task_id) && !same(l->mapping_id, m->id))
				l->used = false;
		}
		if (c->revived)
			hint_lists(s, c->task_id);
	}
	else if (c->task_action == TS_ACTION_UPDATE && t)
		update_task(s, t, &c->task_patch);
	s->db.task_writes += c->task_action != TS_ACTION_NONE;
}

static void
remember_dead(MemStore *s, const TsMapping *m, const TsChange *c)
{
	MemDead    *d = dead_row(s, m->id, c->dead_external_id);

	if (d == NULL)
		d = ADD(s, s->db.dead, s->db.ndead);
	d->mapping_id = m->id;
	d->external_id = keep(s, c->dead_external_id);
	d->uid = keep(s, c->dead_uid);
	d->task_id = keep_id(s, c->task_id);
}

static void
apply_link(MemStore *s, const TsMapping *m, const TsChange *c)
{
	MemLink    *l = mem_link(s, c->task_id, m->id);

	switch (c->link_action)
	{
		case TS_LINK_KEEP:
			break;
		case TS_LINK_SET:
			if (c->moved_to)
			{
				clear_way(s, c->task_id, c->moved_to);
				if (mem_link(s, c->task_id, c->moved_to) ||
					link_by_external_id(s, c->moved_to, c->external_id))
					raise(s, "23505", "duplicate key of a link");
				move_journal(s, c->task_id, m->id, mem_mapping(s, c->moved_to)->m.id);
				move_conflicts(s, c->task_id, m->id, mem_mapping(s, c->moved_to)->m.id);
				l->mapping_id = mem_mapping(s, c->moved_to)->m.id;
				l->external_id = keep(s, c->external_id);
				l->etag = keep(s, c->etag);
				l->write_seq = c->write_seq;
				break;
			}
			set_link(s, m, c);
			take_over_completion(s, m, c);
			break;
		case TS_LINK_PART:
			if (l)
			{
				l->parted = true;
				l->retry_at = l->fail_count = 0;
			}
			break;
		case TS_LINK_COPY:
			if (!has_object(s, c->task_id, c->moved_to))
				set_link(s, &mem_mapping(s, c->moved_to)->m, c);
			note_owed(s, &mem_mapping(s, c->moved_to)->m, c->task_id);
			move_conflicts(s, c->task_id, m->id, mem_mapping(s, c->moved_to)->m.id);
			break;
		case TS_LINK_UNBIND:
		case TS_LINK_DEAD:
			close_conflicts(s, c->task_id, m->id);
			l->dead = c->link_action == TS_LINK_DEAD;
			l->external_id = l->etag = l->payload = NULL;
			l->nprev_etags = 0;
			if (l->dead)
				l->retry_at = l->fail_count = 0;
			else
				l->local_base.known = l->remote_base.known = 0;
			break;
		case TS_LINK_DROP:
			if (l)
				l->used = false;
			close_conflicts(s, c->task_id, m->id);
			hint_lists(s, c->task_id);
			break;
	}
}

static void
fail_link(MemStore *s, const TsMapping *m, const TsChange *c)
{
	MemLink    *l = mem_link(s, c->task_id, m->id);

	if (l == NULL)
	{
		ADD_OR_REUSE(l, s, s->db.links, s->db.nlinks);
		l->used = true;
		l->task_id = keep_id(s, c->task_id);
		l->mapping_id = m->id;
	}
	l->fail_count++;
	l->retry_at = s->now + RETRY_DELAY;
}

/* Counts what was sent in vain. */
static bool
is_hopeless(MemStore *s, const TsMapping *m, const char *task_id)
{
	bool		hopeless = false;

	for (int i = 0; i < s->db.nchanges; i++)
	{
		MemChange  *c = &s->db.changes[i];

		if (!c->synced && same(c->mapping_id, m->id) && same_id(c->task_id, task_id))
			hopeless |= ++c->attempts >= TS_TRIES_IN_VAIN;
	}
	return hopeless;
}

/* In src/store/apply.c the home of a task is what ts_store_show_status() writes. */
static void
set_home(MemStore *s, const TsMapping *m, const TsChange *c)
{
	MemTask    *t = mem_task(s, c->task_id);
	bool		linked;

	if (t == NULL || c->link_action == TS_LINK_KEEP)
		return;
	linked = mem_link(s, c->task_id, m->id) || (c->moved_to && mem_link(s, c->task_id, c->moved_to));
	if (linked && t->home == NULL && !m->mirror && c->link_action != TS_LINK_PART)
		t->home = m->provider_id;
	else if ((c->link_action == TS_LINK_DROP || c->link_action == TS_LINK_PART) && same(t->home, m->provider_id))
		t->home = NULL;
}

static const char *
shown(const char *text)
{
	return text ? text : "-";
}

static char *
shown_task(const TsTask *task)
{
	StringInfoData json;

	initStringInfo(&json);
	ts_task_to_json(task, task->known, &json);
	return json.data;
}

static void
trace_change(const TsMapping *m, const TsChange *c)
{
	static const char *const task_words[] = {"", "CREATE", "UPDATE", "DELETE"};
	static const char *const link_words[] = {"keep", "set", "dead", "unbind", "part", "copy", "drop"};

	tap_note("       %s: task %s %s%s%s link %s%s%s %s etag %s uid %s seq %d%s%s%s%s", m->id, c->task_id,
			 task_words[c->task_action], c->revived ? " (revived)" : "",
			 c->task_action ? shown_task(&c->task_patch) : "", link_words[c->link_action],
			 c->moved_to ? " moved to " : "", c->moved_to ? c->moved_to : "", shown(c->external_id),
			 shown(c->etag), shown(c->uid), (int) c->write_seq,
			 c->clear_intent ? " clear intent" : "",
			 c->clear_inbox ? psprintf(" clear inbox %s", c->clear_inbox) : "",
			 c->dead_external_id ? psprintf(" dead %s", c->dead_external_id) : "",
			 ts_failed(&c->failure) ? psprintf(" failed: %s", c->failure.message) : "");
	if (c->has_conflict)
		tap_note("          conflict %s: here %s there %s", c->conflict.resolution,
				 shown_task(&c->conflict.local), shown_task(&c->conflict.remote));
	if (c->open.fields)
		tap_note("          open conflict: here %s there %s",
				 shown_task(&c->open.local), shown_task(&c->open.remote));
}

/* Subtasks of what a sync deletes become top-level, which is no edit of anybody's here. */
static void
orphan_quietly(MemStore *s, const TsMapping *m, const char *parent_id)
{
	for (int i = 0; i < s->db.nlinks; i++)
	{
		MemLink    *l = &s->db.links[i];
		MemTask    *t = l->used && same(l->mapping_id, m->id) ? mem_task(s, l->task_id) : NULL;

		if (t && same(t->fields.value[TS_PARENT_TASK_ID], parent_id) &&
			(l->local_base.known & BIT(TS_PARENT_TASK_ID)) &&
			same(l->local_base.value[TS_PARENT_TASK_ID], parent_id))
			l->local_base.value[TS_PARENT_TASK_ID] = NULL;
	}
}

static void
apply(void *db, const TsMapping *m, const TsChange *changes, int n)
{
	MemStore   *s = to_write(db, ALL_TABLES);

	for (int i = 0; i < n && s->trace; i++)
		if (changes[i].task_id)
			trace_change(m, &changes[i]);

	s->origin = mem_mapping(s, m->id)->m.id;
	for (int i = 0; i < n; i++)
		if (changes[i].task_id)
			apply_task(s, m, &changes[i]);
	for (int i = 0; i < n; i++)
	{
		const TsChange *c = &changes[i];

		if (c->task_id == NULL)
			continue;
		apply_link(s, m, c);
		if (ts_failed(&c->failure) || (ts_failed(&c->in_vain) && is_hopeless(s, m, c->task_id)))
			fail_link(s, m, c);
		if (c->has_conflict)
			note_conflict(s, m, c, &c->conflict);
		if (c->open.fields)
			note_open(s, m, c);
		if (c->owes)
			note_owed(s, m, c->task_id);
		if (c->task_action == TS_ACTION_DELETE && mem_task(s, c->task_id))
			orphan_quietly(s, m, c->task_id);
		if (c->task_action == TS_ACTION_DELETE && mem_task(s, c->task_id))
			delete_task(s, mem_task(s, c->task_id));
		if (c->dead_external_id)
			remember_dead(s, m, c);
		if (c->clear_intent && intent_row(s, m->id, c->task_id))
			intent_row(s, m->id, c->task_id)->used = false;
		if (c->clear_inbox && inbox_row(s, m->id, c->clear_inbox))
			inbox_row(s, m->id, c->clear_inbox)->used = false;
		set_home(s, m, c);
	}
	resolve_parents(s, m);
	s->origin = NULL;
}

static void
pull_end(void *db, const TsMapping *m, const TsPullEnd *end)
{
	MemStore   *s = to_write(db, JUST(mappings));
	TsMapping  *row = &mem_mapping(s, m->id)->m;

	if (end->cursor)
		row->cursor = keep(s, end->cursor);
	if (end->complete)
		row->first_pull = row->audit_due = false;
	if (end->seq)
		row->pulled_seq = end->seq;
	mem_mapping(s, m->id)->list_missing = false;
}

static void
scope_known(void *db, const TsMapping *m, const TsScope *scope)
{
	TsMapping  *row = &mem_mapping(db, m->id)->m;

	to_write(db, JUST(mappings));
	row->scope = keep(db, scope->scope);
	if (scope->account)
		row->account = keep(db, scope->account);
	row->auth_version = keep(db, scope->auth_version);
}

/* Who swings is said by the test: what syncs overwrite is not kept here. */
static TsFieldMask *
swinging(void *db, const TsMapping *m, const char **task_ids, int n)
{
	MemStore   *s = db;
	TsFieldMask *fields = palloc0(sizeof(TsFieldMask) * n);

	for (int i = 0; i < n; i++)
		fields[i] = s->swinging;
	return fields;
}

/* Is there perhaps an object of the task in another list of the provider? */
static bool
in_doubt_elsewhere(MemStore *s, const TsMapping *m, const MemTask *t)
{
	for (int i = 0; i < s->db.nintents; i++)
		if (s->db.intents[i].used && same_id(s->db.intents[i].intent.task_id, t->id) &&
			!same(s->db.intents[i].mapping_id, m->id) &&
			same(mem_mapping(s, s->db.intents[i].mapping_id)->m.provider_id, m->provider_id))
			return true;
	return false;
}

static bool
is_hinted(MemStore *s, const TsMapping *m, const MemTask *t, const MemLink *l)
{
	for (int i = 0; i < s->db.nchanges; i++)
		if (!s->db.changes[i].synced && same(s->db.changes[i].mapping_id, m->id) &&
			same_id(s->db.changes[i].task_id, t->id))
			return true;
	if (l && l->retry_at && l->retry_at <= s->now)
		return true;
	return m->compare_due &&
		(l ? !t->exists || l->external_id == NULL || !same(t->project, m->project_id) ||
		 ts_task_diff(&l->local_base, &t->fields, s->carries)
		 : t->exists && same(t->project, m->project_id));
}

/* Can any task of the mapping be hinted? */
static bool
has_hints(MemStore *s, const TsMapping *m)
{
	for (int i = 0; i < s->db.nchanges; i++)
		if (!s->db.changes[i].synced && same(s->db.changes[i].mapping_id, m->id))
			return true;
	for (int i = 0; i < s->db.nlinks; i++)
		if (s->db.links[i].retry_at && same(s->db.links[i].mapping_id, m->id))
			return true;
	return m->compare_due;
}

/* An object of the task is, or may be, in another list: none is to be made here. */
static bool
is_made_elsewhere(MemStore *s, const TsMapping *m, const MemTask *t, const MemLink *l)
{
	return t->exists && same(t->project, m->project_id) && (l == NULL || l->external_id == NULL) &&
		(comes_over(s, m, t) || in_doubt_elsewhere(s, m, t));
}

static TsLinkRow *
candidates(void *db, const TsMapping *m, const char *after, int limit, int *n)
{
	MemStore   *s = db;
	TsLinkRow  *rows = palloc(sizeof(TsLinkRow) * s->db.ntasks);

	*n = 0;
	if (!has_hints(s, m))
		return rows;
	for (int i = 0; i < s->db.ntasks; i++)
	{
		const MemTask *t = &s->db.tasks[i];
		MemLink    *l = mem_link(s, t->id, m->id);

		if ((after && strcmp(t->id, after) <= 0) || *n == limit ||
			!is_hinted(s, m, t, l) ||
			(l && l->retry_at > s->now) || intent_row(s, m->id, t->id) ||
			(l && l->external_id && inbox_row(s, m->id, l->external_id)) ||
			(l == NULL && !(t->exists && belongs(s, m, t))) || is_made_elsewhere(s, m, t, l))
			continue;
		read_row(s, m, t->id, &rows[(*n)++]);
	}
	return rows;
}

static void
intents_put(void *db, const TsMapping *m, const TsIntent *intents, int n)
{
	MemStore   *s = to_write(db, JUST(intents));

	for (int i = 0; i < n; i++)
	{
		MemIntent  *w;

		if (intent_row(s, m->id, intents[i].task_id))
			raise(s, "23505", "duplicate key of an intent");
		ADD_OR_REUSE(w, s, s->db.intents, s->db.nintents);
		w->used = true;
		w->mapping_id = mem_mapping(s, m->id)->m.id;
		w->intent = intents[i];
		w->intent.task_id = keep_id(s, intents[i].task_id);
		w->intent.external_id = keep(s, intents[i].external_id);
		w->intent.etag = keep(s, intents[i].etag);
		w->intent.payload = keep(s, intents[i].payload);
		w->intent.target_list = keep(s, intents[i].target_list);
		w->intent.target_mapping_id = keep(s, intents[i].target_mapping_id);
		w->intent.in_doubt_since = 0;
		keep_task(s, &w->intent.snap, &intents[i].snap);
	}
}

static void
intents_doubt(void *db, const TsMapping *m)
{
	MemStore   *s = to_write(db, JUST(intents));

	for (int i = 0; i < s->db.nintents; i++)
		if (s->db.intents[i].used && same(s->db.intents[i].mapping_id, m->id) &&
			s->db.intents[i].intent.in_doubt_since == 0)
			s->db.intents[i].intent.in_doubt_since = s->now;
}

static TsIntent *
intents(void *db, const TsMapping *m, int *n)
{
	MemStore   *s = db;
	TsIntent   *result = palloc(sizeof(TsIntent) * s->db.nintents);

	*n = 0;
	for (int i = 0; i < s->db.nintents; i++)
		if (s->db.intents[i].used && same(s->db.intents[i].mapping_id, m->id))
			result[(*n)++] = s->db.intents[i].intent;
	return result;
}

/* Is there something to be sent to a mapping's list? */
static bool
owes(MemStore *s, const TsMapping *m, const char *task_id)
{
	MemTask    *t = mem_task(s, task_id);
	MemLink    *l = mem_link(s, task_id, m->id);

	if (intent_row(s, m->id, task_id))
		return true;
	if (l == NULL)
		return t && belongs(s, m, t);
	if (l->dead)
		return t == NULL;
	if (l->parted && t && !same(t->project, m->project_id))
	{
		TsLinkRow	row;

		read_row(s, m, task_id, &row);
		return row.project_mapped;
	}
	return t == NULL || !same(t->project, m->project_id) ||
		ts_task_diff(&l->local_base, &t->fields, s->carries) != 0;
}

/* A task that is back, and as it was when it left. */
static void
welcome_back(MemStore *s, const TsMapping *m, MemLink *l)
{
	MemTask    *t = mem_task(s, l->task_id);

	if (t == NULL || !same(t->project, m->project_id))
		return;
	l->parted = false;
	if (t->home == NULL && !m->mirror)
		t->home = m->provider_id;
}

static void
push_end(void *db, const TsMapping *m)
{
	MemStore   *s = to_write(db, ALL_TABLES);

	for (int i = 0; i < s->db.nchanges; i++)
		if (!s->db.changes[i].synced && same(s->db.changes[i].mapping_id, m->id) &&
			!owes(s, m, s->db.changes[i].task_id))
			s->db.changes[i].synced = true;
	for (int i = 0; i < s->db.nlinks; i++)
	{
		MemLink    *l = &s->db.links[i];

		if (!l->used || !same(l->mapping_id, m->id) || owes(s, m, l->task_id))
			continue;
		if (l->retry_at)
			l->retry_at = l->fail_count = 0;
		if (l->parted)
			welcome_back(s, m, l);
	}
	mem_mapping(s, m->id)->m.compare_due = false;
}

static void
list_made(void *db, const TsMapping *m, const TsList *list)
{
	mem_mapping(to_write(db, JUST(mappings)), m->id)->m.external_list_id = keep(db, list->id);
}

static void
list_agreed(void *db, const TsMapping *m, const char *name, const char *color, bool set_project)
{
	TsMapping  *row = &mem_mapping(to_write(db, JUST(mappings)), m->id)->m;

	row->base_name = keep(db, name);
	row->base_color = keep(db, color);
	if (set_project)
		row->project_name = row->base_name;
}

static void
hold(void *db, const TsMapping *m, const char *why)
{
	mem_mapping(to_write(db, JUST(mappings)), m->id)->held = true;
}

static bool
list_missing(void *db, const TsMapping *m)
{
	mem_mapping(to_write(db, JUST(mappings)), m->id)->list_missing = true;
	return false;
}

static void
mapping_end(void *db, const TsMapping *m, const TsError *err)
{
	MemMapping *row = mem_mapping(to_write(db, JUST(mappings)), m->id);

	memcpy(row->error.sqlstate, err->sqlstate, sizeof(err->sqlstate));
	row->error.message = keep(db, err->message);
	if (!ts_failed(err))
		row->m.deletions_confirmed = false;
}

/*
 * A person decides an open conflict: what src/api/conflict.c does.
 */

typedef struct Resolving
{
	MemStore   *s;
	const char *task_id;
	bool		use_remote;
	TsFieldMask decided;		/* by an earlier conflict of the same task */
} Resolving;

/* What the service has may have changed since the conflict was found. */
static void
look_again(MemStore *s, const MemLink *l, MemConflict *k)
{
	TsTask		now;

	if (l == NULL || l->payload == NULL)
		return;
	now = s->decode(l->payload);
	now.known &= k->conflict.fields;
	add_fields(s, &k->conflict.remote, &now);
}

/* Does the service still hold what it made of ours?  (It may keep no seconds.) */
static bool
is_ours_there(const MemLink *l, const TsTask *remote, TsField f)
{
	return l && remote->value[f] && (l->remote_base.known & l->local_base.known & BIT(f)) &&
		l->local_base.value[f] && ts_value_equal(f, remote->value[f], l->remote_base.value[f]);
}

/* The service's values as they would be here. */
static TsTask
values_there(MemStore *s, const TsMapping *m, const MemLink *l, const TsTask *remote)
{
	TsTask		there = *remote;
	const char *uid = remote->value[TS_PARENT_TASK_ID];

	for (TsField f = 0; f < TS_NFIELDS; f++)
		if (is_ours_there(l, remote, f))
			there.value[f] = l->local_base.value[f];
		else if (there.value[f] == NULL)
			there.value[f] = (char *) ts_field_info[f].fallback;
	there.value[TS_PARENT_TASK_ID] = parents(s, m, &uid, 1)[0];
	return there;
}

/*
 * The bases after the decision; the fields that are to be sent are answered.
 * Ours differs from theirs then, which is the base, except where that is a
 * parent that we do not have.
 */
static TsFieldMask
move_bases(MemLink *l, const MemConflict *k, const TsTask *here, const TsTask *there,
		   bool use_remote)
{
	const TsTask *remote = &k->conflict.remote;
	TsFieldMask to_send = 0;

	for (TsField f = 0; f < TS_NFIELDS; f++)
	{
		bool		agreed = ts_value_equal(f, here->value[f], there->value[f]);
		bool		waits = f == TS_PARENT_TASK_ID && remote->value[f] && !there->value[f];

		if (!(k->conflict.fields & BIT(f)))
			continue;
		l->remote_base.known |= BIT(f);
		l->remote_base.value[f] = remote->value[f];
		l->local_base.known |= BIT(f);
		l->local_base.value[f] = agreed ? here->value[f] : there->value[f];
		if (agreed && !(waits && !use_remote))
			continue;
		to_send |= BIT(f);
		if (waits)
			l->local_base.known &= ~BIT(f);
	}
	return to_send;
}

static void
resolve(Resolving *r, MemConflict *k)
{
	MemStore   *s = r->s;
	const TsMapping *m = &mem_mapping(s, k->mapping_id)->m;
	MemTask    *t = mem_task(s, r->task_id);
	MemLink    *l = mem_link(s, r->task_id, m->id);
	TsTask		here = t->fields;
	TsTask		there,
				patch;
	TsFieldMask to_send;

	look_again(s, l, k);
	there = patch = values_there(s, m, l, &k->conflict.remote);
	patch.known = r->use_remote
		? ts_task_diff(&there, &here, k->conflict.fields & ~r->decided) : 0;
	add_fields(s, &here, &patch);
	s->origin = m->id;
	if (patch.known)
		update_task(s, t, &patch);
	s->origin = NULL;
	r->decided |= k->conflict.fields;
	k->conflict.resolution = r->use_remote ? "REMOTE" : "LOCAL";
	to_send = l ? move_bases(l, k, &here, &there, r->use_remote) : 0;
	if (to_send)
	{
		MemChange  *c = ADD(s, s->db.changes, s->db.nchanges);

		c->task_id = t->id;
		c->mapping_id = m->id;
		c->fields = to_send;
		c->at = keep(s, ts_timestamp_text(s->now));
	}
}

/* The home's conflict first: its service is whom "remote" means. */
static void
resolve_body(void *arg)
{
	Resolving  *r = arg;
	MemStore   *s = to_write(r->s, ALL_TABLES);
	const char *home = mem_task(s, r->task_id)->home;

	for (int mirrors = 0; mirrors < 2; mirrors++)
		for (int i = 0; i < s->db.nmappings; i++)
		{
			const TsMapping *m = &s->db.mappings[i].m;
			MemConflict *k = open_conflict(s, r->task_id, m->id);

			if (k && same(m->provider_id, home) == !mirrors)
				resolve(r, k);
		}
}

bool
mem_resolve(MemStore *s, const char *task_id, bool use_remote)
{
	Resolving	r = {s, task_id, use_remote};
	TsError		err = {0};
	int			fail_in = s->fail_in;
	bool		done;

	s->fail_in = 0;				/* which is meant for syncs */
	done = attempt(s, resolve_body, &r, &err);
	s->fail_in = fail_in;
	return done;
}

const TsStore memory_store = {
	.transact = transact,
	.next_seq = next_seq,
	.known = known,
	.external_ids = external_ids,
	.links = links,
	.links_by_task = links_by_task,
	.parents = parents,
	.circular = circular,
	.unlinked = unlinked,
	.inbox_put = inbox_put,
	.inbox = inbox,
	.inbox_drop = inbox_drop,
	.relink_moves = relink_moves,
	.apply = apply,
	.pull_end = pull_end,
	.scope_known = scope_known,
	.swinging = swinging,
	.candidates = candidates,
	.intents_put = intents_put,
	.intents = intents,
	.intents_doubt = intents_doubt,
	.push_end = push_end,
	.list_made = list_made,
	.list_agreed = list_agreed,
	.hold = hold,
	.list_missing = list_missing,
	.mapping_end = mapping_end,
};
