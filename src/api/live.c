/*-------------------------------------------------------------------------
 *
 * live.c
 *	  Talking to a service from the caller's own backend (see live.h).
 *
 *-------------------------------------------------------------------------
 */
#include "api/live.h"

#include <time.h>

#include "miscadmin.h"
#include "secret/secret.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "worker/mailbox.h"

/*
 * Beginning and end
 */

static void
wipe_auth(void *arg)
{
	ts_auth_wipe(arg);
}

/* May we talk to it at all?  Its credentials are loaded if so. */
static bool
may_talk(TsLive *live, TsError *err)
{
	TsProviderRow *row = live->row;

	if (!ts_instance_check(err))
		return false;
	live->provider = ts_provider_lookup(row->type);
	if (live->provider == NULL)
	{
		ts_error(err, "55000", "provider type \"%s\" is not available", row->type);
		ts_error_hint(err, "Install the extension that provides it.");
		return false;
	}
	if (row->url == NULL && live->provider->default_url)
		row->url = pstrdup(live->provider->default_url);
	if (row->account_status && strcmp(row->account_status, "NEEDS_AUTH") == 0)
	{
		ts_auth_refused(row->name, live->provider->oauth, err);
		return false;
	}
	return row->account_id == NULL ||
		ts_auth_load(row->account_id, row->user_id, row->url, &live->auth, err);
}

TsLive *
ts_live_begin(const TsCall *call, const char *provider_id, TsError *err)
{
	MemoryContext cxt = AllocSetContextCreate(CurTransactionContext, "tasksync live",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	TsLive	   *live = palloc0(sizeof(TsLive));
	bool		allowed;

	live->cxt = cxt;
	live->wipe.func = wipe_auth;
	live->wipe.arg = &live->auth;
	MemoryContextRegisterResetCallback(cxt, &live->wipe);
	live->row = provider_id ? ts_load_provider(provider_id, call->user_id) : NULL;
	if (live->row == NULL)
		ts_no_such("provider", provider_id);
	allowed = may_talk(live, err);
	if (allowed)
	{
		live->site.url = live->row->url;
		live->site.settings = live->row->settings;
		live->site.username = live->auth.username;
		live->site.user_agent = "tasksync/" TASKSYNC_VERSION;
		live->net = ts_net_create(cxt);
	}
	MemoryContextSwitchTo(old);
	return allowed ? live : NULL;
}

TsLive *
ts_live_require(const TsCall *call, const char *provider_id)
{
	TsError		err = {0};
	TsLive	   *live = ts_live_begin(call, provider_id, &err);

	if (live == NULL)
		ts_ereport(&err);
	return live;
}

void
ts_live_end(TsLive *live)
{
	MemoryContextDelete(live->cxt);
}

/*
 * One request
 */

typedef struct Exchange
{
	MemoryContext cxt;
	const char *name;			/* who is asked */
	void		(*data) (void *arg, const char *chunk, size_t len);
	void		(*response) (void *arg, const TsResponse *resp);
	void	   *arg;
	bool		may_refresh;	/* "not authorized" is not handed on: a new token may help */
	bool		answered;
	bool		unauthorized;
} Exchange;

static void
on_data(void *arg, const char *chunk, size_t len)
{
	Exchange   *x = arg;
	MemoryContext old = MemoryContextSwitchTo(x->cxt);

	x->data(x->arg, chunk, len);
	MemoryContextSwitchTo(old);
}

static void
on_done(void *arg, const TsResponse *resp)
{
	Exchange   *x = arg;
	MemoryContext old = MemoryContextSwitchTo(x->cxt);

	x->answered = true;
	x->unauthorized = x->may_refresh && resp->status == 401;
	if (!x->unauthorized)
		x->response(x->arg, resp);
	MemoryContextSwitchTo(old);
}

/* The time is over: for whoever asked it is as if the service were silent. */
static void
give_up(Exchange *x, const TsRequest *req)
{
	TsResponse	resp = {.url = req->url,.body = "",.retry_after = -1};

	ts_error(&resp.error, "TS503", "%s did not answer in time", x->name);
	ts_error_detail(&resp.error, "The limit is %d ms.", ts_request_timeout_ms);
	ts_error_hint(&resp.error, "Raise tasksync.request_timeout if the service needs longer.");
	on_done(x, &resp);
}

static void
exchange(TsNet *net, const TsRequest *req, const TsAuth *auth, Exchange *x)
{
	TsReceiver	receiver = {on_data, on_done, x};
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   ts_request_timeout_ms);
	TsTransfer *transfer = ts_net_start(net, req, auth, &receiver);

	x->answered = false;
	while (!x->answered)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (left <= 0)
		{
			ts_net_cancel(transfer);
			give_up(x, req);
			return;
		}
		(void) ts_net_wait(net, left);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
no_data(void *arg, const char *chunk, size_t len)
{
}

void
ts_live_request(const TsRequest *req, void (*answered) (void *arg, const TsResponse *resp), void *arg)
{
	MemoryContext cxt = AllocSetContextCreate(CurTransactionContext, "tasksync request",
											  ALLOCSET_DEFAULT_SIZES);
	Exchange	x = {CurrentMemoryContext, "the login service", no_data, answered, arg};

	exchange(ts_net_create(cxt), req, NULL, &x);
	MemoryContextDelete(cxt);
}

/* A new token, by way of the worker; the one we have must do while it can. */
static void
get_token(TsLive *live, bool was_refused)
{
	TsAsk		ask = {TS_ASK_REFRESH, live->row->account_id, live->row->user_id, live->auth.grant, NULL,
	live->auth.version};
	TsError		err = {0};

	if (ts_ask_worker(&ask, &live->auth, &err))
		return;
	if (!was_refused && live->auth.bearer && time(NULL) < live->auth.expires_at)
		return;
	ts_ereport(&err);
}

static void
authorized_exchange(TsLive *live, const TsTalk *talk, const TsRequest *req)
{
	Exchange	x = {live->cxt, psprintf("provider \"%s\"", live->row->name),
		talk->data, talk->response, talk->arg, live->auth.refreshable};

	if (ts_auth_is_due(&live->auth) || (req->renew && live->auth.refreshable))
		get_token(live, req->renew);
	exchange(live->net, req, &live->auth, &x);
	if (!x.unauthorized)
		return;
	get_token(live, true);
	x.may_refresh = false;
	exchange(live->net, req, &live->auth, &x);
}

void
ts_live_talk(TsLive *live, const TsTalk *talk)
{
	MemoryContext old = MemoryContextSwitchTo(live->cxt);
	TsRequest	req = {0};

	while (talk->next(talk->arg, &req))
	{
		if (!req.safe)
			elog(ERROR, "refused to send a %s request for a call that only reads", req.method);
		authorized_exchange(live, talk, &req);
		memset(&req, 0, sizeof(req));
	}
	MemoryContextSwitchTo(old);
}

/*
 * One operation
 */

typedef struct Conversing
{
	TsConversation *conv;
	TsObserved	observed;
	void	   *arg;
} Conversing;

static void
hand_on(Conversing *c)
{
	if (c->observed == NULL || c->conv->nobs == 0)
		return;
	c->observed(c->arg, c->conv->obs, c->conv->nobs);
	ts_conversation_take(c->conv);
}

static bool
conversation_next(void *arg, TsRequest *req)
{
	Conversing *c = arg;

	return c->conv->provider->next(c->conv, req);
}

static void
conversation_data(void *arg, const char *chunk, size_t len)
{
	Conversing *c = arg;

	c->conv->provider->data(c->conv, chunk, len);
	hand_on(c);
}

static void
conversation_response(void *arg, const TsResponse *resp)
{
	Conversing *c = arg;

	c->conv->provider->response(c->conv, resp);
	hand_on(c);
}

TsConversation *
ts_live_converse(TsLive *live, const TsOp *op, TsObserved observed, void *arg)
{
	MemoryContext old = MemoryContextSwitchTo(live->cxt);
	Conversing	c = {live->provider->begin(&live->site, op), observed, arg};
	TsTalk		talk = {conversation_next, conversation_data, conversation_response, &c};

	ts_live_talk(live, &talk);
	hand_on(&c);
	MemoryContextSwitchTo(old);
	return c.conv;
}

TsConversation *
ts_live_lists(TsLive *live)
{
	TsOp	   *op = MemoryContextAllocZero(live->cxt, sizeof(TsOp));
	TsConversation *conv;

	op->kind = TS_OP_LISTS;
	conv = ts_live_converse(live, op, NULL, NULL);
	if (ts_failed(&conv->error))
		ts_ereport(&conv->error);
	return conv;
}
