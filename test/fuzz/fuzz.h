/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  What the fuzzers of the parsers share.
 *
 * Everything that reads what a service sent has a fuzzer: a program in which
 * libFuzzer calls fuzz_one() with inputs that it makes up, guided by the code
 * that they reach, under AddressSanitizer and UndefinedBehaviorSanitizer.
 * The pure rooms run in it without a server, on the memory contexts of
 * test/unit/pgshim.c, which make each chunk a malloc of its own.
 *
 *		contentline		lines, components, TEXT values, edits of lines
 *		vtodo			iCalendar objects -> tasks, and nothing changed -> same bytes
 *		encode			an edit of an object: what was set comes back, what was
 *						not concerned survives byte for byte
 *		vtimezone		VTIMEZONEs: read, measured, written
 *		davxml			multistatus XML: no way of cutting it up matters
 *		json			tasks, tags, cursors and settings as JSON
 *		rrule			rules: checked, the next occurrence, counted down
 *		value			dates, times, durations, the values of fields
 *		tzif			time zone files
 *		header			headers of answers, ETags, colours, hrefs, origins
 *		dav				whole conversations of the CalDAV provider
 *		graph			the same of the Outlook provider, and its tasks
 *
 * A fuzzer looks for more than crashes: fuzz_check() states what has to hold
 * for every input.
 *
 *		make -C test/fuzz				build all of them into bin/
 *		make -C test/fuzz check			a short run: all inputs kept, then some
 *										thousand new ones from a fixed seed
 *		scripts/fuzz [parser ...]		long runs
 *		test/fuzz/bin/NAME FILE			one input again (test/fuzz/run knows more)
 *
 * corpus/NAME/ holds the inputs that a run begins with; test/unit/samples is
 * read too where it fits.  An input that found a bug is kept there under a name
 * that says which, so that every run tries it again.  NAME.dict has the words
 * of the format.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "task/task.h"

/* One input; called with a memory context of its own. */
extern void fuzz_one(const char *data, size_t len);

/* States a property of every input; a violation is a finding. */
#define fuzz_check(condition, ...) \
	do { if (!(condition)) fuzz_violated(#condition, __FILE__, __LINE__, __VA_ARGS__); } while (0)
extern void fuzz_violated(const char *condition, const char *file, int line,
						  const char *fmt,...) pg_attribute_printf(4, 5) pg_attribute_noreturn();

/* An input that is read piece by piece; at its end there are only zeros. */
typedef struct FuzzInput
{
	const char *data;
	size_t		len;
} FuzzInput;

extern uint32 fuzz_below(FuzzInput *in, uint32 n);
extern char *fuzz_line(FuzzInput *in, char end);
extern char *fuzz_body(FuzzInput *in, size_t *len);
extern char *fuzz_rest(FuzzInput *in);

/* Properties that many results share. */
extern bool fuzz_is_utf8(const char *s);
extern bool fuzz_has_control(const char *s);
extern void fuzz_check_error(const TsError *err);
extern void fuzz_check_value(TsField f, const char *value);

/* Zones that exist in every run (see fuzz.c), n = 0 ...; NULL ends. */
extern const char *fuzz_zone(int n);

#endif							/* FUZZ_H */
