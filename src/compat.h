/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  The differences between PostgreSQL 15 and its successors, in one place.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_COMPAT_H
#define TASKSYNC_COMPAT_H

#include "storage/latch.h"
#include "utils/resowner.h"

/*
 * Before 17 a WaitEventSet belongs to a memory context, which does not close
 * its descriptors: whoever makes one frees it in a reset callback.  From 17 on
 * it may belong to a resource owner; without one it is ours in the same way.
 */
static inline WaitEventSet *
ts_create_wait_event_set(MemoryContext cxt, int n)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, n);
#else
	return CreateWaitEventSet(cxt, n);
#endif
}

#endif							/* TASKSYNC_COMPAT_H */
