/*-------------------------------------------------------------------------
 *
 * provider.h
 *	  What a service looks like to the engine: sans-I/O conversations.
 *
 * A provider never opens a socket and never touches a table.  The engine
 * begins a conversation for one operation (read a list, fetch objects, push
 * objects, …) and then alternates:
 *
 *		while (provider->next(conv, &request))		what to ask now
 *			provider->data(conv, chunk, len) …		a streamed body, in pieces
 *			provider->response(conv, &response)		the answer's end
 *
 * One request is under way at a time in a conversation.  next() returning
 * false means that it is over: conv->error says whether it failed.  What was
 * learned stands in the conversation: observations (which the engine may take
 * away after any data() or response(), see ts_conversation_take), lists, the
 * outcomes of pushes, a new cursor.
 *
 * Nothing here knows SQL, sockets, or other providers.  All of a
 * conversation's memory belongs to conv->cxt; what begin() is given must
 * outlive the conversation.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_PROVIDER_H
#define TASKSYNC_PROVIDER_H

#include "net/http.h"
#include "net/oauth.h"
#include "task/task.h"

/* Where and how: one configured provider, without its secrets. */
typedef struct TsSite
{
	const char *url;			/* settings.url or base_url; absolute */
	const char *settings;		/* task_provider.settings over the account's, JSON text */
	const char *username;		/* the account's user name or NULL; not a secret */
	const char *auth_version;	/* another text whenever the credentials are others, or NULL */
	const char *user_agent;		/* "tasksync/1.0" */
} TsSite;

/* A list at the service. */
typedef struct TsList
{
	char	   *id;				/* external_list_id */
	char	   *name;
	char	   *color;			/* "#rrggbb" in lower case, or NULL */
	char	   *path;			/* for people, or NULL */
	char	   *description;
	bool		is_writable;
	char	   *sync_token;		/* change marker as seen in the listing, or NULL */
} TsList;

/* One object as just seen at the service. */
typedef struct TsObservation
{
	char	   *external_id;
	char	   *etag;			/* its revision there; NULL: not told */
	char	   *payload;		/* the object's own text; NULL: not fetched */
	size_t		payload_len;
	bool		gone;			/* proved: 404, 410, a tombstone */
	bool		foreign;		/* there, but known not to be a task */
	TsError		error;			/* this one could not be read; others go on */
} TsObservation;

typedef enum TsPushKind
{
	TS_PUSH_CREATE,				/* external_id: wanted (client-chosen) id or NULL */
	TS_PUSH_UPDATE,
	TS_PUSH_DELETE,
	TS_PUSH_MOVE				/* to target_list */
} TsPushKind;

typedef enum TsOutcome
{
	TS_OUTCOME_PENDING,			/* not tried */
	TS_OUTCOME_DONE,			/* applied */
	TS_OUTCOME_CONFLICT,		/* provably not applied: it changed there; re-read */
	TS_OUTCOME_EXISTS,			/* CREATE: something is at that id already; re-read */
	TS_OUTCOME_GONE,			/* UPDATE, MOVE, DELETE: it is no longer there */
	TS_OUTCOME_REFUSED,			/* the service won't take this object: poison */
	TS_OUTCOME_UNSUPPORTED,		/* MOVE, with TS_CAP_CLIENT_IDS: do it as create + delete */
	TS_OUTCOME_NOT_SENT,		/* provably not applied; the conversation failed */
	TS_OUTCOME_IN_DOUBT			/* may have been applied */
} TsOutcome;

typedef struct TsPush
{
	TsPushKind	kind;
	const char *external_id;
	const char *etag;			/* the base's revision, for a conditional write */
	const char *payload;		/* CREATE, UPDATE: the whole object as encoded; has_moved: the one to
								 * be deleted as we last knew it, or NULL */
	size_t		payload_len;
	bool		has_moved;		/* DELETE: the task goes on elsewhere … */
	const char *target_list;	/* MOVE; DELETE: … in a list of the same provider, or NULL … */
	const char *target_id;		/* DELETE: … as this object */
	/* result */
	TsOutcome	outcome;
	char	   *new_external_id;	/* CREATE, MOVE: where it is now */
	char	   *new_etag;		/* NULL: the service did not say */
	TsError		error;			/* REFUSED, IN_DOUBT: why; CONFLICT: if more is known than that it changed */
	TsObservation *seen;		/* DONE, CONFLICT: the object as it is now, if the service showed it */
} TsPush;

typedef enum TsOpKind
{
	TS_OP_LISTS,				/* all lists (also the connection check), or just list_id; whose account */
	TS_OP_PULL,					/* what changed in one list since a cursor */
	TS_OP_FETCH,				/* these objects, whole */
	TS_OP_PUSH,					/* up to provider->push_batch objects */
	TS_OP_LIST_CREATE,
	TS_OP_LIST_UPDATE,			/* name and colour */
	TS_OP_LIST_DELETE
} TsOpKind;

typedef struct TsOp
{
	TsOpKind	kind;
	const char *list_id;		/* all but LIST_CREATE; LISTS: NULL for all */
	const char *caps;			/* what earlier conversations learned, JSON or NULL */
	/* PULL */
	const char *cursor;			/* NULL: from the beginning */
	bool		full;			/* a complete listing even if there is a cursor (audit) */
	bool		want_payloads;	/* most objects are unknown: send their text too */
	/* FETCH */
	const char **ids;
	int			nids;
	/* PUSH */
	TsPush	   *push;
	int			npush;
	/* LIST_CREATE, LIST_UPDATE */
	const char *name;
	const char *color;			/* "#rrggbb" or NULL */
	const char *new_list_hint;	/* LIST_CREATE: a uuid to build the new id from */
} TsOp;

typedef struct TsConversation TsConversation;

/* What a codec is told beside the object. */
typedef struct TsCodecOptions
{
	const char *uid;			/* encode, new object: its UID, where the client chooses it */
	const char *marker;			/* encode, new object: to be kept in it, where the client does not */
	const char *copy_of;		/* encode, new object: the one in another list that it takes the place of, or NULL */
	size_t		copy_len;
	const char *default_time_zone;	/* resolves floating times to instants */
	const char *settings;		/* provider settings, JSON text or NULL */
	int64		now;			/* microseconds since 1970-01-01 UTC */
} TsCodecOptions;

/* An external object, decoded. */
typedef struct TsRemoteTask
{
	bool		is_task;		/* false: something else lives here; leave it alone */
	TsTask		task;			/* parent_task_id: the parent's uid there */
	char	   *uid;			/* the id that others refer to it by, or NULL */
	char	   *marker;			/* the task here that we made it for, or NULL */
	char	   *modified_at;	/* canonical timestamp, the service's clock, or NULL */
	bool		is_recurring;
} TsRemoteTask;

#define TS_CAP_CONDITIONAL	0x0001	/* writes can be made to depend on an etag */
#define TS_CAP_MOVE			0x0002	/* native move between lists; else objects are made anew */
#define TS_CAP_CLIENT_IDS	0x0004	/* the client chooses a new object's id: creates are exact; else by marker */
#define TS_CAP_LISTS		0x0008	/* lists can be created, renamed, deleted */
#define TS_CAP_READ_BACK	0x0010	/* the stored object may differ from what was sent: fetch it after a push */
#define TS_CAP_ACCOUNT		0x0020	/* LISTS tells whose account it is */

typedef struct TsProvider
{
	const char *type;			/* "CALDAV" */
	const char *name;			/* for people */
	TsFieldMask carries;
	uint32		caps;
	int			fetch_batch;	/* ids in one FETCH */
	int			push_batch;		/* objects in one PUSH conversation */

	/*
	 * How many seconds listings may be behind: until then an object that was made
	 * may not be listed yet.  move_lag: … nor one that moved in its new list,
	 * where objects can be known there at all.
	 */
	int			listing_lag;
	int			move_lag;

	const TsOAuthKind *oauth;	/* how accounts log in by OAuth; NULL: they don't */

	const char *default_url;	/* TsSite.url where the settings have none, or NULL */

	/* Refuses bad settings (22023); url must be there where it is required. */
	bool		(*check_settings) (const char *settings, TsError *err);

	/*
	 * The id of a list as a user gave it, in the form that LISTS gives it; url
	 * is the provider's.  NULL with err set (22023) where it can be none.
	 * Optional: without it any text is taken as it is.
	 */
	char	   *(*list_id) (const char *given, const char *url, TsError *err);

	/*
	 * What the ids of a list's objects depend on beside the list's own, such as
	 * the server.  Where that changes, an object that is missing was not deleted.
	 * Optional: without it nothing does.
	 */
	char	   *(*scope) (const TsSite *site);

	TsConversation *(*begin) (const TsSite *site, const TsOp *op);
	bool		(*next) (TsConversation *conv, TsRequest *req);
	void		(*data) (TsConversation *conv, const char *chunk, size_t len);
	void		(*response) (TsConversation *conv, const TsResponse *resp);

	/* TS_CAP_CLIENT_IDS: the external id that a new object of this name would get */
	char	   *(*new_external_id) (const char *list_id, const char *name);

	bool		(*decode) (const char *payload, size_t len, const TsCodecOptions *opt,
						   TsRemoteTask *out, TsError *err);

	/*
	 * The object with the fields in "changed" set to task's values; onto NULL:
	 * a new object of all known fields.  NULL with err set when it cannot be
	 * said to this service.
	 */
	char	   *(*encode) (const TsTask *task, TsFieldMask changed,
						   const char *onto, size_t onto_len,
						   const TsCodecOptions *opt, TsError *err);

	/*
	 * What was encoded, without what the provider keeps in it for itself.
	 * Optional: without it there is nothing of that kind.
	 */
	char	   *(*shown) (const char *payload, size_t len);
} TsProvider;

/* The public face of every conversation; a provider's own struct begins with it. */
struct TsConversation
{
	const TsProvider *provider;
	const TsSite *site;
	const TsOp *op;
	MemoryContext cxt;			/* all of the conversation */
	MemoryContext batch;		/* the observations not yet taken */
	const char *doing;			/* for progress: "listing", "fetching" … */

	/* results */
	TsObservation *obs;
	int			nobs;
	int			maxobs;
	bool		complete;		/* PULL: every object of the list was named: absence means something */
	bool		list_gone;		/* the list itself is not there (404, 410) */
	bool		unchanged;		/* PULL: nothing happened since the cursor */
	char	   *cursor;			/* PULL: the new cursor (in cxt) */
	char	   *caps;			/* learned, JSON, or NULL: as before */
	TsList	   *lists;			/* LISTS: all; LIST_CREATE: the new one */
	int			nlists;
	char	   *account;		/* LISTS: the service's own name for the account, or NULL: not told */
	int			nrequests;
	bool		auth_failed;	/* 401: no request may follow until credentials change */
	bool		only_here;		/* the error may be this list's alone: others are still to be tried */
	int			retry_after;	/* seconds the service asked for, -1: none */
	TsError		error;			/* the whole conversation failed */
};

/* Registry: NULL when there is no such type. */
extern const TsProvider *ts_provider_lookup(const char *type);
extern const TsProvider *ts_provider_nth(int n);	/* n = 0 …; NULL ends */
extern bool ts_provider_register(const TsProvider *provider);

/* For providers: a new conversation of "size" bytes with its contexts; one more observation. */
extern TsConversation *ts_conversation_make(size_t size, const TsProvider *provider,
											const TsSite *site, const TsOp *op);
extern TsObservation *ts_conversation_observe(TsConversation *conv);

/* For the engine: forget the observations handled so far, free their memory; end it all. */
extern void ts_conversation_take(TsConversation *conv);
extern void ts_conversation_end(TsConversation *conv);

#endif							/* TASKSYNC_PROVIDER_H */
