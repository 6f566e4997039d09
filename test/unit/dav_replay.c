/*-------------------------------------------------------------------------
 *
 * dav_replay.c
 *	  For the CalDAV provider's test programs: conversations replayed from a
 *	  script of requests and answers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dav_replay.h"
#include "provider/caldav/provider.h"

#define PIECE 7					/* bytes of a streamed body at once */

static TsSite site = {.url = "https://dav.test/", .user_agent = "tasksync-test"};

void
set_site(const char *url)
{
	site.url = url;
}

TsObservation *
observed(TsConversation *conv, const char *id)
{
	for (int i = 0; i < conv->nobs; i++)
	{
		if (strcmp(conv->obs[i].external_id, id) == 0)
			return &conv->obs[i];
	}
	return NULL;
}

/* Whether a request is the one the script expects; says so if not. */
static bool
is_expected(const TsRequest *req, const Reply *reply)
{
	char	   *got = psprintf("%s %s", req->method, req->url);
	StringInfoData all;

	if (reply->request == NULL || strcmp(got, reply->request) != 0)
	{
		printf("# got      %s\n# expected %s\n", got, reply->request ? reply->request : "no request");
		return false;
	}
	initStringInfo(&all);
	for (int i = 0; i < req->nheaders; i++)
		appendStringInfo(&all, "%s: %s\n", req->headers[i].name, req->headers[i].value);
	if (req->body != NULL)
		appendBinaryStringInfo(&all, req->body, req->body_len);
	if (reply->contains != NULL && strstr(all.data, reply->contains) == NULL)
	{
		printf("# %s lacks\n# %s\n# it is\n# %s\n", got, reply->contains, all.data);
		return false;
	}
	return true;
}

static int
parse_headers(const char *text, TsHeader *headers)
{
	int			n = 0;

	while (text != NULL && *text != '\0')
	{
		const char *colon = strchr(text, ':');
		const char *end = strchr(text, '\n');

		headers[n].name = pnstrdup(text, colon - text);
		headers[n++].value = pnstrdup(colon + 2, end - colon - 2);
		text = end + 1;
	}
	return n;
}

static void
answer(TsConversation *conv, const TsRequest *req, const Reply *reply)
{
	TsHeader	headers[16];
	TsResponse	resp = {.status = reply->status, .headers = headers, .url = req->url, .body = ""};
	const char *body = reply->body != NULL ? reply->body : "";
	size_t		len = strlen(body);

	resp.nheaders = parse_headers(reply->headers, headers);
	resp.retry_after = reply->retry_after != 0 ? reply->retry_after : -1;
	resp.maybe_applied = reply->maybe_applied;
	if (reply->status == 0)
		ts_error(&resp.error, "TS503", "no answer from dav.test");

	if (req->stream && reply->status / 100 == 2)
	{
		for (size_t i = 0; i < len; i += PIECE)
		{
			char	   *piece = pnstrdup(body + i, Min(PIECE, len - i));

			conv->provider->data(conv, piece, Min(PIECE, len - i));
			pfree(piece);
		}
	}
	else
	{
		resp.body = body;
		resp.body_len = len;
	}
	conv->provider->response(conv, &resp);
}

TsConversation *
replay(const char *name, const TsOp *op, const Reply *script)
{
	TsConversation *conv = ts_caldav_provider.begin(&site, op);
	bool		good = true;
	TsRequest	req;

	while (ts_caldav_provider.next(conv, &req))
	{
		good = is_expected(&req, script);
		if (!good)
			break;
		answer(conv, &req, script++);
	}
	if (good && script->request != NULL)
	{
		printf("# not asked: %s\n", script->request);
		good = false;
	}
	tap_ok(good, "%s", name);
	if (!good && ts_failed(&conv->error))
		printf("# %s %s\n", conv->error.sqlstate, conv->error.message);
	return conv;
}
