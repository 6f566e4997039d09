/*-------------------------------------------------------------------------
 *
 * vtodo_test.c
 *	  The VTODO codec: what samples decode to, and which lines an edit touches.
 *
 * samples/NAME.ics decodes to samples/NAME.json (the values that are set; zone
 * for floating times: Europe/Berlin).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ics.h"
#include "tap.h"

static void
test_decoding(void)
{
	char	  **names = ics_samples();

	for (int i = 0; names[i] != NULL; i++)
	{
		size_t		len;
		char	   *expected = tap_read_file(psprintf("%s/%s.json", ics_folder, names[i]), &len);

		expected[strcspn(expected, "\n")] = '\0';
		tap_is(ics_decode(ics_read(names[i])), expected, "%s decodes", names[i]);
	}
	tap_reset();
}

static void
test_decoding_around(void)
{
	char	   *text = ics_read("thunderbird-exceptions");
	TsVtodo		todo;
	TsError		err;

	tap_ok(ts_vtodo_decode(text, strlen(text), NULL, &todo, &err), "options may be missing");
	tap_ok(todo.is_vtodo && todo.is_recurring && todo.has_overrides && todo.ntodos == 2,
		   "a recurring task with an override");
	tap_is(todo.uid, "tb-recurring", "its uid");
	tap_is(todo.last_modified, "2026-01-05T08:00:00+00:00", "its last modification");
	text = ics_read("jtx-board");
	ts_vtodo_decode(text, strlen(text), NULL, &todo, &err);
	tap_is(todo.parent_uid, "jtx-parent", "the first RELATED-TO of a parent");
	text = ics_read("event-only");
	tap_ok(ts_vtodo_decode(text, strlen(text), NULL, &todo, &err) && !todo.is_vtodo,
		   "an event is no task, and no error");
	tap_ok(!ts_vtodo_decode("nonsense", 8, NULL, &todo, &err), "nonsense is");
	tap_is(err.sqlstate, "TS502", "... TS502");
	tap_is(ics_decode("BEGIN:VTODO\nUID:x\nSUMMARY:bare\nEND:VTODO\n"),
		   "{\"title\": \"bare\", \"status\": \"TODO\", \"priority\": \"NONE\", \"tags\": []}",
		   "a bare VTODO");
	tap_reset();
}

static void
edit_is(const char *sample, const char *json, const TsVtodoOptions *opt, const char *expected)
{
	char	   *before = ics_read(sample);
	char	   *after = ics_edit(before, json, opt);

	tap_is(ics_difference(before, after), expected, "%s: %s", sample, json);
	tap_reset();
}

static void
test_texts(void)
{
	edit_is("apple-reminders", "{\"title\": \"Neu, und; l\xC3\xA4nger\"}", NULL,
			"-SUMMARY:Anruf bei M\xC3\xBCller\\, wegen Heizung\n"
			"+SUMMARY:Neu\\, und\\; l\xC3\xA4nger\n");
	edit_is("apple-reminders", "{\"description\": null}", NULL,
			"-DESCRIPTION:Tel. 030 1234567\\nNotizen:\\n- Rechnung\\n- Termin\n");
	edit_is("unknown-things", "{\"title\": \"x\", \"description\": \"a\\r\\nb\"}", NULL,
			"-SUMMARY;LANGUAGE=en;X-P=\"a:b;c,d^n^'^^\":Everything at once\n"
			"+SUMMARY;LANGUAGE=en;X-P=\"a:b;c,d^n^'^^\":x\n"
			"+DESCRIPTION:a\\nb\n");
	edit_is("thunderbird", "{\"description\": \"new\"}", NULL,
			"-DESCRIPTION;ALTREP=\"data:text/html,%3Cb%3Eread%3C%2Fb%3E%20it\":read it\n"
			"+DESCRIPTION:new\n");
	edit_is("zimbra", "{\"description\": \"new\"}", NULL,
			"-DESCRIPTION:Agenda\n"
			"-X-ALT-DESC;FMTTYPE=text/html:<html><body>Agenda</body></html>\n"
			"+DESCRIPTION:new\n");
	edit_is("davx5-opentasks", "{\"url\": \"https://example.com/a;b,c\"}", NULL,
			"-URL:https://example.com/plants?id=1,2;3\n"
			"+URL:https://example.com/a;b,c\n");
	edit_is("nextcloud-tasks", "{\"url\": \" http://x/\\n \"}", NULL, "+URL:http://x/\n");
	edit_is("errands", "{\"description\": \"\"}", NULL, "");
}

static void
test_numbers(void)
{
	edit_is("unknown-status", "{\"priority\": \"HIGH\"}", NULL, "");
	edit_is("unknown-status", "{\"priority\": \"LOW\"}", NULL, "-PRIORITY:3\n+PRIORITY:9\n");
	edit_is("unknown-status", "{\"priority\": \"NONE\"}", NULL, "-PRIORITY:3\n");
	edit_is("jtx-board", "{\"priority\": \"NONE\"}", NULL, "");
	edit_is("jtx-board", "{\"priority\": \"MEDIUM\"}", NULL, "-PRIORITY:0\n+PRIORITY:5\n");
	edit_is("davx5-opentasks", "{\"duration_minutes\": 90}", NULL, "");
	edit_is("davx5-opentasks", "{\"duration_minutes\": 45}", NULL,
			"-ESTIMATED-DURATION:PT1H30M\n+ESTIMATED-DURATION:PT45M\n");
	edit_is("davx5-opentasks", "{\"duration_minutes\": null}", NULL, "-ESTIMATED-DURATION:PT1H30M\n");
	edit_is("nextcloud-tasks", "{\"percent_complete\": 60}", NULL,
			"-PERCENT-COMPLETE:30\n+PERCENT-COMPLETE:60\n");
	edit_is("nextcloud-tasks", "{\"percent_complete\": null}", NULL, "-PERCENT-COMPLETE:30\n");
}

static void
test_tags(void)
{
	edit_is("unknown-things", "{\"tags\": [\"d;e\", \"b,c\", \"a\"]}", NULL, "");
	edit_is("unknown-things", "{\"tags\": [\"a\", \"b,c\", \"new,one\"]}", NULL,
			"-CATEGORIES;LANGUAGE=en:a,b\\,c,d\\;e\n"
			"+CATEGORIES;LANGUAGE=en:a,b\\,c,new\\,one\n");
	edit_is("jtx-board", "{\"tags\": [\"work\"]}", NULL, "-CATEGORIES:release\\,candidate\n");
	edit_is("jtx-board", "{\"tags\": []}", NULL,
			"-CATEGORIES:work\n-CATEGORIES:release\\,candidate\n");
	edit_is("zimbra", "{\"tags\": [\"b\", \"a\", \" b \"]}", NULL, "+CATEGORIES:b,a\n");
}

static void
test_parent(void)
{
	edit_is("jtx-board", "{\"parent_task_id\": \"other\"}", NULL,
			"-RELATED-TO:jtx-parent\n+RELATED-TO:other\n");
	edit_is("jtx-board", "{\"parent_task_id\": null}", NULL, "-RELATED-TO:jtx-parent\n");
	edit_is("unknown-things", "{\"parent_task_id\": \"p;1\"}", NULL,
			"+RELATED-TO;RELTYPE=PARENT:p\\;1\n");
}

static void
test_status(void)
{
	edit_is("apple-reminders", "{\"status\": \"COMPLETED\", \"completed_at\": \"2026-11-20T10:00:00.5Z\"}",
			NULL,
			"-STATUS:NEEDS-ACTION\n+STATUS:COMPLETED\n"
			"+PERCENT-COMPLETE:100\n+COMPLETED:20261120T100000Z\n");
	edit_is("apple-reminders", "{\"status\": \"COMPLETED\"}", NULL,
			"-STATUS:NEEDS-ACTION\n+STATUS:COMPLETED\n"
			"+PERCENT-COMPLETE:100\n+COMPLETED:20261122T120000Z\n");
	edit_is("davx5-opentasks", "{\"status\": \"TODO\", \"percent_complete\": null, \"completed_at\": null}",
			NULL,
			"-STATUS:COMPLETED\n-COMPLETED:20260801T115500Z\n-PERCENT-COMPLETE:100\n"
			"+STATUS:NEEDS-ACTION\n");
	edit_is("davx5-opentasks", "{\"status\": \"IN_PROGRESS\", \"percent_complete\": 70}", NULL,
			"-STATUS:COMPLETED\n-COMPLETED:20260801T115500Z\n-PERCENT-COMPLETE:100\n"
			"+STATUS:IN-PROCESS\n+PERCENT-COMPLETE:70\n");
	edit_is("davx5-opentasks", "{\"status\": \"CANCELLED\"}", NULL,
			"-STATUS:COMPLETED\n-COMPLETED:20260801T115500Z\n-PERCENT-COMPLETE:100\n"
			"+STATUS:CANCELLED\n");
	edit_is("davx5-opentasks", "{\"completed_at\": \"2026-08-01T11:55:00.25+00:00\"}", NULL, "");
	edit_is("davx5-opentasks", "{\"completed_at\": \"2026-08-02T00:00:00Z\"}", NULL,
			"-COMPLETED:20260801T115500Z\n+COMPLETED:20260802T000000Z\n");
	edit_is("percent-only", "{\"status\": \"COMPLETED\"}", NULL, "");
	edit_is("percent-only", "{\"status\": \"TODO\"}", NULL,
			"-PERCENT-COMPLETE:100\n+STATUS:NEEDS-ACTION\n");
	edit_is("percent-only", "{\"percent_complete\": 50}", NULL,
			"-PERCENT-COMPLETE:100\n+PERCENT-COMPLETE:50\n+STATUS:COMPLETED\n");
	edit_is("empty-status", "{\"percent_complete\": 82}", NULL,
			"-STATUS:\n-PERCENT-COMPLETE:100\n+STATUS:COMPLETED\n+PERCENT-COMPLETE:82\n");
	edit_is("completed-only", "{\"status\": \"TODO\"}", NULL,
			"-COMPLETED:20260601T101500Z\n+STATUS:NEEDS-ACTION\n");
	edit_is("unknown-status", "{\"status\": \"TODO\"}", NULL, "");
	edit_is("sogo", "{\"title\": \"x\", \"completed_at\": \"2026-01-21T12:00:00Z\"}", NULL,
			"-SUMMARY:Order toner\n+SUMMARY:x\n");
}

static void
test_dates(void)
{
	/* the day and the time */
	edit_is("apple-reminders", "{\"due_date\": \"2026-11-23\", \"due_time\": \"09:00\"}", NULL,
			"-DUE;TZID=Europe/Berlin:20261122T173000\n+DUE;TZID=Europe/Berlin:20261123T090000\n");
	edit_is("tasks-org", "{\"due_date\": \"2026-12-01\"}", NULL,
			"-DUE;VALUE=DATE:20261130\n+DUE;VALUE=DATE:20261201\n");
	edit_is("tasks-org", "{\"due_date\": null}", NULL,
			"-DUE;VALUE=DATE:20261130\n");
	edit_is("nextcloud-tasks", "{\"due_time\": \"13:00\"}", NULL,
			"-DUE:20261001T120000\n+DUE:20261001T130000\n");
	edit_is("odd-folding", "{\"due_date\": \"2026-07-02\"}", NULL,
			"-DUE;VALUE=DATE:20260701\n+DUE;VALUE=DATE:20260702\n");
	/* all-day and back: both types follow the due */
	edit_is("apple-reminders", "{\"due_time\": null, \"due_date\": \"2026-11-24\"}", NULL,
			"-DUE;TZID=Europe/Berlin:20261122T173000\n-DTSTART;TZID=Europe/Berlin:20261122T173000\n"
			"+DUE;VALUE=DATE:20261124\n+DTSTART;VALUE=DATE:20261122\n");
	edit_is("radicale-sorted", "{\"due_time\": \"08:00\", \"time_zone\": \"UTC\"}", NULL,
			"-DUE;VALUE=DATE:20261231\n+DUE:20261231T080000Z\n");
	edit_is("radicale-sorted", "{\"due_time\": \"24:00\"}", NULL,
			"-DUE;VALUE=DATE:20261231\n+DUE:20270101T000000\n");
	edit_is("apple-mixed-types", "{\"due_date\": \"2026-03-13\"}", NULL,
			"-DTSTART;TZID=Europe/Berlin:20260310T091500\n-DUE;VALUE=DATE:20260312\n"
			"+DTSTART;VALUE=DATE:20260310\n+DUE;VALUE=DATE:20260313\n");
	edit_is("apple-mixed-types", "{\"title\": \"x\"}", NULL, "-SUMMARY:Steuer\n+SUMMARY:x\n");
	edit_is("outlook-caldav-synchronizer", "{\"due_time\": \"12:00\"}", NULL,
			"-DTSTART;VALUE=DATE:20260415\n-DUE;TZID=W. Europe Standard Time:20260417T235959\n"
			"+DTSTART;TZID=W. Europe Standard Time:20260415T000000\n"
			"+DUE;TZID=W. Europe Standard Time:20260417T120000\n");
	/* never due before start */
	edit_is("tasks-org", "{\"due_date\": \"2026-11-01\"}", NULL,
			"-DUE;VALUE=DATE:20261130\n-DTSTART;VALUE=DATE:20261128\n+DUE;VALUE=DATE:20261101\n");
	edit_is("due-before-start", "{\"due_date\": \"2026-07-11\"}", NULL,
			"-DTSTART:20260710T120000Z\n-DUE:20260701T120000Z\n+DUE:20260711T120000Z\n");
	edit_is("due-before-start", "{\"start_date\": null, \"due_date\": \"2026-07-01\"}", NULL, "");
	/* broken ones are replaced, not doubled */
	edit_is("dates-broken", "{\"start_date\": \"2026-07-01\", \"due_date\": \"2026-07-02\"}", NULL,
			"-DTSTART:00000000T000000Z\n-DUE;VALUE=DATE:20260230\n"
			"+DTSTART;VALUE=DATE:20260701\n+DUE;VALUE=DATE:20260702\n");
}

static void
test_zones(void)
{
	/* a start in a zone of its own stays there */
	edit_is("two-zones", "{\"start_time\": \"16:00\"}", NULL,
			"-DTSTART;TZID=America/New_York:20260701T090000\n"
			"+DTSTART;TZID=America/New_York:20260701T100000\n");
	edit_is("two-zones", "{\"due_time\": \"19:00\"}", NULL,
			"-DUE;TZID=Europe/Berlin:20260701T180000\n+DUE;TZID=Europe/Berlin:20260701T190000\n");
	edit_is("auckland-utc", "{\"start_time\": \"14:30\"}", NULL,
			"-DTSTART;TZID=Pacific/Auckland:20260405T023000\n"
			"+DTSTART:20260404T143000Z\n");	/* 02:30 there, but the second one */
	/* the TZID as it is spelled there */
	edit_is("evolution", "{\"due_time\": \"19:00\"}", NULL,
			"-DUE;TZID=/freeassociation.sourceforge.net/Europe/Berlin:20260622T180000\n"
			"+DUE;TZID=/freeassociation.sourceforge.net/Europe/Berlin:20260622T190000\n");
	edit_is("zimbra", "{\"due_time\": \"13:00\"}", NULL,
			"-DUE;TZID=\"(GMT+01.00) Rome\":20260702T120000\n-DURATION:P1DT2H\n"
			"+DUE;TZID=(GMT+01.00) Rome:20260702T130000\n");
	/* to UTC, to floating */
	edit_is("sogo", "{\"time_zone\": \"UTC\"}", NULL,
			"-DUE;TZID=Europe/Paris:20260122T100000\n+DUE:20260122T100000Z\n");
	edit_is("sogo", "{\"time_zone\": null}", NULL,
			"-DUE;TZID=Europe/Paris:20260122T100000\n+DUE:20260122T100000\n");
	edit_is("custom-zone-no-iana", "{\"due_time\": \"08:45\"}", NULL,
			"-DUE;TZID=Ship Time:20260701T100000\n+DUE:20260701T084500Z\n");
	edit_is("unknown-zone", "{\"due_time\": \"11:00\"}", NULL,
			"-DUE;TZID=Middle Earth:20260701T100000\n+DUE;TZID=Middle Earth:20260701T110000\n");
	/* a zone that the object does not know yet */
	edit_is("sogo", "{\"time_zone\": \"Asia/Tokyo\"}", NULL,
			"-DUE;TZID=Europe/Paris:20260122T100000\n"
			"+TZID:Asia/Tokyo\n+DTSTART:20241231T090000\n"
			"+TZOFFSETFROM:+0900\n+TZOFFSETTO:+0900\n+TZNAME:JST\n"
			"+BEGIN:VTIMEZONE\n+BEGIN:STANDARD\n+END:STANDARD\n+END:VTIMEZONE\n"
			"+DUE;TZID=Asia/Tokyo:20260122T100000\n");
	edit_is("zone-nearly-known", "{\"due_date\": \"2026-11-20\"}", NULL,
			"-DUE;TZID=Office:20261220T100000\n+DUE;TZID=Office:20261120T100000\n");
	/* ... nor in this week, though the document has one that is the same in all others */
	edit_is("zone-nearly-known", "{\"due_date\": \"2026-03-28\"}", NULL,
			"-DUE;TZID=Office:20261220T100000\n"
			"+TZID:Europe/Berlin\n+DTSTART:20241231T010000\n+TZNAME:CET\n+DTSTART:20250330T020000\n"
			"+TZOFFSETFROM:+0100\n+TZNAME:CEST\n+RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\n"
			"+BEGIN:STANDARD\n+DTSTART:20251026T030000\n+TZOFFSETTO:+0100\n+TZNAME:CET\n"
			"+RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\n+END:STANDARD\n"
			"+BEGIN:VTIMEZONE\n+BEGIN:DAYLIGHT\n+TZOFFSETFROM:+0100\n+TZOFFSETTO:+0200\n+END:DAYLIGHT\n"
			"+BEGIN:STANDARD\n+TZOFFSETFROM:+0200\n+TZOFFSETTO:+0100\n+END:STANDARD\n+END:VTIMEZONE\n"
			"+DUE;TZID=Europe/Berlin:20260328T100000\n");
}

static void
test_durations(void)
{
	edit_is("duration-form", "{\"due_date\": \"2026-03-30\", \"due_time\": \"02:00\"}", NULL, "");
	edit_is("duration-form", "{\"due_date\": \"2026-03-29\", \"due_time\": \"03:30\"}", NULL,
			"-DURATION:P1DT4H\n+DURATION:PT4H30M\n");
	/* a time that the clock skips */
	edit_is("duration-form", "{\"due_date\": \"2026-03-29\", \"due_time\": \"02:30\"}", NULL,
			"-DURATION:P1DT4H\n+DUE;TZID=Europe/Berlin:20260329T023000\n");
	edit_is("duration-form", "{\"start_date\": \"2026-03-29\"}", NULL,
			"-DTSTART;TZID=Europe/Berlin:20260328T220000\n-DURATION:P1DT4H\n"
			"+DTSTART;TZID=Europe/Berlin:20260329T220000\n+DURATION:PT4H\n");
	edit_is("duration-form", "{\"start_date\": null, \"start_time\": null}", NULL,
			"-DTSTART;TZID=Europe/Berlin:20260328T220000\n-DURATION:P1DT4H\n"
			"+DUE;TZID=Europe/Berlin:20260330T020000\n");
	edit_is("duration-form", "{\"due_date\": null}", NULL, "-DURATION:P1DT4H\n");
	edit_is("duration-days", "{\"due_date\": \"2026-04-05\"}", NULL, "-DURATION:P1W\n+DURATION:P8D\n");
}

static void
test_alarms(void)
{
	edit_is("apple-reminders", "{\"remind_at\": \"2026-11-22T16:30:00Z\"}", NULL, "");
	edit_is("apple-reminders", "{\"remind_at\": \"2026-11-22T15:00:00Z\"}", NULL,
			"-TRIGGER;VALUE=DATE-TIME:20261122T163000Z\n"
			"+TRIGGER;VALUE=DATE-TIME:20261122T150000Z\n+X-TASKSYNC-REMINDER:TRUE\n");
	edit_is("jtx-board", "{\"remind_at\": \"2026-05-11T15:00:00Z\"}", NULL,
			"-TRIGGER;RELATED=START:-PT30M\n"
			"+TRIGGER;VALUE=DATE-TIME:20260511T150000Z\n+X-TASKSYNC-REMINDER:TRUE\n");
	edit_is("jtx-board", "{\"remind_at\": null}", NULL,
			"-TRIGGER;RELATED=START:-PT30M\n"
			"-BEGIN:VALARM\n-ACTION:DISPLAY\n-DESCRIPTION:Release 2.0\n-END:VALARM\n");
	edit_is("errands", "{\"remind_at\": \"2026-05-11T15:00:00.7Z\"}", NULL,
			"+BEGIN:VALARM\n+ACTION:DISPLAY\n+DESCRIPTION:Paint fence\n"
			"+TRIGGER;VALUE=DATE-TIME:20260511T150000Z\n+X-TASKSYNC-REMINDER:TRUE\n+END:VALARM\n");
	/* a relative alarm moves with its date, or is pinned when that goes */
	edit_is("synology", "{\"due_date\": \"2026-06-08\"}", NULL,
			"-DUE;TZID=Asia/Kathmandu:20260607T120000\n+DUE;TZID=Asia/Kathmandu:20260608T120000\n");
	edit_is("synology", "{\"due_date\": null, \"due_time\": null}", NULL,
			"-DUE;TZID=Asia/Kathmandu:20260607T120000\n-TRIGGER;RELATED=END:PT2D\n"
			"+TRIGGER;VALUE=DATE-TIME:20260609T061500Z\n+X-TASKSYNC-REMINDER:TRUE\n");
	edit_is("synology", "{\"due_date\": \"2026-06-08\", \"remind_at\": \"2026-06-10T06:15:00Z\"}", NULL,
			"-DUE;TZID=Asia/Kathmandu:20260607T120000\n+DUE;TZID=Asia/Kathmandu:20260608T120000\n");
}

static void
test_recurrence(void)
{
	static const TsVtodoOptions exception = {
		.now = ICS_NOW,.default_time_zone = "Europe/Berlin",
		.recurring_completion = TS_RECURRING_EXCEPTION
	};

	edit_is("tasks-org", "{\"recurrence_rule\": \"FREQ=DAILY\"}", NULL,
			"-RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SA\n+RRULE:FREQ=DAILY\n");
	edit_is("tasks-org", "{\"recurrence_rule\": null}", NULL,
			"-RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SA\n");
	edit_is("dates-broken", "{\"recurrence_rule\": null}", NULL, "");
	/* the master moves on */
	edit_is("tasks-org", "{\"status\": \"COMPLETED\", \"percent_complete\": 100}", NULL,
			"-STATUS:IN-PROCESS\n-PERCENT-COMPLETE:50\n"
			"-DUE;VALUE=DATE:20261130\n-DTSTART;VALUE=DATE:20261128\n"
			"+STATUS:NEEDS-ACTION\n+DUE;VALUE=DATE:20261214\n+DTSTART;VALUE=DATE:20261212\n");
	edit_is("advance-count", "{\"status\": \"COMPLETED\"}", NULL,
			"-DTSTART;TZID=Europe/Berlin:20260328T083000\n-DUE;TZID=Europe/Berlin:20260328T093000\n"
			"-RRULE:FREQ=DAILY;COUNT=3\n-STATUS:IN-PROCESS\n-PERCENT-COMPLETE:40\n"
			"-TRIGGER;VALUE=DATE-TIME:20260328T070000Z\n"
			"+DTSTART;TZID=Europe/Berlin:20260329T083000\n+DUE;TZID=Europe/Berlin:20260329T093000\n"
			"+RRULE:FREQ=DAILY;COUNT=2\n+STATUS:NEEDS-ACTION\n"
			"+TRIGGER;VALUE=DATE-TIME:20260329T060000Z\n");
	edit_is("due-only-recurring", "{\"status\": \"COMPLETED\"}", NULL,
			"-DUE;VALUE=DATE:20260131\n+DUE;VALUE=DATE:20260228\n");
	/* past an EXDATE; its COUNT counts that one too */
	edit_is("thunderbird-exceptions", "{\"status\": \"COMPLETED\"}", NULL,
			"-RRULE:FREQ=DAILY;COUNT=5\n-DTSTART;TZID=Europe/Berlin:20260105T200000\n"
			"-DUE;TZID=Europe/Berlin:20260105T210000\n"
			"+RRULE:FREQ=DAILY;COUNT=3\n+DTSTART;TZID=Europe/Berlin:20260107T200000\n"
			"+DUE;TZID=Europe/Berlin:20260107T210000\n");
	/* or an occurrence gets an override: the first that is neither done nor excluded */
	edit_is("thunderbird-exceptions", "{\"status\": \"COMPLETED\"}", &exception,
			"+RECURRENCE-ID;TZID=Europe/Berlin:20260107T200000\n"
			"+DTSTART;TZID=Europe/Berlin:20260107T200000\n"
			"+DUE;TZID=Europe/Berlin:20260107T210000\n+COMPLETED:20261122T120000Z\n"
			"+BEGIN:VTODO\n+CREATED:20260101T080000Z\n+UID:tb-recurring\n+SUMMARY:Backup\n"
			"+STATUS:COMPLETED\n+PERCENT-COMPLETE:100\n+END:VTODO\n");
	edit_is("due-only-recurring", "{\"status\": \"COMPLETED\"}", &exception,
			"+BEGIN:VTODO\n+UID:due-only-recurring\n+SUMMARY:Rent\n"
			"+RECURRENCE-ID;VALUE=DATE:20260131\n+DUE;VALUE=DATE:20260131\n"
			"+STATUS:COMPLETED\n+PERCENT-COMPLETE:100\n+COMPLETED:20261122T120000Z\n+END:VTODO\n");
	/* a rule that cannot be read: done like any other task */
	edit_is("dates-broken", "{\"status\": \"COMPLETED\"}", NULL,
			"-COMPLETED:\n-PERCENT-COMPLETE:250\n"
			"+COMPLETED:20261122T120000Z\n+PERCENT-COMPLETE:100\n+STATUS:COMPLETED\n");
}

/* Completing a series over and over ends it. */
static void
test_series_end(const char *sample, const TsVtodoOptions *opt, int occurrences)
{
	char	   *text = ics_read(sample);

	for (int i = 1; i <= occurrences; i++)
	{
		char	   *json;

		text = ics_edit(text, "{\"status\": \"COMPLETED\"}", opt);
		json = ics_decode(text);
		tap_ok((strstr(json, "\"status\": \"COMPLETED\"") != NULL) == (i == occurrences),
			   "%s, completed %d times: %s", sample, i, json);
	}
	tap_reset();
}

static void
test_new(void)
{
	char	   *text = ics_edit(NULL, "{\"title\": \"Buy milk\"}", NULL);

	tap_is(text,
		   "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tasksync//tasksync 1.0//EN\r\n"
		   "BEGIN:VTODO\r\nUID:new-uid\r\nDTSTAMP:20261122T120000Z\r\n"
		   "CREATED:20261122T120000Z\r\nLAST-MODIFIED:20261122T120000Z\r\n"
		   "SUMMARY:Buy milk\r\nSTATUS:NEEDS-ACTION\r\nEND:VTODO\r\nEND:VCALENDAR\r\n",
		   "a new task");
	text = ics_edit(NULL, "{\"title\": \"t\", \"status\": \"COMPLETED\", \"recurrence_rule\": \"FREQ=DAILY\","
					"\"due_date\": \"2026-11-22\", \"due_time\": \"10:00\", \"time_zone\": \"Europe/Berlin\","
					"\"completed_at\": \"2026-11-22T08:00:00Z\"}", NULL);
	tap_is(ics_decode(text),
		   "{\"title\": \"t\", \"status\": \"COMPLETED\", \"priority\": \"NONE\", "
		   "\"due_date\": \"2026-11-22\", \"due_time\": \"10:00:00\", \"time_zone\": \"Europe/Berlin\", "
		   "\"percent_complete\": 100, \"completed_at\": \"2026-11-22T08:00:00+00:00\", "
		   "\"recurrence_rule\": \"FREQ=DAILY\", \"tags\": []}",
		   "a new one that is done does not move on");
	tap_ok(strstr(text, "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n") != NULL,
		   "its zone is explained");
	tap_reset();
}

static void
test_refusals(void)
{
	static const TsVtodoOptions no_uid = {.now = ICS_NOW};
	TsTask		task = {.known = TS_FIELD_BIT(TS_DUE_DATE)};
	TsError		err;

	tap_is(ics_edit(NULL, "{\"title\": \"x\"}", &no_uid), "22023", "a new task without UID");
	tap_is(ics_edit("nonsense", "{\"title\": \"x\"}", NULL), "TS502", "onto nonsense");
	tap_is(ics_edit(ics_read("event-only"), "{\"title\": \"x\"}", NULL), "TS502", "onto an event");
	task.value[TS_DUE_DATE] = "tomorrow";
	tap_ok(ts_vtodo_encode(&task, TS_ALL_FIELDS, NULL, 0, &ics_options, &err) == NULL,
		   "a bad value");
	tap_is(err.sqlstate, "22023", "... is 22023");
	tap_reset();
}

/* An edit of a VTODO of these lines. */
static void
edit_of_lines_is(const char *lines, const char *json, const char *expected)
{
	char	   *before = psprintf("BEGIN:VCALENDAR\nBEGIN:VTODO\n%sEND:VTODO\nEND:VCALENDAR\n", lines);

	tap_is(ics_difference(before, ics_edit(before, json, NULL)), expected, "%s", json);
	tap_reset();
}

/* Lines that no client should write. */
static void
test_odd_lines(void)
{
	edit_of_lines_is("DUE:20260801T090000Z\nDUE:20260802T090000Z\n",
					 "{\"due_date\": null, \"due_time\": null, \"time_zone\": null}",
					 "-DUE:20260801T090000Z\n-DUE:20260802T090000Z\n");
	edit_of_lines_is("RELATED-TO:a\nRELATED-TO;RELTYPE=CHILD:b\nRELATED-TO:c\n",
					 "{\"parent_task_id\": null}", "-RELATED-TO:a\n-RELATED-TO:c\n");
	edit_of_lines_is("SUMMARY;LANGUAGE=en;X-P=\"a:b\n", "{\"title\": \"say \\\"c:d\\\"\"}",
					 "-SUMMARY;LANGUAGE=en;X-P=\"a:b\n+SUMMARY;LANGUAGE=en;X-P=a:say \"c:d\"\n");
	edit_of_lines_is("DUE;TZID=\"Europe/Berlin:20260801T090000\n", "{\"due_time\": \"10:00\"}",
					 "-DUE;TZID=\"Europe/Berlin:20260801T090000\n"
					 "+DUE;TZID=Europe/Berlin:20260801T100000\n");
	edit_of_lines_is("DTSTART:\nDUE:\n", "{\"due_date\": \"2026-08-01\"}",
					 "-DUE:\n+DUE;VALUE=DATE:20260801\n");
}

/* A bare VTODO, which ends without a line end: an override goes behind it. */
static void
test_no_line_end(void)
{
	static const TsVtodoOptions exception = {
		.now = ICS_NOW,.recurring_completion = TS_RECURRING_EXCEPTION
	};
	char	   *after = ics_edit("BEGIN:VTODO\nDTSTART:20260801T080000Z\nRRULE:FREQ=DAILY\nEND:VTODO",
								 "{\"status\": \"COMPLETED\"}", &exception);

	tap_ok(strstr(after, "\nEND:VTODO\nBEGIN:VTODO\n") != NULL, "an override of a bare VTODO");
	tap_reset();
}

/* Objects made to take long: it is enough that this ends. */
static void
test_hostile(void)
{
	static const TsVtodoOptions exception = {
		.now = ICS_NOW,.recurring_completion = TS_RECURRING_EXCEPTION
	};
	const char *head = "BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:x\nDTSTART:20260101T080000Z\n"
		"RRULE:FREQ=DAILY\n";
	const char *tail = "\nEND:VTODO\nEND:VCALENDAR\n";
	const char *edit = "{\"title\": \"t\", \"tags\": [\"a\"], \"status\": \"COMPLETED\", "
		"\"time_zone\": \"Europe/Berlin\", \"due_date\": \"2026-02-01\", \"due_time\": \"10:00\"}";
	char	   *objects[] = {
		tap_repeat(psprintf("%sCATEGORIES:", head), "t%d,", 200000, tail),
		tap_repeat(psprintf("%sSUMMARY", head), ";A=%d", 200000, psprintf(":x%s", tail)),
		tap_repeat(psprintf("%sEXDATE;TZID=Nowhere At All:", head), "20270101T%06d,", 50000, tail),
		tap_repeat(head, "RELATED-TO;RELTYPE=CHILD:%d\n", 50000, tail),
		tap_repeat(head, "EXDATE;TZID=A%d/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a:20270101T000000\n",
				 150000, tail),
		tap_repeat(head, "BEGIN:VALARM\nTRIGGER:-P%dD\nEND:VALARM\n", 20000, tail),
		tap_repeat("BEGIN:VCALENDAR\n", "BEGIN:VTIMEZONE\nTZID:z%d\nEND:VTIMEZONE\n", 15000,
				 psprintf("%s%s", head + 16, tail)),
		tap_repeat(psprintf("%sEND:VTODO\n", head), "BEGIN:VTODO\nRECURRENCE-ID:20260101T08%04dZ\n"
				 "STATUS:COMPLETED\nEND:VTODO\n", 15000, tail + 11),
	};

	for (int i = 0; i < lengthof(objects); i++)
	{
		char	   *edited = ics_edit(objects[i], edit, i % 2 ? NULL : &exception);

		tap_ok(strncmp(ics_decode(edited), "{\"title\": \"t\"", 13) == 0,
			   "object %d made to take long (%d bytes)", i, (int) strlen(objects[i]));
	}
	tap_reset();
}

int
main(int argc, char **argv)
{
	static const TsVtodoOptions exception = {
		.now = ICS_NOW,.recurring_completion = TS_RECURRING_EXCEPTION
	};

	if (argc > 1)
		ics_folder = argv[1];
	tap_start();
	test_decoding();
	test_decoding_around();
	test_texts();
	test_numbers();
	test_tags();
	test_parent();
	test_status();
	test_dates();
	test_zones();
	test_durations();
	test_alarms();
	test_recurrence();
	test_series_end("advance-count", NULL, 3);
	test_series_end("due-only-recurring", NULL, 3);
	test_series_end("thunderbird-exceptions", &exception, 4);
	test_new();
	test_refusals();
	test_odd_lines();
	test_no_line_end();
	test_hostile();
	return tap_done();
}
