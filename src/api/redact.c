/*-------------------------------------------------------------------------
 *
 * redact.c
 *	  Statements that carry credentials, kept out of the log and of
 *	  pg_stat_activity.
 *
 * A statement that names add_provider, add_account or set_credentials is
 * logged as a fixed text, whichever setting had it logged, and without what
 * could quote it (detail, context, parameters).  In pg_stat_activity it is
 * replaced as soon as it is parsed, and again when it is executed.
 *
 * What this cannot cover: the instant before parsing; a function of the user's
 * that holds a literal password; a session without the library preloaded.
 * set_credentials_file() and OAuth's device flow never show a secret at all.
 *
 *-------------------------------------------------------------------------
 */
#include "api/redact.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/elog.h"

#define REPLACEMENT "<a statement with credentials>"

static const char *const names[] = {"add_provider", "add_account", "set_credentials"};

static emit_log_hook_type prev_emit_log = NULL;
static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;
static ExecutorStart_hook_type prev_executor_start = NULL;

/* Does the text hold one of the names, in any case of letters? */
static bool
names_a_secret(const char *text)
{
	if (text == NULL)
		return false;
	for (const char *p = text; *p; p++)
		for (int i = 0; i < lengthof(names); i++)
			if (pg_strncasecmp(p, names[i], strlen(names[i])) == 0)
				return true;
	return false;
}

/*
 * Runs inside error reporting, in its memory context.  The message of an error is ours
 * or PostgreSQL's own and goes through, but for a syntax error, which quotes the
 * statement; below errors the message is the statement itself.
 */
static void
redact(ErrorData *edata)
{
	if (prev_emit_log)
		prev_emit_log(edata);
	if (!names_a_secret(debug_query_string) && !names_a_secret(edata->message) &&
		!names_a_secret(edata->detail) && !names_a_secret(edata->context) &&
		!names_a_secret(edata->internalquery))
		return;
	edata->hide_stmt = true;
	edata->hide_ctx = true;
	edata->detail = edata->detail_log = NULL;
	edata->context = NULL;
	edata->internalquery = NULL;
	if (edata->elevel < ERROR || edata->sqlerrcode == ERRCODE_SYNTAX_ERROR ||
		edata->sqlerrcode == ERRCODE_INVALID_TEXT_REPRESENTATION)
		edata->message = pstrdup(REPLACEMENT);
}

static void
hide_activity(const char *query)
{
	if (names_a_secret(query))
		pgstat_report_activity(STATE_RUNNING, REPLACEMENT);
}

static void
after_parsing(ParseState *pstate, Query *query, JumbleState *jstate)
{
	hide_activity(pstate->p_sourcetext);
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
}

static void
before_executing(QueryDesc *queryDesc, int eflags)
{
	hide_activity(queryDesc->sourceText);
	if (prev_executor_start)
		prev_executor_start(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

void
ts_redact_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_emit_log = emit_log_hook;
	emit_log_hook = redact;
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = after_parsing;
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = before_executing;
}
