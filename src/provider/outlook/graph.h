/*-------------------------------------------------------------------------
 *
 * graph.h
 *	  The protocol of Microsoft Graph's To Do API (v1.0), without I/O.
 *
 * As in CalDAV, a conversation is a chain of steps, each of which asks one
 * request and decides by its answer which step comes next.  What all steps do
 * about trouble is done once, in answer.c.
 *
 *		lists.c		the lists and whose they are; lists made, renamed, deleted
 *		pull.c		what changed in a list: delta queries, else a listing
 *		fetch.c		these tasks, whole
 *		push.c		tasks created, changed, deleted
 *		carry.c		what a task that moved has left behind, before it is deleted
 *		batch.c		many small requests in one ($batch)
 *
 * Several things about the service are not documented, or documented in two
 * ways.  They are tried, and what came of it is remembered (GraphCaps).
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_GRAPH_H
#define TASKSYNC_GRAPH_H

#include "provider/outlook/jsontree.h"
#include "provider/outlook/link.h"
#include "provider/provider.h"

#define GRAPH_BATCH		20		/* parts of a $batch, by the service's rules */
#define GRAPH_SMALL_BATCH 4		/* … that a mailbox works on at the same time */
#define GRAPH_EXPAND	"$expand=linkedResources,checklistItems"

typedef struct GraphConversation GraphConversation;

/* An answer, or a part's of a $batch. */
typedef struct GraphAnswer
{
	int			status;			/* 0: none came */
	const TsResponse *resp;		/* NULL: a part's */
	const TsResponse *whole;	/* what it, or the batch that it is a part of, came in */
	const TsJson *json;			/* the body, or NULL */
	TsError		problem;		/* 2xx: why it can't be read (TS502) */
	int			retry_after;	/* seconds, -1: not said */
	const char *request_id;		/* the service's own name for the request, or NULL */
} GraphAnswer;

typedef struct GraphStep
{
	const char *doing;			/* for progress */
	const char *failed;			/* "could not …", begins its error messages */
	void		(*ask) (GraphConversation *c, TsRequest *req);
	void		(*answer) (GraphConversation *c, const GraphAnswer *a);
	bool		sees_all;		/* answer() is given every answer, not only successes and refusals */
} GraphStep;

/* Does the service honour If-Match when it is asked to change a task? */
typedef enum GraphIfMatch
{
	GRAPH_IF_MATCH_UNKNOWN,
	GRAPH_IF_MATCH_HONOURED,
	GRAPH_IF_MATCH_IGNORED,		/* look first; it is sent all the same */
	GRAPH_IF_MATCH_USELESS		/* nothing ever matches: look first, don't send it */
} GraphIfMatch;

/* What was learned about the service; all false in the beginning. */
typedef struct GraphCaps
{
	bool		no_delta;		/* refused for these credentials */
	bool		no_delta_expand;	/* a delta query can't be given $expand */
	bool		no_expand;		/* … nor can the reading of a task */
	bool		no_batch;
	bool		small_batches;	/* parts beyond a few are turned away */
	bool		single_parts;	/* … and beyond the first */
	bool		larger_again;	/* both were true before a full pull: to be seen anew after it */
	bool		no_steps;		/* a new task can't have its steps with it */
	GraphIfMatch if_match;
} GraphCaps;

/* One request among many. */
typedef struct GraphPart
{
	int			index;			/* whose: of op->ids, or of op->push */
	const char *method;
	const char *path;			/* below the base URL */
	const char *etag;			/* If-Match, or NULL */
	const char *body;			/* JSON, or NULL */
	GraphAnswer answer;
} GraphPart;

typedef struct GraphBatch
{
	GraphPart	part[GRAPH_BATCH];
	int			n;
	int			size;			/* at most so many at once */
} GraphBatch;

/* A set of texts, by their hashes: for pages and tasks that come again. */
typedef struct GraphSet
{
	uint64	   *hash;			/* open addressing, 0: free */
	int			n;
	int			size;			/* a power of two */
} GraphSet;

/* A PULL's state. */
typedef struct GraphPull
{
	const char *at;				/* path of the page to ask for */
	char	   *delta;			/* the link that this round ended in, or NULL */
	bool		from_cursor;	/* the round goes on from the cursor */
	bool		expanded;		/* this round asked for $expand */
	bool		restarted;
	bool		payloads;		/* give tasks whole, where they are */
	bool		silent;			/* only the link is wanted; the listing comes after */
	GraphSet	pages;
	GraphSet	tasks;
	int			npages;
	int			nchanges;
} GraphPull;

/* What belongs to a task, and is shown with it only to who asks. */
#define GRAPH_ALL_OF_THEM "$top=100"	/* the service allows as many steps, and not as many links */
#define GRAPH_NBELONGINGS 2		/* linkedResources, checklistItems */

/* A task that was shown without it, whoever asked. */
typedef struct GraphBare
{
	int			index;			/* of op->ids */
	char	   *task;			/* JSON */
	char	   *belongings[GRAPH_NBELONGINGS];	/* arrays, as JSON; NULL: not known */
} GraphBare;

/* A FETCH's state. */
typedef struct GraphFetch
{
	int			next;			/* op->ids from here on are yet to be asked for */
	int			under_way;		/* … and this was the first of those asked for now */
	bool		plain;			/* without $expand */
	int		   *gone;			/* those that are not there */
	int			ngone;
	GraphBare  *bare;
	int			nbare;
	int			asked;			/* belongings of those asked for so far, one by one */
} GraphFetch;

/* The steps of a task. */
typedef struct GraphChecklistStep
{
	char	   *id;
	char	   *name;
	bool		is_checked;
	bool		is_paired;		/* it has a counterpart in the other list */
} GraphChecklistStep;

typedef struct GraphChecklist
{
	GraphChecklistStep *step;
	int			n;
	int			max;
} GraphChecklist;

/* A change of the new task's steps. */
typedef struct GraphCarryChange
{
	const char *method;
	char	   *path;
	char	   *body;
	struct GraphCarryChange *next;
} GraphCarryChange;

/* DELETE of a task that moved: what is looked at before, in this order. */
typedef struct GraphCarry
{
	enum
	{
		GRAPH_CARRY_NEW,		/* the steps of the new task */
		GRAPH_CARRY_OLD,		/* … and of the old one */
		GRAPH_CARRY_TASK,		/* the old task itself */
		GRAPH_CARRY_CHANGE		/* the new task gets what it lacks */
	}			stage;
	char	   *new_steps;		/* path */
	char	   *page;			/* path of a further page, or NULL */
	GraphSet	pages;
	GraphChecklist known;		/* of the old task, when we last looked */
	GraphChecklist new;
	GraphChecklist old;
	GraphCarryChange *change;
} GraphCarry;

/* What a PUSH knows of each of its writes, beside TsPush. */
typedef struct GraphWrite
{
	const char *body;
	bool		looked;			/* it is as it was when the change was planned */
	bool		suspect;		/* 412, or (CREATE) 404: to be looked into */
	bool		has_steps;		/* CREATE: the body has steps of the task that it takes the place of … */
	bool		lost_steps;		/* … and was refused with them */
	bool		sends_end;		/* UPDATE: once more, with the end of its rule that was lost */
	GraphCarry *carry;			/* DELETE: what is to be done before, or NULL */
} GraphWrite;

typedef struct GraphPush
{
	GraphWrite *write;
	bool		list_suspect;	/* a CREATE met a 404: is the list there? */
} GraphPush;

/* A LISTS' or LIST_CREATE's state. */
typedef struct GraphLists
{
	const char *at;				/* path of the page to ask for */
	GraphSet	pages;
	int			npages;
	int			max;
	char	   *working_name;	/* LIST_CREATE: what the list is called until it is recorded */
} GraphLists;

struct GraphConversation
{
	TsConversation base;
	const GraphStep *step;		/* what to do next; NULL: over */
	MemoryContext scratch;		/* one request and its answer */
	TsBaseUrl	site;
	const char *list;			/* path of the op's list, or NULL */
	char		request_id[37];	/* of this conversation; its requests count in the last digits */
	GraphCaps	caps;
	bool		renews;			/* the next request needs a new token … */
	bool		renewed;		/* … which was had already, and nothing has gone well since */
	GraphBatch	batch;
	GraphPull	pull;
	GraphFetch	fetch;
	GraphPush	push;
	GraphLists	lists;
};

/* graph.c: the driver, and what several operations do */
extern TsConversation *graph_begin(const TsSite *site, const TsOp *op);
extern bool graph_next(TsConversation *conv, TsRequest *req);
extern void graph_data(TsConversation *conv, const char *chunk, size_t len);
extern void graph_response(TsConversation *conv, const TsResponse *resp);
extern void graph_request(GraphConversation *c, TsRequest *req, const char *method,
						  const char *path, const char *body);
extern void graph_list_gone(GraphConversation *c);
extern char *graph_task_path(const GraphConversation *c, const char *id);
extern bool graph_set_add(GraphConversation *c, GraphSet *set, const char *text);
extern char *graph_page_link(GraphConversation *c, const GraphAnswer *a, const char *name);

/* answer.c: what went wrong, in words */
extern bool graph_is_busy(const GraphAnswer *a);
extern bool graph_is_missing(const GraphAnswer *a);
extern bool graph_is_refused(const GraphAnswer *a);
extern void graph_describe(const GraphAnswer *a, TsError *err, const char *failed, const char *object);
extern void graph_fail(GraphConversation *c, const GraphAnswer *a, const char *object);
extern bool graph_renew(GraphConversation *c, const GraphAnswer *a);
extern bool graph_common_trouble(GraphConversation *c, const GraphAnswer *a);
extern const char *graph_object(const GraphConversation *c);

/* batch.c */
extern void graph_batch_begin(GraphConversation *c);
extern void graph_batch_clear(GraphConversation *c);
extern void graph_batch_add(GraphConversation *c, int index, const char *method, const char *path,
							const char *etag, const char *body);
extern void graph_batch_ask(GraphConversation *c, TsRequest *req);
extern bool graph_batch_trouble(GraphConversation *c, const GraphAnswer *a);
extern bool graph_batch_read(GraphConversation *c, const GraphAnswer *a);

/* state.c: what is kept from one conversation to the next */
extern void graph_caps_load(GraphCaps *caps, const char *json);
extern void graph_learn(GraphConversation *c, bool *fact, bool value);
extern void graph_learn_if_match(GraphConversation *c, GraphIfMatch value);
extern char *graph_cursor_text(const char *delta);
extern char *graph_cursor_delta(const char *cursor);

/* observe.c: tasks as they are seen */
extern char *graph_version(const TsJson *task);
extern bool graph_is_version(const TsJson *task, const char *version);
extern bool graph_is_whole(const TsJson *task);
extern const char *const graph_belongings[GRAPH_NBELONGINGS];
extern bool graph_has_belongings(const TsJson *task);
extern TsObservation *graph_see_written(const TsJson *task, const char *id,
										const char *sent, size_t sent_len);

/* push.c: for what comes before a deletion */
extern TsPush *graph_push_at(GraphConversation *c, int i);
extern void graph_settle(GraphConversation *c, int i, TsOutcome outcome);
extern void graph_settle_with_words(GraphConversation *c, int i, TsOutcome outcome,
									const GraphAnswer *a);
extern void graph_push_take_reads(GraphConversation *c, const GraphAnswer *a,
								  void (*take) (GraphConversation *c, int i, const GraphAnswer *a));

/* carry.c: a task that was made anew in another list */
extern GraphCarry *graph_carry_begin(const TsPush *p);
extern const GraphStep *graph_carry_next(GraphConversation *c);

/* The operations. */
extern void graph_lists_begin(GraphConversation *c);
extern void graph_list_create_begin(GraphConversation *c);
extern void graph_list_update_begin(GraphConversation *c);
extern void graph_list_delete_begin(GraphConversation *c);
extern void graph_pull_begin(GraphConversation *c);
extern void graph_fetch_begin(GraphConversation *c);
extern void graph_push_begin(GraphConversation *c);

#endif							/* TASKSYNC_GRAPH_H */
