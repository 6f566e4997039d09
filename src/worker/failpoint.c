/*-------------------------------------------------------------------------
 *
 * failpoint.c
 *	  For tests: a worker that ends at its n-th step (see failpoint.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/guc.h"
#include "worker/failpoint.h"

typedef enum CrashMode
{
	CRASH_FATAL,				/* the process ends, the server does not mind */
	CRASH_EXIT,					/* it ends at once: the server starts all processes anew */
	CRASH_KILL,					/* the same by SIGKILL */
	CRASH_IMMEDIATE				/* an immediate shutdown of the server */
} CrashMode;

/* What a worker is told, within bgw_extra. */
typedef struct Orders
{
	int			steps;
	CrashMode	mode;
} Orders;

static const struct config_enum_entry modes[] = {
	{"fatal", CRASH_FATAL, false},
	{"exit", CRASH_EXIT, false},
	{"kill", CRASH_KILL, false},
	{"immediate", CRASH_IMMEDIATE, false},
	{NULL, 0, false}
};

StaticAssertDecl(sizeof(Orders) <= BGW_EXTRALEN, "orders fit into bgw_extra");

int			ts_steps_left = 0;
static int	crash_at;
static int	crash_mode;
static CrashMode armed_mode;

void
ts_define_failpoints(void)
{
	DefineCustomIntVariable("tasksync.crash_at",
							"For tests: the step at which a worker started by this session ends.",
							"0: none.",
							&crash_at, 0, 0, INT_MAX,
							PGC_SUSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_SUPERUSER_ONLY,
							NULL, NULL, NULL);
	DefineCustomEnumVariable("tasksync.crash_mode",
							 "For tests: how it ends.",
							 NULL, &crash_mode, CRASH_FATAL, modes,
							 PGC_SUSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_SUPERUSER_ONLY,
							 NULL, NULL, NULL);
}

void
ts_pass_failpoints(BackgroundWorker *worker)
{
	Orders		orders = {crash_at, crash_mode};

	memcpy(worker->bgw_extra, &orders, sizeof(orders));
}

void
ts_arm_failpoints(const BackgroundWorker *worker)
{
	Orders		orders;

	memcpy(&orders, worker->bgw_extra, sizeof(orders));
	armed_mode = orders.mode;
	ts_steps_left = orders.steps;
}

void
ts_crash(const char *step)
{
	ereport(LOG, (errmsg("tasksync worker crashes, as it was told: %s", step)));
	switch (armed_mode)
	{
		case CRASH_FATAL:
			ereport(FATAL, (errmsg("tasksync worker ends, as it was told")));
			break;
		case CRASH_EXIT:
			break;
		case CRASH_KILL:
			kill(MyProcPid, SIGKILL);
			break;
		case CRASH_IMMEDIATE:
			kill(PostmasterPid, SIGQUIT);
			for (;;)
				pause();		/* the postmaster's SIGQUIT ends us */
	}
	_exit(2);
}
