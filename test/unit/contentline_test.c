/*-------------------------------------------------------------------------
 *
 * contentline_test.c
 *	  The tokenizer: lossless, tolerant, bounded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ics.h"
#include "provider/caldav/contentline.h"
#include "provider/caldav/icaltime.h"
#include "provider/caldav/tzid.h"
#include "tap.h"

static TsIcalDoc *
parse(const char *text)
{
	TsError		err = {{0}};
	TsIcalDoc  *doc = ts_ical_parse(text, strlen(text), &err);

	tap_ok(doc != NULL, "parses %.30s", text);
	return doc;
}

static void
error_is(const char *text, const char *what)
{
	TsError		err = {{0}};

	tap_ok(ts_ical_parse(text, strlen(text), &err) == NULL, "%s", what);
	tap_is(err.sqlstate, "TS502", "... is TS502");
	tap_note("%s", err.message);
}

static void
test_lossless(void)
{
	char	  **names = ics_samples();

	tap_ok(names[0] != NULL, "there are samples");
	for (int i = 0; names[i] != NULL; i++)
	{
		char	   *text = ics_read(names[i]);
		TsError		err = {{0}};
		TsIcalDoc  *doc = ts_ical_parse(text, strlen(text), &err);

		tap_is(doc ? ts_ical_print(doc) : err.message, text, "%s there and back", names[i]);
	}
	tap_reset();
}

static void
test_lines(void)
{
	TsIcalDoc  *doc = parse("\xEF\xBB\xBF" "begin:VCALENDAR\r\r\nSUM\r\n MARY;A=1;B=\"x:y;z\";C=^n^^^'"
							"^x:va\r\n \tlue\r\nbroken line\r\nX:\r\nN;Q=\"open:v\r\nEND:vcalendar\r\n");
	TsIcalComponent *cal = doc->root.first_child;
	TsIcalLine *line = ts_ical_line(cal, "summary", NULL);

	tap_is(cal->name, "VCALENDAR", "component names in capitals, behind a BOM");
	tap_is(ts_ical_value(line), "va\tlue", "folds undone: one blank each");
	tap_is(ts_ical_param(line, "a"), "1", "a parameter");
	tap_is(ts_ical_param(line, "B"), "x:y;z", "a quoted parameter");
	tap_is(ts_ical_param(line, "C"), "\n^\"^x", "RFC 6868");
	tap_is(ts_ical_param(line, "D"), NULL, "no such parameter");
	tap_is(ts_ical_value(ts_ical_line(cal, "X", NULL)), "", "an empty value");
	tap_is(ts_ical_value(ts_ical_line(cal, "N", NULL)), "v", "a quote that never closes");
	tap_ok(ts_ical_line(cal, "broken line", NULL) == NULL, "no name without a colon");
	tap_reset();
}

static void
test_editing(void)
{
	static const char *const drop[] = {"B", NULL};
	const char *lf = "BEGIN:VCALENDAR\nA;B=1;C=2:x\nBEGIN:V\nA:inner\nEND:V\nEND:VCALENDAR";
	TsIcalDoc  *doc = parse(lf);
	TsIcalComponent *cal = doc->root.first_child;
	StringInfoData wide;
	char	   *text;

	ts_ical_set_value(doc, ts_ical_line(cal, "A", NULL), "y", drop);
	ts_ical_add(doc, cal, "Z:1");
	tap_is(ts_ical_print(doc),
		   "BEGIN:VCALENDAR\nA;C=2:y\nZ:1\nBEGIN:V\nA:inner\nEND:V\nEND:VCALENDAR",
		   "own lines edited, line ends and the missing last one kept");
	ts_ical_remove_component(doc, cal->first_child);
	ts_ical_remove(doc, ts_ical_line(cal, "Z", NULL));
	tap_is(ts_ical_print(doc), "BEGIN:VCALENDAR\nA;C=2:y\nEND:VCALENDAR", "removed");

	doc = parse("BEGIN:V\r\nEND:V\r\n");
	initStringInfo(&wide);
	appendStringInfoString(&wide, "S:");
	for (int i = 0; i < 100; i++)
		appendStringInfoString(&wide, "\xE2\x82\xAC");	/* euro sign */
	ts_ical_add(doc, doc->root.first_child, wide.data);
	text = ts_ical_print(doc);
	for (char *line = strtok(pstrdup(text), "\r\n"); line; line = strtok(NULL, "\r\n"))
		tap_ok(strlen(line) <= 75 && ((unsigned char) line[1] & 0xC0) != 0x80,
			   "folded at %d octets, between characters", (int) strlen(line));
	doc = parse(text);
	tap_is(doc->head.next->next->text, wide.data, "unfolds to the same");
	tap_reset();
}

static void
test_limits(void)
{
	StringInfoData big;

	error_is("", "nothing");
	error_is("<html>", "a web page");
	error_is("BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nEND:VTODO\r\n", "a truncated object");
	error_is("BEGIN:VCALENDAR\nEND:VTODO\nEND:VCALENDAR\n", "an END without BEGIN");
	error_is("BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VCALENDAR\nEND:VTODO\n", "crossed components");

	initStringInfo(&big);
	for (int i = 0; i <= TS_ICAL_MAX_NESTING; i++)
		appendStringInfoString(&big, "BEGIN:A\n");
	error_is(big.data, "deep nesting");
	resetStringInfo(&big);
	for (int i = 0; i <= TS_ICAL_MAX_LINES; i++)
		appendStringInfoString(&big, "A\n");
	error_is(big.data, "many lines");
	enlargeStringInfo(&big, TS_ICAL_MAX_BYTES + 1);
	memset(big.data, 'x', TS_ICAL_MAX_BYTES + 1);
	big.data[TS_ICAL_MAX_BYTES + 1] = '\0';
	error_is(big.data, "many bytes");
	tap_reset();
}

static void
text_is(const char *escaped, const char *plain)
{
	tap_is(ts_ical_unescape(escaped, strlen(escaped)), plain, "unescape '%s'", escaped);
}

static void
test_texts(void)
{
	char	  **items;

	text_is("a\\nb\\Nc\\,d\\;e\\\\f", "a\nb\nc,d;e\\f");
	text_is("C:\\dir\\*x\\", "C:\\dir\\*x\\");
	text_is("bell\x07 tab\t", "bell tab\t");
	text_is("\xC3\xA4 \xC3 \xED\xA0\x80 \xF8", "\xC3\xA4 \xEF\xBF\xBD "
			"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD");
	tap_is(ts_ical_escape("a\r\nb\nc,d;e\\f\x01g"), "a\\nb\\nc\\,d\\;e\\\\fg", "escape");
	tap_is_int(ts_ical_unescape_list("a,b\\,c,,d", 9, &items), 4, "a list of four");
	tap_is(items[1], "b,c", "an escaped comma is no separator");
	tap_is(items[2], "", "an empty item");
	tap_is(ts_ical_param_quote("a\"b^:c"), "\"a^'b^^:c\"", "a parameter that needs quotes");
	tap_is(ts_ical_param_quote("Europe/Berlin"), "Europe/Berlin", "one that does not");
	tap_reset();
}

static void
duration_is(const char *text, int64 days, int64 seconds, const char *printed)
{
	TsIcalDuration d = {0};

	tap_ok(ts_ical_duration_parse(text, &d) == (printed != NULL), "duration %s", text);
	if (printed == NULL)
		return;
	tap_ok(d.days == days && d.seconds == seconds, "... is right");
	tap_is(ts_ical_duration_print(&d), printed, "... printed");
}

/* Each in a chunk of its own, so that reading past it is found out. */
static void
test_times(void)
{
	static const char *const bad[] = {"", " ", "2", "2026", "202611", "2026112", "20261122T", "20261122T17", "-"};
	TsIcalTime	t;

	for (int i = 0; i < lengthof(bad); i++)
		tap_ok(!ts_ical_time_parse(pstrdup(bad[i]), &t), "\"%s\" is no time", bad[i]);
	/* what stands behind the end of a value is not part of it */
	tap_ok(!ts_ical_time_parse("\0" "20261122", &t), "an empty value");
	tap_reset();
}

static void
test_durations(void)
{
	duration_is("PT15M", 0, 900, "PT15M");
	duration_is("-PT15M", 0, -900, "-PT15M");
	duration_is("P1DT2H", 1, 7200, "P1DT2H");
	duration_is("P2W", 14, 0, "P14D");
	duration_is("PT2D", 2, 0, "P2D");
	duration_is("P1DT", 1, 0, "P1D");
	duration_is("+P7W", 49, 0, "P49D");
	duration_is("PT0S", 0, 0, "P0D");
	duration_is("-P1DT12H30M5S", -1, -45005, "-P1DT12H30M5S");
	duration_is("P", 0, 0, NULL);
	duration_is("15M", 0, 0, NULL);
	duration_is("PT15", 0, 0, NULL);
	duration_is("P99999999999999999999D", 0, 0, NULL);
	duration_is("P1Y", 0, 0, NULL);
	tap_reset();
}

static void
zone_is(const TsIcalDoc *doc, const char *tzid, const char *expected)
{
	tap_is(ts_tzid_zone(doc, tzid), expected, "TZID %s", tzid);
}

/* A VTIMEZONE of ours, under another name, must measure as the zone it says. */
static void
vtimezone_agrees(const char *zone, int year)
{
	TsIcalDoc  *doc = parse("BEGIN:VCALENDAR\nEND:VCALENDAR\n");
	TsCivil		wall = {.year = year,.month = 6,.day = 1};
	char	   *text;
	bool		agrees = true;

	ts_vtimezone_add(doc, zone, &wall);
	text = ts_ical_print(doc);
	tap_ok(strlen(text) < 3500, "%s: a short VTIMEZONE", zone);
	for (char *p = strstr(text, "TZID:") + 5; *p != '\n'; p++)
		*p = 'x';
	doc = parse(text);
	for (int month = 1; month <= 36; month++)
	{
		TsCivil		at = {.year = year + (month - 1) / 12,.month = (month - 1) % 12 + 1,
		.day = 28,.hour = 12};
		char	   *tzid = doc->root.first_child->first_child->begin->next->text + 5;
		const char *named;
		int64		measured;
		int64		expected;

		agrees &= ts_tzid_measure(doc, tzid, &at, &measured, &named) &&
			ts_zone_to_utc(zone, &at, &expected) && measured == expected;
	}
	tap_ok(agrees, "... that says the same for three years from %d", year);
	tap_reset();
}

static void
test_zones(void)
{
	TsIcalDoc  *doc = parse("BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:My Zone\n"
							"X-LIC-LOCATION:Asia/Tokyo\nEND:VTIMEZONE\nEND:VCALENDAR\n");

	zone_is(doc, "Europe/Berlin", "Europe/Berlin");
	zone_is(doc, "europe/berlin", "Europe/Berlin");
	zone_is(doc, "/freeassociation.sourceforge.net/Europe/Berlin", "Europe/Berlin");
	zone_is(doc, "/freeassociation.sourceforge.net/Tzfile/America/Argentina/Buenos_Aires",
			"America/Argentina/Buenos_Aires");
	zone_is(doc, "/citadel.org/20210210_1/Europe/London", "Europe/London");
	zone_is(doc, "/mozilla.org/20050126_1/America/New_York", "America/New_York");
	zone_is(doc, "W. Europe Standard Time", "Europe/Berlin");
	zone_is(doc, "pacific standard time", "America/Los_Angeles");
	zone_is(doc, "tzone://Microsoft/Utc", "UTC");
	zone_is(doc, "My Zone", "Asia/Tokyo");
	zone_is(doc, "Customized Time Zone", NULL);
	tap_is(ts_vtimezone_find(doc, "Asia/Tokyo"), "My Zone", "a VTIMEZONE is found by its zone");
	tap_is(ts_vtimezone_find(doc, "Asia/Seoul"), NULL, "or not");
	for (int i = 0; ts_windows_zone_nth(i) != NULL; i++)
	{
		if (ts_zone_canonical(ts_windows_zone_nth(i)) == NULL)
			tap_ok(false, "no zone %s", ts_windows_zone_nth(i));
	}
	vtimezone_agrees("Europe/Berlin", 2026);
	vtimezone_agrees("America/Los_Angeles", 2006);
	vtimezone_agrees("Pacific/Auckland", 2026);
	vtimezone_agrees("America/Nuuk", 2026);
	vtimezone_agrees("Africa/Cairo", 2026);
	vtimezone_agrees("Africa/Casablanca", 2026);
	vtimezone_agrees("Asia/Kolkata", 2026);
	vtimezone_agrees("Australia/Lord_Howe", 2026);
	vtimezone_agrees("America/Sao_Paulo", 2018);
	vtimezone_agrees("Europe/Dublin", 2026);
	vtimezone_agrees("Asia/Gaza", 2026);
	tap_reset();
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		ics_folder = argv[1];
	tap_start();
	test_lossless();
	test_lines();
	test_editing();
	test_limits();
	test_texts();
	test_times();
	test_durations();
	test_zones();
	return tap_done();
}
