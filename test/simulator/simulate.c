/*-------------------------------------------------------------------------
 *
 * simulate.c
 *	  The engine in small worlds, by the million.
 *
 *	  simulate [--seeds N] [--from S]		many runs; the failing ones are told
 *	  simulate --seed S						one, and all that happens in it
 *	  simulate --seed S --only K,K,…		… of its events these alone
 *	  simulate --ablations [--seeds N] [--from S]	the build in which guards can be
 *										switched off: each must be missed
 *
 * A run goes through some syncs while users write on all sides at every
 * boundary, requests get lost before or after their effect, transactions fail
 * and the process dies anywhere.  Then all that stops, the world comes to rest,
 * and what must hold is checked (checks.c).  A failing run is made smaller, by
 * leaving out events as long as it still fails, and told with the call that
 * repeats it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "pgshim.h"
#include "run.h"
#include "sync/guard.h"
#include "tap.h"
#include "utils/memutils.h"

#define MAX_TOLD 20				/* failing seeds that are made small and told */

static MemoryContext run_cxt;

/* One run from nothing; NULL: all is well. */
static char *
try_run(Run *run, uint64 seed, const EventKey *only, int nonly, bool verbose)
{
	MemoryContext old = MemoryContextSwitchTo(run_cxt);
	char	   *wrong;

	MemoryContextReset(run_cxt);
	memset(run, 0, offsetof(Run, values));
	run->seed = seed;
	run->only = only;
	run->nonly = nonly;
	run->verbose = verbose;
	wrong = run_seed(run);
	MemoryContextSwitchTo(old);
	return wrong;
}

/*
 * Leave out halves, quarters … of the events as long as the run still fails.
 * Returns how many are left.
 */
static int
make_small(uint64 seed, EventKey *events, int n)
{
	static Run	run;
	EventKey   *fewer = palloc(sizeof(EventKey) * n);

	for (int size = n / 2; size > 0; size /= 2)
		for (int at = 0; at < n;)
		{
			int			gone = Min(size, n - at);

			memcpy(fewer, events, sizeof(EventKey) * at);
			memcpy(fewer + at, events + at + gone, sizeof(EventKey) * (n - at - gone));
			if (try_run(&run, seed, fewer, n - gone, false))
			{
				n -= gone;
				memcpy(events, fewer, sizeof(EventKey) * n);
			}
			else
				at += size;
		}
	return n;
}

static void
tell_failure(Run *run, uint64 seed, const char *wrong)
{
	EventKey   *events = palloc(sizeof(EventKey) * MAX_EVENTS);
	int			all = run->nevents;
	int			n;
	StringInfoData keys;

	memcpy(events, run->event, sizeof(EventKey) * all);
	printf("# seed " UINT64_FORMAT ": %s\n", seed, wrong);
	n = make_small(seed, events, all);
	wrong = try_run(run, seed, events, n, false);
	initStringInfo(&keys);
	for (int i = 0; i < n; i++)
		appendStringInfo(&keys, "%s%x", i ? "," : "", events[i]);
	printf("#   %d of %d events are enough (%s): --seed " UINT64_FORMAT " --only %s\n",
		   n, all, wrong, seed, keys.data);
	fflush(stdout);
}

static int
try_seeds(uint64 from, uint64 n)
{
	static Run	run;
	int			nwrong = 0;

	for (uint64 seed = from; seed < from + n; seed++)
	{
		char	   *wrong = try_run(&run, seed, NULL, 0, false);

		if (wrong && ++nwrong <= MAX_TOLD)
			tell_failure(&run, seed, pstrdup(wrong));
	}
	printf("%sok 1 - " UINT64_FORMAT " runs from seed " UINT64_FORMAT ", %d of them failed\n1..1\n",
		   nwrong ? "not " : "", n, from, nwrong);
	return nwrong != 0;
}

static int
tell_seed(uint64 seed, char *only)
{
	static Run	run;
	EventKey	keys[MAX_EVENTS];
	int			n = 0;
	char	   *wrong;

	for (char *key = only ? strtok(only, ",") : NULL; key; key = strtok(NULL, ","))
		keys[n++] = strtoul(key, NULL, 16);
	wrong = try_run(&run, seed, only ? keys : NULL, n, true);
	printf("# seed " UINT64_FORMAT ": %s\n", seed, wrong ? wrong : "all is well");
	return wrong != NULL;
}

#ifdef TASKSYNC_ABLATION

bool		ts_guard_off[TS_NGUARDS];

#define OFF(guard) (1 << TS_GUARD_##guard)

/* Guards that stand in for each other are switched off together. */
static const struct
{
	int			off;
	const char *what;
}			ablations[] = {
	{OFF(DUAL_BASE), "a base for each side"},
	{OFF(FIELD_MERGE), "merging field by field"},
	{OFF(INTENT), "intents before writes"},
	{OFF(IN_DOUBT), "the rule of writes in doubt"},
	{OFF(MARKER), "markers"},
	{OFF(AUTHORITATIVE), "waiting for an authoritative listing"},
	{OFF(CURSOR), "the cursor after the data"},
	{OFF(ABSENCE) | OFF(CONFIRM), "asking for what is absent, now and before it is buried"},
	{OFF(UNTOLD), "asking for what was made and is not told of"},
	{OFF(STALE), "asking for what may be stale"},
	{OFF(DEAD), "remembering dead ids"},
	{OFF(AUDIT), "complete listings now and then"},
	{OFF(BARRIER), "waiting for moves"},
	{OFF(CONDITION), "conditional writes"}
};

static void
switch_off(int guards)
{
	for (int g = 0; g < TS_NGUARDS; g++)
		ts_guard_off[g] = (guards & (1 << g)) != 0;
}

/* Without each guard, some of the runs must fail. */
static int
try_ablations(uint64 from, uint64 n)
{
	static Run	run;
	int			unnoticed = 0;

	for (int a = 0; a < lengthof(ablations); a++)
	{
		int			nwrong = 0;

		switch_off(ablations[a].off);
		for (uint64 seed = from; seed < from + n; seed++)
			nwrong += try_run(&run, seed, NULL, 0, false) != NULL;
		printf("%sok %d - without %s: %d of " UINT64_FORMAT " runs fail (%.2f %%)\n",
			   nwrong ? "" : "not ", a + 1, ablations[a].what, nwrong, n, 100.0 * nwrong / n);
		fflush(stdout);
		unnoticed += nwrong == 0;
	}
	printf("1..%d\n", (int) lengthof(ablations));
	return unnoticed != 0;
}

#else

static int
try_ablations(uint64 from, uint64 n)
{
	fprintf(stderr, "simulate: guards can be switched off only in the build that is made for it\n");
	return 2;
}

#endif

static void
usage(void)
{
	fprintf(stderr, "usage: simulate [--seeds N] [--from S] | --seed S [--only K,K,...] | --ablations\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	uint64		seeds = 10000;
	uint64		from = 1;
	uint64		seed = 0;
	char	   *only = NULL;
	bool		ablations = argc > 1 && strcmp(argv[1], "--ablations") == 0;

	for (int i = 1 + ablations; i < argc; i += 2)
	{
		if (i + 1 == argc)
			usage();
		else if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--from") == 0)
			from = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--only") == 0)
			only = argv[i + 1];
		else
			usage();
	}
	pgshim_start();
	run_cxt = AllocSetContextCreate(TopMemoryContext, "run", ALLOCSET_DEFAULT_SIZES);
	if (ablations)
		return try_ablations(from, seeds);
	return seed ? tell_seed(seed, only) : try_seeds(from, seeds);
}
