/*-------------------------------------------------------------------------
 *
 * redact.h
 *	  Keeping statements with credentials out of the log (redact.c).
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_REDACT_H
#define TASKSYNC_REDACT_H

#include "postgres.h"

/* From _PG_init; does something only while the library is preloaded. */
extern void ts_redact_init(void);

#endif							/* TASKSYNC_REDACT_H */
