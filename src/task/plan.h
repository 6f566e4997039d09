/*-------------------------------------------------------------------------
 *
 * plan.h
 *	  The planner: two bases and two sides in, what to do out.
 *
 * One pure, total function decides everything that a sync does to a task.
 * "Changed here" is local differing from the local base, "changed there" is
 * remote differing from the remote base: each side is compared with its own
 * base only, so a service that rounds or rewrites what it is given neither
 * looks changed nor erases the precision of our side.
 *
 * Some fields only mean something together (a due date, its time and its
 * zone; status, percentage and completion time).  Such a register is merged as
 * one: if both sides changed any part of it, one side's whole register wins.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_PLAN_H
#define TASKSYNC_PLAN_H

#include "task/task.h"

typedef enum TsPolicy
{
	TS_LATEST_WINS,
	TS_LOCAL_WINS,
	TS_REMOTE_WINS,
	TS_MANUAL
} TsPolicy;

typedef enum TsDirection
{
	TS_BIDIRECTIONAL,
	TS_TO_PROVIDER,
	TS_FROM_PROVIDER
} TsDirection;

extern bool ts_policy_by_name(const char *name, TsPolicy *policy);
extern bool ts_direction_by_name(const char *name, TsDirection *direction);

typedef enum TsAction
{
	TS_ACTION_NONE,
	TS_ACTION_CREATE,
	TS_ACTION_UPDATE,
	TS_ACTION_DELETE
} TsAction;

typedef struct TsPlanInput
{
	const TsTask *local_base;	/* NULL: never agreed (no link) */
	const TsTask *remote_base;
	const TsTask *local;		/* NULL: not there */
	const TsTask *remote;		/* NULL: not there, and that is proved */
	TsFieldMask carries;		/* what the service can hold at all */
	TsPolicy	policy;
	TsDirection direction;
	TsFieldMask frozen;			/* in an open conflict: leave both sides be */
	TsFieldMask swinging;		/* changed to and fro of late: not taken again, a conflict instead */
	const char *const *local_times; /* per field: its last change here, canonical timestamp; or NULL */
	const char *remote_time;	/* last change there, or NULL */
	const char *remote_parent;	/* remote's parent as a task id here; NULL: unknown or none */
	bool		circular;		/* … and it is a descendant of the task here */
} TsPlanInput;

typedef struct TsPlan
{
	TsAction	local_action;
	TsAction	remote_action;
	TsTask		local_patch;	/* known = the fields to set here */
	TsTask		remote_patch;	/* known = the fields to send */

	/*
	 * The bases once local_patch is applied and before remote_patch is
	 * delivered: a field still to be sent differs from its local base.
	 */
	TsTask		local_base;
	TsTask		remote_base;

	TsFieldMask conflicts;		/* changed differently on both sides */
	TsFieldMask local_won;		/* of those: ours stands, theirs overruled */
	TsFieldMask remote_won;
	bool		edit_beat_delete;	/* one side deleted what the other edited */
	TsFieldMask as_before;		/* local CREATE of what was deleted: fields that nobody there edited */
} TsPlan;

extern void ts_plan_task(const TsPlanInput *in, TsPlan *out);

/* The bases as they stand after remote_patch too was delivered and kept as sent. */
extern void ts_plan_delivered(const TsPlan *plan, TsTask *local_base, TsTask *remote_base);

#endif							/* TASKSYNC_PLAN_H */
