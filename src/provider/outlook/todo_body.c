/*-------------------------------------------------------------------------
 *
 * todo_body.c
 *	  A task's body as the text that it shows.
 *
 * The service keeps a body as text or as HTML, and gives back HTML of its own
 * making: only the text that is shown can be compared.  libxml2 parses; what is
 * written of its tree is what a reader would see, with lines, paragraphs and
 * lists as text has them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <libxml/HTMLparser.h>

#include "provider/outlook/todo.h"
#include "utils/memutils.h"

/*
 * The parser searches all open elements for each new one, and all attributes of a
 * tag for each further one, so a body made to be slow is one with very many tags,
 * or with tags of very many attributes.  Against depth alone it has a bound of
 * its own, at which it silently stops: that is lifted, for what it left out
 * would look as if somebody had deleted it.
 */
#define MAX_HTML		(1024 * 1024)
#define MAX_TAGS		50000
#define MAX_ATTRIBUTE_PAIRS	20000000
#define PARSE_OPTIONS	(HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | \
						 HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC | XML_PARSE_HUGE)

#define HTML_BLANKS	" \t\r\n\f"
#define NBSP		"\xC2\xA0"

/* What is owned by malloc lives as long as the context, and no longer. */
typedef struct HtmlDocument
{
	htmlParserCtxtPtr parser;
	htmlDocPtr	doc;
	MemoryContextCallback at_reset;
} HtmlDocument;

typedef struct TextWriter
{
	StringInfoData out;
	int			newlines;		/* wanted before the next text */
	bool		space;			/* … or a blank */
	int			preformatted;	/* open <pre> */
	int			depth;			/* open lists */
} TextWriter;

static void
free_document(void *arg)
{
	HtmlDocument *html = arg;

	if (html->doc != NULL)
		xmlFreeDoc(html->doc);
	if (html->parser != NULL)
		htmlFreeParserCtxt(html->parser);
	html->doc = NULL;
	html->parser = NULL;
}

/* ---------- writing ---------- */

static int
newlines_at_end(const StringInfo out)
{
	int			n = 0;

	while (n < out->len && out->data[out->len - 1 - n] == '\n')
		n++;
	return n;
}

static void
trim_end(StringInfo out)
{
	while (out->len > 0 && (out->data[out->len - 1] == ' ' || out->data[out->len - 1] == '\t'))
		out->data[--out->len] = '\0';
}

/* What follows begins at least so many lines further down. */
static void
want_newlines(TextWriter *w, int n)
{
	if (n == 0)
		return;
	w->newlines = Max(w->newlines, n);
	w->space = false;
}

static void
flush(TextWriter *w)
{
	int			missing = w->newlines - newlines_at_end(&w->out);

	if (w->newlines > 0 && w->out.len > 0)
	{
		trim_end(&w->out);
		for (; missing > 0; missing--)
			appendStringInfoChar(&w->out, '\n');
	}
	else if (w->space && w->out.len > 0 && newlines_at_end(&w->out) == 0)
		appendStringInfoChar(&w->out, ' ');
	w->newlines = 0;
	w->space = false;
}

static void
write_break(TextWriter *w)
{
	flush(w);
	trim_end(&w->out);
	appendStringInfoChar(&w->out, '\n');
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* White space is one blank, but for what is meant to be kept. */
static void
write_text(TextWriter *w, const char *text)
{
	for (; *text; text++)
	{
		bool		nbsp = strncmp(text, NBSP, 2) == 0;

		if (w->preformatted > 0 && *text == '\r')
			continue;
		if (w->preformatted == 0 && is_blank(*text))
		{
			w->space = true;
			continue;
		}
		flush(w);
		appendStringInfoChar(&w->out, nbsp ? ' ' : *text);
		text += nbsp;
	}
}

/* ---------- elements ---------- */

typedef struct ElementKind
{
	const char *name;
	int			newlines;		/* around it */
	bool		hidden;
} ElementKind;

static const ElementKind kinds[] = {
	{"address", 1}, {"article", 1}, {"blockquote", 2}, {"center", 1}, {"dd", 1}, {"div", 1},
	{"dl", 1}, {"dt", 1}, {"fieldset", 1}, {"footer", 1}, {"form", 1}, {"h1", 2}, {"h2", 2},
	{"h3", 2}, {"h4", 2}, {"h5", 2}, {"h6", 2}, {"head", 0, true}, {"header", 1}, {"hr", 1},
	{"li", 1}, {"main", 1}, {"nav", 1}, {"noscript", 0, true}, {"ol", 1}, {"p", 2}, {"pre", 2},
	{"script", 0, true}, {"section", 1}, {"style", 0, true}, {"table", 1}, {"title", 0, true},
	{"tr", 1}, {"ul", 1},
};

static const ElementKind *
kind_of(const xmlNode *node)
{
	static const ElementKind plain = {""};

	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp((const char *) node->name, kinds[i].name) == 0)
			return &kinds[i];
	}
	return &plain;
}

static bool
is_named(const xmlNode *node, const char *name)
{
	return node != NULL && node->type == XML_ELEMENT_NODE &&
		strcmp((const char *) node->name, name) == 0;
}

/* The value of an attribute that is plain text, or NULL. */
static const char *
attribute(const xmlNode *node, const char *name)
{
	for (const xmlAttr *a = node->properties; a != NULL; a = a->next)
	{
		if (strcmp((const char *) a->name, name) == 0 && a->children != NULL &&
			a->children->next == NULL)
			return (const char *) a->children->content;
	}
	return NULL;
}

/* A list's item begins with a dash, or its number. */
static void
begin_item(TextWriter *w, const xmlNode *item)
{
	int			number;

	want_newlines(w, 1);
	flush(w);
	for (int i = 1; i < w->depth && i < 10; i++)
		appendStringInfoString(&w->out, "  ");
	if (!is_named(item->parent, "ol"))
	{
		appendStringInfoString(&w->out, "- ");
		return;
	}
	/* in the list's own field for whoever reads the document */
	number = (int) (intptr_t) item->parent->_private + 1;
	item->parent->_private = (void *) (intptr_t) number;
	appendStringInfo(&w->out, "%d. ", number);
}

/* A link's address, unless it is what the link shows. */
static void
end_link(TextWriter *w, const xmlNode *link)
{
	const char *href = attribute(link, "href");
	size_t		len = href != NULL ? strlen(href) : 0;
	bool		is_address = href != NULL && (pg_strncasecmp(href, "http://", 7) == 0 ||
											  pg_strncasecmp(href, "https://", 8) == 0);

	if (is_address && (w->out.len < len ||
					   memcmp(w->out.data + w->out.len - len, href, len) != 0))
	{
		w->space = w->out.len > 0;
		flush(w);
		appendStringInfo(&w->out, "(%s)", href);
	}
}

static void
enter(TextWriter *w, const xmlNode *node)
{
	if (is_named(node, "br"))
	{
		write_break(w);
		return;
	}
	want_newlines(w, kind_of(node)->newlines);
	if (is_named(node, "pre"))
		w->preformatted++;
	else if (is_named(node, "ul") || is_named(node, "ol"))
		w->depth++;
	else if (is_named(node, "li"))
		begin_item(w, node);
	else if (is_named(node, "td") || is_named(node, "th"))
		w->space = true;
	else if (is_named(node, "hr"))
	{
		flush(w);
		appendStringInfoString(&w->out, "---");
	}
	else if (is_named(node, "img") && attribute(node, "alt") != NULL)
		write_text(w, attribute(node, "alt"));
}

static void
leave(TextWriter *w, const xmlNode *node)
{
	if (is_named(node, "a"))
		end_link(w, node);
	else if (is_named(node, "pre"))
		w->preformatted--;
	else if (is_named(node, "ul") || is_named(node, "ol"))
		w->depth--;
	if (node->type == XML_ELEMENT_NODE && kind_of(node)->newlines > 0)
		want_newlines(w, kind_of(node)->newlines);
}

/* All of a tree, without recursion: it may be as deep as it is large. */
static void
write_tree(TextWriter *w, const xmlNode *top)
{
	const xmlNode *node = top;

	while (node != NULL)
	{
		bool		is_element = node->type == XML_ELEMENT_NODE;
		bool		hidden = is_element && kind_of(node)->hidden;

		if (is_element && !hidden)
			enter(w, node);
		else if (node->type == XML_TEXT_NODE && node->content != NULL)
			write_text(w, (const char *) node->content);

		if (is_element && !hidden && node->children != NULL)
		{
			node = node->children;
			continue;
		}
		if (is_element && !hidden)
			leave(w, node);
		while (node->next == NULL && node != top && node->parent != NULL && node->parent != top)
		{
			node = node->parent;
			leave(w, node);
		}
		node = node == top || (node->next == NULL && node->parent == top) ? NULL : node->next;
	}
}

/* Past a value, in quotes or not. */
static const char *
skip_value(const char *p)
{
	p += strspn(p, HTML_BLANKS);
	if (*p == '"' || *p == '\'')
	{
		const char *end = strchr(p + 1, *p);

		return end != NULL ? end + 1 : p + strlen(p);
	}
	return p + strcspn(p, HTML_BLANKS ">");
}

/*
 * How many pairs of attributes a tag has, which is how often the parser compares
 * two; and how long it is, since what is no tag may go on to the end.
 */
static int64
attribute_pairs(const char *tag, size_t *scanned)
{
	const char *p = tag + strcspn(tag, HTML_BLANKS "/>");
	int64		n = 0;

	for (p += strspn(p, HTML_BLANKS "/"); *p != '\0' && *p != '>'; p += strspn(p, HTML_BLANKS "/"))
	{
		const char *name = p;

		p += strcspn(p, HTML_BLANKS "/>=");
		p += strspn(p, HTML_BLANKS);
		if (*p == '=')
			p = skip_value(p + 1);
		n += p > name;
	}
	*scanned += p - tag;
	return n * (n - 1) / 2;
}

static bool
is_too_large(const char *html, size_t len)
{
	int			tags = 0;
	int64		pairs = 0;
	size_t		scanned = 0;

	if (len > MAX_HTML)
		return true;
	for (const char *p = strchr(html, '<'); p != NULL; p = strchr(p + 1, '<'))
	{
		if (isalpha((unsigned char) p[1]))
			pairs += attribute_pairs(p + 1, &scanned);
		if (++tags > MAX_TAGS || pairs > MAX_ATTRIBUTE_PAIRS || scanned > 16 * MAX_HTML)
			return true;
	}
	return false;
}

/* The text that a piece of HTML shows; NULL with *err set where it is too large. */
static char *
text_of_html(const char *content, size_t len, TsError *err)
{
	HtmlDocument *html = palloc0(sizeof(HtmlDocument));
	TextWriter	w = {0};

	initStringInfo(&w.out);
	if (is_too_large(content, len))
	{
		ts_error(err, "TS502", "the task's body is too large");
		return NULL;
	}
	html->at_reset.func = free_document;
	html->at_reset.arg = html;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &html->at_reset);
	html->parser = htmlNewParserCtxt();
	if (html->parser != NULL)
		html->doc = htmlCtxtReadMemory(html->parser, content, (int) len, NULL, "UTF-8", PARSE_OPTIONS);
	if (html->parser == NULL || html->parser->disableSAX)
	{
		free_document(html);
		ts_error(err, "TS502", "the task's body can't be read as HTML");
		return NULL;
	}
	if (html->doc != NULL)
		write_tree(&w, xmlDocGetRootElement(html->doc));
	free_document(html);
	return w.out.data;
}

/* How many spaces and no-break spaces follow each other here; *len: in bytes. */
static int
count_spaces(const char *text, size_t *len)
{
	int			n = 0;

	for (*len = 0;; n++)
	{
		if (text[*len] == ' ')
			*len += 1;
		else if (strncmp(text + *len, NBSP, 2) == 0)
			*len += 2;
		else
			return n;
	}
}

static bool
at_line_start(const StringInfo out)
{
	return out->len == 0 || out->data[out->len - 1] == '\n';
}

/*
 * ts_todo_normal_text
 *		The one form of a text: LF between lines, nothing after the last; NULL for
 *		an empty one.
 *
 * No-break spaces that stand where ts_todo_lasting_text() puts them are spaces; a
 * single one between two words is somebody's own.
 */
char *
ts_todo_normal_text(const char *text)
{
	StringInfoData out;
	size_t		len;

	initStringInfo(&out);
	while (*text != '\0')
	{
		int			n = count_spaces(text, &len);

		if (n > 1 || (n == 1 && at_line_start(&out)))
			appendStringInfoSpaces(&out, n);
		else if (n == 1)
			appendBinaryStringInfo(&out, text, len);
		else
		{
			len = text[0] == '\r' && text[1] == '\n' ? 2 : 1;
			appendStringInfoChar(&out, text[0] == '\r' ? '\n' : text[0]);
		}
		text += len;
	}
	while (out.len > 0 && is_blank(out.data[out.len - 1]))
		out.data[--out.len] = '\0';
	return out.len > 0 ? out.data : NULL;
}

/*
 * ts_todo_lasting_text
 *		A normal text such that it survives if the service makes HTML of it, which
 *		shows nothing of blanks at the beginning of a line, and one of many.
 */
char *
ts_todo_lasting_text(const char *text)
{
	StringInfoData out;

	initStringInfo(&out);
	while (*text != '\0')
	{
		size_t		len = strspn(text, " ");
		bool		shown = text[len] != '\n' && text[len] != '\0';

		for (size_t i = 0; i < len; i++)
			appendStringInfoString(&out, shown && (i > 0 || at_line_start(&out)) ? NBSP : " ");
		text += len;
		if (*text != '\0')
			appendStringInfoChar(&out, *text++);
	}
	return out.data;
}

/*
 * ts_todo_text_as_html
 *		What a text shows when HTML was made of it; NULL for nothing, or where it is
 *		too large.
 */
char *
ts_todo_text_as_html(const char *text)
{
	StringInfoData html;
	TsError		err = {0};
	char	   *shown;

	initStringInfo(&html);
	for (; *text != '\0'; text++)
	{
		if (*text == '\n')
			appendStringInfoString(&html, "<br>");
		else if (*text == '&' || *text == '<')
			appendStringInfoString(&html, *text == '&' ? "&amp;" : "&lt;");
		else
			appendStringInfoChar(&html, *text);
	}
	shown = text_of_html(html.data, html.len, &err);
	return shown != NULL ? ts_todo_normal_text(shown) : NULL;
}

bool
ts_todo_text(const TsJson *body, char **result, TsError *err)
{
	const char *content = ts_json_get_string(body, "content");
	const char *type = ts_json_get_string(body, "contentType");
	char	   *text;

	*result = NULL;
	if (content == NULL)
		return true;
	text = type != NULL && pg_strcasecmp(type, "html") == 0
		? text_of_html(content, strlen(content), err) : pstrdup(content);
	if (text == NULL)
		return false;
	*result = ts_todo_normal_text(text);
	return true;
}
