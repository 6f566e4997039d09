/*-------------------------------------------------------------------------
 *
 * world.c
 *	  The whole engine over a store and services in memory (see world.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <setjmp.h>
#include <stdarg.h>

#include "sync/guard.h"
#include "tap.h"
#include "utils/memutils.h"
#include "world.h"

#define TICK (10 * INT64CONST(1000000))

static void
boundary(World *w)
{
	MemoryContext old = MemoryContextSwitchTo(w->cxt);

	w->clock += TICK;
	w->store->now = w->services[0].now = w->services[1].now = w->clock;
	w->boundary++;
	if (w->meanwhile)
		w->meanwhile(w);
	if (w->boundary == w->die_at && w->store->trace)
		tap_note("%4d *** the process dies", w->boundary);
	if (w->boundary == w->die_at)
		longjmp(*(jmp_buf *) w->death, 1);
	MemoryContextSwitchTo(old);
}

static void
before_transaction(void *arg)
{
	boundary(arg);
}

static int64
now(void *arg)
{
	return ((World *) arg)->clock;
}

static void
uuid(void *arg, char *buf)
{
	snprintf(buf, 37, "11111111-0000-0000-0000-%012d", ++((World *) arg)->nuuids);
}

World *
world_create(void)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "world", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	World	   *w = palloc(sizeof(World));

	memset(w, 0, offsetof(World, services));
	fake_start();
	fake_init(&w->services[0]);
	fake_init(&w->services[1]);
	w->cxt = cxt;
	w->clock = INT64CONST(1767225600000000);	/* 2026-01-01 */
	w->mass_delete_minimum = 10;
	w->mass_change_minimum = 50;
	w->store = mem_create(FAKE_CARRIES);
	w->store->decode = fake_task;
	w->store->before = before_transaction;
	w->store->arg = w;
	mem_add_mapping(w->store, "A", "P1", "pa", "A");
	mem_add_mapping(w->store, "B", "P1", "pb", "B");
	mem_add_mapping(w->store, "M", "P2", "pa", "M")->m.mirror = true;
	MemoryContextSwitchTo(old);
	return w;
}

void
world_destroy(World *w)
{
	MemoryContextDelete(w->cxt);
}

FakeService *
world_service(World *w, const char *list)
{
	return &w->services[list[0] == 'M'];
}

static const char *const fault_words[] = {
	[WORLD_NO_FAULT] = "",
	[WORLD_NOT_SENT] = "not sent",
	[WORLD_LOST_BEFORE] = "lost before it had an effect",
	[WORLD_LOST_AFTER] = "answer lost",
	[WORLD_BUSY] = "503",
	[WORLD_TOO_MANY] = "429",
	[WORLD_CUT] = "cut short",
	[WORLD_ERROR] = "500 without effect",
	[WORLD_ERROR_AFTER] = "500 after it had its effect",
	[WORLD_REFUSED] = "422",
	[WORLD_LIST_GONE] = "404"
};

/* One request and its answer, as the network would have it. */
/* A write that no durable intent speaks of would be forgotten by a crash. */
static void
expect_intent(World *w, FakeService *s, const TsRequest *req)
{
	const char *id;

	if (w->broken || !ts_guarded(TS_GUARD_INTENT) || !fake_is_write(req, &id))
		return;
	for (int i = 0; i < w->store->db.nintents; i++)
	{
		const MemIntent *m = &w->store->db.intents[i];

		if (m->used && world_service(w, m->mapping_id) == s &&
			(m->intent.kind == TS_PUSH_MOVE || m->intent.external_id == id ||
			 (id && m->intent.external_id && same(m->intent.external_id, id))))
			return;
	}
	w->broken = psprintf("a write to %s without an intent", id ? id : "a new object");
}

static void
exchange(World *w, FakeService *s, const TsRequest *req, TsResponse *resp)
{
	WorldFault	fault = w->fault ? w->fault(w) : WORLD_NO_FAULT;
	MemoryContext old = MemoryContextSwitchTo(w->cxt);

	expect_intent(w, s, req);
	if (w->store->trace)
		tap_note("%4d > %s%s%s", w->boundary, fake_describe(req), fault ? " ! " : "", fault_words[fault]);
	if (fault == WORLD_NO_FAULT || fault == WORLD_LOST_AFTER ||
		fault == WORLD_ERROR_AFTER || fault == WORLD_CUT)
		fake_serve(s, req, resp);
	MemoryContextSwitchTo(old);
	switch (fault)
	{
		case WORLD_NO_FAULT:
			break;
		case WORLD_NOT_SENT:
			fake_refuse(resp, 0, false);
			break;
		case WORLD_LOST_BEFORE:
		case WORLD_LOST_AFTER:
			fake_refuse(resp, 0, true);
			break;
		case WORLD_BUSY:
			fake_refuse(resp, 503, true);
			resp->retry_after = 60;
			break;
		case WORLD_TOO_MANY:
			fake_refuse(resp, 429, true);
			resp->retry_after = 60;
			break;
		case WORLD_CUT:
			fake_cut(resp);
			break;
		case WORLD_ERROR:
		case WORLD_ERROR_AFTER:
			fake_refuse(resp, 500, true);
			break;
		case WORLD_REFUSED:
			fake_refuse(resp, 422, true);
			break;
		case WORLD_LIST_GONE:
			fake_refuse(resp, 404, true);
			break;
	}
}

static void
run_cycle(World *w, FakeService *s, const TsEnv *env, const TsCycleSpec *spec, TsCycleResult *result)
{
	TsCycle    *c = ts_cycle_begin(env, spec);
	TsRequest	req;

	while (ts_cycle_next(c, &req))
	{
		TsResponse	resp;

		boundary(w);
		exchange(w, s, &req, &resp);
		boundary(w);
		ts_cycle_response(c, &resp);
	}
	*result = *ts_cycle_result(c);
	ts_cycle_end(c);
}

static const char *
settings_of(const FakeService *s)
{
	if (s->surprises)
		return s->spawns ? "SPAWNS SURPRISES" : "SURPRISES";
	return s->spawns ? "SPAWNS" : NULL;
}

bool
world_sync(World *w, const char *provider_id, const char *only, TsCycleResult *result)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext process = AllocSetContextCreate(w->cxt, "process", ALLOCSET_DEFAULT_SIZES);
	FakeService *service = &w->services[provider_id[1] == '2'];
	FakeSite	site = {{.settings = w->settings ? w->settings : settings_of(service)}, service};
	TsCycleSpec spec = {.provider = fake_provider_of(service), .site = &site.site};
	TsEnv		env = {.store = &memory_store, .db = w->store, .now = now, .uuid = uuid, .arg = w};
	jmp_buf		death;
	volatile bool alive = false;

	site.site.auth_version = w->credentials;
	env.mass_delete_percent = 30;
	env.mass_delete_minimum = w->mass_delete_minimum;
	env.mass_change_percent = 50;
	env.mass_change_minimum = w->mass_change_minimum;
	MemoryContextSwitchTo(process);
	spec.mappings = mem_load_mappings(w->store, provider_id, only, false, &spec.nmappings);
	if (only == NULL || spec.nmappings > 0)
		spec.siblings = mem_load_mappings(w->store, provider_id, only, true, &spec.nsiblings);
	w->death = &death;
	if (setjmp(death) == 0)
	{
		run_cycle(w, service, &env, &spec, result);
		alive = true;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(process);
	return alive;
}

static int
count_writes(const World *w)
{
	return w->services[0].writes + w->services[1].writes + w->store->db.task_writes;
}

static bool
in_doubt(const World *w)
{
	for (int i = 0; i < w->store->db.nintents; i++)
		if (w->store->db.intents[i].used)
			return true;
	return false;
}

/* A round that wrote nothing, after one that did not either: only then it is at rest. */
int
world_settle(World *w, int max_rounds)
{
	int			quiet = 0;

	for (int round = 0; round < max_rounds; round++)
	{
		int			writes = count_writes(w);
		TsCycleResult result;

		for (int i = 0; i < w->store->db.nmappings; i++)
			if (w->store->db.mappings[i].held)
			{
				w->store->db.mappings[i].held = false;
				w->store->db.mappings[i].m.deletions_confirmed = true;
				quiet = 0;
			}
		world_sync(w, "P1", NULL, &result);
		world_sync(w, "P2", NULL, &result);
		quiet = count_writes(w) == writes && !in_doubt(w) ? quiet + 1 : 0;
		if (quiet == 2)
			return round;
	}
	return -1;
}

/*
 * Consistency
 */

/* What the service can say of a task's fields. */
static TsTask
projected(const TsTask *task)
{
	TsTask		p = *task;

	p.known &= FAKE_CARRIES & ~TS_FIELD_BIT(TS_PARENT_TASK_ID);
	if (strcmp(p.value[TS_PRIORITY], "LOW") == 0)
		p.value[TS_PRIORITY] = "NONE";
	if (p.value[TS_DUE_TIME])
		p.value[TS_DUE_TIME] = psprintf("%.6s00", p.value[TS_DUE_TIME]);
	return p;
}

static char *
link_inconsistency(World *w, const MemLink *l)
{
	const TsMapping *m = &mem_mapping(w->store, l->mapping_id)->m;
	MemTask    *t = mem_task(w->store, l->task_id);
	FakeObject *o = l->external_id ? fake_find(world_service(w, m->id), l->external_id) : NULL;
	TsFieldMask differing;
	TsTask		here,
				there;

	if (l->dead)
		return t ? psprintf("the link of task %s at %s is dead", l->task_id, m->id) : NULL;
	if (t == NULL)
		return psprintf("the task of link %s at %s is gone", l->task_id, m->id);
	if (!same(t->project, m->project_id))
		return psprintf("task %s is not in the project of %s", l->task_id, m->id);
	if (o == NULL || o->payload == NULL)
		return psprintf("the object %s of task %s is not there", l->external_id, l->task_id);
	if (!same(o->list, m->external_list_id))
		return psprintf("object %s is in the wrong list", o->id);
	here = projected(&t->fields);
	there = fake_task(o->payload);
	if (there.value[TS_COMPLETED_AT] == NULL && here.value[TS_STATUS] &&
		strcmp(here.value[TS_STATUS], "COMPLETED") == 0)
		here.known &= ~TS_FIELD_BIT(TS_COMPLETED_AT);	/* completed there without a time */
	differing = ts_task_diff(&here, &there, here.known);
	for (TsField f = 0; differing != 0; f++)
		if (differing & TS_FIELD_BIT(f))
			return psprintf("task %s and object %s differ in %s: %s and %s", t->id, o->id,
							ts_field_info[f].name, here.value[f] ? here.value[f] : "NULL",
							there.value[f] ? there.value[f] : "NULL");
	return NULL;
}

static char *
object_inconsistency(World *w, int service, const FakeObject *o)
{
	int			n = 0;

	for (int i = 0; i < w->store->db.nlinks; i++)
	{
		const MemLink *l = &w->store->db.links[i];

		n += l->used && l->external_id && (l->mapping_id[0] == 'M') == service &&
			same(l->external_id, o->id);
	}
	return n == 1 ? NULL : psprintf("object %s has %d links", o->id, n);
}

static char *
task_inconsistency(World *w, const MemTask *t)
{
	bool		in_pa = strcmp(t->project, "pa") == 0;

	if (in_pa && mem_link(w->store, t->id, "M") == NULL)
		return psprintf("task %s is not mirrored", t->id);
	if (in_pa && (t->home == NULL || strcmp(t->home, "P1") == 0) &&
		mem_link(w->store, t->id, "A") == NULL)
		return psprintf("task %s is not in list A", t->id);
	if (!in_pa && strcmp(t->project, "pb") == 0 && mem_link(w->store, t->id, "B") == NULL)
		return psprintf("task %s is not in list B", t->id);
	return NULL;
}

char *
world_inconsistency(World *w)
{
	const MemDb *db = &w->store->db;
	char	   *what = NULL;

	for (int i = 0; i < db->nlinks && !what; i++)
		if (db->links[i].used)
			what = link_inconsistency(w, &db->links[i]);
	for (int s = 0; s < 2; s++)
		for (int i = 0; i < w->services[s].nobjects && !what; i++)
			if (w->services[s].objects[i].payload)
				what = object_inconsistency(w, s, &w->services[s].objects[i]);
	for (int i = 0; i < db->ntasks && !what; i++)
		if (db->tasks[i].exists)
			what = task_inconsistency(w, &db->tasks[i]);
	for (int i = 0; i < db->nintents && !what; i++)
		if (db->intents[i].used)
			what = psprintf("a write to %s is in doubt for ever", db->intents[i].intent.external_id);
	for (int i = 0; i < db->ninbox && !what; i++)
		if (db->inbox[i].used)
			what = psprintf("an observation of %s waits for ever", db->inbox[i].row.external_id);
	for (int i = 0; i < db->nchanges && !what; i++)
		if (!db->changes[i].synced)
			what = psprintf("a journal row of task %s for %s is never done",
							db->changes[i].task_id, db->changes[i].mapping_id);
	return what;
}

TsTask
task_of(TsField f,...)
{
	TsTask		task = {0};
	va_list		args;

	va_start(args, f);
	while (f != TS_NFIELDS)
	{
		task.known |= TS_FIELD_BIT(f);
		task.value[f] = va_arg(args, char *);
		f = va_arg(args, int);
	}
	va_end(args);
	return task;
}
