/*-------------------------------------------------------------------------
 *
 * graph_replay.h
 *	  For the Outlook provider's test programs: conversations replayed from a
 *	  script of requests and answers.
 *
 * Every body that is sent is held against the API's schemas on the way: its
 * members must be among those that may be written, and of the right type.
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_REPLAY_H
#define GRAPH_REPLAY_H

#include "provider/outlook/jsontree.h"
#include "provider/provider.h"
#include "tap.h"

#define GRAPH "https://graph.test/v1.0"

/* One expected request and its answer; an entry without a request ends a script. */
typedef struct GraphReply
{
	const char *request;		/* "METHOD path", below GRAPH */
	const char *contains;		/* in its headers ("Name: value\n") or body, or NULL */
	int			status;			/* 0: no answer */
	const char *body;			/* or NULL */
	const char *headers;		/* "name: value\n…", or NULL */
	bool		maybe_applied;
	int			retry_after;	/* 0: not said */
} GraphReply;

/* Runs op against the script; reports one test: that exactly these requests were made. */
extern TsConversation *graph_replay(const char *name, const TsOp *op, const GraphReply *script);

extern TsObservation *graph_observed(TsConversation *conv, const char *id);

/* Is it a body that may be sent to create or change a task?  Says what is wrong. */
extern bool graph_valid_task(const char *body, bool creating);

#endif							/* GRAPH_REPLAY_H */
