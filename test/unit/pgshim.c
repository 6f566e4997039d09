/*-------------------------------------------------------------------------
 *
 * pgshim.c
 *	  PostgreSQL's memory contexts for programs without a server.
 *
 * The pure rooms are compiled against the server's headers and linked here
 * with libpgcommon and libpgport, which need nothing but these functions.
 * Every chunk is a malloc of its own, kept in its context's list, so that
 * valgrind and AddressSanitizer see each one; resetting and deleting contexts
 * really frees, and calls the reset callbacks, as in a server.  With
 * PGSHIM_ARENA they are cut from blocks instead, as fast as can be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "pgshim.h"
#include "utils/memutils.h"

#ifndef PGSHIM_ARENA

typedef struct Chunk
{
	struct Chunk *prev;
	struct Chunk *next;
	MemoryContext context;
	Size		size;
} Chunk;

typedef struct ShimContext
{
	MemoryContextData data;
	Chunk		chunks;			/* head of the ring */
} ShimContext;

#else

/*
 * Not a multiple of 4 kB: the beginnings of blocks, which are what is used of
 * most, would all be kept in the same few lines of the processor's cache.
 */
#define BLOCK_SIZE (12 * 1024 + 9 * 64)

/* What chunks are cut from, one after the other. */
typedef struct Block
{
	struct Block *next;
	char	   *end;
} Block;

typedef struct Chunk
{
	MemoryContext context;
	Size		size;
} Chunk;

typedef struct ShimContext
{
	MemoryContextData data;
	Block	   *blocks;			/* the one chunks are cut from first */
	char	   *free;			/* where the next begins */
	char	   *end;			/* of that block */
} ShimContext;

static Block *spare_blocks;
static ShimContext *spare_contexts;

#endif

MemoryContext CurrentMemoryContext;
MemoryContext TopMemoryContext;
MemoryContext ErrorContext;

static void
die(const char *what)
{
	fprintf(stderr, "pgshim: %s\n", what);
	abort();
}

static Chunk *
chunk_of(void *pointer)
{
	return (Chunk *) ((char *) pointer - MAXALIGN(sizeof(Chunk)));
}

#ifndef PGSHIM_ARENA

static void
link_chunk(Chunk *chunk)
{
	Chunk	   *head = &((ShimContext *) chunk->context)->chunks;

	chunk->prev = head->prev;
	chunk->next = head;
	head->prev->next = chunk;
	head->prev = chunk;
}

static void
unlink_chunk(Chunk *chunk)
{
	chunk->prev->next = chunk->next;
	chunk->next->prev = chunk->prev;
}

static void *
allocate(MemoryContext context, Size size, bool may_fail)
{
	Chunk	   *chunk = malloc(MAXALIGN(sizeof(Chunk)) + size);

	if (chunk == NULL && may_fail)
		return NULL;
	if (chunk == NULL)
		die("out of memory");
	chunk->context = context;
	chunk->size = size;
	link_chunk(chunk);
	return (char *) chunk + MAXALIGN(sizeof(Chunk));
}

static ShimContext *
allocate_context(void)
{
	ShimContext *context = calloc(1, sizeof(ShimContext));

	if (context == NULL)
		die("out of memory");
	context->chunks.prev = context->chunks.next = &context->chunks;
	return context;
}

static void
free_chunks(MemoryContext context)
{
	Chunk	   *head = &((ShimContext *) context)->chunks;

	while (head->next != head)
	{
		Chunk	   *chunk = head->next;

		unlink_chunk(chunk);
		free(chunk);
	}
}

static void
free_chunk(Chunk *chunk)
{
	unlink_chunk(chunk);
	free(chunk);
}

static void
free_context(MemoryContext context)
{
	free(context);
}

#else

static Block *
get_block(Size room)
{
	Block	   *block = spare_blocks;
	Size		size = Max(room + MAXALIGN(sizeof(Block)), BLOCK_SIZE);

	if (size == BLOCK_SIZE && block != NULL)
	{
		spare_blocks = block->next;
		return block;
	}
	block = malloc(size);
	if (block == NULL)
		die("out of memory");
	block->end = (char *) block + size;
	return block;
}

static pg_noinline void
add_block(ShimContext *c, Size room)
{
	Block	   *block = get_block(room);

	block->next = c->blocks;
	c->blocks = block;
	c->free = (char *) block + MAXALIGN(sizeof(Block));
	c->end = block->end;
}

static inline void *
allocate(MemoryContext context, Size size, bool may_fail)
{
	ShimContext *c = (ShimContext *) context;
	Size		room = MAXALIGN(sizeof(Chunk)) + MAXALIGN(size);
	Chunk	   *chunk;

	if (c->end - c->free < room)
		add_block(c, room);
	chunk = (Chunk *) c->free;
	c->free += room;
	chunk->context = context;
	chunk->size = size;
	return (char *) chunk + MAXALIGN(sizeof(Chunk));
}

static ShimContext *
allocate_context(void)
{
	ShimContext *context = spare_contexts;

	if (context != NULL)
		spare_contexts = (ShimContext *) context->data.nextchild;
	else if ((context = malloc(sizeof(ShimContext))) == NULL)
		die("out of memory");
	memset(context, 0, sizeof(*context));
	return context;
}

static void
free_chunks(MemoryContext context)
{
	ShimContext *c = (ShimContext *) context;

	while (c->blocks != NULL)
	{
		Block	   *block = c->blocks;

		c->blocks = block->next;
		if (block->end - (char *) block != BLOCK_SIZE)
			free(block);
		else
		{
			block->next = spare_blocks;
			spare_blocks = block;
		}
	}
	c->free = c->end = NULL;
}

/* Gone with its context, if it is not the last one. */
static void
free_chunk(Chunk *chunk)
{
	ShimContext *c = (ShimContext *) chunk->context;
	char	   *end = (char *) chunk + MAXALIGN(sizeof(Chunk)) + MAXALIGN(chunk->size);

	if (end == c->free)
		c->free = (char *) chunk;
}

static void
free_context(MemoryContext context)
{
	context->nextchild = (MemoryContext) spare_contexts;
	spare_contexts = (ShimContext *) context;
}

#endif

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name,
							  Size minContextSize, Size initBlockSize, Size maxBlockSize)
{
	ShimContext *context = allocate_context();

	context->data.type = T_AllocSetContext;
	context->data.name = name;
	context->data.parent = parent;
	if (parent != NULL)
	{
		context->data.nextchild = parent->firstchild;
		if (parent->firstchild != NULL)
			parent->firstchild->prevchild = &context->data;
		parent->firstchild = &context->data;
	}
	return &context->data;
}

static void
call_reset_callbacks(MemoryContext context)
{
	MemoryContextCallback *callback;

	while ((callback = context->reset_cbs) != NULL)
	{
		context->reset_cbs = callback->next;
		callback->func(callback->arg);
	}
}

void
MemoryContextResetOnly(MemoryContext context)
{
	call_reset_callbacks(context);
	free_chunks(context);
}

void
MemoryContextDeleteChildren(MemoryContext context)
{
	while (context->firstchild != NULL)
		MemoryContextDelete(context->firstchild);
}

void
MemoryContextReset(MemoryContext context)
{
	MemoryContextDeleteChildren(context);
	MemoryContextResetOnly(context);
}

void
MemoryContextDelete(MemoryContext context)
{
	MemoryContextReset(context);
	if (context->prevchild != NULL)
		context->prevchild->nextchild = context->nextchild;
	else if (context->parent != NULL)
		context->parent->firstchild = context->nextchild;
	if (context->nextchild != NULL)
		context->nextchild->prevchild = context->prevchild;
	free_context(context);
}

void
MemoryContextRegisterResetCallback(MemoryContext context, MemoryContextCallback *cb)
{
	cb->next = context->reset_cbs;
	context->reset_cbs = cb;
}

void *
MemoryContextAlloc(MemoryContext context, Size size)
{
	return allocate(context, size, false);
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return memset(allocate(context, size, false), 0, size);
}

void *
MemoryContextAllocZeroAligned(MemoryContext context, Size size)
{
	return MemoryContextAllocZero(context, size);
}

void *
MemoryContextAllocHuge(MemoryContext context, Size size)
{
	return allocate(context, size, false);
}

void *
MemoryContextAllocExtended(MemoryContext context, Size size, int flags)
{
	void	   *pointer = allocate(context, size, (flags & MCXT_ALLOC_NO_OOM) != 0);

	if (pointer != NULL && (flags & MCXT_ALLOC_ZERO) != 0)
		memset(pointer, 0, size);
	return pointer;
}

void *
palloc(Size size)
{
	return allocate(CurrentMemoryContext, size, false);
}

void *
palloc0(Size size)
{
	return MemoryContextAllocZero(CurrentMemoryContext, size);
}

void *
palloc_extended(Size size, int flags)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, size, flags);
}

void
pfree(void *pointer)
{
	free_chunk(chunk_of(pointer));
}

/* Always moves, so that a kept old pointer is found out. */
void *
repalloc(void *pointer, Size size)
{
	Chunk	   *old = chunk_of(pointer);
	void	   *moved = allocate(old->context, size, false);

	memcpy(moved, pointer, Min(old->size, size));
	pfree(pointer);
	return moved;
}

void *
repalloc_huge(void *pointer, Size size)
{
	return repalloc(pointer, size);
}

char *
MemoryContextStrdup(MemoryContext context, const char *string)
{
	Size		len = strlen(string) + 1;

	return memcpy(allocate(context, len, false), string, len);
}

char *
pstrdup(const char *in)
{
	return MemoryContextStrdup(CurrentMemoryContext, in);
}

char *
pnstrdup(const char *in, Size len)
{
	char	   *out;

	len = strnlen(in, len);
	out = palloc(len + 1);
	memcpy(out, in, len);
	out[len] = '\0';
	return out;
}

void
ExceptionalCondition(const char *conditionName, const char *errorType,
					 const char *fileName, int lineNumber)
{
	fprintf(stderr, "%s(\"%s\", %s:%d)\n", errorType, conditionName, fileName, lineNumber);
	abort();
}

/*
 * pgshim_start
 *		Make the top contexts; call first in main().
 */
void
pgshim_start(void)
{
	TopMemoryContext = AllocSetContextCreateInternal(NULL, "TopMemoryContext", 0, 0, 0);
	ErrorContext = TopMemoryContext;
	CurrentMemoryContext = TopMemoryContext;
}

/*
 * pgshim_stop
 *		Free everything, so that what a leak checker reports is a leak.
 */
void
pgshim_stop(void)
{
	MemoryContextDelete(TopMemoryContext);
	TopMemoryContext = ErrorContext = CurrentMemoryContext = NULL;
}
