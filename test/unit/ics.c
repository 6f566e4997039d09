/*-------------------------------------------------------------------------
 *
 * ics.c
 *	  Helpers of the codec's tests.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <stdlib.h>

#include "ics.h"
#include "provider/caldav/contentline.h"
#include "tap.h"

const TsVtodoOptions ics_options = {
	.uid = "new-uid",.now = ICS_NOW,.default_time_zone = "Europe/Berlin"
};

const char *ics_folder = "samples";

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

char	  **
ics_samples(void)
{
	char	  **names = palloc0(1000 * sizeof(char *));
	DIR		   *dir = opendir(ics_folder);
	struct dirent *entry;
	int			n = 0;

	while (dir != NULL && n < 999 && (entry = readdir(dir)) != NULL)
	{
		size_t		len = strlen(entry->d_name);

		if (len > 4 && strcmp(entry->d_name + len - 4, ".ics") == 0)
			names[n++] = pnstrdup(entry->d_name, len - 4);
	}
	if (dir != NULL)
		closedir(dir);
	qsort(names, n, sizeof(char *), compare_names);
	return names;
}

char *
ics_read(const char *name)
{
	size_t		len;

	return tap_read_file(psprintf("%s/%s.ics", ics_folder, name), &len);
}

char *
ics_decode(const char *text)
{
	TsVtodo		todo;
	TsError		err;
	StringInfoData out;

	if (!ts_vtodo_decode(text, strlen(text), &ics_options, &todo, &err))
		return pstrdup(err.sqlstate);
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		if (todo.task.value[f] == NULL)
			todo.task.known &= ~TS_FIELD_BIT(f);
	}
	initStringInfo(&out);
	ts_task_to_json(&todo.task, TS_ALL_FIELDS, &out);
	return out.data;
}

char *
ics_edit(const char *onto, const char *json, const TsVtodoOptions *opt)
{
	TsTask		task;
	TsError		err;
	char	   *text;

	if (!ts_task_from_json(json, strlen(json), &task, &err))
	{
		fprintf(stderr, "bad JSON in a test: %s: %s\n", json, err.message);
		abort();
	}
	text = ts_vtodo_encode(&task, task.known, onto, onto ? strlen(onto) : 0,
						   opt ? opt : &ics_options, &err);
	return text ? text : pstrdup(err.sqlstate);
}

/* All lines, unfolded; those that every edit touches are left out. */
static int
split_lines(const char *text, char ***lines)
{
	TsError		err = {{0}};
	TsIcalDoc  *doc = ts_ical_parse(text, strlen(text), &err);
	int			n = 0;

	*lines = palloc((strlen(text) + 1) * sizeof(char *));
	if (doc == NULL)
	{
		(*lines)[0] = pstrdup(text);
		return 1;
	}
	for (TsIcalLine *line = doc->head.next; line != &doc->head; line = line->next)
	{
		if (pg_strncasecmp(line->text, "DTSTAMP", 7) != 0 &&
			pg_strncasecmp(line->text, "LAST-MODIFIED", 13) != 0)
			(*lines)[n++] = line->text;
	}
	return n;
}

char *
ics_difference(const char *before, const char *after)
{
	char	  **old;
	char	  **new;
	int			nold = split_lines(before, &old);
	int			nnew = split_lines(after, &new);
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < nold; i++)
	{
		int			j = 0;

		while (j < nnew && (new[j] == NULL || strcmp(old[i], new[j]) != 0))
			j++;
		if (j < nnew)
			new[j] = NULL;
		else
			appendStringInfo(&out, "-%s\n", old[i]);
	}
	for (int j = 0; j < nnew; j++)
	{
		if (new[j] != NULL)
			appendStringInfo(&out, "+%s\n", new[j]);
	}
	return out.data;
}
