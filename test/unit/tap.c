/*-------------------------------------------------------------------------
 *
 * tap.c
 *	  Test programs in C that print TAP.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "lib/stringinfo.h"
#include "pgshim.h"
#include "tap.h"
#include "utils/memutils.h"

static int	ntests;
static int	nfailed;
static MemoryContext test_context;

void
tap_start(void)
{
	pgshim_start();
	test_context = AllocSetContextCreate(TopMemoryContext, "test", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(test_context);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

void
tap_reset(void)
{
	MemoryContextSwitchTo(test_context);	/* the current one may be below it */
	MemoryContextReset(test_context);
}

int
tap_done(void)
{
	printf("1..%d\n", ntests);
	if (nfailed > 0)
		printf("# %d of %d failed\n", nfailed, ntests);
	pgshim_stop();
	return nfailed > 0 ? 1 : 0;
}

static bool
report(bool passed, const char *fmt, va_list args)
{
	ntests++;
	nfailed += passed ? 0 : 1;
	printf("%sok %d - ", passed ? "" : "not ", ntests);
	vprintf(fmt, args);
	printf("\n");
	return passed;
}

/* Prints a value as TAP diagnostics, every line of it marked. */
static void
diagnose(const char *label, const char *value)
{
	printf("# %s: ", label);
	if (value == NULL)
		printf("NULL");
	for (; value != NULL && *value; value++)
	{
		if (*value == '\n')
			printf("\\n\n#      ");
		else if (*value == '\r')
			printf("\\r");
		else
			putchar(*value);
	}
	printf("\n");
}

bool
tap_ok(bool passed, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	report(passed, fmt, args);
	va_end(args);
	return passed;
}

bool
tap_is(const char *got, const char *expected, const char *fmt,...)
{
	bool		passed = got == NULL || expected == NULL ?
	got == expected : strcmp(got, expected) == 0;
	va_list		args;

	va_start(args, fmt);
	report(passed, fmt, args);
	va_end(args);
	if (!passed)
	{
		diagnose("     got", got);
		diagnose("expected", expected);
	}
	return passed;
}

bool
tap_is_int(int64 got, int64 expected, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	report(got == expected, fmt, args);
	va_end(args);
	if (got != expected)
		printf("# got " INT64_FORMAT ", expected " INT64_FORMAT "\n", got, expected);
	return got == expected;
}

void
tap_note(const char *fmt,...)
{
	va_list		args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

char *
tap_read_file(const char *path, size_t *len)
{
	FILE	   *file = fopen(path, "rb");
	char	   *text;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
	{
		fprintf(stderr, "cannot read \"%s\"\n", path);
		exit(2);
	}
	*len = ftell(file);
	rewind(file);
	text = palloc(*len + 1);
	if (fread(text, 1, *len, file) != *len)
	{
		fprintf(stderr, "cannot read \"%s\"\n", path);
		exit(2);
	}
	text[*len] = '\0';
	fclose(file);
	return text;
}

char *
tap_repeat(const char *head, const char *each, int n, const char *tail)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, head);
	for (int i = 0; i < n; i++)
		appendStringInfo(&out, each, i);
	appendStringInfoString(&out, tail);
	return out.data;
}
