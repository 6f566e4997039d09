/*-------------------------------------------------------------------------
 *
 * mailbox.c
 *	  Letters between backends and the worker (see mailbox.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "secret/secret.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tasksync.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "worker/mailbox.h"
#include "worker/worker.h"

#define LETTER_CLASS	0x5454	/* our class of advisory locks on letters */
#define ANSWER_BYTES	32768	/* tokens of some services are long */
#define PATIENCE_MS		5000	/* beyond the time that a request may take */

/* In shared memory; the texts follow one another, each with its NUL. */
typedef struct Sheet
{
	pg_atomic_uint32 answered;
	int			asker_pid;
	TsAskKind	kind;
	int			grant;
	int			code_at;		/* offsets in text; -1: none */
	int			version_at;
	int			account_at;
	int			user_at;
	int			new_grant;		/* 0: no token */
	int64		refresh_at;
	int64		expires_at;
	char		sqlstate[6];	/* "": it was done */
	char		answer[ANSWER_BYTES];	/* message, detail, hint; or the token */
	char		text[FLEXIBLE_ARRAY_MEMBER];
} Sheet;

struct TsLetter
{
	dsm_segment *segment;
	Sheet	   *sheet;
	dsm_handle	handle;
	struct TsLetter *next;
};

/* The letters that the worker has in hand. */
static TsLetter *in_hand = NULL;

/* handle 0, which no segment has: there are letters */
static void
letter_locktag(LOCKTAG *tag, dsm_handle handle)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, handle, 0, LETTER_CLASS);
}

static bool
lock_letter(dsm_handle handle, LOCKMODE mode, bool wait)
{
	LOCKTAG		tag;

	letter_locktag(&tag, handle);
	return LockAcquire(&tag, mode, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

static void
unlock_letter(dsm_handle handle, LOCKMODE mode)
{
	LOCKTAG		tag;

	letter_locktag(&tag, handle);
	LockRelease(&tag, mode, false);
}

/*
 * Asking
 */

static int
put_text(Sheet *sheet, int *at, const char *text)
{
	int			begin = *at;

	if (text == NULL)
		return -1;
	strcpy(sheet->text + begin, text);
	*at += strlen(text) + 1;
	return begin;
}

static const char *
get_text(const Sheet *sheet, int at)
{
	return at < 0 ? NULL : sheet->text + at;
}

static size_t
room_for(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static dsm_segment *
write_letter(const TsAsk *ask)
{
	dsm_segment *segment = dsm_create(offsetof(Sheet, text) + room_for(ask->account_id) +
									  room_for(ask->user_id) + room_for(ask->code) +
									  room_for(ask->version), 0);
	Sheet	   *sheet = dsm_segment_address(segment);
	int			at = 0;

	memset(sheet, 0, offsetof(Sheet, text));
	pg_atomic_init_u32(&sheet->answered, 0);
	sheet->asker_pid = MyProcPid;
	sheet->kind = ask->kind;
	sheet->grant = ask->grant;
	sheet->account_at = put_text(sheet, &at, ask->account_id);
	sheet->user_at = put_text(sheet, &at, ask->user_id);
	sheet->code_at = put_text(sheet, &at, ask->code);
	sheet->version_at = put_text(sheet, &at, ask->version);
	return segment;
}

static char *
next_text(const char **at)
{
	const char *text = *at;

	*at += strlen(text) + 1;
	return *text ? pstrdup(text) : NULL;
}

static void
no_worker(TsError *err)
{
	ts_error(err, "55000", "no tasksync worker is running in this database");
	ts_error_hint(err, "%s", ts_is_preloaded()
				  ? "See tasksync.databases, max_worker_processes and the server log."
				  : "Add tasksync to shared_preload_libraries, or call tasksync.start_worker().");
}

static void
wait_for_answer(Sheet *sheet, TsError *err)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   (int64) ts_request_timeout_ms + PATIENCE_MS);
	const char *answer = sheet->answer;

	ts_wake_worker(MyDatabaseId);
	while (pg_atomic_read_u32(&sheet->answered) == 0)
	{
		if (GetCurrentTimestamp() >= deadline)
		{
			ts_error(err, "TS503", "the tasksync worker did not answer in time");
			return;
		}
		if (ts_worker_pid(MyDatabaseId) == 0)
		{
			no_worker(err);
			return;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 500,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	pg_read_barrier();
	strlcpy(err->sqlstate, sheet->sqlstate, sizeof(err->sqlstate));
	if (!ts_failed(err))
		return;
	err->message = next_text(&answer);
	err->detail = next_text(&answer);
	err->hint = next_text(&answer);
}

static void
take_token(const Sheet *sheet, TsAuth *auth)
{
	if (sheet->new_grant == 0)
		return;
	if (auth->bearer)
		explicit_bzero(auth->bearer, strlen(auth->bearer));
	auth->bearer = pstrdup(sheet->answer);
	auth->grant = sheet->new_grant;
	auth->refresh_at = sheet->refresh_at;
	auth->expires_at = sheet->expires_at;
}

bool
ts_ask_worker(const TsAsk *ask, TsAuth *auth, TsError *err)
{
	dsm_segment *segment;
	Sheet	   *sheet;
	dsm_handle	handle;

	memset(err, 0, sizeof(*err));
	if (ts_secret_is_ours(ask->account_id, ask->user_id))
	{
		ts_error(err, "55000", "the credentials of account \"%s\" are not committed yet", ask->account_id);
		ts_error_detail(err, "It is the worker that fetches tokens with them.");
		ts_error_hint(err, "Commit before the call.");
		return false;
	}
	if (ts_worker_pid(MyDatabaseId) == 0)
	{
		no_worker(err);
		return false;
	}
	segment = write_letter(ask);
	sheet = dsm_segment_address(segment);
	handle = dsm_segment_handle(segment);
	lock_letter(handle, ExclusiveLock, true);
	lock_letter(DSM_HANDLE_INVALID, ShareLock, true);
	wait_for_answer(sheet, err);
	if (!ts_failed(err) && auth)
		take_token(sheet, auth);
	unlock_letter(DSM_HANDLE_INVALID, ShareLock);
	unlock_letter(handle, ExclusiveLock);
	explicit_bzero(sheet, dsm_segment_map_length(segment));
	dsm_detach(segment);
	return !ts_failed(err);
}

/*
 * The worker's side
 */

static bool
have_in_hand(dsm_handle handle)
{
	for (TsLetter *l = in_hand; l; l = l->next)
		if (l->handle == handle)
			return true;
	return false;
}

/* Is there anything at all? */
static bool
mailbox_is_empty(void)
{
	if (!lock_letter(DSM_HANDLE_INVALID, ExclusiveLock, false))
		return false;
	unlock_letter(DSM_HANDLE_INVALID, ExclusiveLock);
	return true;
}

static TsLetter *
take_letter(dsm_handle handle)
{
	dsm_segment *segment = dsm_attach(handle);
	TsLetter   *letter;

	if (segment == NULL)
		return NULL;			/* whoever wrote it has left */
	dsm_pin_mapping(segment);
	letter = MemoryContextAllocZero(TopMemoryContext, sizeof(TsLetter));
	letter->segment = segment;
	letter->sheet = dsm_segment_address(segment);
	letter->handle = handle;
	letter->next = in_hand;
	in_hand = letter;
	return letter;
}

TsLetter *
ts_mailbox_next(TsAsk *ask)
{
	LockData   *locks;

	if (mailbox_is_empty())
		return NULL;
	locks = GetLockStatusData();
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *l = &locks->locks[i];
		LOCKTAG		tag;
		dsm_handle	handle = l->locktag.locktag_field2;
		TsLetter   *letter;

		letter_locktag(&tag, handle);
		if (handle == DSM_HANDLE_INVALID || l->holdMask == 0 ||
			memcmp(&l->locktag, &tag, sizeof(tag)) != 0 || have_in_hand(handle) ||
			(letter = take_letter(handle)) == NULL)
			continue;
		ask->kind = letter->sheet->kind;
		ask->grant = letter->sheet->grant;
		ask->account_id = get_text(letter->sheet, letter->sheet->account_at);
		ask->user_id = get_text(letter->sheet, letter->sheet->user_at);
		ask->code = get_text(letter->sheet, letter->sheet->code_at);
		ask->version = get_text(letter->sheet, letter->sheet->version_at);
		return letter;
	}
	return NULL;
}

static void
append_answer(Sheet *sheet, int *at, const char *text)
{
	strlcpy(sheet->answer + *at, text ? text : "", ANSWER_BYTES - *at - 1);
	*at += strlen(sheet->answer + *at) + 1;
	*at = Min(*at, ANSWER_BYTES - 1);
}

void
ts_mailbox_answer(TsLetter *letter, const TsAuth *auth, const TsError *err)
{
	Sheet	   *sheet = letter->sheet;
	TsLetter  **at = &in_hand;
	int			end = 0;

	if (err)
	{
		strlcpy(sheet->sqlstate, err->sqlstate, sizeof(sheet->sqlstate));
		append_answer(sheet, &end, err->message);
		append_answer(sheet, &end, err->detail);
		append_answer(sheet, &end, err->hint);
	}
	else if (auth && auth->bearer)
	{
		append_answer(sheet, &end, auth->bearer);
		sheet->new_grant = auth->grant;
		sheet->refresh_at = auth->refresh_at;
		sheet->expires_at = auth->expires_at;
	}
	pg_write_barrier();
	pg_atomic_write_u32(&sheet->answered, 1);
	ts_wake_process(sheet->asker_pid);

	while (*at != letter)
		at = &(*at)->next;
	*at = letter->next;
	dsm_detach(letter->segment);
	pfree(letter);
}
