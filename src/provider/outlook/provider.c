/*-------------------------------------------------------------------------
 *
 * provider.c
 *	  The Outlook provider: its table of functions and what it can do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"
#include "provider/outlook/provider.h"
#include "provider/outlook/todo.h"

/* A setting that is an address, if it is there. */
static bool
check_address(const TsJson *settings, const char *name, TsError *err)
{
	const TsJson *value = ts_json_get(settings, name);
	TsBaseUrl	base;

	if (value == NULL || value->kind == TS_JSON_NULL ||
		(value->kind == TS_JSON_STRING && ts_base_url(value->text, &base)))
		return true;
	/* it is not shown: it may hold a password */
	ts_error(err, "22023", "the \"%s\" of an Outlook provider is not a usable address", name);
	ts_error_hint(err, "It must begin with https:// or http://, and user name and password belong in the credentials.");
	return false;
}

/* No setting has to be there. */
static bool
outlook_check_settings(const char *settings, TsError *err)
{
	TsError		problem = {0};
	const TsJson *json;

	if (settings == NULL)
		return true;
	json = ts_json_parse(settings, strlen(settings), &problem);
	if (json == NULL)
	{
		ts_error(err, "22023", "the provider's settings are not valid JSON");
		return false;
	}
	return check_address(json, "base_url", err) && check_address(json, "url", err) &&
		check_address(json, "login_url", err);
}

/* Microsoft's identity platform; the last address is one that shows the code and nothing else. */
static const TsOAuthKind outlook_oauth = {
	.login_url = "https://login.microsoftonline.com",
	.tenant = "common",
	.device_path = "/oauth2/v2.0/devicecode",
	.authorize_path = "/oauth2/v2.0/authorize",
	.token_path = "/oauth2/v2.0/token",
	.scope = "Tasks.ReadWrite User.Read offline_access",
	.redirect_uri = "https://login.microsoftonline.com/common/oauth2/nativeclient",
};

/*
 * The ids of tasks are good everywhere, so there is no scope.  Changes are
 * listed with a delay, of which nothing is documented but that it is there; only
 * a task whose creation is in doubt has to wait for it.
 */
const TsProvider ts_outlook_provider = {
	.type = "OUTLOOK",
	.name = "Outlook (Microsoft To Do)",
	.carries = TS_TODO_FIELDS,
	.caps = TS_CAP_CONDITIONAL | TS_CAP_LISTS | TS_CAP_ACCOUNT,
	.fetch_batch = GRAPH_BATCH,
	.push_batch = GRAPH_BATCH,
	.listing_lag = 5,
	.default_url = "https://graph.microsoft.com/v1.0",
	.oauth = &outlook_oauth,
	.check_settings = outlook_check_settings,
	.begin = graph_begin,
	.next = graph_next,
	.data = graph_data,
	.response = graph_response,
	.decode = ts_todo_decode,
	.encode = ts_todo_encode,
	.shown = ts_todo_shown,
};
