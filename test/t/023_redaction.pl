# Statements that carry credentials are seen nowhere: not in the log, whatever
# is logged, and not in pg_stat_activity while they run, however they are sent.

use strict;
use warnings FATAL => 'all';

use TasksyncTest;
use Test::More;

my $node = tasks_node('redaction', conf => <<'CONF');
log_statement = 'all'
log_min_duration_statement = 0
log_error_verbosity = verbose
track_activity_query_size = 4096
CONF

sub log_from
{
	my ($offset) = @_;
	return substr(PostgreSQL::Test::Utils::slurp_file($node->logfile), $offset);
}

sub add { return "tasksync.ADD_provider('CALDAV', '$_[0]', '{\"username\": \"u\", \"password\": \"s3same\"}', '{\"url\": \"http://127.0.0.1:9/\"}')" }

# pgbench sends a script's statements by the protocol that it is told to.
foreach my $protocol (qw(simple extended prepared))
{
	my $offset = -s $node->logfile;
	my $script = $node->basedir . "/$protocol.sql";
	PostgreSQL::Test::Utils::append_to_file($script, "SELECT " . add($protocol) . ", pg_sleep(2);\n");
	my $run = IPC::Run::start([ 'pgbench', '-n', '-t', '1', '-M', $protocol, '-f', $script, $node->connstr('tasks') ],
		'>', '/dev/null', '2>', '/dev/null');
	my $shown = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
	ok(wait_until($node, "SELECT count(*) = 1 $shown"), "$protocol: the statement is under way");
	is(sql($node, "SELECT query $shown"), '<a statement with credentials>', "$protocol: and shows nothing of itself");
	$run->finish;
	is(sql($node, "SELECT count(*) FROM tasksync.task_provider WHERE name = '$protocol'"), '1', "$protocol: it did its work");
	like(log_from($offset), qr/<a statement with credentials>/, "$protocol: logged as what it is");
	unlike(log_from($offset), qr/s3same/, "$protocol: and not in its words");
}

my $offset = -s $node->logfile;
is(sqlstate($node, "SELECT " . add('failing') . ", 1/0"), '22012', 'a statement with credentials fails');
unlike(log_from($offset), qr/s3same/, 'its error does not show them');
like(log_from($offset), qr/failed with SQLSTATE 22012/, 'but that it did');

$offset = -s $node->logfile;
is(sqlstate($node, "SELECT tasksync.finish_oauth('00000000-0000-0000-0000-000000000000', 's3same')"), 'P0002', 'a code from the browser');
unlike(log_from($offset), qr/s3same/, 'is not shown either');

$offset = -s $node->logfile;
is(sql($node, "SELECT 'add_ provider and set_credential are words'"), 'add_ provider and set_credential are words', 'other statements');
like(log_from($offset), qr/add_ provider and set_credential/, 'are logged as they are');

$node->stop;
done_testing();
