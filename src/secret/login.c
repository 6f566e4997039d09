/*-------------------------------------------------------------------------
 *
 * login.c
 *	  An account's login by OAuth, at rest.
 *
 * Beside what the user gave, the credentials then hold the tokens: access_token,
 * refresh_token, refresh_at and expires_at (seconds since 1970-01-01 UTC), grant
 * (how many there were), and while a person is asked what that needs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "provider/provider.h"
#include "secret/secret.h"
#include "store/sql.h"
#include "tasksync.h"

#define DEFAULT_LIFETIME 3600	/* seconds, where the service says nothing */

bool
ts_login_load(const char *account_id, const char *user_id, TsLogin *login, TsError *err)
{
	static TsStatement stmt = {
		"SELECT a.type, (a.settings || COALESCE(p.settings, '{}'))::text"
		" FROM tasksync.connected_account a"
		" LEFT JOIN LATERAL (SELECT q.settings FROM tasksync.task_provider q"
		"  WHERE q.account_id = a.id AND q.user_id = a.user_id ORDER BY q.created_at LIMIT 1) p ON true"
		" WHERE a.id = $1 AND a.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	const TsProvider *provider;
	char	   *settings;

	memset(login, 0, sizeof(*login));
	if (!ts_instance_check(err))
		return false;
	if (ts_run(&stmt, ts_uuid(account_id), ts_text(user_id)) == 0)
	{
		ts_error(err, "P0002", "account \"%s\" does not exist", account_id);
		return false;
	}
	login->type = ts_col(0, 1);
	settings = ts_col(0, 2);
	provider = ts_provider_lookup(login->type);
	if (provider == NULL || provider->oauth == NULL)
	{
		ts_error(err, "22023", "account \"%s\" is of type %s, which has no login by OAuth", account_id,
				 login->type);
		ts_error_hint(err, "Use set_credentials().");
		return false;
	}
	return ts_secret_get(account_id, user_id, &login->secret, err) &&
		ts_oauth_client(provider->oauth, login->secret.json, settings, &login->client, err);
}

int
ts_login_grant(const char *json)
{
	char	   *grant = ts_secret_member(json, "grant");

	return grant ? atoi(grant) : 0;
}

/* A new token is fetched when four fifths of its life are over. */
static char *
grant_patch(const TsLogin *login, const TsOAuthGrant *grant)
{
	int			lifetime = grant->expires_in > 0 ? grant->expires_in : DEFAULT_LIFETIME;
	int64		now = time(NULL);
	StringInfoData patch;

	initStringInfo(&patch);
	appendStringInfo(&patch, "{\"grant\": %d, \"refresh_at\": " INT64_FORMAT ", \"expires_at\": " INT64_FORMAT
					 ", \"access_token\": ", ts_login_grant(login->secret.json) + 1,
					 now + lifetime * INT64CONST(4) / 5, now + lifetime);
	ts_json_string(&patch, grant->access_token);
	if (grant->refresh_token)
	{
		appendStringInfoString(&patch, ", \"refresh_token\": ");
		ts_json_string(&patch, grant->refresh_token);
	}
	appendStringInfoChar(&patch, '}');
	return patch.data;
}

bool
ts_login_granted(TsLogin *login, const char *member, const TsOAuthGrant *grant, const char *patch)
{
	static TsStatement account = {
		"UPDATE tasksync.connected_account a SET status = 'OK', expires_at ="
		" (SELECT pg_catalog.to_timestamp($3)) WHERE a.id = $1 AND a.user_id = $2",
		{UUIDOID, TEXTOID, INT8OID}
	};
	char	   *tokens;
	char	   *json;
	char	   *whole;
	char	   *expires_at;

	if (!ts_secret_renew(&login->secret, member))
		return false;
	tokens = grant_patch(login, grant);
	json = ts_secret_patched(login->secret.json, tokens);
	whole = patch ? ts_secret_patched(json, patch) : json;
	expires_at = ts_secret_member(whole, "expires_at");
	ts_secret_put(&login->secret, whole);
	ts_secret_wipe(tokens);
	ts_secret_wipe(json);
	ts_secret_wipe(whole);
	ts_run(&account, ts_uuid(login->secret.account_id), ts_text(login->secret.user_id),
		   ts_long(strtoll(expires_at, NULL, 10)));
	return true;
}

/*
 * Refusals
 */

void
ts_account_lock(const char *account_id, const char *user_id)
{
	static TsStatement stmt = {
		"SELECT FROM tasksync.connected_account a WHERE a.id = $1 AND a.user_id = $2 FOR NO KEY UPDATE",
		{UUIDOID, TEXTOID}
	};

	ts_run(&stmt, ts_uuid(account_id), ts_text(user_id));
}

bool
ts_account_refused(const char *account_id, const char *user_id, const char *version, int grant)
{
	static TsStatement stmt = {
		"UPDATE tasksync.connected_account a SET status = 'NEEDS_AUTH'"
		" WHERE a.id = $1 AND a.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	TsSecret	now;
	TsError		err = {0};
	bool		same;

	ts_account_lock(account_id, user_id);
	if (!ts_secret_get(account_id, user_id, &now, &err))
		ts_ereport(&err);
	same = strcmp(now.version ? now.version : "", version ? version : "") == 0 &&
		ts_login_grant(now.json) == grant;
	ts_secret_wipe(now.json);
	return same && ts_run(&stmt, ts_uuid(account_id), ts_text(user_id)) > 0;
}

bool
ts_login_refused(TsLogin *login, const TsError *err)
{
	static TsStatement providers = {
		"UPDATE tasksync.task_provider p SET sync_status = 'ERROR', error_code = $3, error_message = $4"
		" WHERE p.account_id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID}
	};
	TsSecret   *s = &login->secret;

	if (!ts_secret_renew(s, "refresh_token") ||
		!ts_account_refused(s->account_id, s->user_id, s->version, ts_login_grant(s->json)))
		return false;
	ts_run(&providers, ts_uuid(s->account_id), ts_text(s->user_id), ts_text(err->sqlstate),
		   ts_text(err->message));
	return true;
}

void
ts_credentials_changed(const char *account_id, TsError *err)
{
	ts_error(err, "55006", "the credentials of account \"%s\" were changed meanwhile", account_id);
	ts_error_hint(err, "A sync is tried again by itself; a call is to be repeated.");
}
