/*-------------------------------------------------------------------------
 *
 * davxml_fuzz.c
 *	  The XML of WebDAV answers.  Input: the body; after a NUL, which no answer
 *	  needs, the sizes of the pieces that it comes in.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "provider/caldav/davxml.h"

static void
append_text(StringInfo out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	fuzz_check(fuzz_is_utf8(text), "%s: \"%s\"", name, text);
	appendStringInfo(out, " %s=<%s>", name, text);
}

/* All that an entry says. */
static void
describe(void *arg, const DavEntry *entry)
{
	StringInfo	out = arg;

	appendStringInfo(out, "entry status=%d marks=%x failure=%d too_long=%d", entry->status,
					 entry->marks, entry->failure, entry->too_long);
	append_text(out, "href", entry->href);
	append_text(out, "condition", entry->condition);
	append_text(out, "condition_href", entry->condition_href);
	append_text(out, "message", entry->message);
	for (int i = 0; i < DAV_NPROPS; i++)
	{
		if (entry->prop_status[i] != 0)
			appendStringInfo(out, " %d:%d", i, entry->prop_status[i]);
		append_text(out, "value", entry->value[i]);
	}
	appendStringInfoChar(out, '\n');
}

/* What is read of a body that comes in these pieces; no sizes: in one. */
static char *
read_body(const char *body, size_t len, FuzzInput sizes)
{
	StringInfoData out;
	DavXml	   *xml;
	TsError		err = {{0}};
	bool		ok = true;

	initStringInfo(&out);
	xml = dav_xml_begin(CurrentMemoryContext, describe, &out);
	while (len > 0)
	{
		size_t		wanted = sizes.len > 0 ? 1 + fuzz_below(&sizes, 64) : len;
		size_t		n = Min(len, wanted);
		char	   *piece = palloc(n);

		memcpy(piece, body, n);
		ok = dav_xml_feed(xml, piece, n);
		pfree(piece);
		body += n;
		len -= n;
	}
	if (dav_xml_finish(xml, &err))
		fuzz_check(ok && xml->is_multistatus, "%s", out.data);
	else
		fuzz_check(strcmp(err.sqlstate, "TS502") == 0, "%s", err.sqlstate);
	fuzz_check_error(&err);
	/* the reason of a refusal is expat's, and depends on the pieces */
	appendStringInfo(&out, "%s %s", ts_failed(&err) ? "bad" : "good", err.detail ? err.detail : "");
	append_text(&out, "token", xml->sync_token);
	describe(&out, &xml->top);
	dav_xml_end(xml);
	return out.data;
}

void
fuzz_one(const char *data, size_t len)
{
	FuzzInput	in = {data, len};
	size_t		body_len = strlen(fuzz_rest(&in));
	char	   *whole = read_body(data, body_len, (FuzzInput) {0});
	char	   *pieces;

	if (in.len == 0)
		in = (FuzzInput) {data, body_len / 2};
	pieces = read_body(data, body_len, in);
	fuzz_check(strcmp(whole, pieces) == 0, "in one: %s\nin pieces: %s", whole, pieces);
}
