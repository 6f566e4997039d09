# The life of launcher and workers.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

sub workers
{
	my ($node) = @_;

	return $node->safe_psql('postgres', "SELECT string_agg(datname, ',' ORDER BY datname)"
		  . " FROM pg_stat_activity WHERE backend_type = 'tasksync worker'");
}

sub wait_for_workers
{
	my ($node, $expected, $name, $seconds) = @_;

	ok(wait_until($node, "SELECT coalesce(string_agg(datname, ',' ORDER BY datname), '') = '$expected'"
			  . " FROM pg_stat_activity WHERE backend_type = 'tasksync worker'",
			dbname => 'postgres', seconds => $seconds // 15), $name)
	  or diag('workers: ' . workers($node));
	return;
}

# Runs a statement; how many seconds it took, or -1 when it failed.
sub seconds_of
{
	my ($node, $dbname, $query) = @_;
	my $start = time;

	return $node->psql($dbname, $query, stderr => \my $stderr) == 0 ? time - $start : -1;
}

sub is_quick
{
	my ($seconds, $name) = @_;

	ok($seconds >= 0 && $seconds < 5, $name) or diag("seconds: $seconds");
	return;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<CONF);
shared_preload_libraries = 'tasksync'
tasksync.allow_private_networks = on
max_worker_processes = 16
restart_after_crash = on
CONF
$node->start;

ok(wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync launcher'",
		dbname => 'postgres'), 'the launcher is there');
$node->safe_psql('postgres', 'CREATE DATABASE tasks');
$node->safe_psql('postgres', 'CREATE DATABASE other');
sleep 1;

$node->safe_psql('tasks', 'CREATE EXTENSION tasksync');
wait_for_workers($node, 'tasks', 'CREATE EXTENSION brings a worker within seconds', 5);

$node->safe_psql('postgres', 'CREATE DATABASE third');
$node->safe_psql('third', 'CREATE EXTENSION tasksync');
wait_for_workers($node, 'tasks,third', 'a second database, a second worker', 5);

is_quick(seconds_of($node, 'third', 'DROP EXTENSION tasksync'), 'DROP EXTENSION waits for nobody');
wait_for_workers($node, 'tasks', '... and its worker leaves');

$node->safe_psql('third', 'CREATE EXTENSION tasksync');
wait_for_workers($node, 'tasks,third', 'the extension made again, a worker again', 15);
is_quick(seconds_of($node, 'postgres', 'ALTER DATABASE third RENAME TO fourth'),
	'ALTER DATABASE RENAME is not blocked');
wait_for_workers($node, 'fourth,tasks', '... and the worker comes back');
is_quick(seconds_of($node, 'postgres', 'CREATE DATABASE copied TEMPLATE fourth'),
	'a database with a worker can be a template');
wait_for_workers($node, 'copied,fourth,tasks', '... and both have a worker');
is_quick(seconds_of($node, 'postgres', 'DROP DATABASE fourth'), 'DROP DATABASE is not blocked');
is_quick(seconds_of($node, 'postgres', 'DROP DATABASE copied WITH (FORCE)'),
	'DROP DATABASE WITH (FORCE) is not blocked');
wait_for_workers($node, 'tasks', 'their workers are gone');

my $killed = worker_pid($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($killed)");
ok(wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity"
		  . " WHERE backend_type = 'tasksync worker' AND pid <> $killed"),
	'a terminated worker is replaced');

$killed = worker_pid($node);
kill 'KILL', $killed;
ok(wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity"
		  . " WHERE backend_type = 'tasksync worker' AND pid <> $killed"),
	'a worker killed by SIGKILL is replaced after the crash recovery');

$node->restart;
wait_for_workers($node, 'tasks', 'a restarted server has its worker again');

$node->append_conf('postgresql.conf', "tasksync.databases = 'other'");
$node->reload;
wait_for_workers($node, '', 'tasksync.databases without it ends the worker at reload', 20);
$node->append_conf('postgresql.conf', "tasksync.databases = ''");
$node->reload;
wait_for_workers($node, 'tasks', '... and brings it back', 20);

# Calls that wait
is(sqlstate($node, "BEGIN;\nCALL tasksync.sync_now();"), '25001',
	'sync_now in a transaction block is refused');
is(sqlstate($node, "BEGIN;\nCALL tasksync.wait_for_job(1);"), '25001',
	'wait_for_job in a transaction block is refused');
is(sqlstate($node, 'CALL tasksync.wait_for_job(4711)'), 'P0002', 'an unknown job is told so');

# A service that takes connections and never answers
my $port = free_port();
start_service(PostgreSQL::Test::Utils::tempdir('silent'), $port, 'python3', '-c',
	"import socket, time\ns = socket.socket()\ns.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
	  . "s.bind(('127.0.0.1', $port))\ns.listen(50)\ntime.sleep(600)");
my $provider = add_caldav($node, "http://127.0.0.1:$port/");
sql($node, "INSERT INTO tasksync.project (name) VALUES ('Silence')");
sql($node, "SELECT tasksync.create_mapping('$provider', '/silence/', id) FROM tasksync.project");
my $start = time;
is(sqlstate($node, "CALL tasksync.sync_now('$provider', timeout => '2 s')"), '57014',
	'sync_now ends at its timeout');
ok(time - $start < 4, '... at once');
ok(wait_until($node, "SELECT bool_or(status IN ('RUNNING', 'PENDING')) FROM tasksync.sync_job"),
	'... while the job goes on');
is_quick(seconds_of($node, 'tasks', 'DROP EXTENSION tasksync'),
	'DROP EXTENSION does not wait for a sync under way');
wait_for_workers($node, '', '... which ends');
$node->safe_psql('tasks', 'CREATE EXTENSION tasksync');
wait_for_workers($node, 'tasks', 'and the extension can be made again', 20);
my $stopping = time;
$node->stop('fast');
ok(time - $stopping < 5, 'a fast shutdown is not held up');

# A standby
$node->start;
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
sleep 2;
is(workers($standby), '', 'a standby has no worker');
$node->stop('immediate');
$standby->promote;
wait_for_workers($standby, 'tasks', 'promotion starts it');
$standby->stop;

# Without preloading
my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->append_conf('postgresql.conf', "tasksync.allow_private_networks = on\n");
$plain->start;
$plain->safe_psql('postgres', 'CREATE DATABASE tasks');
$plain->safe_psql('tasks', 'CREATE EXTENSION tasksync');
$provider = add_caldav($plain, "http://127.0.0.1:$port/");
$start = time;
is(sqlstate($plain, "CALL tasksync.sync_now('$provider')"), '55000',
	'without a worker sync_now is refused');
ok(time - $start < 2, '... at once');
my $pid = sql($plain, 'SELECT tasksync.start_worker()');
is(worker_pid($plain), $pid, 'start_worker starts one and answers its pid');
is(sql($plain, 'SELECT tasksync.start_worker()'), $pid, 'a second call answers the same');
is(sqlstate($plain, "CREATE ROLE ann;\nSET ROLE ann;\nSELECT tasksync.start_worker()"), '42501',
	'start_worker is not for everybody');
is_quick(seconds_of($plain, 'tasks', 'DROP EXTENSION tasksync'),
	'DROP EXTENSION waits for nobody here either');
wait_for_workers($plain, '', '... and the worker leaves');
$plain->safe_psql('tasks', 'CREATE EXTENSION tasksync');
$plain->safe_psql('tasks', 'SELECT tasksync.start_worker()');
is_quick(seconds_of($plain, 'postgres', 'DROP DATABASE tasks WITH (FORCE)'),
	'DROP DATABASE WITH (FORCE) ends the worker');
$plain->stop;

done_testing();
