/*-------------------------------------------------------------------------
 *
 * vtodo_property_test.c
 *	  Properties of the VTODO codec under random edits and random damage.
 *
 * For every sample and many seeded random edits:
 *	  - what is wanted is what the edited text decodes to;
 *	  - fields that were not changed decode as before;
 *	  - only lines of the changed fields differ;
 *	  - encoding a text's own decoded values onto it changes no byte;
 *	  - the same edit again changes no byte.
 * For random damage to the bytes: no crash, and the identity still holds.
 *
 *	  vtodo_property_test FOLDER [rounds [seed]]
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "ics.h"
#include "tap.h"
#include "task/datetime.h"

#define BIT(f)			TS_FIELD_BIT(f)
#define DATES			(BIT(TS_START_DATE) | BIT(TS_START_TIME) | BIT(TS_DUE_DATE) | \
						 BIT(TS_DUE_TIME) | BIT(TS_TIME_ZONE))
#define COMPLETION		(BIT(TS_STATUS) | BIT(TS_PERCENT_COMPLETE) | BIT(TS_COMPLETED_AT))

static uint64 random_state;

static uint32
random_below(uint32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32) (random_state >> 32) % n;
}

#define PICK(array) (array)[random_below(lengthof(array))]

static char *
random_text(void)
{
	static const char *const parts[] = {
		"a", "B", " ", ",", ";", "\\", "\\n", "\n", "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\xA5\x9B",
		":", "\"", "^n", "BEGIN:VTODO", "word", "\t", "=", "END:VALARM\n"
	};
	StringInfoData out;

	initStringInfo(&out);
	for (int n = 1 + random_below(40); n > 0; n--)
		appendStringInfoString(&out, PICK(parts));
	appendStringInfoChar(&out, 'x');	/* no blanks at the end */
	return out.data;
}

static char *
random_date(void)
{
	static const char *const dates[] = {
		"2026-03-08", "2026-03-28", "2026-03-29", "2026-03-30", "2026-04-05", "2026-09-27",
		"2026-10-25", "2026-11-01", "2026-12-31", "2027-01-01", "2028-02-29", "2038-07-01"
	};

	return pstrdup(PICK(dates));
}

static char *
random_value(TsField f)
{
	static const char *const times[] = {
		"00:00:00", "01:30:00", "02:00:00", "02:30:00", "03:00:00", "12:00:00", "23:59:59"
	};
	static const char *const zones[] = {
		"Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland", "UTC", "Asia/Kolkata"
	};
	static const char *const rules[] = {
		"FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=MONTHLY;COUNT=5"
	};
	static const char *const instants[] = {
		"2026-03-29T01:00:00+00:00", "2026-10-25T00:30:00+00:00", "2030-01-01T00:00:00+00:00"
	};
	char	   *tags[2];

	switch (ts_field_info[f].kind)
	{
		case TS_KIND_WORD:
			return pstrdup(ts_field_info[f].words[random_below(4)]);
		case TS_KIND_DATE:
			return random_date();
		case TS_KIND_TIME:
			return pstrdup(PICK(times));
		case TS_KIND_TIMESTAMP:
			return pstrdup(PICK(instants));
		case TS_KIND_INTEGER:
			return psprintf("%u", random_below(101));
		case TS_KIND_ZONE:
			return pstrdup(PICK(zones));
		case TS_KIND_RULE:
			return pstrdup(PICK(rules));
		case TS_KIND_TAGS:
			tags[0] = random_below(2) ? "a" : "work";
			tags[1] = psprintf("t,%u;", random_below(5));
			return ts_tags_join(tags, random_below(3));
		case TS_KIND_REFERENCE:
			return psprintf("parent,%u", random_below(9));
		default:
			return f == TS_URL ? psprintf("https://x/%u;,", random_below(9)) : random_text();
	}
}

/* A random edit; dates are made whole: a time has its date, zones a time. */
static TsFieldMask
random_edit(TsTask *task)
{
	TsFieldMask mask = 0;

	memset(task, 0, sizeof(*task));
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		if (random_below(4) != 0)
			continue;
		mask |= BIT(f);
		if (random_below(4) != 0 || ts_field_info[f].fallback != NULL)
			task->value[f] = random_value(f);
	}
	if (mask & DATES)
	{
		mask |= DATES;
		task->value[TS_DUE_DATE] = random_below(4) ? random_date() : NULL;
		task->value[TS_START_DATE] = random_below(2) ? random_date() : NULL;
		if (task->value[TS_DUE_DATE] == NULL)
			task->value[TS_DUE_TIME] = NULL;
		if (task->value[TS_START_DATE] == NULL)
			task->value[TS_START_TIME] = NULL;
		if (task->value[TS_DUE_TIME] == NULL && task->value[TS_START_TIME] == NULL)
			task->value[TS_TIME_ZONE] = NULL;
	}
	task->known = mask;
	return mask;
}

static bool
decode(const char *text, TsVtodo *todo)
{
	TsError		err;

	return ts_vtodo_decode(text, strlen(text), &ics_options, todo, &err) && todo->is_vtodo;
}

static char *
encode(const TsTask *task, TsFieldMask mask, const char *onto)
{
	TsError		err;
	char	   *text = ts_vtodo_encode(task, mask, onto, onto ? strlen(onto) : 0, &ics_options, &err);

	return text ? text : psprintf("error %s %s", err.sqlstate, err.message);
}

static bool
equal(const TsTask *a, const TsTask *b, TsField f)
{
	return ts_value_equal(f, a->value[f], b->value[f]);
}

/*
 * The fields whose values after the edit are not simply the wanted or the old
 * ones: a series that moves on changes its dates, a relative alarm moves with
 * them, completion is three fields in one, mixed or reversed dates are mended.
 * A percentage beside a new status is overruled by it, once.
 */
static TsFieldMask
entangled(const TsTask *was, const TsTask *want, TsFieldMask mask, const TsVtodo *before)
{
	const char *status = mask & BIT(TS_STATUS) ? want->value[TS_STATUS] : was->value[TS_STATUS];
	const char *rule = mask & BIT(TS_RECURRENCE_RULE) ? want->value[TS_RECURRENCE_RULE] :
	was->value[TS_RECURRENCE_RULE];
	bool		mixed = (want->value[TS_DUE_TIME] == NULL) != (want->value[TS_START_TIME] == NULL);
	TsFieldMask fields = 0;

	if (mask & BIT(TS_STATUS))
		fields |= BIT(TS_PERCENT_COMPLETE) | BIT(TS_COMPLETED_AT);
	if (strcmp(status, "COMPLETED") != 0 || want->value[TS_COMPLETED_AT] == NULL)
		fields |= BIT(TS_COMPLETED_AT);
	if (strcmp(status, "COMPLETED") == 0 && !equal(was, want, TS_STATUS) && rule != NULL)
		fields |= COMPLETION | DATES | BIT(TS_REMIND_AT) | BIT(TS_RECURRENCE_RULE);
	if ((mask & DATES) && !(mask & BIT(TS_REMIND_AT)))
		fields |= BIT(TS_REMIND_AT);
	if ((mask & BIT(TS_REMIND_AT)) && want->value[TS_REMIND_AT] == NULL)
		fields |= BIT(TS_REMIND_AT);	/* another alarm may come to light */
	if (want->value[TS_DUE_DATE] != NULL && want->value[TS_START_DATE] != NULL &&
		(mixed || strcmp(want->value[TS_START_DATE], want->value[TS_DUE_DATE]) >= 0))
		fields |= BIT(TS_START_DATE) | BIT(TS_START_TIME) |
			(want->value[TS_DUE_TIME] == NULL ? BIT(TS_TIME_ZONE) : 0);
	return fields;
}

/* The properties that a change of a field may touch. */
static bool
may_touch(const char *line, TsFieldMask mask)
{
	static const struct
	{
		TsFieldMask fields;
		const char *names;
	}			rules[] =
	{
		{BIT(TS_TITLE), " SUMMARY "},
		{BIT(TS_DESCRIPTION), " DESCRIPTION X-ALT-DESC "},
		{BIT(TS_PRIORITY), " PRIORITY "},
		{BIT(TS_DURATION_MINUTES), " ESTIMATED-DURATION "},
		{BIT(TS_RECURRENCE_RULE) | BIT(TS_STATUS), " RRULE "},
		{BIT(TS_TAGS), " CATEGORIES "},
		{BIT(TS_URL), " URL "},
		{BIT(TS_PARENT_TASK_ID), " RELATED-TO "},
		{COMPLETION, " STATUS PERCENT-COMPLETE COMPLETED DTSTART DUE TRIGGER "},
		{DATES, " DTSTART DUE DURATION TRIGGER BEGIN END TZID TZOFFSETFROM TZOFFSETTO TZNAME RRULE "
		"X-TASKSYNC-REMINDER "},
		{BIT(TS_REMIND_AT), " BEGIN END ACTION DESCRIPTION TRIGGER UID X-TASKSYNC-REMINDER "
		"X-WR-ALARMUID X-KDE-KCALCORE-ENABLED "},
	};
	char	   *name = psprintf(" %.*s ", (int) strcspn(line, ";:"), line);

	for (int i = 0; i < lengthof(rules); i++)
	{
		if ((mask & rules[i].fields) != 0 && strstr(rules[i].names, name) != NULL)
			return true;
	}
	return false;
}

/* Complains about one broken property; the first few are shown. */
static int	nbroken;

static void
broken(const char *what, const char *sample, TsField f, const TsTask *want,
	   const char *before, const char *after)
{
	StringInfoData json;

	if (++nbroken > 5)
		return;
	initStringInfo(&json);
	ts_task_to_json(want, TS_ALL_FIELDS, &json);
	tap_note("%s: %s (%s)", sample, what, ts_field_info[f].name);
	tap_note("edit: %s", json.data);
	tap_note("before: %s", ics_decode(before));
	tap_note("after: %s", ics_decode(after));
	tap_note("lines: %s", ics_difference(before, after));
}

static void
check_edit(const char *sample, const char *before, const TsVtodo *old)
{
	TsTask		want;
	TsFieldMask mask = random_edit(&want);
	TsFieldMask skip = entangled(&old->task, &want, mask, old);
	char	   *after = encode(&want, mask, before);
	char	   *lines = ics_difference(before, after);
	TsVtodo		new;

	if (!decode(after, &new))
	{
		broken("does not decode any longer", sample, TS_TITLE, &want, before, after);
		return;
	}
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		const TsTask *expected = mask & BIT(f) ? &want : &old->task;

		if ((skip & BIT(f)) == 0 && !equal(&new.task, expected, f))
			broken("is not what was wanted", sample, f, &want, before, after);
	}
	for (char *line = strtok(lines, "\n"); line != NULL; line = strtok(NULL, "\n"))
	{
		if (!may_touch(line + 1, mask))
			broken(psprintf("touched %s", line), sample, TS_TITLE, &want, before, after);
	}
	if (strcmp(encode(&new.task, TS_ALL_FIELDS, after), after) != 0)
		broken("encoding its own values is not the identity", sample, TS_TITLE, &want, before, after);
	if ((skip & BIT(TS_STATUS)) == 0 &&
		((skip & BIT(TS_PERCENT_COMPLETE)) == 0 || (mask & BIT(TS_PERCENT_COMPLETE)) == 0) &&
		((mask & BIT(TS_REMIND_AT)) == 0 || want.value[TS_REMIND_AT] != NULL) &&
		strcmp(encode(&want, mask, after), after) != 0)
		broken("the same edit again changes something", sample, TS_TITLE, &want, before, after);
}

/* A new object of random values decodes to them, and stays as it is. */
static void
check_new(void)
{
	TsTask		want;
	TsFieldMask mask = random_edit(&want);
	char	   *text;
	TsVtodo		todo;
	TsFieldMask skip;
	TsTask		nothing = {0};

	nothing.value[TS_STATUS] = "TODO";
	skip = entangled(&nothing, &want, mask, NULL);
	text = encode(&want, mask, NULL);
	if (!decode(text, &todo))
	{
		broken("a new object does not decode", "new", TS_TITLE, &want, text, text);
		return;
	}
	for (int f = 0; f < TS_NFIELDS; f++)
	{
		if ((mask & BIT(f)) != 0 && (skip & BIT(f)) == 0 && !equal(&todo.task, &want, f))
			broken("a new object is not what was wanted", "new", f, &want, text, text);
	}
	if (strcmp(encode(&todo.task, TS_ALL_FIELDS, text), text) != 0)
		broken("a new object is not stable", "new", TS_TITLE, &want, text, text);
}

/* Damages some bytes: replaced, removed or doubled; never a NUL. */
static char *
damage(const char *text)
{
	static const char bytes[] = "\n\r\t ;:,=\"\\^-0123456789TZPDAB\x01\x80\xC3\xFF";
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, text);
	for (int n = 1 + random_below(6); n > 0 && out.len > 1; n--)
	{
		int			at = random_below(out.len);

		switch (random_below(4))
		{
			case 0:
				memmove(out.data + at, out.data + at + 1, out.len - at);
				out.len--;
				break;
			case 1:
				appendStringInfoChar(&out, 'x');
				memmove(out.data + at + 1, out.data + at, out.len - at - 1);
				break;
			default:
				out.data[at] = bytes[random_below(sizeof(bytes) - 1)];
		}
	}
	return out.data;
}

static void
check_damage(const char *sample, const char *text)
{
	char	   *damaged = damage(text);
	TsVtodo		todo;
	TsTask		want;
	TsFieldMask mask = random_edit(&want);

	encode(&want, mask, damaged);
	if (decode(damaged, &todo) && strcmp(encode(&todo.task, TS_ALL_FIELDS, damaged), damaged) != 0)
		broken("damaged: encoding its own values is not the identity", sample, TS_TITLE,
			   &todo.task, damaged, encode(&todo.task, TS_ALL_FIELDS, damaged));
}

int
main(int argc, char **argv)
{
	int			rounds = argc > 2 ? atoi(argv[2]) : 150;
	char	  **names;
	TsVtodo		todo;

	random_state = argc > 3 ? strtoull(argv[3], NULL, 10) : UINT64CONST(20261122);
	if (argc > 1)
		ics_folder = argv[1];
	tap_start();
	names = ics_samples();
	for (int i = 0; names[i] != NULL; i++)
		names[i] = strdup(names[i]);	/* outlives tap_reset() */
	names = memcpy(malloc(1000 * sizeof(char *)), names, 1000 * sizeof(char *));
	tap_reset();

	for (int i = 0; names[i] != NULL; i++)
	{
		nbroken = 0;
		for (int round = 0; round < rounds; round++)
		{
			char	   *text = ics_read(names[i]);

			if (decode(text, &todo))
				check_edit(names[i], text, &todo);
			check_damage(names[i], text);
			tap_reset();
		}
		if (decode(ics_read(names[i]), &todo))
		{
			char	   *text = ics_read(names[i]);

			tap_is(encode(&todo.task, TS_ALL_FIELDS, text), text,
				   "%s: nothing to change changes nothing", names[i]);
		}
		tap_ok(nbroken == 0, "%s: %d random edits and damages", names[i], rounds);
		tap_reset();
	}
	nbroken = 0;
	for (int round = 0; round < 10 * rounds; round++)
	{
		check_new();
		tap_reset();
	}
	tap_ok(nbroken == 0, "%d random new objects", 10 * rounds);
	for (int i = 0; names[i] != NULL; i++)
		free(names[i]);
	free(names);
	return tap_done();
}
