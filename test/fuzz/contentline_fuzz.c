/*-------------------------------------------------------------------------
 *
 * contentline_fuzz.c
 *	  Content lines: read, printed, edited.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "provider/caldav/contentline.h"

static int
count_lines(const TsIcalDoc *doc)
{
	int			n = 0;

	for (const TsIcalLine *line = doc->head.next; line != &doc->head; line = line->next)
		n++;
	return n;
}

/* TEXT values come out storable, and go out and in again unchanged. */
static void
check_text(const char *value)
{
	char	   *text = ts_ical_unescape(value, strlen(value));
	char	   *escaped = ts_ical_escape(text);
	char	  **items;
	int			n = ts_ical_unescape_list(value, strlen(value), &items);

	fuzz_check(fuzz_is_utf8(text), "\"%s\"", value);
	fuzz_check(strpbrk(escaped, "\r\n") == NULL, "\"%s\"", escaped);
	fuzz_check(strcmp(ts_ical_unescape(escaped, strlen(escaped)), text) == 0, "\"%s\"", value);
	fuzz_check(n >= 1, "%d", n);
	for (int i = 0; i < n; i++)
		fuzz_check(fuzz_is_utf8(items[i]), "\"%s\"", value);
	fuzz_check(fuzz_is_utf8(ts_ical_clean(value, strlen(value))), "\"%s\"", value);
}

static void
check_line(const TsIcalLine *line)
{
	fuzz_check(line->len == strlen(line->text), "%d", line->len);
	if (line->name_len == 0)
		return;
	fuzz_check(line->value > line->name_len && line->value <= line->len, "\"%s\"", line->text);
	for (int i = 0; i < line->nparams; i++)
	{
		const TsIcalParam *p = &line->params[i];
		char	   *name = pnstrdup(line->text + p->name, p->name_len);

		fuzz_check(p->start < p->name && p->name + p->name_len <= p->end && p->end < line->value,
				   "\"%s\"", line->text);
		ts_ical_param(line, name);
	}
	check_text(ts_ical_value(line));
}

/* The end of the character at s, if it is one. */
static bool
splits_character(const char *s)
{
	return ((unsigned char) *s & 0xC0) == 0x80;
}

/* A line that was set is folded at 75 octets, between characters. */
static void
check_folding(const TsIcalLine *line)
{
	size_t		column = 0;

	for (size_t i = 0; i < line->raw_len; i++)
	{
		if (line->raw[i] == '\n')
			column = 0;
		else if (line->raw[i] != '\r')
			fuzz_check(++column <= 75, "%.*s", (int) line->raw_len, line->raw);
		if (line->raw[i] == '\n' && i + 2 < line->raw_len && fuzz_is_utf8(line->text))
			fuzz_check(!splits_character(line->raw + i + 2), "%.*s", (int) line->raw_len, line->raw);
	}
}

/* Sets one line: it reads as it was set, and the others are the same bytes. */
static void
check_edit(TsIcalDoc *doc, const char *before, int which, const char *text)
{
	TsIcalLine *line = doc->head.next;
	TsIcalDoc  *again;
	TsError		err = {{0}};
	size_t		offset = 0;
	char	   *after;

	for (; which > 0; which--)
	{
		offset += line->raw_len;
		line = line->next;
	}
	if (line->name_len == 0 || strcmp(line->text, "BEGIN") == 0 ||
		pg_strncasecmp(line->text, "BEGIN", 5) == 0 || pg_strncasecmp(line->text, "END", 3) == 0)
		return;
	text = psprintf("%.*s:%s", line->name_len, line->text, ts_ical_escape(text));
	fuzz_check(memcmp(before + offset, line->raw, line->raw_len) == 0, "offset %zu", offset);
	before += offset + line->raw_len;
	ts_ical_set_text(doc, line, text);
	check_folding(line);
	check_line(line);
	after = ts_ical_print(doc);
	fuzz_check(strcmp(after + offset + line->raw_len, before) == 0, "%s", after);
	again = ts_ical_parse(after, strlen(after), &err);
	fuzz_check(again != NULL, "%s\n%s", err.message, after);
	fuzz_check(count_lines(again) == count_lines(doc), "%s", after);
}

void
fuzz_one(const char *data, size_t len)
{
	TsError		err = {{0}};
	TsIcalDoc  *doc = ts_ical_parse(data, len, &err);
	StringInfoData kept;
	char	   *text;

	fuzz_check((doc == NULL) == ts_failed(&err), "%s", err.sqlstate);
	fuzz_check_error(&err);
	if (doc == NULL)
		return;
	initStringInfo(&kept);
	for (size_t i = 0; i < len; i++)
	{
		if (data[i] != '\0')
			appendStringInfoChar(&kept, data[i]);
	}
	text = ts_ical_print(doc);
	fuzz_check(strcmp(text, kept.data) == 0, "%s", text);
	for (TsIcalLine *line = doc->head.next; line != &doc->head; line = line->next)
		check_line(line);
	check_edit(doc, text, len % count_lines(doc), text + strlen(text) / 2);
}
