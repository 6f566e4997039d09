/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Writing requests.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"

/*
 * dav_request
 *		A request about an id, without body.
 */
void
dav_request(DavConversation *c, TsRequest *req, const char *method, const char *id)
{
	req->method = method;
	req->url = dav_id_url(c->origin, id);
	req->safe = strcmp(method, "GET") == 0 || strcmp(method, "PROPFIND") == 0 ||
		strcmp(method, "REPORT") == 0;
	if (c->base.site->user_agent != NULL)
		ts_request_header(req, "User-Agent", c->base.site->user_agent);
}

/*
 * dav_xml_request
 *		A request whose body is XML.  depth NULL: the header is not sent.
 *		What only reads is streamed, since it may be long.
 */
void
dav_xml_request(DavConversation *c, TsRequest *req, const char *method,
				const char *id, const char *depth, char *body)
{
	dav_request(c, req, method, id);
	if (depth != NULL)
		ts_request_header(req, "Depth", depth);
	ts_request_header(req, "Content-Type", "application/xml; charset=utf-8");
	req->body = body;
	req->body_len = strlen(body);
	req->stream = req->safe;
}

/*
 * dav_propfind
 *		PROPFIND of "props", a run of empty elements (RFC 4918 9.1).
 */
void
dav_propfind(DavConversation *c, TsRequest *req, const char *id,
			 const char *depth, const char *props)
{
	dav_xml_request(c, req, "PROPFIND", id, depth,
					psprintf(DAV_XML_HEAD "<D:propfind" DAV_NAMESPACES "><D:prop>%s</D:prop></D:propfind>",
							 props));
}

/*
 * dav_append_xml
 *		Appends text as character data, without what XML has no way to say.
 */
void
dav_append_xml(StringInfo out, const char *text)
{
	for (; *text != '\0'; text++)
	{
		/* U+FFFE and U+FFFF are no characters of XML (XML 1.0, 2.2) */
		if (strncmp(text, "\xEF\xBF\xBE", 3) == 0 || strncmp(text, "\xEF\xBF\xBF", 3) == 0)
			text += 2;
		else if (*text == '&')
			appendStringInfoString(out, "&amp;");
		else if (*text == '<')
			appendStringInfoString(out, "&lt;");
		else if (*text == '>')
			appendStringInfoString(out, "&gt;");
		else if ((unsigned char) *text >= ' ' || *text == '\t' || *text == '\n')
			appendStringInfoChar(out, *text);
	}
}
