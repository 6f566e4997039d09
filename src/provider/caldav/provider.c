/*-------------------------------------------------------------------------
 *
 * provider.c
 *	  The CalDAV provider: its table of functions and what it can do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"
#include "provider/caldav/href.h"
#include "provider/caldav/provider.h"
#include "provider/caldav/vtodo.h"

/*
 * What the settings say about completing a recurring task.  False when they
 * say something that does not exist.
 */
static bool
recurring_completion(const char *settings, TsRecurringCompletion *result, TsError *err)
{
	char	   *value = ts_json_setting(settings, "recurring_completion", err);

	*result = TS_RECURRING_ADVANCE;
	if (ts_failed(err))
		return false;
	if (value == NULL || strcmp(value, "ADVANCE") == 0)
		return true;
	*result = TS_RECURRING_EXCEPTION;
	if (strcmp(value, "EXCEPTION") == 0)
		return true;
	ts_error(err, "22023", "invalid \"recurring_completion\" \"%s\"", value);
	ts_error_hint(err, "It is ADVANCE or EXCEPTION.");
	return false;
}

/* The url is the only setting that has to be there. */
static bool
caldav_check_settings(const char *settings, TsError *err)
{
	char	   *url = ts_json_setting(settings, "url", err);
	char	   *origin;
	char	   *path;
	TsRecurringCompletion completion;

	if (ts_failed(err))
		return false;
	if (url == NULL)
	{
		ts_error(err, "22023", "a CALDAV provider needs a \"url\" in its settings");
		ts_error_hint(err, "It is the address of the server, of the account's calendar home, or of a list.");
		return false;
	}
	if (!dav_url_split(url, &origin, &path))
	{
		/* the url is not shown: it may hold a password */
		ts_error(err, "22023", "the \"url\" of a CALDAV provider is not a usable address");
		ts_error_hint(err, "It must begin with https:// or http://, and user name and password belong in the credentials.");
		return false;
	}
	return recurring_completion(settings, &completion, err);
}

/* Any spelling of a list's path, or its URL, is one id: a list is mapped once. */
static char *
caldav_list_id(const char *given, const char *url, TsError *err)
{
	char	   *origin;
	char	   *path;
	char	   *id;

	if (url == NULL || !dav_url_split(url, &origin, &path))
		origin = "http://";		/* a fault that others report */
	id = dav_id_given(origin, given);
	if (id == NULL)
	{
		ts_error(err, "22023", "invalid external_list_id: \"%s\"", given);
		ts_error_hint(err, "It is a path on the server, such as \"/calendars/me/tasks/\"; task_lists() names them.");
	}
	return id;
}

/* Paths mean something on one server only. */
static char *
caldav_scope(const TsSite *site)
{
	char	   *origin;
	char	   *path;

	return site->url && dav_url_split(site->url, &origin, &path) ? origin : pstrdup("");
}

/* The codec's options from the engine's. */
static bool
codec_options(const TsCodecOptions *opt, TsVtodoOptions *out, TsError *err)
{
	memset(out, 0, sizeof(*out));
	if (opt == NULL)
		return true;
	out->uid = opt->uid;
	out->now = opt->now;
	out->default_time_zone = opt->default_time_zone;
	return recurring_completion(opt->settings, &out->recurring_completion, err);
}

static bool
caldav_decode(const char *payload, size_t len, const TsCodecOptions *opt,
			  TsRemoteTask *out, TsError *err)
{
	TsVtodoOptions options;
	TsVtodo		vtodo;

	if (!codec_options(opt, &options, err) ||
		!ts_vtodo_decode(payload, len, &options, &vtodo, err))
		return false;
	memset(out, 0, sizeof(*out));
	out->is_task = vtodo.is_vtodo;
	out->task = vtodo.task;
	out->uid = vtodo.uid;
	out->modified_at = vtodo.last_modified;
	out->is_recurring = vtodo.is_recurring;
	return true;
}

static char *
caldav_encode(const TsTask *task, TsFieldMask changed, const char *onto,
			  size_t onto_len, const TsCodecOptions *opt, TsError *err)
{
	TsVtodoOptions options;

	if (!codec_options(opt, &options, err))
		return NULL;
	return ts_vtodo_encode(task, changed, onto, onto_len, &options, err);
}

static char *
caldav_new_external_id(const char *list_id, const char *name)
{
	return dav_id_child(dav_id_collection(list_id), name, ".ics");
}

const TsProvider ts_caldav_provider = {
	.type = "CALDAV",
	.name = "CalDAV",
	.carries = TS_ALL_FIELDS,
	.caps = TS_CAP_CONDITIONAL | TS_CAP_MOVE | TS_CAP_CLIENT_IDS | TS_CAP_LISTS | TS_CAP_READ_BACK |
	TS_CAP_ACCOUNT,
	.fetch_batch = 100,
	.push_batch = 1,
	.check_settings = caldav_check_settings,
	.list_id = caldav_list_id,
	.scope = caldav_scope,
	.begin = dav_begin,
	.next = dav_next,
	.data = dav_data,
	.response = dav_response,
	.new_external_id = caldav_new_external_id,
	.decode = caldav_decode,
	.encode = caldav_encode,
};
