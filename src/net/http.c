/*-------------------------------------------------------------------------
 *
 * http.c
 *	  The few operations on requests and responses as plain data.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "net/http.h"

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
