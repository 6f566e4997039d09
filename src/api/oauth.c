/*-------------------------------------------------------------------------
 *
 * oauth.c
 *	  Logging in by OAuth, from SQL.
 *
 * begin_oauth() asks the login service for a code that a person types into a
 * browser, or makes the address where the person gets one.  What is needed to
 * go on is kept with the account's credentials.  It is the worker that asks
 * whether the person has agreed, and that redeems codes (mailbox.h says why).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sodium.h>
#include <time.h>

#include "api/api.h"
#include "api/live.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "secret/secret.h"
#include "track/track.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "worker/mailbox.h"

PG_FUNCTION_INFO_V1(tasksync_begin_oauth);
PG_FUNCTION_INFO_V1(tasksync_finish_oauth);

#define CODE_LIFETIME	3600	/* seconds that a person may take to bring a code */

static void
load_login(const char *account_id, const TsCall *call, TsLogin *login)
{
	TsError		err = {0};

	if (account_id == NULL)
		ts_no_such("account", NULL);
	if (!ts_login_load(account_id, call->user_id, login, &err))
		ts_ereport(&err);
}

/* What was begun before is over. */
static void
cancel_polls(const char *account_id, const char *user_id)
{
	static TsStatement waiting = {
		"UPDATE tasksync.sync_job j SET status = 'CANCELLED', finished_at = pg_catalog.now()"
		" WHERE j.user_id = $2 AND j.kind = 'OAUTH' AND j.args ->> 'account' = $1::text"
		"  AND j.status = 'PENDING'",
		{UUIDOID, TEXTOID}
	};
	static TsStatement running = {
		"UPDATE tasksync.sync_job j SET cancel_requested = true"
		" WHERE j.user_id = $2 AND j.kind = 'OAUTH' AND j.args ->> 'account' = $1::text"
		"  AND j.status = 'RUNNING'",
		{UUIDOID, TEXTOID}
	};

	ts_run(&waiting, ts_uuid(account_id), ts_text(user_id));
	ts_run(&running, ts_uuid(account_id), ts_text(user_id));
}

static void
queue_poll(const char *account_id, const char *user_id, int seconds)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.sync_job (user_id, kind, args, max_attempts, run_at)"
		" VALUES ($2, 'OAUTH', pg_catalog.jsonb_build_object('account', $1), 1,"
		"  pg_catalog.now() + $3 * interval '1 s')",
		{UUIDOID, TEXTOID, INT4OID}
	};

	ts_run(&stmt, ts_uuid(account_id), ts_text(user_id), ts_int(seconds));
	ts_wake_on_commit();
}

static void
keep(TsLogin *login, char *patch)
{
	TsError		err = {0};
	char	   *json;

	if (!ts_secret_renew(&login->secret, "client_id"))
	{
		ts_credentials_changed(login->secret.account_id, &err);
		ts_ereport(&err);
	}
	json = ts_secret_patched(login->secret.json, patch);
	ts_secret_put(&login->secret, json);
	ts_secret_wipe(patch);
	ts_secret_wipe(json);
}

typedef struct DeviceAsked
{
	TsRequest	request;
	TsOAuthDevice device;
	TsError		error;
} DeviceAsked;

static void
device_answered(void *arg, const TsResponse *resp)
{
	DeviceAsked *asked = arg;

	(void) ts_oauth_read_device(&asked->request, resp, &asked->device, &asked->error);
}

static int64
begin_device(TsLogin *login, const TsCall *call, TsOAuthDevice *device)
{
	DeviceAsked asked = {0};
	StringInfoData patch;
	int64		expires_at;

	ts_oauth_device_request(&login->client, &asked.request);
	ts_live_request(&asked.request, device_answered, &asked);
	if (ts_failed(&asked.error))
		ts_ereport(&asked.error);
	expires_at = time(NULL) + asked.device.expires_in;
	initStringInfo(&patch);
	appendStringInfo(&patch, "{\"device_interval\": %d, \"device_expires_at\": " INT64_FORMAT
					 ", \"code_verifier\": null, \"login_state\": null, \"device_code\": ",
					 asked.device.interval, expires_at);
	ts_json_string(&patch, asked.device.device_code);
	appendStringInfoChar(&patch, '}');
	keep(login, patch.data);
	ts_secret_wipe(asked.device.device_code);
	queue_poll(login->secret.account_id, call->user_id, asked.device.interval);
	*device = asked.device;
	return expires_at;
}

static int64
begin_code(TsLogin *login, char **authorize_url)
{
	unsigned char random[2][32];
	char		verifier[TS_OAUTH_NONCE_LEN];
	char		state[TS_OAUTH_NONCE_LEN];

	randombytes_buf(random, sizeof(random));
	ts_oauth_nonce(random[0], verifier);
	ts_oauth_nonce(random[1], state);
	keep(login, psprintf("{\"code_verifier\": \"%s\", \"login_state\": \"%s\", \"device_code\": null}",
						 verifier, state));
	*authorize_url = ts_oauth_authorize_url(&login->client, state, verifier);
	explicit_bzero(random, sizeof(random));
	explicit_bzero(verifier, sizeof(verifier));
	return time(NULL) + CODE_LIFETIME;
}

static void
put_row(FunctionCallInfo fcinfo, const TsOAuthDevice *device, const char *authorize_url,
		int64 expires_at)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[4] = {0};
	bool		nulls[4] = {true, true, true, false};

	if (device->verification_uri)
	{
		values[0] = CStringGetTextDatum(device->verification_uri);
		values[1] = CStringGetTextDatum(device->user_code);
		nulls[0] = nulls[1] = false;
	}
	if (authorize_url)
	{
		values[2] = CStringGetTextDatum(authorize_url);
		nulls[2] = false;
	}
	values[3] = TimestampTzGetDatum(time_t_to_timestamptz(expires_at));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * begin_oauth(account_id uuid, flow text) → (verification_uri text, user_code
 *		text, authorize_url text, expires_at timestamptz)
 */
Datum
tasksync_begin_oauth(PG_FUNCTION_ARGS)
{
	char	   *account_id = ts_arg_uuid(fcinfo, 0);
	char	   *flow = PG_ARGISNULL(1) ? pstrdup("DEVICE") : ts_arg_text(fcinfo, 1);
	bool		by_device = strcmp(flow, "DEVICE") == 0;
	TsOAuthDevice device = {0};
	char	   *authorize_url = NULL;
	TsLogin		login;
	TsCall		call;
	int64		expires_at;

	if (!by_device && strcmp(flow, "CODE") != 0)
		ts_bad_value("flow", flow, "Use DEVICE, or CODE for a browser that is led to an address with the code.");
	InitMaterializedSRF(fcinfo, 0);
	ts_api_begin(&call);
	load_login(account_id, &call, &login);
	cancel_polls(account_id, call.user_id);
	expires_at = by_device ? begin_device(&login, &call, &device) : begin_code(&login, &authorize_url);
	ts_secret_wipe(login.secret.json);
	ts_api_end(&call);
	put_row(fcinfo, &device, authorize_url, expires_at);
	return (Datum) 0;
}

/*
 * Has the person agreed?  What went wrong is raised.  A login that ended well, and
 * whose tokens were refused since, is none any more.
 */
static bool
is_allowed(const char *account_id, const char *user_id)
{
	static TsStatement stmt = {
		"SELECT j.status, j.error_code, j.error_message, j.error_detail, j.error_hint"
		" FROM (SELECT o.* FROM tasksync.sync_job o WHERE o.user_id = $2 AND o.kind = 'OAUTH'"
		"  AND o.args ->> 'account' = $1::text ORDER BY o.id DESC LIMIT 1) j"
		" JOIN tasksync.connected_account a ON a.id = $1 AND a.user_id = $2"
		" WHERE j.status <> 'SUCCEEDED' OR a.status <> 'NEEDS_AUTH'",
		{UUIDOID, TEXTOID}
	};
	TsError		err = {0};

	if (ts_run(&stmt, ts_uuid(account_id), ts_text(user_id)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no login was begun for account \"%s\"", account_id),
				 errhint("Call begin_oauth() first.")));
	if (ts_col_null(0, 2))
		return strcmp(ts_col(0, 1), "SUCCEEDED") == 0;
	strlcpy(err.sqlstate, ts_col(0, 2), sizeof(err.sqlstate));
	err.message = ts_col(0, 3);
	err.detail = ts_col(0, 4);
	err.hint = ts_col(0, 5);
	ts_ereport(&err);
	return false;
}

/*
 * finish_oauth(account_id uuid, code text) → boolean: with a code, it is
 * redeemed; without one, whether the person has agreed by now.
 */
Datum
tasksync_finish_oauth(PG_FUNCTION_ARGS)
{
	char	   *account_id = ts_arg_uuid(fcinfo, 0);
	char	   *code = ts_arg_text(fcinfo, 1);
	TsLogin		login;
	TsCall		call;
	TsError		err = {0};
	char	   *verifier;
	bool		done = true;

	ts_api_begin(&call);
	load_login(account_id, &call, &login);
	verifier = ts_secret_member(login.secret.json, "code_verifier");
	ts_secret_wipe(login.secret.json);
	ts_secret_wipe(verifier);
	if (code == NULL && verifier != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the login of account \"%s\" ends with a code", account_id),
				 errhint("Give the address that the browser ended at.")));
	else if (code == NULL)
		done = is_allowed(account_id, call.user_id);
	else
	{
		TsAsk		ask = {TS_ASK_REDEEM, account_id, call.user_id, 0, code};

		if (!ts_ask_worker(&ask, NULL, &err))
			ts_ereport(&err);
		explicit_bzero(code, strlen(code));
	}
	ts_api_end(&call);
	PG_RETURN_BOOL(done);
}
