/*-------------------------------------------------------------------------
 *
 * live.h
 *	  Talking to a service from the caller's own backend.
 *
 * The reading calls (task_lists, preview_mapping …) do not wait for the worker:
 * they hold their conversation here, within the caller's transaction, one
 * request after the other.  The caller can cancel at any moment, no answer is
 * waited for longer than tasksync.request_timeout, and nothing is changed at
 * the service: a request that could is not sent.
 *
 * All of it belongs to a memory context that goes with the transaction (or
 * subtransaction) at the latest, and takes sockets and credentials with it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_LIVE_H
#define TASKSYNC_LIVE_H

#include "api/api.h"
#include "net/net.h"
#include "provider/provider.h"
#include "store/backend.h"

typedef struct TsLive
{
	MemoryContext cxt;
	TsProviderRow *row;
	const TsProvider *provider;
	TsSite		site;
	TsAuth		auth;
	TsNet	   *net;
	MemoryContextCallback wipe;
} TsLive;

/* Who asks and is answered: a conversation, or a cycle of the engine. */
typedef struct TsTalk
{
	bool		(*next) (void *arg, TsRequest *req);
	void		(*data) (void *arg, const char *chunk, size_t len);
	void		(*response) (void *arg, const TsResponse *resp);
	void	   *arg;
} TsTalk;

/* What was observed so far; forgotten when it returns. */
typedef void (*TsObserved) (void *arg, const TsObservation *obs, int n);

/*
 * ts_live_begin: a provider of the caller's, between ts_api_begin() and
 *		ts_api_end().  P0002 is raised where there is none; NULL with err set
 *		when no request may leave for it: this database is a copy (55000), its
 *		credentials were refused (TS401) or cannot be read (55000), its type is
 *		not there (55000).  err lives as long as the transaction.
 * ts_live_require: the same, every reason raised.
 * ts_live_end: frees it all and wipes the credentials.
 */
extern TsLive *ts_live_begin(const TsCall *call, const char *provider_id, TsError *err);
extern TsLive *ts_live_require(const TsCall *call, const char *provider_id);
extern void ts_live_end(TsLive *live);

/*
 * ts_live_request: one request without credentials, in the caller's transaction.
 */
extern void ts_live_request(const TsRequest *req,
							void (*answered) (void *arg, const TsResponse *resp), void *arg);

/* ts_live_talk: request after request until there is none. */
extern void ts_live_talk(TsLive *live, const TsTalk *talk);

/*
 * ts_live_converse: one operation, to its end.  The observations are handed to
 *		"observed" as they come (NULL: they stay in the conversation).  The
 *		conversation lives in live->cxt; its error is left to the caller.
 */
extern TsConversation *ts_live_converse(TsLive *live, const TsOp *op, TsObserved observed,
										void *arg);

/* A whole listing of the lists; an error is raised. */
extern TsConversation *ts_live_lists(TsLive *live);

#endif							/* TASKSYNC_LIVE_H */
