/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Task records as JSON objects whose keys are column names, and tags as
 *	  JSON arrays.
 *
 * PostgreSQL's own JSON parser reads (the one that front-end programs link
 * as well), so that what is JSON here is JSON to the server.  Its recursion is
 * only guarded inside a server, hence the check of the nesting beforehand.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "task/task.h"

#define MAX_NESTING		64
#define NO_FIELD		(-1)

/* What the parser's callbacks share. */
typedef struct ObjectState
{
	JsonLexContext *lex;
	TsTask	   *task;
	TsError    *err;
	int			depth;			/* open objects and arrays */
	int			field;			/* the field whose value is being read */
	char	  **tags;			/* collected so far */
	int			ntags;
	int			maxtags;
} ObjectState;

bool
ts_json_is_shallow(const char *json, size_t len)
{
	bool		in_string = false;
	int			depth = 0;

	for (size_t i = 0; i < len; i++)
	{
		char		c = json[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{'))
		{
			if (++depth > MAX_NESTING)
				return false;
		}
		else if (!in_string && (c == ']' || c == '}'))
			depth--;
	}
	return true;
}

static void
collect_tag(ObjectState *state, char *tag)
{
	if (state->ntags == state->maxtags)
	{
		state->maxtags = Max(8, state->maxtags * 2);
		state->tags = state->tags == NULL ?
			palloc(state->maxtags * sizeof(char *)) :
			repalloc(state->tags, state->maxtags * sizeof(char *));
	}
	state->tags[state->ntags++] = tag;
}

static void
bad_type(ObjectState *state)
{
	if (!ts_failed(state->err))
		ts_error(state->err, "22023", "invalid value for \"%s\": not of the field's type",
				 ts_field_info[state->field].name);
}

static void
set_value(ObjectState *state, char *value)
{
	state->task->known |= TS_FIELD_BIT(state->field);
	state->task->value[state->field] = value;
}

static void
object_start(void *arg)
{
	ObjectState *state = arg;

	if (state->depth >= 1 && state->field != NO_FIELD)
		bad_type(state);
	state->depth++;
}

static void
object_end(void *arg)
{
	((ObjectState *) arg)->depth--;
}

static void
array_start(void *arg)
{
	ObjectState *state = arg;

	if (state->field != NO_FIELD)
	{
		if (state->field != TS_TAGS || state->depth != 1)
			bad_type(state);
		state->tags = NULL;
		state->ntags = state->maxtags = 0;
	}
	state->depth++;
}

static void
array_end(void *arg)
{
	ObjectState *state = arg;

	state->depth--;
	if (state->field == TS_TAGS && state->depth == 1)
	{
		state->ntags = ts_tags_unique(state->tags, state->ntags);
		set_value(state, ts_tags_join(state->tags, state->ntags));
	}
}

static void
field_start(void *arg, char *name, bool isnull)
{
	ObjectState *state = arg;

	if (state->depth == 1)
		state->field = ts_field_by_name(name, strlen(name));
}

static void
field_end(void *arg, char *name, bool isnull)
{
	ObjectState *state = arg;

	if (state->depth == 1)
		state->field = NO_FIELD;
}

static void
scalar(void *arg, char *token, JsonTokenType type)
{
	ObjectState *state = arg;
	TsField		f = state->field;
	char	   *value;

	if (state->field == NO_FIELD || ts_failed(state->err))
		return;
	if (f == TS_TAGS && state->depth == 2)
	{
		if (type == JSON_TOKEN_STRING)
			collect_tag(state, token);
		else if (type != JSON_TOKEN_NULL)
			bad_type(state);
		return;
	}
	if (type == JSON_TOKEN_NULL)
	{
		const char *fallback = ts_field_info[f].fallback;

		set_value(state, fallback ? pstrdup(fallback) : NULL);
		return;
	}
	if (f == TS_TAGS)
	{
		bad_type(state);
		return;
	}
	value = ts_value_canonical(f, token, state->err);
	if (value != NULL)
		set_value(state, value);
}

/* Runs the parser with these callbacks; false with err set for bad JSON. */
static bool
parse_json(const char *json, size_t len, ObjectState *state, JsonSemAction *actions)
{
	JsonParseErrorType result;

	if (len > PG_INT32_MAX || !ts_json_is_shallow(json, len))
	{
		ts_error(state->err, "22023", "JSON value is nested too deeply or too large");
		return false;
	}
	state->lex = makeJsonLexContextCstringLen(unconstify(char *, json), len, PG_UTF8, true);
	actions->semstate = state;
	result = pg_parse_json(state->lex, actions);
	if (result != JSON_SUCCESS)
	{
		ts_error(state->err, "22023", "malformed JSON");
		if (state->lex->token_start != NULL)
			ts_error_detail(state->err, "The error is at byte %d.",
							(int) (state->lex->token_start - state->lex->input) + 1);
	}
	return !ts_failed(state->err);
}

/*
 * ts_task_from_json
 *		Read a JSON object whose keys are column names into *task.
 *
 * Keys that are no fields are ignored, fields without a key stay unknown.
 * NULL for a column that cannot be NULL means its default.  Returns false
 * with *err set (22023) for malformed JSON and for values that are not of
 * their field.
 */
bool
ts_task_from_json(const char *json, size_t len, TsTask *task, TsError *err)
{
	ObjectState state = {.task = task,.err = err,.field = NO_FIELD};
	JsonSemAction actions = {
		.object_start = object_start,.object_end = object_end,
		.array_start = array_start,.array_end = array_end,
		.object_field_start = field_start,.object_field_end = field_end,
		.scalar = scalar
	};
	size_t		first = 0;

	memset(task, 0, sizeof(*task));
	memset(err, 0, sizeof(*err));
	while (first < len && strchr(" \t\r\n", json[first]) != NULL && json[first])
		first++;
	if (!parse_json(json, len, &state, &actions))
		return false;
	if (json[first] != '{')
	{
		ts_error(err, "22023", "a task must be a JSON object");
		return false;
	}
	return true;
}

/*
 * ts_json_string
 *		Append s as a JSON string, escaped as PostgreSQL's to_jsonb does.
 */
void
ts_json_string(StringInfo out, const char *s)
{
	static const char specials[] = "\b\f\n\r\t\"\\"
		"\x01\x02\x03\x04\x05\x06\x07\x0b\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17"
		"\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";
	static const char letters[] = "bfnrt\"\\";

	appendStringInfoCharMacro(out, '"');
	for (;;)
	{
		size_t		plain = strcspn(s, specials);
		size_t		special;

		appendBinaryStringInfo(out, s, plain);
		s += plain;
		if (*s == '\0')
			break;
		special = strchr(specials, *s) - specials;
		if (special < strlen(letters))
			appendStringInfo(out, "\\%c", letters[special]);
		else
			appendStringInfo(out, "\\u%04x", (unsigned char) *s);
		s++;
	}
	appendStringInfoCharMacro(out, '"');
}

/*
 * ts_task_to_json
 *		Append the known fields among "mask", NULLs included, as an object.
 */
void
ts_task_to_json(const TsTask *task, TsFieldMask mask, StringInfo out)
{
	const char *separator = "";

	appendStringInfoCharMacro(out, '{');
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		const TsFieldInfo *info = &ts_field_info[f];
		const char *value = task->value[f];

		if ((task->known & mask & TS_FIELD_BIT(f)) == 0)
			continue;
		appendStringInfoString(out, separator);
		appendStringInfoCharMacro(out, '"');
		appendStringInfoString(out, info->name);
		appendStringInfoString(out, "\": ");
		if (value == NULL)
			appendStringInfoString(out, "null");
		else if (info->kind == TS_KIND_INTEGER || info->kind == TS_KIND_TAGS)
			appendStringInfoString(out, value);
		else
			ts_json_string(out, value);
		separator = ", ";
	}
	appendStringInfoCharMacro(out, '}');
}

/*
 * ts_tags_split
 *		The strings of a JSON array, each once, in their order.
 *
 * NULL is an empty list.  Returns NULL (and *n 0) for what is not an array of
 * strings; an empty list is an array of no elements, not NULL.
 */
char	  **
ts_tags_split(const char *json, int *n)
{
	TsError		err = {{0}};
	TsTask		task = {0};
	ObjectState state = {.task = &task,.err = &err,.field = TS_TAGS,.depth = 1};
	JsonSemAction actions = {
		.object_start = object_start,.object_end = object_end,
		.array_start = array_start,.array_end = array_end,
		.scalar = scalar
	};

	*n = 0;
	if (json != NULL && !parse_json(json, strlen(json), &state, &actions))
		return NULL;
	if (json != NULL && task.value[TS_TAGS] == NULL)
		return NULL;
	*n = state.ntags;
	return state.tags ? state.tags : palloc(sizeof(char *));
}
