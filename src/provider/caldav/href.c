/*-------------------------------------------------------------------------
 *
 * href.c
 *	  What CalDAV servers call things, brought to one form.
 *
 * Servers escape differently (%C3%A9 or %c3%a9, "@" or %40), escape differently
 * from one report to the next, answer with absolute URLs of a host that is not
 * the one we asked, or with names that look like URLs of a strange scheme
 * ("urn:uuid:1.ics" is a relative href of Xandikos).  So an href is decoded and
 * encoded again in one way, and its host is believed only where it may differ.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "net/http.h"
#include "provider/caldav/href.h"

/* The length of "http://" or "https://", or 0. */
static int
scheme_length(const char *url)
{
	if (pg_strncasecmp(url, "http://", 7) == 0)
		return 7;
	if (pg_strncasecmp(url, "https://", 8) == 0)
		return 8;
	return 0;
}

/*
 * The byte at *s, percent-decoded, with *s moved behind it.  A "%" that starts
 * no escape stands for itself: SOGo's reports don't escape.
 */
static unsigned char
decode_byte(const char **s, const char *end, bool *was_escaped)
{
	const char *p = *s;

	*was_escaped = p[0] == '%' && end - p >= 3 &&
		ts_hex_digit(p[1]) >= 0 && ts_hex_digit(p[2]) >= 0;
	*s += *was_escaped ? 3 : 1;
	return *was_escaped ? ts_hex_digit(p[1]) * 16 + ts_hex_digit(p[2]) : (unsigned char) p[0];
}

/* RFC 3986's unreserved characters, and "@", which every server takes raw. */
static bool
is_plain_byte(unsigned char b)
{
	return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') ||
		(b >= '0' && b <= '9') || (b != '\0' && strchr("-._~@", b) != NULL);
}

/*
 * Appends a path in canonical form.  An escaped slash is part of a name and
 * stays escaped; slashes that follow one another are one.
 */
static void
append_canonical(StringInfo out, const char *path, size_t len)
{
	const char *end = path + len;

	while (path < end)
	{
		bool		was_escaped;
		unsigned char b = decode_byte(&path, end, &was_escaped);

		if (b == '/' && !was_escaped)
		{
			if (out->len == 0 || out->data[out->len - 1] != '/')
				appendStringInfoChar(out, '/');
		}
		else if (is_plain_byte(b))
			appendStringInfoChar(out, b);
		else
			appendStringInfo(out, "%%%02X", b);
	}
}

/* Without leading and trailing white space, in place of the caller's pointers. */
static void
trim(const char **s, size_t *len)
{
	while (*len > 0 && isspace((unsigned char) (*s)[0]))
	{
		(*s)++;
		(*len)--;
	}
	while (*len > 0 && isspace((unsigned char) (*s)[*len - 1]))
		(*len)--;
}

/* "scheme://authority" of an id on another host; "" of a path. */
static size_t
origin_length(const char *id)
{
	int			scheme = scheme_length(id);

	return scheme > 0 ? scheme + strcspn(id + scheme, "/?#") : 0;
}

/* Whether an origin can be asked: no user name or password, no bytes that end it. */
static bool
is_plain_origin(const char *url, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if ((unsigned char) url[i] <= ' ' || url[i] == 0x7f ||
			strchr("\"<>@\\^`{|}", url[i]) != NULL)
			return false;
	}
	return true;
}

/* Whether two origins have the same host; scheme and port may differ. */
static bool
same_host(const char *a, const char *b)
{
	size_t		la,
				lb;

	a += scheme_length(a);
	b += scheme_length(b);
	la = a[0] == '[' ? strcspn(a, "]/") : strcspn(a, ":/?#");
	lb = b[0] == '[' ? strcspn(b, "]/") : strcspn(b, ":/?#");
	return la == lb && pg_strncasecmp(a, b, la) == 0;
}

/* Whether an authority without user name names a host, and a port only if there is such a one. */
static bool
is_host_and_port(const char *authority, size_t len)
{
	const char *end = authority + len;
	const char *bracket = len > 0 && authority[0] == '[' ? memchr(authority, ']', len) : NULL;
	const char *colon = memchr(bracket ? bracket : authority, ':', end - (bracket ? bracket : authority));
	int			port = 0;

	if (len == 0 || colon == authority || (authority[0] == '[' && bracket == NULL))
		return false;
	if (colon == NULL)
		return true;
	for (const char *p = colon + 1; p < end; p++)
	{
		if (*p < '0' || *p > '9' || port > 6553)
			return false;
		port = port * 10 + *p - '0';
	}
	return colon + 1 == end || (port > 0 && port <= 65535);
}

/* Nothing of the sort is in an address; whoever writes one means something else. */
static bool
has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char) *s < ' ' || *s == 0x7f)
			return true;
	return false;
}

/*
 * dav_url_split
 *		A configured URL as origin ("https://host:8443") and canonical path.
 *
 * False unless it is http or https, has a host, no control characters, and no
 * user name or password, which belong to the account.  A query or fragment is
 * left out.
 */
bool
dav_url_split(const char *url, char **origin, char **path)
{
	StringInfoData canonical;
	size_t		length = origin_length(url);
	size_t		host = length > 0 ? length - scheme_length(url) : 0;

	if (has_control(url) || !is_host_and_port(url + length - host, host) ||
		!is_plain_origin(url, length))
		return false;

	*origin = pnstrdup(url, length);
	initStringInfo(&canonical);
	appendStringInfoChar(&canonical, '/');
	append_canonical(&canonical, url + length, strcspn(url + length, "?#"));
	*path = canonical.data;
	return true;
}

/*
 * dav_id_path
 *		The path of an id (a part of it, not a copy).
 */
const char *
dav_id_path(const char *id)
{
	return id + origin_length(id);
}

/* base's origin, then href's path, made absolute against base's. */
static char *
resolve_path(const char *base, const char *href, size_t len)
{
	StringInfoData id;
	StringInfoData canonical;
	const char *path = dav_id_path(base);
	const char *slash = strrchr(path, '/');

	initStringInfo(&canonical);
	if (len == 0 || href[0] != '/')
		append_canonical(&canonical, path, slash ? slash - path + 1 : 0);
	append_canonical(&canonical, href, len);

	initStringInfo(&id);
	appendBinaryStringInfo(&id, base, origin_length(base));
	appendBinaryStringInfo(&id, canonical.data, canonical.len);
	pfree(canonical.data);
	return id.data;
}

/*
 * dav_id_resolve
 *		The id of an href that may lead to another host (a principal, a home).
 *
 * "origin" is the configured site's; "base" the id of what was asked.  A host
 * that could not be asked is not believed.
 */
char *
dav_id_resolve(const char *origin, const char *base, const char *href)
{
	size_t		len = strlen(href);
	size_t		authority;
	char	   *there;
	char	   *id;

	trim(&href, &len);
	href = pnstrdup(href, len);
	authority = origin_length(href);
	if (authority == 0)
		return resolve_path(base, href, len);
	if (same_host(href, origin) || !is_plain_origin(href, authority))
		return resolve_path("/", href + authority, len - authority);

	there = psprintf("%.*s/", (int) authority, href);
	id = resolve_path(there, href + authority, len - authority);
	pfree(there);
	return id;
}

/*
 * dav_id_member
 *		The id of an href in the answer about the collection "base".
 *
 * RFC 4918 8.3: a response names things in the request's own name space.  A
 * different host there is a proxy that does not rewrite bodies: its name is
 * not believed.
 */
char *
dav_id_member(const char *base, const char *href)
{
	size_t		len = strlen(href);
	size_t		authority;

	trim(&href, &len);
	authority = Min(origin_length(href), len);	/* it sees what was trimmed, too */
	return resolve_path(base, href + authority, len - authority);
}

/*
 * dav_id_collection
 *		The id (or an href of ours in any escaping) with its trailing slash.
 */
char *
dav_id_collection(const char *id)
{
	char	   *canonical = dav_id_member(id, dav_id_path(id));

	return dav_id_is_collection(canonical) ? canonical : psprintf("%s/", canonical);
}

/*
 * dav_id_given
 *		The id of a list as a user names it: its path in any escaping, or its
 *		URL, without query and fragment.  NULL where it is neither.
 */
char *
dav_id_given(const char *origin, const char *given)
{
	char	   *there;
	char	   *path;

	if (has_control(given))
		return NULL;
	if (given[0] == '/')
		return dav_id_collection(dav_id_member("/", given));
	if (!dav_url_split(given, &there, &path))
		return NULL;
	return dav_id_collection(dav_id_resolve(origin, "/", psprintf("%s%s", there, path)));
}

/*
 * dav_id_child
 *		The id of the thing called "name" (decoded or not) in a collection,
 *		with "suffix" unless the name ends in it already.
 */
char *
dav_id_child(const char *collection, const char *name, const char *suffix)
{
	StringInfoData id;
	size_t		len = strlen(name);
	size_t		tail = strlen(suffix);
	bool		has_suffix = len >= tail && strcmp(name + len - tail, suffix) == 0;

	initStringInfo(&id);
	appendStringInfoString(&id, collection);
	append_canonical(&id, name, len);
	if (!has_suffix)
		appendStringInfoString(&id, suffix);
	return id.data;
}

/*
 * dav_id_url
 *		The URL to send a request about an id to.
 */
char *
dav_id_url(const char *origin, const char *id)
{
	return id[0] == '/' ? psprintf("%s%s", origin, id) : pstrdup(id);
}

/*
 * dav_id_name
 *		The last segment of an id, decoded, for people; the id itself when
 *		that is not UTF-8.
 */
char *
dav_id_name(const char *id)
{
	const char *end = id + strlen(id);
	const char *start;
	StringInfoData name;

	if (end > id && end[-1] == '/')
		end--;
	for (start = end; start > id && start[-1] != '/'; start--)
		;

	initStringInfo(&name);
	while (start < end)
	{
		bool		was_escaped;

		appendStringInfoChar(&name, decode_byte(&start, end, &was_escaped));
	}
	if (pg_encoding_verifymbstr(PG_UTF8, name.data, name.len) != name.len)
		return pstrdup(id);
	return name.data;
}

/*
 * dav_id_is_collection
 *		Whether an id can only be a collection's.
 */
bool
dav_id_is_collection(const char *id)
{
	size_t		len = strlen(id);

	return len > 0 && id[len - 1] == '/';
}

/*
 * dav_id_same
 *		Whether two ids are the same but for a trailing slash, which servers
 *		forget when they name a collection.
 */
bool
dav_id_same(const char *a, const char *b)
{
	size_t		la = strlen(a);
	size_t		lb = strlen(b);

	la -= la > 1 && a[la - 1] == '/';
	lb -= lb > 1 && b[lb - 1] == '/';
	return la == lb && strncmp(a, b, la) == 0;
}

/*
 * dav_id_is_plain
 *		Whether no byte of an id's path needs escaping, so that no server can
 *		get it wrong (Radicale 3.1 stores a moved "a%20b" as "a%2520b").
 */
bool
dav_id_is_plain(const char *id)
{
	return strchr(id, '%') == NULL;
}
