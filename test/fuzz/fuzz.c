/*-------------------------------------------------------------------------
 *
 * fuzz.c
 *	  What the fuzzers of the parsers share: the entrance, reading an input
 *	  piece by piece, properties of results.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "fuzz.h"
#include "mb/pg_wchar.h"
#include "pgshim.h"
#include "task/tzif.h"
#include "utils/memutils.h"

extern int	LLVMFuzzerInitialize(int *argc, char ***argv);
extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t len);

static MemoryContext input_context;

/*
 * Only these zones exist here.  An unknown name makes tzif.c search folders,
 * which is a hundred times slower than all the rest of an input.
 */
static const char *const zones[] = {
	"UTC", "Europe/Berlin", "America/New_York", "America/Los_Angeles", "Pacific/Auckland",
	"Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo", "Etc/GMT+5",
	"America/St_Johns", NULL
};

const char *
fuzz_zone(int n)
{
	return zones[n];
}

/* In place of the functions of tzif.c (ld --wrap), for what other files call. */
extern const TsZone *__real_ts_tzif_load(const char *name);
extern const TsZone *__wrap_ts_tzif_load(const char *name);
extern bool __wrap_ts_tzif_find_name(const char *any_case, char *name);

const TsZone *
__wrap_ts_tzif_load(const char *name)
{
	for (int i = 0; zones[i] != NULL; i++)
	{
		if (strcmp(zones[i], name) == 0)
			return __real_ts_tzif_load(zones[i]);
	}
	return NULL;
}

bool
__wrap_ts_tzif_find_name(const char *any_case, char *name)
{
	for (int i = 0; zones[i] != NULL; i++)
	{
		if (pg_strcasecmp(zones[i], any_case) == 0)
		{
			strlcpy(name, zones[i], TS_ZONE_NAME_MAX + 1);
			return true;
		}
	}
	return false;
}

/*
 * libpgport's is compiled without AddressSanitizer, and reads its source up to
 * its end: this one is found out when there is none.
 */
#undef strlcpy
extern size_t strlcpy(char *dst, const char *src, size_t size);

size_t
strlcpy(char *dst, const char *src, size_t size)
{
	size_t		len = strlen(src);

	if (size > 0)
	{
		memcpy(dst, src, Min(len, size - 1));
		dst[Min(len, size - 1)] = '\0';
	}
	return len;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pgshim_start();
	input_context = AllocSetContextCreate(TopMemoryContext, "input", ALLOCSET_DEFAULT_SIZES);
	return 0;
}

/* The context is emptied after every input, so that a leak is one of malloc's. */
int
LLVMFuzzerTestOneInput(const uint8 *data, size_t len)
{
	MemoryContextSwitchTo(input_context);
	fuzz_one((const char *) data, len);
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextReset(input_context);
	return 0;
}

void
fuzz_violated(const char *condition, const char *file, int line, const char *fmt,...)
{
	va_list		args;

	fprintf(stderr, "\n%s:%d: does not hold: %s\n", file, line, condition);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	abort();
}

/* A number below n (at most 256), of one byte. */
uint32
fuzz_below(FuzzInput *in, uint32 n)
{
	unsigned char b;

	if (in->len == 0)
		return 0;
	b = *in->data++;
	in->len--;
	return b % n;
}

/* What comes up to a byte, which is passed over; in a chunk of just its size. */
char *
fuzz_line(FuzzInput *in, char end)
{
	const char *stop = in->len > 0 ? memchr(in->data, end, in->len) : NULL;
	size_t		len = stop != NULL ? stop - in->data : in->len;
	char	   *line = palloc(len + 1);

	memcpy(line, in->data, len);
	line[len] = '\0';
	in->data += len + (stop != NULL ? 1 : 0);
	in->len -= len + (stop != NULL ? 1 : 0);
	return line;
}

/* The body of an answer: up to a line that begins with two percent signs. */
char *
fuzz_body(FuzzInput *in, size_t *len)
{
	StringInfoData body;

	initStringInfo(&body);
	while (in->len > 0)
	{
		const char *lf = memchr(in->data, '\n', in->len);
		size_t		n = lf != NULL ? lf - in->data + 1 : in->len;
		bool		is_end = n >= 2 && in->data[0] == '%' && in->data[1] == '%';

		if (!is_end)
			appendBinaryStringInfo(&body, in->data, n);
		in->data += n;
		in->len -= n;
		if (is_end)
			break;
	}
	*len = body.len;
	return body.data;
}

/* The rest as a string, up to its first NUL. */
char *
fuzz_rest(FuzzInput *in)
{
	return fuzz_line(in, '\0');
}

bool
fuzz_is_utf8(const char *s)
{
	size_t		len = strlen(s);

	return pg_encoding_verifymbstr(PG_UTF8, s, len) == len;
}

bool
fuzz_has_control(const char *s)
{
	for (; *s != '\0'; s++)
	{
		if ((unsigned char) *s < ' ' || *s == 0x7f)
			return true;
	}
	return false;
}

/* Errors are kept in tables: they must be storable, and begin with a word. */
void
fuzz_check_error(const TsError *err)
{
	if (!ts_failed(err))
		return;
	fuzz_check(strlen(err->sqlstate) == 5, "\"%s\"", err->sqlstate);
	fuzz_check(err->message != NULL && *err->message != '\0', "%s", err->sqlstate);
	fuzz_check(fuzz_is_utf8(err->message), "\"%s\"", err->message);
	fuzz_check(err->detail == NULL || fuzz_is_utf8(err->detail), "\"%s\"", err->detail);
	fuzz_check(err->hint == NULL || fuzz_is_utf8(err->hint), "\"%s\"", err->hint);
	fuzz_check(strlen(err->message) < 2048, "%zu bytes", strlen(err->message));
	fuzz_check(err->detail == NULL || strlen(err->detail) < 2048, "%zu bytes", strlen(err->detail));
}

/* A value of a field is in its canonical form, which is what is compared. */
void
fuzz_check_value(TsField f, const char *value)
{
	TsError		err = {{0}};
	char	   *again;

	if (value == NULL)
		return;
	fuzz_check(fuzz_is_utf8(value), "%s: \"%s\"", ts_field_info[f].name, value);
	again = ts_value_canonical(f, value, &err);
	fuzz_check(again != NULL && strcmp(again, value) == 0, "%s: \"%s\" is canonically \"%s\"",
			   ts_field_info[f].name, value, again ? again : "(no value)");
}
