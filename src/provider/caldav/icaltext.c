/*-------------------------------------------------------------------------
 *
 * icaltext.c
 *	  TEXT values and parameter values: iCalendar's escapes <-> clean UTF-8.
 *
 * What comes from a service must be storable in a database: valid UTF-8, no
 * NUL, no stray control characters.  The bytes it came in stay in the
 * document; only what we read out of it is cleaned.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "provider/caldav/contentline.h"

/* A buffer of the size that is most likely needed: there may be many texts. */
static void
init_text(StringInfo out, size_t len)
{
	out->maxlen = len + 1;
	out->data = palloc(out->maxlen);
	resetStringInfo(out);
}

/* Most of a text is printable ASCII and no escape: how much, from s on, is taken as it is. */
static size_t
plain_length(const char *s, size_t len)
{
	size_t		n = 0;

	while (n < len && s[n] >= ' ' && s[n] <= '~' && s[n] != '\\')
		n++;
	return n;
}

/* Appends the character at s (at most len bytes); returns its length. */
static int
append_character(StringInfo out, const char *s, size_t len)
{
	unsigned char c = *s;
	int			width = pg_utf_mblen((const unsigned char *) s);

	if (c < 0x80)
	{
		if (c >= ' ' || c == '\t' || c == '\n')
			appendStringInfoCharMacro(out, c);
		return 1;
	}
	if ((size_t) width > len ||
		!pg_utf8_islegal((const unsigned char *) s, width))
	{
		appendStringInfoString(out, "\xEF\xBF\xBD");	/* U+FFFD */
		return 1;
	}
	appendBinaryStringInfo(out, s, width);
	return width;
}

char *
ts_ical_clean(const char *value, size_t len)
{
	StringInfoData out;

	init_text(&out, len);
	for (size_t i = 0; i < len;)
	{
		size_t		plain = plain_length(value + i, len - i);

		appendBinaryStringInfo(&out, value + i, plain);
		i += plain;
		if (i < len)
			i += append_character(&out, value + i, len - i);
	}
	return out.data;
}

/*
 * A backslash before anything but the four escapes of the RFC is taken for a
 * backslash: writers that forget to escape it are commoner than those that
 * escape too much.
 */
char *
ts_ical_unescape(const char *value, size_t len)
{
	StringInfoData out;

	init_text(&out, len);
	for (size_t i = 0; i < len;)
	{
		size_t		plain = plain_length(value + i, len - i);
		char		next;

		appendBinaryStringInfo(&out, value + i, plain);
		i += plain;
		if (i == len)
			break;
		next = value[i] == '\\' && i + 1 < len ? value[i + 1] : '\0';
		if (next == 'n' || next == 'N')
			appendStringInfoCharMacro(&out, '\n');
		else if (next == '\\' || next == ',' || next == ';')
			appendStringInfoCharMacro(&out, next);
		else
		{
			i += append_character(&out, value + i, len - i);
			continue;
		}
		i += 2;
	}
	return out.data;
}

/* Length of the list item at s: up to a comma that is not escaped. */
static size_t
item_length(const char *s, size_t len)
{
	size_t		i;

	for (i = 0; i < len && s[i] != ','; i++)
	{
		if (s[i] == '\\' && i + 1 < len)
			i++;
	}
	return i;
}

int
ts_ical_unescape_list(const char *value, size_t len, char ***items)
{
	int			n = 0;
	int			max = 8;

	*items = palloc(max * sizeof(char *));
	for (;;)
	{
		size_t		item = item_length(value, len);

		if (n == max)
		{
			max *= 2;
			*items = repalloc(*items, max * sizeof(char *));
		}
		(*items)[n++] = ts_ical_unescape(value, item);
		if (item >= len)
			return n;
		value += item + 1;
		len -= item + 1;
	}
}

char *
ts_ical_escape(const char *text)
{
	StringInfoData out;

	init_text(&out, strlen(text));
	for (const char *p = text; *p; p++)
	{
		if (*p == '\n' || *p == '\r')
		{
			if (p[0] == '\r' && p[1] == '\n')
				p++;
			appendStringInfoString(&out, "\\n");
		}
		else if (*p == '\\' || *p == ',' || *p == ';')
		{
			appendStringInfoCharMacro(&out, '\\');
			appendStringInfoCharMacro(&out, *p);
		}
		else if ((unsigned char) *p >= ' ' || *p == '\t')
			appendStringInfoCharMacro(&out, *p);
	}
	return out.data;
}

/* Quotes where the value needs it, with RFC 6868's ^ escapes. */
char *
ts_ical_param_quote(const char *value)
{
	StringInfoData out;
	const char *quote = strpbrk(value, ":;,") != NULL ? "\"" : "";

	initStringInfo(&out);
	appendStringInfoString(&out, quote);
	for (; *value; value++)
	{
		if (*value == '^')
			appendStringInfoString(&out, "^^");
		else if (*value == '"')
			appendStringInfoString(&out, "^'");
		else if (*value == '\n')
			appendStringInfoString(&out, "^n");
		else if ((unsigned char) *value >= ' ' || *value == '\t')
			appendStringInfoCharMacro(&out, *value);
	}
	appendStringInfoString(&out, quote);
	return out.data;
}
