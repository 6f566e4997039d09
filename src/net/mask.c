/*-------------------------------------------------------------------------
 *
 * mask.c
 *	  Secrets in what a service says.
 *
 * A service's error may show the request that it did not like, and not always as
 * it was sent: escaped for the page or the JSON that it is shown in, or cut off.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "net/http.h"

#define MIN_SECRET	4			/* characters; what is shorter is in every other word */
#define MIN_PART	16			/* … of one that was cut off */

/* Up to "max" digits at p, at least "min"; how many there were, 0: too few. */
static int
digits(const char *p, const char *end, int base, int min, int max, pg_wchar *c)
{
	int			n = 0;

	*c = 0;
	while (n < max && p + n < end && ts_hex_digit(p[n]) >= 0 && ts_hex_digit(p[n]) < base)
		*c = *c * base + ts_hex_digit(p[n++]);
	return n < min ? 0 : n;
}

/* "&amp;", "&#38;", "&#x26;" */
static int
html_escape(const char *p, const char *end, pg_wchar *c)
{
	static const struct
	{
		const char *name;
		pg_wchar	c;
	}			names[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
	bool		is_hex = end - p > 3 && p[1] == '#' && (p[2] | 32) == 'x';
	int			start = is_hex ? 3 : 2;
	int			n;

	for (int i = 0; i < lengthof(names); i++)
		if (end - p >= strlen(names[i].name) && strncmp(p, names[i].name, strlen(names[i].name)) == 0)
		{
			*c = names[i].c;
			return strlen(names[i].name);
		}
	if (end - p <= 3 || p[1] != '#')
		return 0;
	n = digits(p + start, end, is_hex ? 16 : 10, 1, 6, c);
	return n > 0 && p + start + n < end && p[start + n] == ';' ? start + n + 1 : 0;
}

/*
 * The bytes that an escape at p stands for, and its length; 0: there is none.
 * "%2F", "\/", "\u002f", "&#47;", and "+" for a blank.
 */
static int
unescape(const char *p, const char *end, char bytes[5])
{
	pg_wchar	c = 0;
	int			n = 0;

	memset(bytes, 0, 5);
	if (*p == '%' && digits(p + 1, end, 16, 2, 2, &c) > 0)
	{
		bytes[0] = (char) c;
		return c > 0 ? 3 : 0;
	}
	if (*p == '+')
		n = 1, c = ' ';
	else if (*p == '\\' && end - p > 5 && p[1] == 'u')
		n = digits(p + 2, end, 16, 4, 4, &c) > 0 ? 6 : 0;
	else if (*p == '\\' && end - p > 1 && (p[1] == '\\' || p[1] == '/' || p[1] == '"' || p[1] == '\''))
		n = 2, c = (unsigned char) p[1];
	else if (*p == '&')
		n = html_escape(p, end, &c);
	if (n == 0 || c == 0 || c > 0x10ffff)
		return 0;
	unicode_to_utf8(c, (unsigned char *) bytes);
	return n;
}

/*
 * How much of the text at p is the secret, or a part of it that begins like it
 * and is long enough; 0: nothing.
 */
static size_t
matching(const char *p, const char *end, const char *secret, bool escaped)
{
	const char *start = p;
	const char *s = secret;

	while (p < end && *s)
	{
		char		bytes[5];
		int			n = escaped ? unescape(p, end, bytes) : 0;

		if (n > 0 && strncmp(s, bytes, strlen(bytes)) == 0)
		{
			p += n;
			s += strlen(bytes);
		}
		else if (*p == *s)
			p++, s++;
		else
			break;
	}
	return *s == '\0' || s - secret >= MIN_PART ? p - start : 0;
}

void
ts_mask(char *text, size_t len, const char *secret)
{
	char	   *end = text + len;

	if (secret == NULL || strlen(secret) < MIN_SECRET)
		return;
	while (text < end)
	{
		size_t		n = 0;

		/* at most of a long text nothing can begin */
		if (*text == *secret || strchr("%+\\&", *text) != NULL)
			n = Max(matching(text, end, secret, false), matching(text, end, secret, true));
		memset(text, '*', n);
		text += Max(n, 1);
	}
}
