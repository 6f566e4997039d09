/*-------------------------------------------------------------------------
 *
 * fake_service.h
 *	  A task service in memory, and the provider that speaks with it.
 *
 * The service keeps objects in lists.  Like a good CalDAV server it lets the
 * client name new objects, takes writes only on condition (of an ETag, or that
 * nothing is there yet), and tells what changed in a list since a cursor.  Like
 * a real one it is lossy: it knows no seconds, and its codec has no word for
 * the priority LOW.
 *
 * A request of the provider carries a FakeCall in the place of its body, and
 * its response a FakeAnswer, so that the engine in between is driven as by the
 * network; who drives it may leave out either half.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FAKE_SERVICE_H
#define FAKE_SERVICE_H

#include "provider/provider.h"

#define FAKE_MAX_OBJECTS 512
#define FAKE_PAGE 3

#define FAKE_CARRIES \
	(TS_FIELD_BIT(TS_TITLE) | TS_FIELD_BIT(TS_DESCRIPTION) | TS_FIELD_BIT(TS_STATUS) | \
	 TS_FIELD_BIT(TS_PRIORITY) | TS_FIELD_BIT(TS_DUE_DATE) | TS_FIELD_BIT(TS_DUE_TIME) | \
	 TS_FIELD_BIT(TS_PERCENT_COMPLETE) | TS_FIELD_BIT(TS_COMPLETED_AT) | \
	 TS_FIELD_BIT(TS_RECURRENCE_RULE) | TS_FIELD_BIT(TS_TAGS) | TS_FIELD_BIT(TS_PARENT_TASK_ID))

typedef struct FakeObject
{
	char	   *list;
	char	   *id;				/* "list/name" */
	char	   *payload;		/* NULL: deleted */
	int			rev;			/* position of its last change */
	int			moved_in;		/* for whoever moves it: when that was */
} FakeObject;

typedef struct FakeService
{
	FakeObject	objects[FAKE_MAX_OBJECTS];
	int			nobjects;
	int			rev;			/* position of the last change */
	int			writes;			/* requests that changed something */
	int			oldest_cursor;	/* earlier ones are refused */
	int			hide_every;		/* complete listings leave out every so-manieth; 0: none */
	bool		no_moves;		/* moves are unsupported */
	bool		unique_uids;	/* two objects of one uid in a list are refused */
	bool		no_etags;		/* writes don't tell the new ETag */
} FakeService;

/* What a person does at the service.  payload is kept, not copied. */
extern FakeObject *fake_put(FakeService *s, const char *list, const char *name, char *payload);
extern void fake_change(FakeService *s, FakeObject *o, char *payload);
extern void fake_delete(FakeService *s, FakeObject *o);
extern FakeObject *fake_move(FakeService *s, FakeObject *o, const char *list);

extern FakeObject *fake_find(FakeService *s, const char *id);
extern int	fake_count(const FakeService *s, const char *list);

/* Objects are JSON: "uid", "keep" (which only the service knows), "modified", and a task's fields. */
extern char *fake_payload(const char *uid, const char *keep, int64 modified, const TsTask *task);
extern char *fake_member(const char *payload, const char *name);
extern TsTask fake_task(const char *payload);

/* Carries out a request; the response lives in CurrentMemoryContext. */
extern void fake_serve(FakeService *s, const TsRequest *req, TsResponse *resp);

/* What a request asks for, in words. */
extern char *fake_describe(const TsRequest *req);

/* … or doesn't: an answer of that status (0: none came) without any effect. */
extern void fake_refuse(TsResponse *resp, int status, bool maybe_applied);

extern const TsProvider fake_provider;

#endif							/* FAKE_SERVICE_H */
