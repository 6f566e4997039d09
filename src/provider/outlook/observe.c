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

const char *const graph_belongings[GRAPH_NBELONGINGS] = {"linkedResources", "checklistItems"};

/*
 * graph_has_belongings
 *		Whether an answer shows what belongs to the task, if there is any.
 */
bool
graph_has_belongings(const TsJson *task)
{
	for (int i = 0; i < GRAPH_NBELONGINGS; i++)
	{
		if (ts_json_get_kind(task, graph_belongings[i], TS_JSON_ARRAY) == NULL)
			return false;
	}
	return true;
}

/*
 * graph_see_written
 *		An observation of the whole task, in CurrentMemoryContext, of the answer
 *		to a write.  That does not show what belongs to the task, which is as it
 *		was when the write was planned: "sent" has it.
 */
TsObservation *
graph_see_written(const TsJson *task, const char *id, const char *sent, size_t sent_len)
{
	TsObservation *obs = palloc0(sizeof(TsObservation));
	TsError		err = {0};
	const TsJson *known = sent != NULL ? ts_json_parse(sent, sent_len, &err) : NULL;
	StringInfoData whole;

	initStringInfo(&whole);
	ts_json_open(&whole);
	ts_json_put_members(&whole, task, NULL);
	for (int i = 0; i < GRAPH_NBELONGINGS; i++)
	{
		const TsJson *old = ts_json_get_kind(known, graph_belongings[i], TS_JSON_ARRAY);

		if (old != NULL && ts_json_get(task, graph_belongings[i]) == NULL)
			ts_json_put_raw(&whole, graph_belongings[i], old->raw, old->raw_len);
	}
	ts_json_close(&whole);
	obs->external_id = pstrdup(id);
	obs->etag = graph_version(task);
	obs->payload = whole.data;
	obs->payload_len = whole.len;
	return obs;
}
