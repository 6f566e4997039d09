/*-------------------------------------------------------------------------
 *
 * token.c
 *	  Tokens of accounts that log in by OAuth (see token.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "net/oauth.h"
#include "secret/secret.h"
#include "store/backend.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "worker/failpoint.h"
#include "worker/mailbox.h"
#include "worker/token.h"

#define PATIENCE_MS 3000		/* of those who wait for tokens that are there, and can't be recorded */

/* What tokens are had for: a member of the credentials. */
#define REFRESH	"refresh_token"
#define CODE	"code_verifier"
#define DEVICE	"device_code"

typedef struct Waiter
{
	TsTokenDone done;
	void	   *arg;
	struct Waiter *next;
} Waiter;

/* One account's way to a new token. */
typedef struct Errand
{
	MemoryContext cxt;
	char	   *account_id;
	char	   *user_id;
	int			grant;			/* REFRESH: this one will not do any more */
	char	   *code;			/* what a person has brought, or NULL */
	const char *member;			/* what the tokens are had for: REFRESH … */
	TsLogin		login;
	TsRequest	request;
	TsOAuthGrant tokens;
	TimestampTz unrecorded_at;	/* tokens came, and could not be committed yet: since when */
	bool		is_fresh;		/* somebody else had a new one before */
	TsError		error;
	Waiter	   *waiters;
	struct Errand *next;
} Errand;

/* The login service has asked not to be asked for an account's tokens before. */
typedef struct Pause
{
	char	   *account_id;
	char	   *user_id;
	time_t		until;
	struct Pause *next;
} Pause;

static Pause *pauses;
static TsNet *the_net;
static MemoryContext the_cxt;
static Errand *errands;

void
ts_tokens_begin(TsNet *net, MemoryContext cxt)
{
	the_net = net;
	the_cxt = cxt;
}

static void
tell_waiters(Errand *e, const TsError *err)
{
	while (e->waiters)
	{
		Waiter	   *w = e->waiters;

		e->waiters = w->next;
		w->done(w->arg, err);
	}
}

/*
 * The end of an errand: everybody who waits is told.  (They may start another.)
 * Not to be called in its own context, which goes with it.
 */
static void
end_errand(Errand *e, const TsError *err)
{
	Errand	  **at = &errands;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	tell_waiters(e, err);
	ts_secret_wipe(e->login.secret.json);
	ts_secret_wipe(e->code);
	ts_secret_wipe(e->tokens.access_token);
	ts_secret_wipe(e->tokens.refresh_token);
	if (e->request.body)
		explicit_bzero(unconstify(char *, e->request.body), e->request.body_len);
	MemoryContextDelete(e->cxt);
}

/* What the login left to be thrown away, once there are tokens. */
#define LOGIN_IS_OVER \
	"{\"device_code\": null, \"device_interval\": null, \"device_expires_at\": null," \
	" \"code_verifier\": null, \"login_state\": null}"

static bool
is_login(const Errand *e)
{
	return strcmp(e->member, REFRESH) != 0;
}

static void
record_body(void *arg)
{
	Errand	   *e = arg;
	bool		granted = ts_login_granted(&e->login, e->member, &e->tokens,
										   is_login(e) ? LOGIN_IS_OVER : NULL);

	if (granted && is_login(e))
		ts_account_is_due(e->account_id, e->user_id);
	else if (is_login(e))
		ts_error(&e->error, "55000", "the login was given up for another one");
}

/*
 * What is in the way, a transaction that has changed the account, may stay for
 * long: whoever waits is not kept waiting with it, but for a person, who has no
 * other way to hear of it.
 */
static void
still_unrecorded(Errand *e, const TsError *why)
{
	TimestampTz now = GetCurrentTimestamp();
	TsError		err = {0};

	if (e->unrecorded_at == 0)
	{
		ereport(LOG, (errmsg("could not record new tokens yet: %s", why->message)));
		e->unrecorded_at = now;
	}
	if (strcmp(e->member, DEVICE) == 0 ||
		!TimestampDifferenceExceeds(e->unrecorded_at, now, PATIENCE_MS))
		return;
	ts_error(&err, "55P03", "could not record the new tokens of account \"%s\" yet", e->account_id);
	ts_error_detail(&err, "%s", why->message);
	ts_error_hint(&err, "Another transaction has changed the account: end it.");
	tell_waiters(e, &err);
}

/* The tokens are committed before they are used, or tried again later. */
static void
record(Errand *e)
{
	MemoryContext old = MemoryContextSwitchTo(e->cxt);
	bool		recorded;
	TsError		err = {0};

	ts_step("before tokens are recorded");
	recorded = ts_in_transaction(record_body, e, &err);
	if (!recorded)
		still_unrecorded(e, &err);
	MemoryContextSwitchTo(old);
	if (recorded)
		end_errand(e, ts_failed(&e->error) ? &e->error : NULL);
}

static void
refused_body(void *arg)
{
	Errand	   *e = arg;

	if (!ts_login_refused(&e->login, &e->error))
		ts_credentials_changed(e->account_id, &e->error);
}

static bool
is_same(const Pause *p, const char *account_id, const char *user_id)
{
	return strcmp(p->account_id, account_id) == 0 && strcmp(p->user_id, user_id) == 0;
}

/* Pauses that are over, and the one before of this account, make way. */
static void
begin_pause(const Errand *e, int seconds)
{
	time_t		now = time(NULL);
	Pause	   *p;

	for (Pause **at = &pauses; (p = *at) != NULL;)
	{
		if (p->until > now && !is_same(p, e->account_id, e->user_id))
		{
			at = &p->next;
			continue;
		}
		*at = p->next;
		pfree(p->account_id);
		pfree(p->user_id);
		pfree(p);
	}
	p = MemoryContextAlloc(the_cxt, sizeof(Pause));
	p->account_id = MemoryContextStrdup(the_cxt, e->account_id);
	p->user_id = MemoryContextStrdup(the_cxt, e->user_id);
	p->until = now + seconds;
	p->next = pauses;
	pauses = p;
}

int
ts_tokens_pause(const char *account_id, const char *user_id)
{
	time_t		now = time(NULL);

	for (const Pause *p = pauses; p; p = p->next)
		if (is_same(p, account_id, user_id) && p->until > now)
			return (int) (p->until - now);
	return 0;
}

static void
answered(void *arg, const TsResponse *resp)
{
	Errand	   *e = arg;
	MemoryContext old = MemoryContextSwitchTo(e->cxt);
	TsOAuthOutcome outcome = ts_oauth_read_grant(&e->request, resp, &e->tokens, &e->error);
	TsError		ignored = {0};

	MemoryContextSwitchTo(old);
	switch (outcome)
	{
		case TS_OAUTH_GRANTED:
			record(e);
			break;
		case TS_OAUTH_REFUSED:
			if (!is_login(e))
				(void) ts_in_transaction(refused_body, e, &ignored);
			end_errand(e, &e->error);
			break;
		case TS_OAUTH_PENDING:
		case TS_OAUTH_SLOW_DOWN:
			ts_error(&e->error, "TS502", "the login service's answer makes no sense");
			end_errand(e, &e->error);
			break;
		case TS_OAUTH_TROUBLE:
			if (!is_login(e) && resp->retry_after > 0)
				begin_pause(e, resp->retry_after);
			end_errand(e, &e->error);
			break;
	}
}

static void
no_data(void *arg, const char *chunk, size_t len)
{
}

/* A code that a person has brought, with what begin_oauth() left for it. */
static bool
prepare_code(Errand *e)
{
	char	   *verifier = ts_secret_member(e->login.secret.json, "code_verifier");
	char	   *state = ts_secret_member(e->login.secret.json, "login_state");
	char	   *code;

	if (verifier == NULL || state == NULL)
	{
		ts_error(&e->error, "55000", "no login that ends with a code was begun for account \"%s\"",
				 e->account_id);
		ts_error_hint(&e->error, "Call begin_oauth(account_id, 'CODE') first.");
		return false;
	}
	code = ts_oauth_given_code(e->code, state, &e->error);
	if (code)
		ts_oauth_code_request(&e->login.client, code, verifier, &e->request);
	return code != NULL;
}

static void
prepare_body(void *arg)
{
	Errand	   *e = arg;
	const char *json;
	char	   *refresh_token;

	if (!ts_login_load(e->account_id, e->user_id, &e->login, &e->error))
		return;
	if (e->code)
	{
		(void) prepare_code(e);
		return;
	}
	json = e->login.secret.json;
	refresh_token = ts_secret_member(json, "refresh_token");
	e->is_fresh = ts_login_grant(json) > e->grant && ts_secret_member(json, "access_token");
	if (e->is_fresh)
		return;
	if (refresh_token == NULL)
	{
		ts_error(&e->error, "TS401", "account \"%s\" has no refresh token", e->account_id);
		ts_error_hint(&e->error, "Log in with begin_oauth(), or use set_credentials().");
		return;
	}
	ts_oauth_refresh_request(&e->login.client, refresh_token, &e->request);
	ts_secret_wipe(refresh_token);
}

static Errand *
make_errand(const char *account_id, const char *user_id, int grant, const char *code)
{
	MemoryContext cxt = AllocSetContextCreate(the_cxt, "tasksync token", ALLOCSET_DEFAULT_SIZES);
	Errand	   *e = MemoryContextAllocZero(cxt, sizeof(Errand));

	e->cxt = cxt;
	e->account_id = MemoryContextStrdup(cxt, account_id);
	e->user_id = MemoryContextStrdup(cxt, user_id);
	e->grant = grant;
	e->code = code ? MemoryContextStrdup(cxt, code) : NULL;
	e->member = code ? CODE : REFRESH;
	e->next = errands;
	errands = e;
	return e;
}

static void
add_waiter(Errand *e, TsTokenDone done, void *arg)
{
	Waiter	   *w = MemoryContextAlloc(e->cxt, sizeof(Waiter));

	w->done = done;
	w->arg = arg;
	w->next = e->waiters;
	e->waiters = w;
}

static void
run_errand(Errand *e)
{
	MemoryContext old = MemoryContextSwitchTo(e->cxt);
	TsReceiver	receiver = {no_data, answered, e};
	bool		prepared = ts_in_transaction(prepare_body, e, &e->error) && !ts_failed(&e->error);

	MemoryContextSwitchTo(old);
	if (!prepared)
		end_errand(e, &e->error);
	else if (e->is_fresh)
		end_errand(e, NULL);
	else
	{
		ts_step("before a refresh");
		ts_net_start(the_net, &e->request, NULL, &receiver);
	}
}

void
ts_tokens_refresh(const char *account_id, const char *user_id, int grant, TsTokenDone done,
				  void *arg)
{
	int			pause = ts_tokens_pause(account_id, user_id);
	TsError		err = {0};

	if (pause > 0)
	{
		ts_error(&err, "TS503", "the login service of account \"%s\" is not to be asked for %d s yet",
				 account_id, pause);
		done(arg, &err);
		return;
	}
	for (Errand *e = errands; e; e = e->next)
		if (!is_login(e) && strcmp(e->account_id, account_id) == 0 &&
			strcmp(e->user_id, user_id) == 0)
		{
			add_waiter(e, done, arg);
			return;
		}
	add_waiter(make_errand(account_id, user_id, grant, NULL), done, arg);
	run_errand(errands);
}

void
ts_tokens_forget(const void *arg)
{
	for (Errand *e = errands; e; e = e->next)
		for (Waiter **at = &e->waiters; *at;)
			if ((*at)->arg == arg)
				*at = (*at)->next;
			else
				at = &(*at)->next;
}

/*
 * Letters
 */

typedef struct Letter
{
	TsLetter   *letter;
	TsAsk		ask;
	TsAuth		auth;
	TsError		error;
} Letter;

static void
new_token_body(void *arg)
{
	Letter	   *l = arg;

	(void) ts_auth_renew(l->ask.account_id, l->ask.user_id, NULL, l->ask.version, &l->auth, &l->error);
}

static void
answer_letter(void *arg, const TsError *err)
{
	Letter	   *l = arg;

	if (err == NULL && l->ask.kind == TS_ASK_REFRESH)
		(void) ts_in_transaction(new_token_body, l, &l->error);
	if (ts_failed(&l->error))
		err = &l->error;
	ts_mailbox_answer(l->letter, &l->auth, err);
	ts_auth_wipe(&l->auth);
	pfree(l);
}

static void
next_letter_body(void *arg)
{
	Letter	   *l = arg;

	l->letter = ts_mailbox_next(&l->ask);
}

bool
ts_tokens_tend(void)
{
	TsError		err = {0};
	Letter		next = {0};

	for (Errand *e = errands, *following; e; e = following)
	{
		following = e->next;
		if (e->unrecorded_at != 0)
			record(e);
	}
	while (ts_in_transaction(next_letter_body, &next, &err) && next.letter)
	{
		Letter	   *l = MemoryContextAlloc(the_cxt, sizeof(Letter));

		*l = next;
		if (l->ask.kind == TS_ASK_REFRESH)
			ts_tokens_refresh(l->ask.account_id, l->ask.user_id, l->ask.grant, answer_letter, l);
		else
		{
			Errand	   *e = make_errand(l->ask.account_id, l->ask.user_id, 0, l->ask.code);

			add_waiter(e, answer_letter, l);
			run_errand(e);
		}
	}
	for (Errand *e = errands; e; e = e->next)
		if (e->unrecorded_at != 0)
			return true;
	return false;
}

/*
 * Devices that a person is to allow
 */

struct TsDevicePoll
{
	TsLogin		login;
	char	   *account_id;
	const TsJob *job;
	TsRequest  *request;
	int			interval;		/* seconds */
	TsError		error;
};

static char *
device_member(const TsDevicePoll *poll, const char *name)
{
	return ts_secret_member(poll->login.secret.json, name);
}

static void
device_body(void *arg)
{
	TsDevicePoll *poll = arg;
	char	   *code;
	char	   *expires_at;
	char	   *interval;

	if (!ts_login_load(poll->account_id, poll->job->user_id, &poll->login, &poll->error))
		return;
	code = device_member(poll, DEVICE);
	expires_at = device_member(poll, "device_expires_at");
	interval = device_member(poll, "device_interval");
	if (code == NULL || expires_at == NULL || interval == NULL)
	{
		ts_error(&poll->error, "55000", "the login was given up for another one");
		return;
	}
	poll->interval = atoi(interval);
	if (strtoll(expires_at, NULL, 10) < time(NULL))
	{
		ts_error(&poll->error, "TS401", "nobody has allowed the login in time");
		ts_error_hint(&poll->error, "Begin again with begin_oauth().");
		return;
	}
	ts_oauth_poll_request(&poll->login.client, code, poll->request);
	ts_secret_wipe(code);
}

TsDevicePoll *
ts_device_request(const TsJob *job, TsRequest *req, TsError *err)
{
	TsDevicePoll *poll = palloc0(sizeof(TsDevicePoll));

	poll->job = job;
	poll->account_id = job->account_id;
	poll->request = req;
	if (!ts_in_transaction(device_body, poll, &poll->error) || ts_failed(&poll->error))
	{
		*err = poll->error;
		return NULL;
	}
	return poll;
}

/* The tokens of a device, which can be had once: an errand that is to be recorded. */
static void
granted(const TsDevicePoll *poll, const TsOAuthGrant *tokens, TsTokenDone done, void *arg)
{
	Errand	   *e = make_errand(poll->account_id, poll->job->user_id, 0, NULL);
	MemoryContext old = MemoryContextSwitchTo(e->cxt);

	e->member = DEVICE;
	e->login.secret.account_id = e->account_id;
	e->login.secret.user_id = e->user_id;
	e->login.secret.json = pstrdup(poll->login.secret.json);
	e->tokens = *tokens;
	e->tokens.access_token = pstrdup(tokens->access_token);
	e->tokens.refresh_token = tokens->refresh_token ? pstrdup(tokens->refresh_token) : NULL;
	MemoryContextSwitchTo(old);
	add_waiter(e, done, arg);
	record(e);
}

/* What a look leaves behind: it is to be done less often. */
static void
slower_body(void *arg)
{
	TsDevicePoll *poll = arg;
	char	   *json;

	if (!ts_secret_renew(&poll->login.secret, DEVICE))
		return;
	json = ts_secret_patched(poll->login.secret.json,
							 psprintf("{\"device_interval\": %d}", poll->interval));
	ts_secret_put(&poll->login.secret, json);
	ts_secret_wipe(json);
}

int
ts_device_answer(TsDevicePoll *poll, const TsRequest *req, const TsResponse *resp,
				 TsTokenDone done, void *arg)
{
	TsOAuthGrant tokens;
	TsError		err = {0};
	TsError		ignored = {0};

	switch (ts_oauth_read_grant(req, resp, &tokens, &err))
	{
		case TS_OAUTH_GRANTED:
			granted(poll, &tokens, done, arg);
			break;
		case TS_OAUTH_REFUSED:
			done(arg, &err);
			break;
		case TS_OAUTH_PENDING:
			return poll->interval;
		case TS_OAUTH_SLOW_DOWN:
			poll->interval += 5;	/* RFC 8628 3.5 */
			(void) ts_in_transaction(slower_body, poll, &ignored);
			return poll->interval;
		case TS_OAUTH_TROUBLE:
			return poll->interval * 2;
	}
	ts_secret_wipe(poll->login.secret.json);
	ts_secret_wipe(tokens.access_token);
	ts_secret_wipe(tokens.refresh_token);
	return 0;
}
