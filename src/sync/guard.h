/*-------------------------------------------------------------------------
 *
 * guard.h
 *	  The engine's guards, by name.
 *
 * A test that no fault can make fail tests nothing.  So the simulator has a
 * build (TASKSYNC_ABLATION) in which each of these rules can be switched off,
 * and must then find lost, doubled or wrong values.  In the extension itself
 * all of them are constants, and true.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_GUARD_H
#define TASKSYNC_GUARD_H

typedef enum TsGuard
{
	TS_GUARD_DUAL_BASE,			/* each side is compared with its own base */
	TS_GUARD_FIELD_MERGE,		/* field by field, not the whole task */
	TS_GUARD_INTENT,			/* a write is written down before it is sent */
	TS_GUARD_IN_DOUBT,			/* who wrote after a write in doubt is later than it */
	TS_GUARD_MARKER,			/* objects are known by the marker we gave them */
	TS_GUARD_AUTHORITATIVE,		/* a create is only lost where a listing would show it */
	TS_GUARD_CURSOR,			/* the cursor comes after the data it covers */
	TS_GUARD_ABSENCE,			/* what a listing leaves out is asked for */
	TS_GUARD_UNTOLD,			/* so is what we made, and the changes since do not name */
	TS_GUARD_STALE,				/* what may be older than what we know is asked for */
	TS_GUARD_DEAD,				/* dead ids are remembered */
	TS_GUARD_AUDIT,				/* now and then everything is looked at */
	TS_GUARD_BARRIER,			/* what is gone may have moved */
	TS_GUARD_CONFIRM,			/* … and is asked for once more before it is buried */
	TS_GUARD_CONDITION,			/* writes depend on what they were planned for (the service's part) */
	TS_NGUARDS
} TsGuard;

#ifdef TASKSYNC_ABLATION
extern bool ts_guard_off[TS_NGUARDS];
#define ts_guarded(guard)	(!ts_guard_off[guard])
#else
#define ts_guarded(guard)	true
#endif

#endif							/* TASKSYNC_GUARD_H */
