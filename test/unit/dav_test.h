/*-------------------------------------------------------------------------
 *
 * dav_test.h
 *	  TAP output for the CalDAV provider's test programs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DAV_TEST_H
#define DAV_TEST_H

#include "provider/provider.h"

extern void ok(bool good, const char *fmt,...) pg_attribute_printf(2, 3);
extern void is(const char *got, const char *expected, const char *name);
extern int	done_testing(void);

#endif							/* DAV_TEST_H */
