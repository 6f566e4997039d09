/*-------------------------------------------------------------------------
 *
 * members.c
 *	  The members of a small JSON object: settings, cursors, answers of a few
 *	  strings and numbers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "task/task.h"

typedef struct Reader
{
	int			depth;
	char	   *name;			/* of the member being read, at depth 1 */
	TsMemberFound found;
	void	   *arg;
} Reader;

static void
enter(void *state)
{
	((Reader *) state)->depth++;
}

static void
leave(void *state)
{
	((Reader *) state)->depth--;
}

static void
object_begins(void *state)
{
	Reader	   *reader = state;

	if (reader->depth++ == 0)
		reader->name = NULL;
}

static void
member(void *state, char *name, bool is_null)
{
	Reader	   *reader = state;

	if (reader->depth == 1)
		reader->name = name;
}

static void
scalar(void *state, char *token, JsonTokenType type)
{
	Reader	   *reader = state;

	if (reader->depth == 1 && reader->name != NULL && type != JSON_TOKEN_NULL)
		reader->found(reader->arg, reader->name, token, type == JSON_TOKEN_STRING);
}

bool
ts_json_members(const char *json, size_t len, TsMemberFound found, void *arg)
{
	Reader		reader = {.found = found, .arg = arg};
	JsonSemAction actions = {
		.semstate = &reader,
		.object_start = object_begins,
		.object_end = leave,
		.array_start = enter,
		.array_end = leave,
		.object_field_start = member,
		.scalar = scalar,
	};

	if (len > PG_INT32_MAX || !ts_json_is_shallow(json, len))
		return false;
	return pg_parse_json(makeJsonLexContextCstringLen(unconstify(char *, json), len, PG_UTF8, true),
						 &actions) == JSON_SUCCESS;
}

typedef struct Wanted
{
	const char *name;
	char	   *value;
} Wanted;

static void
find(void *arg, const char *name, const char *value, bool is_string)
{
	Wanted	   *wanted = arg;

	if (is_string && strcmp(name, wanted->name) == 0)
		wanted->value = pstrdup(value);
}

char *
ts_json_setting(const char *json, const char *name, TsError *err)
{
	Wanted		wanted = {.name = name};

	if (json != NULL && !ts_json_members(json, strlen(json), find, &wanted))
		ts_error(err, "22023", "the provider's settings are not valid JSON");
	return wanted.value;
}
