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
#include "ics_edit.h"
#include "tap.h"

static uint64 random_state;

static uint32
random_below(uint32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32) (random_state >> 32) % n;
}

/* Complains about one broken property; the first few are shown. */
static int	nbroken;

static void
expect_nothing(const char *sample, const char *complaint)
{
	if (complaint == NULL || ++nbroken > 5)
		return;
	tap_note("%s:", sample);
	for (char *line = strtok(pstrdup(complaint), "\n"); line != NULL; line = strtok(NULL, "\n"))
		tap_note("%s", line);
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
	TsTask		want;
	TsError		err;

	ics_draw_edit(&want, random_below);
	ts_vtodo_encode(&want, want.known, damaged, strlen(damaged), &ics_options, &err);
	expect_nothing(sample, ics_check_identity(damaged));
}

static bool
has_todo(const char *text)
{
	TsVtodo		todo;
	TsError		err;

	return ts_vtodo_decode(text, strlen(text), &ics_options, &todo, &err) && todo.is_vtodo;
}

int
main(int argc, char **argv)
{
	int			rounds = argc > 2 ? atoi(argv[2]) : 150;
	char	  **names;
	TsTask		want;

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

			ics_draw_edit(&want, random_below);
			if (has_todo(text))
				expect_nothing(names[i], ics_check_edit(text, &want));
			check_damage(names[i], text);
			tap_reset();
		}
		tap_is(ics_check_identity(ics_read(names[i])), NULL,
			   "%s: nothing to change changes nothing", names[i]);
		tap_ok(nbroken == 0, "%s: %d random edits and damages", names[i], rounds);
		tap_reset();
	}
	nbroken = 0;
	for (int round = 0; round < 10 * rounds; round++)
	{
		ics_draw_edit(&want, random_below);
		expect_nothing("new", ics_check_new(&want));
		tap_reset();
	}
	tap_ok(nbroken == 0, "%d random new objects", 10 * rounds);
	for (int i = 0; names[i] != NULL; i++)
		free(names[i]);
	free(names);
	return tap_done();
}
