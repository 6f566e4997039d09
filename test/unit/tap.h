/*-------------------------------------------------------------------------
 *
 * tap.h
 *	  Test programs in C that print TAP ("ok 1 - name").
 *
 * A program calls tap_start() first, then any number of checks, and returns
 * tap_done() from main(): the plan comes last, and the exit status is not zero
 * when a check failed.  The check macros work in the current memory context;
 * tap_reset() frees what was allocated since the last one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAP_H
#define TAP_H

extern void tap_start(void);
extern int	tap_done(void);
extern void tap_reset(void);

extern bool tap_ok(bool passed, const char *fmt,...) pg_attribute_printf(2, 3);
extern bool tap_is(const char *got, const char *expected,
				   const char *fmt,...) pg_attribute_printf(3, 4);
extern bool tap_is_int(int64 got, int64 expected,
					   const char *fmt,...) pg_attribute_printf(3, 4);
extern void tap_note(const char *fmt,...) pg_attribute_printf(1, 2);

/* A whole file, palloc'd and NUL-terminated; dies when it can't be read. */
extern char *tap_read_file(const char *path, size_t *len);

/* "head", n times "each" (a format for the number), "tail" */
extern char *tap_repeat(const char *head, const char *each, int n, const char *tail);

#endif							/* TAP_H */
