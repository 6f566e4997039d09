/*-------------------------------------------------------------------------
 *
 * discover.c
 *	  TS_OP_LISTS: from the configured URL to the lists, or the one list named;
 *	  and the way to the home in which TS_OP_LIST_CREATE makes one.
 *
 * The URL may be a server's root, a principal, a home or a list.  It is asked
 * for the principal (RFC 5397) and the homes (RFC 4791 6.2.1); if it does not
 * know, /.well-known/caldav is (RFC 6764 5); if that does not lead on either,
 * the URL is taken for a home.  A home that can't be read is never taken for
 * an empty one: lists must not seem to vanish because a server had a bad day.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"

#define LINKS "<D:current-user-principal/><C:calendar-home-set/>"

static const DavStep url_step;
static const DavStep well_known_step;
static const DavStep principal_step;
static const DavStep home_step;
static const DavStep one_list_step;

static void
ask_at(DavConversation *c, const DavStep *step, char *id)
{
	c->discover.at = id;
	c->step = step;
}

/*
 * dav_discover
 *		Begins to look for the homes; ends in home_step or, for LIST_CREATE,
 *		with dav_list_create_at().
 */
void
dav_discover(DavConversation *c)
{
	if (c->base.op->kind == TS_OP_LISTS && c->base.op->list_id != NULL)
		ask_at(c, &one_list_step, c->list);
	else
		ask_at(c, &url_step, c->root);
}

/* ---------- links ---------- */

static void
add_home(DavConversation *c, char *id)
{
	DavDiscover *d = &c->discover;

	for (int i = 0; i < d->nhomes; i++)
	{
		if (dav_id_same(d->home[i], id))
			return;
	}
	d->home = d->home == NULL ? palloc(sizeof(char *)) :
		repalloc(d->home, (d->nhomes + 1) * sizeof(char *));
	d->home[d->nhomes++] = id;
}

/* Takes the principal and the homes that an entry tells of. */
static void
note_links(DavConversation *c, const DavEntry *entry)
{
	DavDiscover *d = &c->discover;
	const char *principal = entry->value[DAV_PRINCIPAL];
	const char *homes = entry->value[DAV_HOMES];

	if (principal != NULL && d->principal == NULL)
		d->principal = dav_id_resolve(c->origin, d->at,
									  pnstrdup(principal, strcspn(principal, "\n")));
	while (homes != NULL && *homes != '\0')
	{
		size_t		len = strcspn(homes, "\n");

		if (len > 0)
			add_home(c, dav_id_collection(dav_id_resolve(c->origin, d->at, pnstrdup(homes, len))));
		homes += len + (homes[len] == '\n');
	}
}

/* The collection that contains an id. */
static char *
parent_of(const char *id)
{
	size_t		len = strlen(id);

	len -= len > 1 && id[len - 1] == '/';
	while (len > 1 && id[len - 1] != '/')
		len--;
	return pnstrdup(id, len);
}

/* The homes are known: list them all, or make the new list in the first. */
static void
found_homes(DavConversation *c)
{
	if (c->base.op->kind == TS_OP_LIST_CREATE)
		dav_list_create_at(c, c->discover.home[0]);
	else
		ask_at(c, &home_step, c->discover.home[0]);
}

/* Nothing leads on: the URL is what there is. */
static void
settle_for_url(DavConversation *c)
{
	DavDiscover *d = &c->discover;

	if (!d->spoke_dav)
	{
		c->base.error = d->first_error;
		ts_error_hint(&c->base.error, "Check the provider's url: no CalDAV service answers there.");
		c->step = NULL;
	}
	else if (d->is_calendar && c->base.op->kind == TS_OP_LISTS)
		c->step = NULL;			/* this one, already noted */
	else
	{
		d->is_guess = true;
		add_home(c, d->is_calendar ? parent_of(c->root) : dav_id_collection(c->root));
		found_homes(c);
	}
}

/* What to ask next, by what is known. */
static void
follow_links(DavConversation *c)
{
	DavDiscover *d = &c->discover;

	if (d->nhomes > 0)
		found_homes(c);
	else if (d->principal != NULL && c->step != &principal_step)
		ask_at(c, &principal_step, d->principal);
	else if (!d->is_calendar && !d->asked_well_known)
	{
		d->asked_well_known = true;
		ask_at(c, &well_known_step, pstrdup("/.well-known/caldav"));
	}
	else
		settle_for_url(c);
}

/* Whether an answer means that the server is ill, rather than asked in the wrong place. */
static bool
is_ill(const DavAnswer *a)
{
	return a->status >= 500 && a->status != 501;
}

/* ---------- the URL ---------- */

static void
ask_url(DavConversation *c, TsRequest *req)
{
	dav_propfind(c, req, c->discover.at, "0", LINKS DAV_LIST_PROPS);
}

static void
url_entry(DavConversation *c, const DavEntry *entry)
{
	if (entry->status >= 400)
		return;
	c->discover.spoke_dav = true;
	note_links(c, entry);
	if (!dav_entry_is_task_list(entry))
		return;
	c->discover.is_calendar = true;
	if (c->base.op->kind == TS_OP_LISTS)
		dav_add_list(c, dav_id_collection(c->discover.at), entry);
}

static void
url_answer(DavConversation *c, const DavAnswer *a)
{
	if (is_ill(a))
	{
		dav_fail(c, a, c->discover.at);
		return;
	}
	if (!a->understood || !c->discover.spoke_dav)
		dav_describe(a, &c->discover.first_error, c->step->failed, c->discover.at);
	follow_links(c);
}

static const DavStep url_step = {
	.doing = "looking for lists",
	.failed = "could not find a CalDAV service at",
	.ask = ask_url,
	.entry = url_entry,
	.answer = url_answer,
};

/* ---------- well-known ---------- */

static void
ask_well_known(DavConversation *c, TsRequest *req)
{
	dav_propfind(c, req, c->discover.at, "0", LINKS);
}

static void
links_entry(DavConversation *c, const DavEntry *entry)
{
	if (entry->status < 400)
		note_links(c, entry);
}

/*
 * A redirect to another host is worth telling about only where the URL itself
 * led nowhere; a page in HTML (SOGo) is nothing to complain about.
 */
static bool
well_known_trouble(DavConversation *c, const DavAnswer *a)
{
	if (!c->discover.spoke_dav || a->status / 100 != 3)
		return false;
	follow_links(c);
	return true;
}

static void
well_known_answer(DavConversation *c, const DavAnswer *a)
{
	if (is_ill(a) && !c->discover.spoke_dav)
		dav_fail(c, a, c->discover.at);
	else
		follow_links(c);
}

static const DavStep well_known_step = {
	.doing = "looking for lists",
	.failed = "could not find a CalDAV service at",
	.ask = ask_well_known,
	.entry = links_entry,
	.answer = well_known_answer,
	.trouble = well_known_trouble,
};

/* ---------- the principal ---------- */

static void
ask_principal(DavConversation *c, TsRequest *req)
{
	dav_propfind(c, req, c->discover.at, "0", "<C:calendar-home-set/>");
}

static void
principal_answer(DavConversation *c, const DavAnswer *a)
{
	if (is_ill(a))
		dav_fail(c, a, c->discover.at);
	else
	{
		c->discover.asked_well_known = true;	/* it could only lead here again */
		c->discover.spoke_dav |= a->understood;
		if (!a->understood)
			dav_describe(a, &c->discover.first_error, c->step->failed, c->discover.at);
		follow_links(c);
	}
}

static const DavStep principal_step = {
	.doing = "looking for lists",
	.failed = "could not read CalDAV principal",
	.ask = ask_principal,
	.entry = links_entry,
	.answer = principal_answer,
};

/* ---------- the homes ---------- */

static void
ask_home(DavConversation *c, TsRequest *req)
{
	dav_propfind(c, req, c->discover.at, "1", DAV_LIST_PROPS);
}

static void
home_entry(DavConversation *c, const DavEntry *entry)
{
	if (dav_entry_is_task_list(entry))
		dav_add_list(c, dav_id_collection(dav_id_member(c->discover.at, entry->href)), entry);
}

/* All homes were asked: is what came of it an answer? */
static void
end_homes(DavConversation *c)
{
	DavDiscover *d = &c->discover;

	c->step = NULL;
	if (c->base.nlists > 0)
		return;
	if (d->answered_homes == 0)
		c->base.error = d->first_error;
	else if (d->is_guess)
	{
		ts_error(&c->base.error, "TS502", "no task list found at \"%s\"", c->root);
		ts_error_hint(&c->base.error,
					  "Set the provider's url to the server's root, the account's calendar home, or a list.");
	}
}

static void
home_answer(DavConversation *c, const DavAnswer *a)
{
	DavDiscover *d = &c->discover;

	if (is_ill(a) || (a->status / 100 == 2 && !a->understood))
	{
		dav_fail(c, a, d->at);
		return;
	}
	if (a->understood)
		d->answered_homes++;
	else if (!ts_failed(&d->first_error))
		dav_describe(a, &d->first_error, c->step->failed, d->at);

	if (++d->next_home < d->nhomes)
		ask_at(c, &home_step, d->home[d->next_home]);
	else
		end_homes(c);
}

static const DavStep home_step = {
	.doing = "listing lists",
	.failed = "could not list the task lists of",
	.ask = ask_home,
	.entry = home_entry,
	.answer = home_answer,
};

/* ---------- one list ---------- */

/* Without its markers, which some servers compute from every object. */
static void
ask_one_list(DavConversation *c, TsRequest *req)
{
	dav_propfind(c, req, c->discover.at, "0", DAV_LIST_LOOKS "<D:current-user-principal/>");
}

static void
one_list_entry(DavConversation *c, const DavEntry *entry)
{
	if (entry->status >= 400)
		return;
	dav_add_list(c, dav_id_collection(c->discover.at), entry);
	note_links(c, entry);
	c->base.account = c->discover.principal;
}

static void
one_list_answer(DavConversation *c, const DavAnswer *a)
{
	if (dav_is_missing(a->status))
		dav_list_gone(c);
	else if (!a->understood)
		dav_fail(c, a, c->discover.at);
	else
		c->step = NULL;
}

static const DavStep one_list_step = {
	.doing = "looking at the list",
	.failed = "could not look at CalDAV list",
	.ask = ask_one_list,
	.entry = one_list_entry,
	.answer = one_list_answer,
};
