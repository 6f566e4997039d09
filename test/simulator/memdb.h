/*-------------------------------------------------------------------------
 *
 * memdb.h
 *	  The engine's store (src/store/store.h) in memory, and its user.
 *
 * A small database of tasks, links, intents, inbox, journal and conflicts with
 * the semantics that the engine relies on: a body that fails is rolled back
 * whole, unique keys are unique, the journal is written for every mapping that
 * a task's change concerns but the one that a sync writes from, and what the
 * triggers on tasks do is done.  A transaction copies the tables, which are
 * arrays in one struct, before it first writes to them; strings are never changed
 * nor freed.
 *
 * "before" is called before every transaction and may end the process that is
 * simulated (by a longjmp of its own); the store itself fails a body where
 * fail_in says so.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIMULATOR_MEMDB_H
#define SIMULATOR_MEMDB_H

#include "store/store.h"
#include "texts.h"

#define MEM_MAX_TASKS	96
#define MEM_MAX_LINKS	256
#define MEM_MAX_MAPPINGS 4
#define MEM_MAX_INBOX	256
#define MEM_MAX_INTENTS 128
#define MEM_MAX_DEAD	512
#define MEM_MAX_CHANGES 1024
#define MEM_MAX_CONFLICTS 512
#define MEM_MAX_TRASH	256

typedef struct MemTask
{
	char	   *id;
	bool		exists;
	char	   *project;
	char	   *home;			/* provider id or NULL */
	TsTask		fields;
} MemTask;

typedef struct MemLink
{
	bool		used;
	bool		dead;
	bool		parted;			/* the task was moved where no service looks */
	char	   *task_id;
	char	   *mapping_id;
	char	   *external_id;
	char	   *etag;
	char	   *prev_etags[4];
	int			nprev_etags;
	char	   *uid;
	char	   *parent_uid;
	char	   *payload;
	char	   *modified_at;
	int64		write_seq;
	TsTask		local_base;
	TsTask		remote_base;
	int64		retry_at;		/* 0: none */
	int			fail_count;
} MemLink;

typedef struct MemInbox
{
	bool		used;
	char	   *mapping_id;
	TsInboxRow	row;
	int64		retry_at;
	int			fail_count;
} MemInbox;

typedef struct MemIntent
{
	bool		used;
	char	   *mapping_id;
	TsIntent	intent;
} MemIntent;

typedef struct MemDead
{
	char	   *mapping_id;
	char	   *external_id;
	char	   *uid;
	char	   *task_id;
} MemDead;

typedef struct MemChange
{
	char	   *task_id;
	char	   *mapping_id;
	TsFieldMask fields;
	char	   *at;
	bool		synced;
	int			attempts;
	TsTask	   *old;			/* DELETE: the whole task; else NULL */
} MemChange;

typedef struct MemConflict
{
	char	   *task_id;
	char	   *mapping_id;
	TsConflict	conflict;
} MemConflict;

/* A task that a sync deleted. */
typedef struct MemTrash
{
	char	   *task_id;
	int64		at;
	TsTask		fields;
} MemTrash;

typedef struct MemMapping
{
	TsMapping	m;
	bool		held;
	bool		list_missing;
	TsError		error;
} MemMapping;

/*
 * What counts comes first: the rows behind it are zeroed when they are added,
 * not with the rest.
 */
typedef struct MemDb
{
	int			ntasks;
	int			nlinks;
	int			ninbox;
	int			nintents;
	int			ndead;
	int			nchanges;
	int			nconflicts;
	int			ntrash;
	int			nmappings;
	int			task_writes;	/* rows of tasks written by syncs */
	int64		seq;
	MemTask		tasks[MEM_MAX_TASKS];
	MemLink		links[MEM_MAX_LINKS];
	MemInbox	inbox[MEM_MAX_INBOX];
	MemIntent	intents[MEM_MAX_INTENTS];
	MemDead		dead[MEM_MAX_DEAD];
	MemChange	changes[MEM_MAX_CHANGES];
	MemConflict conflicts[MEM_MAX_CONFLICTS];
	MemTrash	trash[MEM_MAX_TRASH];
	MemMapping	mappings[MEM_MAX_MAPPINGS];
} MemDb;

typedef struct MemStore
{
	MemoryContext cxt;			/* of all strings */
	TsFieldMask carries;
	TsTask		(*decode) (const char *payload);
	int64		now;
	int			nids;
	void		(*before) (void *arg);
	void	   *arg;
	int			fail_in;		/* the so-manieth body from now fails at its end; 0: none */
	const char *fail_code;		/* … and all after it, with this SQLSTATE; NULL: just that one, 55P03 */
	bool		trace;			/* tell what is applied */
	TsFieldMask swinging;		/* what syncs are to be told that they write to and fro */
	int			written;		/* the tables that the transaction writes, and saved before */
	const char *origin;			/* the mapping that a sync writes from */
	void	   *escape;			/* where a failing body leaves to */
	const char *sqlstate;		/* … and its error */
	const char *why;
	MemDb		db;
	MemDb		saved;			/* what the transaction writes, as it was */
} MemStore;

extern const TsStore memory_store;

extern MemStore *mem_create(TsFieldMask carries);
extern MemMapping *mem_add_mapping(MemStore *s, const char *id, const char *provider_id,
								   const char *project, const char *list);
extern void mem_set_direction(MemStore *s, MemMapping *m, TsDirection direction);
extern MemMapping *mem_mapping(MemStore *s, const char *id);

/* The mappings of a provider as a cycle is given them (only: that one; or all others). */
extern TsMapping *mem_load_mappings(MemStore *s, const char *provider_id, const char *only,
									bool others, int *n);

/* What a user does.  Fields that are not known are not set; values are kept. */
extern char *mem_insert(MemStore *s, const char *project, const TsTask *fields);
extern void mem_update(MemStore *s, const char *task_id, const TsTask *fields);
extern void mem_delete(MemStore *s, const char *task_id);
extern void mem_move(MemStore *s, const char *task_id, const char *project);

/*
 * Decides all open conflicts of a task: what is here stands, or what is there.
 * False if that cannot be (the parents would go in a circle).
 */
extern bool mem_resolve(MemStore *s, const char *task_id, bool use_remote);

/* NULL where there is none (any more). */
extern MemTask *mem_task(MemStore *s, const char *task_id);
extern MemTask *mem_task_by_title(MemStore *s, const char *title);
extern MemLink *mem_link(MemStore *s, const char *task_id, const char *mapping_id);

#endif							/* SIMULATOR_MEMDB_H */
