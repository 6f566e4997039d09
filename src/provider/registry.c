/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  Which services there are, and what all conversations have in common.
 *
 * The services compiled in stand in one table; another extension adds its own
 * with ts_provider_register() from its _PG_init.  The table only grows, and a
 * process fills it before it asks, so there is no locking.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/provider.h"
#include "provider/outlook/provider.h"
#include "provider/provider.h"
#include "utils/memutils.h"

#define MAX_PROVIDERS 64

static const TsProvider *providers[MAX_PROVIDERS] = {
	&ts_caldav_provider,
	&ts_outlook_provider,
};

/*
 * ts_provider_nth
 *		The provider at place n = 0, 1, …; NULL after the last.
 */
const TsProvider *
ts_provider_nth(int n)
{
	return n >= 0 && n < MAX_PROVIDERS ? providers[n] : NULL;
}

/*
 * ts_provider_lookup
 *		The provider of that type ("CALDAV"); NULL when there is none.
 */
const TsProvider *
ts_provider_lookup(const char *type)
{
	const TsProvider *provider;

	for (int i = 0; (provider = ts_provider_nth(i)) != NULL; i++)
	{
		if (strcmp(provider->type, type) == 0)
			return provider;
	}
	return NULL;
}

/*
 * ts_provider_register
 *		Adds a provider, which must live for ever.  False when its type is
 *		taken or the table is full.
 */
bool
ts_provider_register(const TsProvider *provider)
{
	int			n = 0;

	if (ts_provider_lookup(provider->type) != NULL)
		return false;
	while (ts_provider_nth(n) != NULL)
		n++;
	if (n == MAX_PROVIDERS)
		return false;
	providers[n] = provider;
	return true;
}

/*
 * ts_conversation_make
 *		A conversation of "size" bytes, zeroed but for its public face.
 *
 * Its context is a child of CurrentMemoryContext, and the conversation lives
 * in it: deleting the context, by ts_conversation_end() or with its parent
 * after an ERROR, ends everything.
 */
TsConversation *
ts_conversation_make(size_t size, const TsProvider *provider,
					 const TsSite *site, const TsOp *op)
{
	MemoryContext cxt;
	TsConversation *conv;

	Assert(size >= sizeof(TsConversation));

	cxt = AllocSetContextCreate(CurrentMemoryContext, "tasksync conversation",
								ALLOCSET_DEFAULT_SIZES);
	conv = MemoryContextAllocZero(cxt, size);
	conv->provider = provider;
	conv->site = site;
	conv->op = op;
	conv->cxt = cxt;
	conv->batch = AllocSetContextCreate(cxt, "tasksync observations",
										ALLOCSET_DEFAULT_SIZES);
	conv->doing = "";
	conv->retry_after = -1;
	return conv;
}

/*
 * ts_conversation_observe
 *		One more observation, zeroed.  What it points to belongs in conv->batch.
 */
TsObservation *
ts_conversation_observe(TsConversation *conv)
{
	TsObservation *obs;

	if (conv->nobs == conv->maxobs)
	{
		int			room = Max(64, conv->maxobs * 2);
		Size		bytes = room * sizeof(TsObservation);

		if (conv->obs == NULL)
			conv->obs = MemoryContextAlloc(conv->cxt, bytes);
		else
			conv->obs = repalloc(conv->obs, bytes);
		conv->maxobs = room;
	}
	obs = &conv->obs[conv->nobs++];
	memset(obs, 0, sizeof(*obs));
	return obs;
}

/*
 * ts_conversation_take
 *		The engine has dealt with all observations so far: forget them.
 */
void
ts_conversation_take(TsConversation *conv)
{
	conv->nobs = 0;
	MemoryContextReset(conv->batch);
}

/*
 * ts_conversation_end
 *		Frees the conversation and all it holds.
 */
void
ts_conversation_end(TsConversation *conv)
{
	MemoryContextDelete(conv->cxt);
}
