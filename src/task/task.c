/*-------------------------------------------------------------------------
 *
 * task.c
 *	  The canonical task record: its fields, comparing and copying records,
 *	  and errors by value.
 *
 * What the forms of the values are, and why a task is an array of texts, is
 * said in task.h.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "task/task.h"

#define MAX_ERROR_TEXT	2000	/* bytes */

static char *format_text(const char *fmt, va_list args) pg_attribute_printf(1, 0);

static const char *const status_words[] = {
	"TODO", "IN_PROGRESS", "COMPLETED", "CANCELLED", NULL
};

static const char *const priority_words[] = {
	"NONE", "LOW", "MEDIUM", "HIGH", NULL
};

const TsFieldInfo ts_field_info[TS_NFIELDS] = {
	[TS_TITLE] = {"title", TS_KIND_TEXT, NULL, ""},
	[TS_DESCRIPTION] = {"description", TS_KIND_TEXT},
	[TS_STATUS] = {"status", TS_KIND_WORD, status_words, "TODO"},
	[TS_PRIORITY] = {"priority", TS_KIND_WORD, priority_words, "NONE"},
	[TS_START_DATE] = {"start_date", TS_KIND_DATE},
	[TS_START_TIME] = {"start_time", TS_KIND_TIME},
	[TS_DUE_DATE] = {"due_date", TS_KIND_DATE},
	[TS_DUE_TIME] = {"due_time", TS_KIND_TIME},
	[TS_TIME_ZONE] = {"time_zone", TS_KIND_ZONE},
	[TS_DURATION_MINUTES] = {"duration_minutes", TS_KIND_INTEGER},
	[TS_PERCENT_COMPLETE] = {"percent_complete", TS_KIND_INTEGER},
	[TS_COMPLETED_AT] = {"completed_at", TS_KIND_TIMESTAMP},
	[TS_RECURRENCE_RULE] = {"recurrence_rule", TS_KIND_RULE},
	[TS_REMIND_AT] = {"remind_at", TS_KIND_TIMESTAMP},
	[TS_TAGS] = {"tags", TS_KIND_TAGS, NULL, "[]"},
	[TS_URL] = {"url", TS_KIND_TEXT},
	[TS_PARENT_TASK_ID] = {"parent_task_id", TS_KIND_REFERENCE},
};

/*
 * ts_field_by_name
 *		The field whose column has this name (not NUL-terminated), or -1.
 */
int
ts_field_by_name(const char *name, size_t len)
{
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		const char *known = ts_field_info[f].name;

		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return f;
	}
	return -1;
}

/* Are two JSON arrays of strings the same set? */
static bool
tags_equal(const char *a, const char *b)
{
	int			na;
	int			nb;
	char	  **atags = ts_tags_split(a, &na);
	char	  **btags = ts_tags_split(b, &nb);

	if (atags == NULL || btags == NULL || na != nb)
		return false;
	atags = ts_tags_sorted(atags, na);
	for (int i = 0; i < nb; i++)
	{
		if (!ts_tags_contain(atags, na, btags[i]))
			return false;
	}
	return true;
}

/*
 * ts_value_equal
 *		Do two canonical values of field f mean the same?
 */
bool
ts_value_equal(TsField f, const char *a, const char *b)
{
	if (a == NULL || b == NULL || a == b)
		return a == b;
	if (strcmp(a, b) == 0)
		return true;
	return ts_field_info[f].kind == TS_KIND_TAGS && tags_equal(a, b);
}

/*
 * ts_task_diff
 *		The fields among "mask" in which two records differ.
 *
 * A field that neither knows does not differ; one that a single side knows
 * does, whatever its value.
 */
TsFieldMask
ts_task_diff(const TsTask *a, const TsTask *b, TsFieldMask mask)
{
	TsFieldMask both = a->known & b->known & mask;
	TsFieldMask diff = (a->known ^ b->known) & mask;

	for (int f = 0; f < TS_NFIELDS; f++)
	{
		if ((both & TS_FIELD_BIT(f)) != 0 &&
			!ts_value_equal(f, a->value[f], b->value[f]))
			diff |= TS_FIELD_BIT(f);
	}
	return diff;
}

/*
 * ts_task_copy
 *		A deep copy into CurrentMemoryContext.
 */
void
ts_task_copy(TsTask *to, const TsTask *from)
{
	to->known = from->known;
	for (int f = 0; f < TS_NFIELDS; f++)
		to->value[f] = from->value[f] ? pstrdup(from->value[f]) : NULL;
}

static char *format_text(const char *fmt, va_list args) pg_attribute_printf(1, 0);

/* A text is cut off before it is too long to be read: services quote at length. */
static void
shorten(StringInfo text)
{
	int			len = MAX_ERROR_TEXT;

	if (text->len <= MAX_ERROR_TEXT)
		return;
	while (len > 0 && ((unsigned char) text->data[len] & 0xC0) == 0x80)
		len--;
	strcpy(text->data + len, "...");
}

/*
 * Puts "?" in place of what a table or a log cannot take: bytes that are no
 * UTF-8 and control characters.  Texts quote what a service sent, and quote it
 * cut off in the middle of a character.
 */
static char *
make_storable(char *text)
{
	char	   *p = text;

	while (*p != '\0')
	{
		int			width = pg_utf_mblen((unsigned char *) p);

		if (strnlen(p, width) < width || !pg_utf8_islegal((unsigned char *) p, width))
			width = 1;
		if (width == 1 && (*p < ' ' || *p == 0x7f) && *p != '\n')
			*p = '?';
		p += width;
	}
	return text;
}

/* printf into a palloc'd string of any length */
static char *
format_text(const char *fmt, va_list args)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		copy;
		int			needed;

		va_copy(copy, args);
		needed = appendStringInfoVA(&buf, fmt, copy);
		va_end(copy);
		if (needed == 0)
		{
			shorten(&buf);
			return make_storable(buf.data);
		}
		enlargeStringInfo(&buf, needed);
	}
}

/*
 * ts_error
 *		Say what went wrong: an SQLSTATE of the contract and a one-line message
 *		in PostgreSQL's style.  Clears an earlier detail and hint.
 *
 * What the arguments quote may be any bytes; the text is clean UTF-8 of at most
 * MAX_ERROR_TEXT bytes.
 */
void
ts_error(TsError *err, const char *sqlstate, const char *fmt,...)
{
	va_list		args;

	strlcpy(err->sqlstate, sqlstate, sizeof(err->sqlstate));
	va_start(args, fmt);
	err->message = format_text(fmt, args);
	va_end(args);
	err->detail = NULL;
	err->hint = NULL;
}

void
ts_error_detail(TsError *err, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	err->detail = format_text(fmt, args);
	va_end(args);
}

void
ts_error_hint(TsError *err, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	err->hint = format_text(fmt, args);
	va_end(args);
}

/*
 * ts_error_text
 *		Message, detail and hint in lines of their own, as psql shows them.
 */
char *
ts_error_text(const TsError *err)
{
	return psprintf("%s%s%s%s%s", err->message, err->detail ? "\nDETAIL:  " : "",
					err->detail ? err->detail : "", err->hint ? "\nHINT:  " : "",
					err->hint ? err->hint : "");
}

/*
 * ts_error_copy
 *		The same error, its texts in another context.
 */
void
ts_error_copy(TsError *to, const TsError *from, MemoryContext cxt)
{
	memcpy(to->sqlstate, from->sqlstate, sizeof(to->sqlstate));
	to->message = from->message ? MemoryContextStrdup(cxt, from->message) : NULL;
	to->detail = from->detail ? MemoryContextStrdup(cxt, from->detail) : NULL;
	to->hint = from->hint ? MemoryContextStrdup(cxt, from->hint) : NULL;
}
