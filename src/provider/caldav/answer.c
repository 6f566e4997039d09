/*-------------------------------------------------------------------------
 *
 * answer.c
 *	  What an answer says about what went wrong, and what every step does
 *	  about it in the same way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"

#define MIN_RETRY_AFTER 1		/* seconds */
#define MAX_RETRY_AFTER 7200

/* Whether the server asks to come back later (RFC 6585 4, RFC 4918 11.3). */
bool
dav_is_busy(int status)
{
	return status == 423 || status == 429 || status == 503;
}

bool
dav_is_missing(int status)
{
	return status == 404 || status == 410;
}

/* Not every 403 is about credentials (Evolution, I#145), only one that asks for them. */
static bool
wants_credentials(const DavAnswer *a)
{
	return a->status == 401 ||
		(a->status == 403 && ts_response_header(a->resp, "www-authenticate") != NULL);
}

/* The detail of an error: precondition and the server's words. */
static void
describe_words(const DavAnswer *a, TsError *err)
{
	char	   *words = a->message != NULL ?
		ts_response_words(a->resp, a->message, strlen(a->message)) :
		ts_response_words(a->resp, a->resp->body != NULL ? a->resp->body : "", a->resp->body_len);

	if (a->condition != NULL && words[0] != '\0')
		ts_error_detail(err, "The server said: %s: %s", a->condition, words);
	else if (a->condition != NULL || words[0] != '\0')
		ts_error_detail(err, "The server said: %s", a->condition != NULL ? a->condition : words);
}

/* A redirect that net did not follow leads to another host. */
static void
describe_redirect(const DavAnswer *a, TsError *err)
{
	const char *location = ts_response_header(a->resp, "location");
	char	   *origin;
	char	   *path;

	/* shown without what could be a secret: user, password, query */
	if (location == NULL || !dav_url_split(location, &origin, &path))
		return;
	ts_error_detail(err, "The server redirects to %s%s.", origin, path);
	ts_error_hint(err, "If you trust that host, set the provider's url to it.");
}

/*
 * dav_describe
 *		The error that an answer amounts to, in *err.
 *
 * failed: "could not …", object: the id it was about, or NULL.  The SQLSTATE
 * follows the contract: TS401 credentials, TS503 not now, 42501 another host,
 * TS502 all other answers that we can do nothing with.
 */
void
dav_describe(const DavAnswer *a, TsError *err, const char *failed, const char *object)
{
	const char *state = "TS502";
	char	   *name = object != NULL ? psprintf(" \"%s\"", object) : pstrdup("");

	if (a->status == 0)
	{
		/* the net's error lives no longer than its response */
		ts_error_copy(err, &a->resp->error, CurrentMemoryContext);
		return;
	}
	if (a->status / 100 == 2)
	{
		ts_error(err, "TS502", "%s%s: %s", failed, name,
				 ts_failed(&a->problem) ? a->problem.message : "the server's answer says nothing about it");
		if (a->problem.detail != NULL)
			ts_error_detail(err, "%s", a->problem.detail);
		return;
	}

	if (wants_credentials(a))
		state = "TS401";
	else if (dav_is_busy(a->status) || a->status == 408 || a->status >= 500)
		state = "TS503";
	else if (a->status / 100 == 3)
		state = "42501";
	ts_error(err, state, "%s%s: HTTP status %d", failed, name, a->status);

	if (a->status / 100 == 3)
		describe_redirect(a, err);
	else
		describe_words(a, err);
	if (wants_credentials(a))
		ts_error_hint(err, "Check the account's user name and password, and use set_credentials() to change them.");
}

/*
 * dav_fail
 *		Ends the conversation with what the answer amounts to.
 */
void
dav_fail(DavConversation *c, const DavAnswer *a, const char *object)
{
	dav_describe(a, &c->base.error, c->step->failed, object);
	if (wants_credentials(a))
		c->base.auth_failed = true;
	c->base.only_here = c->base.op->list_id != NULL && !dav_is_busy(a->status) &&
		(a->status >= 500 || a->status == 408);
	if (dav_is_busy(a->status) && a->resp->retry_after >= 0)
		c->base.retry_after = Min(Max(a->resp->retry_after, MIN_RETRY_AFTER), MAX_RETRY_AFTER);
	c->step = NULL;
}

/*
 * dav_common_trouble
 *		True when the answer ends any conversation, whatever it was about.
 */
bool
dav_common_trouble(DavConversation *c, const DavAnswer *a)
{
	if (a->status != 0 && !wants_credentials(a) && !dav_is_busy(a->status) &&
		a->status / 100 != 3)
		return false;
	dav_fail(c, a, c->list != NULL ? c->list : dav_id_url(c->origin, c->root));
	return true;
}

/*
 * dav_etag
 *		An ETag as it is compared and sent: quoted (some servers forget), a
 *		weak one's W/ kept, without what mod_deflate adds; NULL when unusable.
 */
char *
dav_etag(const char *raw)
{
	static const char suffix[] = "-gzip\"";
	size_t		len;
	char	   *etag;

	if (raw == NULL)
		return NULL;
	raw += strspn(raw, " \t");
	len = strlen(raw);
	while (len > 0 && isspace((unsigned char) raw[len - 1]))
		len--;
	if (len == 0)
		return NULL;
	for (size_t i = 0; i < len; i++)
	{
		if (raw[i] < ' ' || raw[i] > '~')
			return NULL;
	}

	if (raw[0] == '"' || strncmp(raw, "W/\"", 3) == 0)
		etag = pnstrdup(raw, len);
	else
		etag = psprintf("\"%.*s\"", (int) len, raw);
	len = strlen(etag);
	if (len > sizeof(suffix) && strcmp(etag + len - (sizeof(suffix) - 1), suffix) == 0)
		strcpy(etag + len - (sizeof(suffix) - 1), "\"");
	return etag;
}

/*
 * dav_etag_is_strong
 *		Whether an If-Match with this etag can succeed (RFC 9110 13.1.1).
 */
bool
dav_etag_is_strong(const char *etag)
{
	return etag != NULL && etag[0] == '"';
}
