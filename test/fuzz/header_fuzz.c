/*-------------------------------------------------------------------------
 *
 * header_fuzz.c
 *	  What stands in headers and between the tags of an answer: header lines,
 *	  Retry-After, ETags, colours, hrefs, origins.  Input: a href or URL, a
 *	  newline, the lines of headers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "net/host.h"
#include "net/http.h"
#include "provider/caldav/caldav.h"

static const char origin[] = "https://dav.test:8443";

static void
check_etag(const char *raw)
{
	char	   *etag = dav_etag(raw);
	char	   *again;

	if (etag == NULL)
		return;
	fuzz_check(fuzz_is_utf8(etag) && !fuzz_has_control(etag), "\"%s\"", etag);
	again = dav_etag(etag);
	fuzz_check(again != NULL, "%s", etag);
	dav_etag_is_strong(etag);
}

static void
check_color(const char *raw)
{
	char	   *color = dav_color(raw);

	if (color == NULL)
		return;
	fuzz_check(strlen(color) == 7 && color[0] == '#' &&
			   strspn(color + 1, "0123456789abcdef") == 6, "%s", color);
	fuzz_check(strcmp(dav_color(color), color) == 0, "%s", color);
}

static void
check_headers(const char *lines)
{
	TsResponse	resp = {0};

	ts_response_headers(&resp, lines);
	for (int i = 0; i < resp.nheaders; i++)
	{
		const TsHeader *h = &resp.headers[i];
		int			wait = ts_retry_after(h->value, 1795348800);

		fuzz_check(strpbrk(h->name, "\r\n:") == NULL && strpbrk(h->value, "\r\n") == NULL,
				   "\"%s\": \"%s\"", h->name, h->value);
		fuzz_check(ts_response_header(&resp, h->name) != NULL, "\"%s\"", h->name);
		fuzz_check(wait >= -1 && wait <= 7200, "%d", wait);
		check_etag(h->value);
		check_color(h->value);
	}
}

/* An id is canonical: brought to that form again it is the same. */
static void
check_id(const char *id)
{
	char	   *again = dav_id_member(id, dav_id_path(id));
	char	   *collection = dav_id_collection(id);
	char	   *url = dav_id_url(origin, id);

	fuzz_check(strcmp(again, id) == 0, "\"%s\" is \"%s\"", id, again);
	fuzz_check(dav_id_path(id)[0] == '/' && strstr(dav_id_path(id), "//") == NULL, "\"%s\"", id);
	fuzz_check(dav_id_is_collection(collection) && dav_id_same(collection, id), "\"%s\"", collection);
	fuzz_check(strcmp(dav_id_collection(collection), collection) == 0, "\"%s\"", collection);
	if (fuzz_is_utf8(id))
		fuzz_check(fuzz_is_utf8(dav_id_name(id)), "\"%s\"", id);
	/* it can be asked for: nothing in it ends a line or the URL */
	fuzz_check(strpbrk(url, "\r\n\t ?#") == NULL && !fuzz_has_control(url), "\"%s\"", url);
	for (const char *p = dav_id_path(url); *p; p++)
		fuzz_check((unsigned char) *p < 0x80, "\"%s\"", url);
}

/* What is asked about an id without a host of its own goes to the configured one. */
static void
check_href(const char *href)
{
	char	   *id = dav_id_resolve(origin, "/home/lists/", href);
	char	   *member = dav_id_member("/home/lists/", href);
	char	   *child = dav_id_child("/home/lists/", href, ".ics");

	check_id(member);
	fuzz_check(member[0] == '/', "\"%s\"", member);
	fuzz_check(ts_same_origin(origin, dav_id_url(origin, member)), "\"%s\"", member);
	fuzz_check(ts_same_origin(origin, dav_id_url(origin, child)), "\"%s\"", child);
	check_id(id);
	if (id[0] == '/')
		fuzz_check(ts_same_origin(origin, dav_id_url(origin, id)), "\"%s\"", id);
}

/* A URL that was accepted is asked at its own host, as libcurl understands it. */
static void
check_url(const char *url)
{
	char	   *its_origin;
	char	   *path;

	ts_url_is_loopback(url);
	if (ts_same_origin(origin, url))
		fuzz_check(ts_same_origin(url, origin), "\"%s\"", url);
	if (!dav_url_split(url, &its_origin, &path))
		return;
	fuzz_check(path[0] == '/' && strstr(path, "//") == NULL, "\"%s\"", path);
	if (ts_same_origin(url, url))
		fuzz_check(ts_same_origin(url, dav_id_url(its_origin, path)), "\"%s\"", url);
}

void
fuzz_one(const char *data, size_t len)
{
	FuzzInput	in = {data, len};
	char	   *href = fuzz_line(&in, '\n');

	check_href(href);
	check_url(href);
	check_headers(fuzz_rest(&in));
}
