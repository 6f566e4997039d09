/*-------------------------------------------------------------------------
 *
 * observe.c
 *	  Tasks as answers show them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"

#define MODIFIED	"modified "

static bool
is_printable(const char *text)
{
	for (; *text; text++)
	{
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

/*
 * graph_version
 *		A task's revision: its ETag, or where there is none the time of its last
 *		change, marked as such; NULL when the answer tells neither.
 */
char *
graph_version(const TsJson *task)
{
	const char *etag = ts_json_get_string(task, "@odata.etag");
	const char *modified = ts_json_get_string(task, "lastModifiedDateTime");

	if (etag != NULL && etag[0] != '\0' && is_printable(etag))
		return pstrdup(etag);
	if (modified != NULL && modified[0] != '\0' && is_printable(modified))
		return psprintf(MODIFIED "%s", modified);
	return NULL;
}

/*
 * graph_is_version
 *		Is this the revision of the task that we know?
 */
bool
graph_is_version(const TsJson *task, const char *version)
{
	const char *seen;
	char	   *now;

	if (strncmp(version, MODIFIED, strlen(MODIFIED)) == 0)
	{
		seen = ts_json_get_string(task, "lastModifiedDateTime");
		return seen != NULL && strcmp(seen, version + strlen(MODIFIED)) == 0;
	}
	now = graph_version(task);
	return now != NULL && strcmp(now, version) == 0;
}

/*
 * graph_is_whole
 *		Whether an answer shows all of a task: a delta query may leave out what
 *		did not change, and then something of what no task is without is missing
 *		too.
 */
bool
graph_is_whole(const TsJson *task)
{
	static const char *const always[] = {"id", "title", "status", "importance", "isReminderOn", "body"};

	for (int i = 0; i < lengthof(always); i++)
	{
		if (ts_json_get(task, always[i]) == NULL)
			return false;
	}
	return ts_json_get_string(task, "id") != NULL;
}

/*
 * graph_see
 *		An observation of the whole task, in CurrentMemoryContext, for what is
 *		found on the way.
 */
TsObservation *
graph_see(const TsJson *task, const char *id)
{
	TsObservation *obs = palloc0(sizeof(TsObservation));

	obs->external_id = pstrdup(id);
	obs->etag = graph_version(task);
	obs->payload = ts_json_raw(task);
	obs->payload_len = task->raw_len;
	return obs;
}
