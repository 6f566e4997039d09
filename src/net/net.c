/*-------------------------------------------------------------------------
 *
 * net.c
 *	  Transfers on one curl_multi (see net.h).
 *
 * libcurl tells us which sockets it waits for; they go into an epoll set of
 * our own, which is itself one member of a WaitEventSet beside the latch: a
 * WaitEventSet cannot drop sockets, an epoll set can.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "compat.h"
#include "lib/ilist.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "net/net.h"
#include "net/transfer.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_EVENTS 64

struct TsNet
{
	MemoryContext cxt;
	CURLM	   *multi;
	int			epoll_fd;
	bool		fd_reserved;
	WaitEventSet *set;
	TimestampTz curl_due;		/* when libcurl wants to be called, 0: not */
	dlist_head	transfers;
	int			active;
	int64		bytes_in;
	int64		bytes_out;
	MemoryContextCallback callback;
};

/*
 * libcurl may start a thread to resolve names, which inherits the signal mask:
 * PostgreSQL's handlers must never run in it.
 */
static void
block_signals(sigset_t *old)
{
	sigprocmask(SIG_SETMASK, &BlockSig, old);
}

static void
unblock_signals(const sigset_t *old)
{
	sigprocmask(SIG_SETMASK, old, NULL);
}

static int
on_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *known)
{
	TsNet	   *net = arg;
	struct epoll_event ev = {0};

	if (what == CURL_POLL_REMOVE)
	{
		(void) epoll_ctl(net->epoll_fd, EPOLL_CTL_DEL, s, NULL);
		return 0;
	}
	ev.data.fd = s;
	if (what & CURL_POLL_IN)
		ev.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(net->epoll_fd, EPOLL_CTL_MOD, s, &ev) < 0 &&
		epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, s, &ev) < 0)
		return -1;
	return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	TsNet	   *net = arg;

	net->curl_due = timeout_ms < 0 ? 0
		: TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	return 0;
}

static void
release_net(void *arg)
{
	TsNet	   *net = arg;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &net->transfers)
	{
		TsTransfer *t = dlist_container(TsTransfer, node, iter.cur);

		if (t->attached)
			curl_multi_remove_handle(net->multi, t->easy);
		ts_transfer_free(t);
	}
	if (net->multi)
		curl_multi_cleanup(net->multi);
	if (net->set)
		FreeWaitEventSet(net->set);
	if (net->epoll_fd >= 0)
		close(net->epoll_fd);
	if (net->fd_reserved)
		ReleaseExternalFD();
}

TsNet *
ts_net_create(MemoryContext cxt)
{
	static bool initialized = false;
	TsNet	   *net;

	if (!initialized)
	{
		if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not initialize libcurl")));
		initialized = true;
	}
	net = MemoryContextAllocZero(cxt, sizeof(TsNet));
	net->cxt = cxt;
	net->epoll_fd = -1;
	dlist_init(&net->transfers);
	net->callback.func = release_net;
	net->callback.arg = net;
	MemoryContextRegisterResetCallback(cxt, &net->callback);

	if (!(net->fd_reserved = AcquireExternalFD()) ||
		(net->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not create epoll descriptor: %m")));
	net->set = ts_create_wait_event_set(cxt, 3);
	AddWaitEventToSet(net->set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(net->set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(net->set, WL_SOCKET_READABLE, net->epoll_fd, NULL, NULL);

	net->multi = curl_multi_init();
	if (net->multi == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	curl_multi_setopt(net->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(net->multi, CURLMOPT_SOCKETDATA, net);
	curl_multi_setopt(net->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(net->multi, CURLMOPT_TIMERDATA, net);
	curl_multi_setopt(net->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_MULTIPLEX);
	curl_multi_setopt(net->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 256L);
	curl_multi_setopt(net->multi, CURLMOPT_MAXCONNECTS, 64L);
	return net;
}

int
ts_net_active(const TsNet *net)
{
	return net->active;
}

void
ts_net_bytes(const TsNet *net, int64 *in, int64 *out)
{
	*in = net->bytes_in;
	*out = net->bytes_out;
}

static void
attach(TsTransfer *t)
{
	TsNet	   *net = t->net;
	sigset_t	old;

	block_signals(&old);
	t->attached = curl_multi_add_handle(net->multi, t->easy) == CURLM_OK;
	unblock_signals(&old);
	if (!t->attached)
		t->finished = true;		/* delivered as a failure at the next wait */
}

TsTransfer *
ts_net_start(TsNet *net, const TsRequest *req, const TsAuth *auth, const TsReceiver *receiver)
{
	TsTransfer *t = ts_transfer_make(req, auth, receiver);

	t->net = net;
	dlist_push_tail(&net->transfers, &t->node);
	net->active++;
	ts_transfer_prepare(t);
	if (t->refused)
		t->finished = true;
	else
		attach(t);
	return t;
}

static void
detach(TsTransfer *t)
{
	curl_off_t	up = 0,
				down = 0;
	sigset_t	old;

	if (!t->attached)
		return;
	curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	curl_easy_getinfo(t->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	t->net->bytes_out += up;
	t->net->bytes_in += down;
	block_signals(&old);
	curl_multi_remove_handle(t->net->multi, t->easy);
	unblock_signals(&old);
	t->attached = false;
}

void
ts_net_cancel(TsTransfer *t)
{
	detach(t);
	dlist_delete(&t->node);
	t->net->active--;
	ts_transfer_free(t);
}

/* Let libcurl work on what the sockets and its timer have for it. */
static void
perform(TsNet *net)
{
	struct epoll_event events[MAX_EVENTS];
	int			running;
	int			n = epoll_wait(net->epoll_fd, events, MAX_EVENTS, 0);
	sigset_t	old;

	block_signals(&old);
	for (int i = 0; i < n; i++)
	{
		int			mask = 0;

		if (events[i].events & EPOLLIN)
			mask |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			mask |= CURL_CSELECT_OUT;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			mask |= CURL_CSELECT_ERR;
		curl_multi_socket_action(net->multi, events[i].data.fd, mask, &running);
	}
	if (net->curl_due != 0 && net->curl_due <= GetCurrentTimestamp())
	{
		net->curl_due = 0;
		curl_multi_socket_action(net->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	unblock_signals(&old);
}

static void
collect_finished(TsNet *net)
{
	CURLMsg    *msg;
	int			left;

	while ((msg = curl_multi_info_read(net->multi, &left)) != NULL)
	{
		TsTransfer *t;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **) &t);
		t->result = msg->data.result;
		t->finished = true;
	}
}

/* Hand on the piece of a streamed body that has come, and let more come. */
static void
deliver_piece(TsTransfer *t)
{
	size_t		len = t->len;

	if (!t->streaming || len == 0)
		return;
	t->len = 0;
	t->receiver.data(t->receiver.arg, t->body, len);
}

static void
resume(TsTransfer *t)
{
	sigset_t	old;

	if (!t->paused || t->finished)
		return;
	t->paused = false;
	block_signals(&old);
	curl_easy_pause(t->easy, CURLPAUSE_CONT);
	unblock_signals(&old);
}

/*
 * A receiver may start and cancel transfers, so the list is walked from its
 * head again after every delivery.
 */
static bool
deliver_one(TsNet *net)
{
	dlist_iter	iter;

	dlist_foreach(iter, &net->transfers)
	{
		TsTransfer *t = dlist_container(TsTransfer, node, iter.cur);

		if (t->streaming && t->len > 0 && (t->paused || t->finished))
		{
			deliver_piece(t);
			resume(t);
			return true;
		}
		if (!t->finished)
			continue;
		detach(t);
		if (ts_transfer_redirect(t))
		{
			attach(t);
			return true;
		}
		dlist_delete(&t->node);
		net->active--;
		ts_transfer_finish(t);
		return true;
	}
	return false;
}

bool
ts_net_wait(TsNet *net, long timeout_ms)
{
	WaitEvent	events[2];
	TimestampTz now = GetCurrentTimestamp();
	bool		latched = false;
	dlist_iter	iter;
	int			n;

	if (net->curl_due != 0)
	{
		long		curl_ms = TimestampDifferenceMilliseconds(now, net->curl_due);

		if (timeout_ms < 0 || curl_ms < timeout_ms)
			timeout_ms = curl_ms;
	}
	dlist_foreach(iter, &net->transfers)
		if (dlist_container(TsTransfer, node, iter.cur)->finished)
			timeout_ms = 0;

	n = WaitEventSetWait(net->set, timeout_ms, events, lengthof(events), PG_WAIT_EXTENSION);
	for (int i = 0; i < n; i++)
		if (events[i].events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			latched = true;
		}

	/* A set latch hides ready sockets: they are asked in any case. */
	perform(net);
	collect_finished(net);
	while (deliver_one(net))
		CHECK_FOR_INTERRUPTS();
	return latched;
}
