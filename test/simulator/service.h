/*-------------------------------------------------------------------------
 *
 * service.h
 *	  A task service in memory, and the provider that speaks with it.
 *
 * The service keeps objects in lists.  As it comes it is like a good CalDAV
 * server: the client names new objects, writes are taken only on condition (of
 * an ETag, or that nothing is there yet), and it tells what changed in a list
 * since a cursor.  Like a real one it is lossy: it knows no seconds, and its
 * codec has no word for the priority LOW.  Its members turn it into services
 * of other habits.
 *
 * A request of the provider carries a FakeCall in the place of its body, and
 * its response a FakeAnswer, so that the engine in between is driven as by the
 * network; who drives it may leave out either half.  An object's payload is a
 * name of a document ("@12"), which are kept in a table and never change: no
 * run spends its time on parsing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIMULATOR_SERVICE_H
#define SIMULATOR_SERVICE_H

#include "provider/provider.h"

#define FAKE_MAX_OBJECTS 512
#define FAKE_MAX_CHANGES 4096

#define FAKE_CARRIES \
	(TS_FIELD_BIT(TS_TITLE) | TS_FIELD_BIT(TS_DESCRIPTION) | TS_FIELD_BIT(TS_STATUS) | \
	 TS_FIELD_BIT(TS_PRIORITY) | TS_FIELD_BIT(TS_DUE_DATE) | TS_FIELD_BIT(TS_DUE_TIME) | \
	 TS_FIELD_BIT(TS_PERCENT_COMPLETE) | TS_FIELD_BIT(TS_COMPLETED_AT) | \
	 TS_FIELD_BIT(TS_RECURRENCE_RULE) | TS_FIELD_BIT(TS_TAGS) | TS_FIELD_BIT(TS_PARENT_TASK_ID))

/* What an object held from some revision on. */
typedef struct FakeState
{
	int			rev;
	char	   *list;
	char	   *payload;		/* NULL: deleted */
	struct FakeState *before;
} FakeState;

typedef struct FakeObject
{
	char	   *list;
	char	   *id;				/* "list/name", or (stable_ids) a name of its own */
	char	   *payload;		/* NULL: deleted */
	int			rev;			/* position of its last change */
	FakeState  *states;			/* the latest first */
	int			moved_in;		/* for whoever moves it: when that was */
} FakeObject;

typedef struct FakeService
{
	int			nobjects;
	int			nnames;
	int			rev;			/* position of the last change */
	int64		now;			/* microseconds since 1970; whoever drives it sets the clock */
	int			writes;			/* requests that changed something */

	/* its habits; 0 is what CalDAV does */
	int			page;			/* objects on a page; 0: all */
	int			oldest_cursor;	/* earlier ones are refused */
	int			hide_every;		/* complete listings leave out every so-manieth; 0: none */
	int64		lag;			/* listings show the state of so many microseconds ago */
	bool		forgets;		/* changes: what came and went since the cursor is not told of */
	int			lose_every;		/* changes of which the feed never tells; 0: none */
	int64		skew;			/* its clock is ahead, in microseconds */
	bool		server_names;	/* the client does not name new objects, and writes a marker */
	bool		stable_ids;		/* an object keeps its id when it moves */
	bool		unconditional;	/* takes every write; the provider looks first … */
	bool		blind;			/* … or does not */
	bool		patches;		/* an update sets the fields that changed only */
	bool		surprises;		/* its provider does not know that it drops seconds */
	bool		spawns;			/* completing a recurring task makes the next, besides */
	bool		copies_markers;	/* … with the marker of the one that was completed */
	bool		no_moves;		/* moves are unsupported */
	bool		unique_uids;	/* two objects of one uid in a list are refused */
	bool		no_etags;		/* writes don't tell the new ETag */
	bool		tells;			/* answers to writes show the object as it is now */
	char	   *account;		/* whose it is, if it tells */
	const char *address;		/* where it is */

	const char *looked_at;		/* unconditional: what the provider is about to overwrite */
	int			nspawned;
	TsProvider	provider;		/* that speaks with it: see fake_provider_of() */

	/* not zeroed with the rest */
	FakeObject	objects[FAKE_MAX_OBJECTS];
	int64		times[FAKE_MAX_CHANGES];	/* when each change was */
} FakeService;

/* Forget all documents; before a world is made. */
extern void fake_start(void);

/* A service as it comes, empty. */
extern void fake_init(FakeService *s);

/* The service's clock: it never shows the same time twice. */
extern int64 fake_now(FakeService *s);

/* What a person does at the service.  payload is kept, not copied. */
extern FakeObject *fake_put(FakeService *s, const char *list, const char *name, char *payload);
extern void fake_change(FakeService *s, FakeObject *o, char *payload);
extern void fake_delete(FakeService *s, FakeObject *o);
extern void fake_edit(FakeService *s, FakeObject *o, char *payload);	/* with what follows from it */
extern FakeObject *fake_move(FakeService *s, FakeObject *o, const char *list);

extern bool fake_lists_uid(FakeService *s, const char *list, const char *uid);
extern const char *fake_uid(const FakeObject *o);
extern bool fake_is_ancestor(FakeService *s, const FakeObject *o, const FakeObject *of);
extern FakeObject *fake_find(FakeService *s, const char *id);
extern int	fake_count(const FakeService *s, const char *list);

/* Documents: a uid (or NULL), "keep" (which only the service knows), a time, a task's fields. */
extern char *fake_payload(const char *uid, const char *keep, int64 modified, const TsTask *task);
extern char *fake_edited(const char *payload, int64 modified, const TsTask *task);
extern char *fake_member(const char *payload, const char *name);
extern TsTask fake_task(const char *payload);

/* Carries out a request; the response lives in CurrentMemoryContext. */
extern void fake_serve(FakeService *s, const TsRequest *req, TsResponse *resp);

/* What a request asks for, in words. */
extern char *fake_describe(const TsRequest *req);

/* Does it write, and which object (NULL: one that has no name yet)? */
extern bool fake_is_write(const TsRequest *req, const char **id);

/* … or doesn't: an answer of that status (0: none came) without any effect. */
extern void fake_refuse(TsResponse *resp, int status, bool maybe_applied);

/* … or a half of the answer, whose end is missing. */
extern void fake_cut(TsResponse *resp);

/* The provider for a service of these habits; ask again when they changed. */
extern const TsProvider *fake_provider_of(FakeService *s);

/* The site that leads to it. */
typedef struct FakeSite
{
	TsSite		site;
	FakeService *service;
} FakeSite;

#endif							/* SIMULATOR_SERVICE_H */
