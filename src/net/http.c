/*-------------------------------------------------------------------------
 *
 * http.c
 *	  The few operations on requests and responses as plain data.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>
#include <math.h>

#include "mb/pg_wchar.h"
#include "net/http.h"

#define MAX_RETRY_AFTER 7200	/* seconds */
#define MAX_READ		65536	/* bytes of a text that are looked at for that */
#define MAX_SAID		200		/* characters of a server's words in an error */

/*
 * ts_response_header
 *		The first header of that name, or NULL.  "name" is in any case.
 */
const char *
ts_response_header(const TsResponse *resp, const char *name)
{
	for (int i = 0; i < resp->nheaders; i++)
	{
		if (pg_strcasecmp(resp->headers[i].name, name) == 0)
			return resp->headers[i].value;
	}
	return NULL;
}

/*
 * ts_response_headers
 *		Sets the headers, names in lower case, from their lines as they came.
 */
void
ts_response_headers(TsResponse *resp, const char *text)
{
	char	   *copy = pstrdup(text);
	char	   *save = NULL;
	int			max = 1;

	for (char *p = copy; *p; p++)
		max += *p == '\n' || *p == '\r';
	resp->nheaders = 0;
	resp->headers = palloc0(sizeof(TsHeader) * max);
	for (char *line = strtok_r(copy, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
	{
		char	   *colon = strchr(line, ':');
		char	   *value;
		size_t		len;

		if (colon == NULL)
			continue;
		*colon = '\0';
		for (char *p = line; *p; p++)
			*p = pg_ascii_tolower((unsigned char) *p);
		value = colon + 1 + strspn(colon + 1, " \t");
		len = strlen(value);
		while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
			value[--len] = '\0';
		resp->headers[resp->nheaders].name = line;
		resp->headers[resp->nheaders++].value = value;
	}
}

/*
 * ts_response_time
 *		When an answer was given, by the clock of who gave it, and else by ours.
 */
int64
ts_response_time(const TsResponse *resp)
{
	const char *date = ts_response_header(resp, "date");
	time_t		at = date ? curl_getdate(date, NULL) : -1;

	return at >= 0 ? at : time(NULL);
}

/*
 * ts_retry_after
 *		Seconds that a Retry-After header asks for, a number or a date (RFC 9110
 *		10.2.3; some services say fractions), two hours at most; -1: it says nothing.
 */
int
ts_retry_after(const char *value, int64 now)
{
	time_t		at;

	if (value == NULL)
		return -1;
	if (value[0] >= '0' && value[0] <= '9')
		return (int) ceil(Min(strtod(value, NULL), MAX_RETRY_AFTER));
	at = curl_getdate(value, NULL);
	if (at < 0)
		return -1;
	return Max(0, Min(at - now, MAX_RETRY_AFTER));
}

/*
 * ts_response_words
 *		What a part of an answer says, for an error's detail: markup dropped, white
 *		space folded, only what is legal UTF-8 and printable, no secret that was
 *		sent, at most MAX_SAID characters.
 */
char *
ts_response_words(const TsResponse *resp, const char *text, size_t len)
{
	size_t		read = Min(len, MAX_READ);
	char	   *copy = memcpy(palloc(read + 1), text, read);
	const char *end = copy + read;
	StringInfoData out;
	bool		in_tag = false;
	bool		gap = false;
	int			n = 0;

	/* before anything is left out: a part of a secret is not known for one any more */
	for (const char *const *secret = resp->secrets; secret != NULL && *secret != NULL; secret++)
		ts_mask(copy, read, *secret);
	text = copy;
	initStringInfo(&out);
	while (text < end && n < MAX_SAID)
	{
		int			size = pg_utf_mblen((const unsigned char *) text);

		if (size > end - text || !pg_utf8_islegal((const unsigned char *) text, size))
			size = 1;
		if (*text == '<' || *text == '>')
			in_tag = *text == '<';
		if (in_tag || *text == '>' || (size == 1 && (*text <= ' ' || *text > '~')))
			gap = true;
		else
		{
			if (gap && out.len > 0)
				appendStringInfoChar(&out, ' ');
			gap = false;
			appendBinaryStringInfo(&out, text, size);
			n++;
		}
		text += size;
	}
	explicit_bzero(copy, read);
	return out.data;
}

/*
 * ts_request_header
 *		Adds a header; the strings must live as long as the request.
 *
 * A provider that needs more than TS_MAX_HEADERS is wrong at compile time, so
 * there is no error to report, only an assertion.
 */
void
ts_request_header(TsRequest *req, const char *name, const char *value)
{
	Assert(req->nheaders < TS_MAX_HEADERS);

	req->headers[req->nheaders].name = name;
	req->headers[req->nheaders].value = value;
	req->nheaders++;
}

int
ts_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void
ts_url_escape(StringInfo out, const char *text)
{
	for (; *text; text++)
	{
		unsigned char c = *text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr("-._~", c) != NULL)
			appendStringInfoChar(out, c);
		else
			appendStringInfo(out, "%%%02X", c);
	}
}
