/*-------------------------------------------------------------------------
 *
 * provider.c
 *	  The CalDAV provider: its table of functions and what it can do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"
#include "provider/caldav/provider.h"

/* The url is the only setting that has to be there. */
static bool
caldav_check_settings(const char *settings, TsError *err)
{
	char	   *url = dav_setting(settings, "url", err);
	char	   *origin;
	char	   *path;

	if (ts_failed(err))
		return false;
	if (url == NULL)
	{
		ts_error(err, "22023", "a CALDAV provider needs a \"url\" in its settings");
		ts_error_hint(err, "It is the address of the server, of the account's calendar home, or of a list.");
		return false;
	}
	if (!dav_url_split(url, &origin, &path))
	{
		/* the url is not shown: it may hold a password */
		ts_error(err, "22023", "the \"url\" of a CALDAV provider is not a usable address");
		ts_error_hint(err, "It must begin with https:// or http://, and user name and password belong in the credentials.");
		return false;
	}
	return true;
}

const TsProvider ts_caldav_provider = {
	.type = "CALDAV",
	.name = "CalDAV",
	.carries = TS_ALL_FIELDS,
	.caps = TS_CAP_CONDITIONAL | TS_CAP_MOVE | TS_CAP_CLIENT_IDS | TS_CAP_LISTS | TS_CAP_READ_BACK,
	.fetch_batch = 100,
	.push_batch = 1,
	.check_settings = caldav_check_settings,
	.begin = dav_begin,
	.next = dav_next,
	.data = dav_data,
	.response = dav_response,
};
