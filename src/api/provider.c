/*-------------------------------------------------------------------------
 *
 * provider.c
 *	  Accounts and providers.
 *
 *-------------------------------------------------------------------------
 */
#include "api/api.h"

#include <curl/curl.h>

#include "catalog/pg_type.h"
#include "provider/provider.h"
#include "secret/secret.h"
#include "task/plan.h"
#include "track/track.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(tasksync_add_provider);
PG_FUNCTION_INFO_V1(tasksync_update_provider);
PG_FUNCTION_INFO_V1(tasksync_remove_provider);
PG_FUNCTION_INFO_V1(tasksync_add_account);
PG_FUNCTION_INFO_V1(tasksync_set_credentials);

static TsStatement select_provider = {
	"SELECT p FROM tasksync.task_provider p WHERE p.id = $1 AND p.user_id = $2",
	{UUIDOID, TEXTOID}
};

static void
check_settings(const TsProvider *p, const char *settings)
{
	TsError		err = {0};

	if (p->check_settings && !p->check_settings(settings, &err))
		ts_ereport(&err);
}

/*
 * Settings are an object.  They are not shown where they are none: what was
 * given in place of them may be a url with a password.
 */
static void
check_is_object(const char *settings)
{
	if (settings[0] != '{')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("settings must be a JSON object")));
}

/*
 * The length of a member of credentials, -1 where it is missing.  It must be a
 * string without control characters, since it becomes part of a header.
 */
static int
credential_length(const Jsonb *credentials, const char *name)
{
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(credentials) ||
		getKeyJsonValueFromContainer((JsonbContainer *) &credentials->root, name,
									 strlen(name), &value) == NULL ||
		value.type == jbvNull)
		return -1;
	if (value.type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of the credentials must be a string", name)));
	for (int i = 0; i < value.val.string.len; i++)
	{
		unsigned char b = value.val.string.val[i];

		if (b < 0x20 || b == 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" of the credentials has a control character in it", name),
					 errhint("A line break at the end may have come with it from a file.")));
	}
	return value.val.string.len;
}

/* Credentials are an object with one of the known sets of members. */
static void
check_credentials(FunctionCallInfo fcinfo, int n)
{
	static const char *const alone[] = {"token", "access_token", "client_id", "refresh_token"};
	const Jsonb *credentials = PG_GETARG_JSONB_P(n);
	bool		complete = credential_length(credentials, "username") > 0;

	complete &= credential_length(credentials, "password") >= 0;
	for (int i = 0; i < lengthof(alone); i++)
		complete |= credential_length(credentials, alone[i]) > 0;
	if (!complete)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("credentials are incomplete"),
				 errhint("Give {\"username\": …, \"password\": …}, {\"token\": …} or {\"client_id\": …}.")));
}

/* user@host, the way people tell accounts apart. */
static char *
account_label(const char *credentials, const char *settings, const TsProvider *p)
{
	char	   *user = ts_json_member(credentials, "username");
	char	   *url = ts_json_member(settings, "url");
	CURLU	   *u;
	char	   *host = NULL;
	char	   *label;

	if (user == NULL)
		user = ts_json_member(credentials, "email");
	if (url == NULL)
		url = ts_json_member(settings, "base_url");
	u = curl_url();
	if (u && url && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
		curl_url_get(u, CURLUPART_HOST, &host, 0);
	label = user && host ? psprintf("%s@%s", user, host)
		: pstrdup(host ? host : user ? user : p->name);
	curl_free(host);
	curl_url_cleanup(u);
	return label;
}

static char *
insert_account(const char *user_id, const char *type, const char *label, const char *settings,
			   bool number_label)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.connected_account (user_id, type, label, settings)"
		" SELECT $1, $2, CASE WHEN NOT $5 OR NOT EXISTS (SELECT FROM tasksync.connected_account a"
		"   WHERE a.user_id = $1 AND a.type = $2 AND a.label = $3) THEN $3"
		"  ELSE $3 || ' ' || (SELECT pg_catalog.min(n)::text FROM pg_catalog.generate_series(2, 1000) n"
		"   WHERE NOT EXISTS (SELECT FROM tasksync.connected_account a WHERE a.user_id = $1"
		"    AND a.type = $2 AND a.label = $3 || ' ' || n::text)) END, $4::jsonb"
		" RETURNING id::text",
		{TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID}
	};

	ts_run(&stmt, ts_text(user_id), ts_text(type), ts_text(label), ts_text(settings),
		   ts_bool(number_label));
	return ts_col_text(0, 1, NULL);
}

/* An account of the caller's: its type; P0002 where it is not. */
static char *
account_type(const char *account_id, const char *user_id)
{
	static TsStatement stmt = {
		"SELECT a.type FROM tasksync.connected_account a WHERE a.id = $1 AND a.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	if (ts_run(&stmt, ts_uuid(account_id), ts_text(user_id)) == 0)
		ts_no_such("account", account_id);
	return ts_col_text(0, 1, NULL);
}

static char *
account_settings(const char *account_id, const char *user_id)
{
	static TsStatement stmt = {
		"SELECT a.settings::text FROM tasksync.connected_account a WHERE a.id = $1 AND a.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	ts_run(&stmt, ts_uuid(account_id), ts_text(user_id));
	return ts_col_text(0, 1, NULL);
}

static char *
merged_settings(const char *account, const char *provider)
{
	static TsStatement stmt = {"SELECT ($1::jsonb || $2::jsonb)::text", {TEXTOID, TEXTOID}};

	ts_run(&stmt, ts_text(account), ts_text(provider));
	return ts_col_text(0, 1, NULL);
}

/*
 * add_account(type text, label text, credentials jsonb, settings jsonb) → uuid
 */
Datum
tasksync_add_account(PG_FUNCTION_ARGS)
{
	char	   *type = ts_arg_text(fcinfo, 0);
	char	   *label = ts_arg_text(fcinfo, 1);
	char	   *credentials = ts_arg_jsonb(fcinfo, 2);
	char	   *settings = PG_ARGISNULL(3) ? pstrdup("{}") : ts_arg_jsonb(fcinfo, 3);
	const TsProvider *p;
	TsCall		call;
	char	   *id;

	p = ts_known_type(type);
	ts_required(fcinfo, 1, "label");
	ts_required(fcinfo, 2, "credentials");
	check_credentials(fcinfo, 2);
	check_is_object(settings);
	if (ts_json_member(settings, "url"))
		check_settings(p, settings);
	ts_api_begin(&call);
	ts_instance_ensure();
	id = insert_account(call.user_id, type, label, settings, false);
	ts_secret_store(id, call.user_id, credentials);
	ts_api_end(&call);
	PG_RETURN_DATUM(ts_uuid_datum(id));
}

/*
 * set_credentials(account_id uuid, credentials jsonb) → void: also the way out
 * of NEEDS_AUTH.
 */
Datum
tasksync_set_credentials(PG_FUNCTION_ARGS)
{
	static TsStatement stmt = {
		"UPDATE tasksync.connected_account a SET status = 'OK', updated_at = pg_catalog.now()"
		" WHERE a.id = $1 AND a.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	char	   *account_id = ts_arg_uuid(fcinfo, 0);
	char	   *credentials = ts_arg_jsonb(fcinfo, 1);
	TsCall		call;

	ts_required(fcinfo, 1, "credentials");
	check_credentials(fcinfo, 1);
	ts_api_begin(&call);
	if (account_id == NULL || ts_run(&stmt, ts_uuid(account_id), ts_text(call.user_id)) == 0)
		ts_no_such("account", account_id);
	ts_secret_store(account_id, call.user_id, credentials);
	ts_account_is_due(account_id, call.user_id);
	ts_wake_on_commit();
	ts_api_end(&call);
	PG_RETURN_VOID();
}

static void
check_interval(int minutes)
{
	if (minutes <= 0)
		ts_bad_value("sync_interval", psprintf("%d", minutes), "It is a number of minutes above 0.");
}

/*
 * add_provider(type text, name text, credentials jsonb, settings jsonb,
 *		account_id uuid, sync_interval int) → uuid
 */
Datum
tasksync_add_provider(PG_FUNCTION_ARGS)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task_provider (user_id, type, name, account_id, settings, sync_interval,"
		" next_sync_at)"
		" VALUES ($1, $2, $3, $4, $5::jsonb, $6, pg_catalog.now() + $6 * interval '1 min') RETURNING id::text",
		{TEXTOID, TEXTOID, TEXTOID, UUIDOID, TEXTOID, INT4OID}
	};
	char	   *type = ts_arg_text(fcinfo, 0);
	char	   *name = ts_arg_text(fcinfo, 1);
	char	   *credentials = ts_arg_jsonb(fcinfo, 2);
	char	   *settings = PG_ARGISNULL(3) ? pstrdup("{}") : ts_arg_jsonb(fcinfo, 3);
	char	   *account_id = ts_arg_uuid(fcinfo, 4);
	int			interval = PG_ARGISNULL(5) ? 15 : PG_GETARG_INT32(5);
	const TsProvider *p = ts_known_type(type);
	TsCall		call;
	char	   *id;

	if (credentials && account_id)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("credentials and account_id exclude each other"),
				 errhint("Use set_credentials() to change an account's credentials.")));
	check_interval(interval);
	check_is_object(settings);
	if (credentials)
		check_credentials(fcinfo, 2);

	ts_api_begin(&call);
	if (account_id && strcmp(account_type(account_id, call.user_id), type) != 0)
		ts_bad_value("account_id", account_id, "The account is of another type.");
	check_settings(p, account_id
				   ? merged_settings(account_settings(account_id, call.user_id), settings)
				   : settings);
	ts_instance_ensure();
	if (credentials)
	{
		account_id = insert_account(call.user_id, type, account_label(credentials, settings, p),
									"{}", true);
		ts_secret_store(account_id, call.user_id, credentials);
	}
	ts_run(&stmt, ts_text(call.user_id), ts_text(type), ts_text(name ? name : p->name),
		   ts_uuid(account_id), ts_text(settings), ts_int(interval));
	id = ts_col_text(0, 1, NULL);
	ts_wake_on_commit();
	ts_api_end(&call);
	PG_RETURN_DATUM(ts_uuid_datum(id));
}

/*
 * update_provider(provider_id uuid, name text, enabled boolean, sync_enabled
 *		boolean, sync_interval int, conflict_policy text, settings jsonb)
 *		→ task_provider: NULL leaves a column as it is
 */
Datum
tasksync_update_provider(PG_FUNCTION_ARGS)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_provider p SET name = COALESCE($3, p.name),"
		" enabled = COALESCE($4, p.enabled), sync_enabled = COALESCE($5, p.sync_enabled),"
		" sync_interval = COALESCE($6, p.sync_interval),"
		" conflict_policy = COALESCE($7, p.conflict_policy), settings = COALESCE($8::jsonb, p.settings)"
		" WHERE p.id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID, BOOLOID, BOOLOID, INT4OID, TEXTOID, TEXTOID}
	};
	static TsStatement type_of = {
		"SELECT p.type, COALESCE(a.settings, '{}')::text FROM tasksync.task_provider p"
		" LEFT JOIN tasksync.connected_account a ON a.id = p.account_id AND a.user_id = p.user_id"
		" WHERE p.id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	char	   *id = ts_arg_uuid(fcinfo, 0);
	char	   *policy = ts_arg_text(fcinfo, 5);
	char	   *settings = ts_arg_jsonb(fcinfo, 6);
	const TsProvider *p;
	TsPolicy	unused;
	TsCall		call;
	Datum		row;

	if (!PG_ARGISNULL(4))
		check_interval(PG_GETARG_INT32(4));
	if (policy && !ts_policy_by_name(policy, &unused))
		ts_bad_value("conflict_policy", policy, "Use LATEST_WINS, LOCAL_WINS, REMOTE_WINS or MANUAL.");
	if (settings)
		check_is_object(settings);
	ts_api_begin(&call);
	if (id == NULL || ts_run(&type_of, ts_uuid(id), ts_text(call.user_id)) == 0)
		ts_no_such("provider", id);
	p = ts_provider_lookup(ts_col_text(0, 1, NULL));
	if (settings && p)
		check_settings(p, merged_settings(ts_col_text(0, 2, NULL), settings));
	ts_run(&stmt, ts_uuid(id), ts_text(call.user_id), ts_text(ts_arg_text(fcinfo, 1)),
		   PG_ARGISNULL(2) ? ts_text(NULL) : ts_bool(PG_GETARG_BOOL(2)),
		   PG_ARGISNULL(3) ? ts_text(NULL) : ts_bool(PG_GETARG_BOOL(3)),
		   PG_ARGISNULL(4) ? ts_text(NULL) : ts_int(PG_GETARG_INT32(4)),
		   ts_text(policy), ts_text(settings));
	row = ts_row_by_id(&select_provider, "provider", ts_uuid(id), id, &call);
	ts_wake_on_commit();
	ts_api_end(&call);
	PG_RETURN_DATUM(row);
}

/*
 * remove_provider(provider_id uuid, delete_tasks boolean) → void: mappings and
 * links go; tasks stay, or go here; nothing is deleted at the service.
 */
Datum
tasksync_remove_provider(PG_FUNCTION_ARGS)
{
	static TsStatement tasks = {
		"WITH linked AS (SELECT l.task_id FROM tasksync.task_link l"
		"  JOIN tasksync.task_list_mapping m ON m.id = l.mapping_id AND m.user_id = l.user_id"
		"  WHERE m.provider_id = $1 AND m.user_id = $2)"
		" SELECT pg_catalog.array_agg(t.id::text) FROM tasksync.task t"
		" WHERE t.user_id = $2 AND t.id IN (SELECT task_id FROM linked) AND t.provider_id = $1",
		{UUIDOID, TEXTOID}
	};
	static TsStatement disconnect = {
		"UPDATE tasksync.task t SET provider_id = NULL, external_task_id = NULL, external_url = NULL,"
		" sync_status = NULL WHERE t.provider_id = $1 AND t.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	static TsStatement remove = {
		"DELETE FROM tasksync.task_provider p WHERE p.id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	static TsStatement delete_tasks = {
		"DELETE FROM tasksync.task t WHERE t.user_id = $1 AND t.id = ANY ($2::uuid[])",
		{TEXTOID, TEXTARRAYOID}
	};
	char	   *id = ts_arg_uuid(fcinfo, 0);
	bool		with_tasks = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	char	  **ids;
	int			n;
	TsCall		call;

	ts_api_begin(&call);
	ts_run(&tasks, ts_uuid(id), ts_text(call.user_id));
	ids = ts_col_texts(0, 1, &n);
	ts_run(&disconnect, ts_uuid(id), ts_text(call.user_id));
	if (id == NULL || ts_run(&remove, ts_uuid(id), ts_text(call.user_id)) == 0)
		ts_no_such("provider", id);
	if (with_tasks && n > 0)
		ts_run(&delete_tasks, ts_text(call.user_id), ts_texts((const char *const *) ids, n));
	ts_api_end(&call);
	PG_RETURN_VOID();
}
