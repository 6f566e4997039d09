/*-------------------------------------------------------------------------
 *
 * link.c
 *	  The service's address, and where its links lead (see link.h).
 *
 * libcurl takes URLs apart, since it is what will ask for them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>

#include "lib/stringinfo.h"
#include "provider/outlook/link.h"

#define MAX_LINK	16384

typedef struct UrlParts
{
	char	   *origin;			/* with its port, always */
	char	   *shown_origin;	/* without one that is the scheme's own */
	char	   *path;
	char	   *query;			/* or NULL */
	bool		more;			/* a user name or a fragment */
} UrlParts;

/* A part of the URL, or NULL. */
static char *
url_part(CURLU *u, CURLUPart what, unsigned int flags)
{
	char	   *part;
	char	   *copy;

	if (curl_url_get(u, what, &part, flags) != CURLUE_OK)
		return NULL;
	copy = pstrdup(part);
	curl_free(part);
	return copy;
}

static char *
lower(char *text)
{
	for (char *p = text; *p; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	return text;
}

static bool
take_apart(CURLU *u, const char *url, UrlParts *parts)
{
	char	   *scheme;
	char	   *host;
	char	   *port;

	memset(parts, 0, sizeof(*parts));
	if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		return false;
	scheme = url_part(u, CURLUPART_SCHEME, 0);
	host = url_part(u, CURLUPART_HOST, 0);
	port = url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	parts->path = url_part(u, CURLUPART_PATH, 0);
	parts->query = url_part(u, CURLUPART_QUERY, 0);
	parts->more = url_part(u, CURLUPART_USER, 0) != NULL ||
		url_part(u, CURLUPART_PASSWORD, 0) != NULL ||
		url_part(u, CURLUPART_FRAGMENT, 0) != NULL;
	if (scheme == NULL || host == NULL || port == NULL || parts->path == NULL ||
		(pg_strcasecmp(scheme, "http") != 0 && pg_strcasecmp(scheme, "https") != 0))
		return false;
	parts->origin = lower(psprintf("%s://%s:%s", scheme, host, port));
	port = url_part(u, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
	parts->shown_origin = lower(psprintf("%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : ""));
	return true;
}

static bool
split(const char *url, UrlParts *parts)
{
	CURLU	   *u;
	bool		good;

	for (const char *p = url; *p; p++)
	{
		if ((unsigned char) *p <= ' ' || *p == 0x7f || IS_HIGHBIT_SET(*p) || p - url > MAX_LINK)
			return false;
	}
	u = curl_url();
	good = u != NULL && take_apart(u, url, parts);
	curl_url_cleanup(u);
	return good;
}

bool
ts_base_url(const char *url, TsBaseUrl *base)
{
	UrlParts	parts;
	size_t		len;

	if (!split(url, &parts) || parts.more || parts.query != NULL)
		return false;
	len = strlen(parts.path);
	while (len > 0 && parts.path[len - 1] == '/')
		parts.path[--len] = '\0';
	base->origin = parts.origin;
	base->path = parts.path;
	base->root = psprintf("%s%s", parts.shown_origin, parts.path);
	return true;
}

/* Segments that a server might take for a way up. */
static bool
has_dots(const char *path)
{
	char	   *copy = lower(pstrdup(path));

	return strstr(copy, "/.") != NULL || strstr(copy, "/%2e") != NULL;
}

char *
ts_link_below(const TsBaseUrl *base, const char *link)
{
	size_t		len = strlen(base->path);
	UrlParts	parts;

	if (!split(link, &parts) || parts.more || strcmp(parts.origin, base->origin) != 0 ||
		strncmp(parts.path, base->path, len) != 0 || parts.path[len] != '/' ||
		has_dots(parts.path))
		return NULL;
	return parts.query == NULL ? pstrdup(parts.path + len)
		: psprintf("%s?%s", parts.path + len, parts.query);
}

char *
ts_link_origin(const char *link)
{
	UrlParts	parts;

	return split(link, &parts) ? parts.shown_origin : NULL;
}

char *
ts_path_segment(const char *text)
{
	StringInfoData out;

	initStringInfo(&out);
	for (; *text; text++)
	{
		unsigned char b = *text;

		if (((b | 0x20) >= 'a' && (b | 0x20) <= 'z') || (b >= '0' && b <= '9') || b == '-' || b == '_' || b == '~' ||
			(b == '.' && strspn(text, ".") != strlen(text)))
			appendStringInfoChar(&out, b);
		else
			appendStringInfo(&out, "%%%02X", b);
	}
	return out.data;
}
