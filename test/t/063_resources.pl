# A server that is short of something (processes, connections, disk), and
# settings of databases and roles that are not meant for the worker.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);

sub new_node
{
	my ($name, $conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => ['--wal-segsize=1']);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tasksync'\ntasksync.allow_private_networks = on\n"
		  . "tasksync.retry_base_delay = '100ms'\ntimezone = 'UTC'\nlog_line_prefix = '%m [%p] %b '\n$conf");
	$node->start;
	$node->safe_psql('postgres', 'CREATE DATABASE tasks');
	$node->safe_psql('tasks', 'CREATE EXTENSION tasksync');
	return $node;
}

sub has_worker
{
	my ($node, $name, $seconds) = @_;

	return ok(wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync worker' AND datname = current_database()",
			seconds => $seconds // 15), $name);
}

# A list with tasks, mapped: mapping and project
sub mapped_list
{
	my ($node, $id, @titles) = @_;
	my $list = $dav->make_list($id, $id);

	$dav->put_todo($list, "$id-$_", "SUMMARY:$_") foreach @titles;
	my $provider = add_caldav($node, $proxy->url, name => $id);
	return ($list, $provider, map_list($node, $provider, $list));
}

#
# Processes: room for the launcher and one worker, which another database has
#
{
	my $node = new_node('processes', "max_worker_processes = 2\nmax_logical_replication_workers = 0\ntasksync.databases = 'other,tasks'\n");

	has_worker($node, 'a worker');
	$node->safe_psql('postgres', 'CREATE DATABASE other');
	$node->safe_psql('other', 'CREATE EXTENSION tasksync');
	ok($node->wait_for_log(qr/no process for a tasksync worker.*Raise max_worker_processes/s), 'no process for a second: the log says so, and what to do');
	is(sqlstate($node, 'SELECT tasksync.start_worker()', dbname => 'other'), '55000', 'start_worker says so');
	is(sqlstate($node, 'CALL tasksync.sync_now()', dbname => 'other'), '55000', '... sync_now too');
	$node->psql('other', 'SELECT tasksync.start_worker()', stderr => \my $stderr);
	like($stderr, qr/HINT:  Raise max_worker_processes/, '... and what to do');
	my ($list, $provider) = mapped_list($node, 'processes', 'one');
	is(sql($node, 'SELECT title FROM tasksync.task'), 'one', 'the first one works');
	sleep 3;
	my @complaints = slurp_file($node->logfile) =~ /no process for a tasksync worker/g;
	is(scalar @complaints, 1, 'it is said once');
	$node->safe_psql('tasks', 'DROP EXTENSION tasksync');
	ok(wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync worker' AND datname = 'other'",
			dbname => 'other', seconds => 15), 'a process is free: the second one begins');
	is(sqlstate($node, 'CALL tasksync.sync_now()', dbname => 'other'), '00000', '... and works');
	$node->stop;
}

#
# Connections: all of them taken
#
my $node = new_node('main', "max_connections = 8\nsuperuser_reserved_connections = 0\ntasksync.databases = 'tasks'\n"
	  . "tasksync.mass_delete_threshold = 100\n");
has_worker($node, 'a worker');
my ($list, $provider, $mapping, $project) = mapped_list($node, 'main', 'first');
{
	my @sessions = map { $node->background_psql('tasks') } 1 .. 8;
	my $session = shift @sessions;
	my $who = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'tasksync worker'";

	isnt($node->psql('tasks', 'SELECT 1', stderr => \my $stderr), 0, 'no connection is left');
	my $pid = $session->query_safe($who);
	kill 'TERM', $pid;
	sleep 2.5;
	isnt($session->query_safe($who), $pid, 'a worker that ends has a successor all the same');
	$session->query_safe("INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'second')");
	$session->query_safe("CALL tasksync.sync_now('$provider', timeout => '20 s')");
	is($dav->titles($list), 'first, second', 'sync_now works');
	$_->quit foreach $session, @sessions;
}

#
# What administrators set for their sessions
#
{
	my %hostile = (
		statement_timeout => '1ms', lock_timeout => '1ms', idle_in_transaction_session_timeout => '1ms',
		idle_session_timeout => '1ms', default_transaction_isolation => 'serializable',
		default_transaction_read_only => 'on', default_transaction_deferrable => 'on', session_replication_role => 'replica',
		synchronous_commit => 'off', search_path => 'pg_temp', DateStyle => 'German', IntervalStyle => 'sql_standard',
		TimeZone => 'Asia/Kathmandu', bytea_output => 'escape', extra_float_digits => '-15', array_nulls => 'off',
		transform_null_equals => 'on', standard_conforming_strings => 'off', row_security => 'off', work_mem => '64kB',
		plan_cache_mode => 'force_generic_plan', enable_indexscan => 'off', enable_nestloop => 'off',
		default_tablespace => 'nowhere', role => 'nobody', default_toast_compression => 'pglz', xmloption => 'document');
	my $owner = $node->safe_psql('postgres', 'SELECT current_user');
	my $reset = sub { $node->safe_psql('postgres', join '', map { "SET default_transaction_read_only = off; SET statement_timeout = 0; SET lock_timeout = 0; $_;\n" } @_) };

	$node->safe_psql('postgres', 'CREATE ROLE nobody');
	foreach my $where ('DATABASE tasks', "ROLE $owner", 'SYSTEM')
	{
		my @names = sort grep { $where ne 'SYSTEM' || !/^(?:role|default_tablespace|session_replication_role)$/ } keys %hostile;
		my @settings = map { "ALTER $where SET $_ = '$hostile{$_}'" } @names;

		my $mild = '-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c role=none'
		  . ' -c default_transaction_isolation=read\ committed -c default_transaction_read_only=off -c session_replication_role=origin'
		  . ' -c search_path=public -c DateStyle=ISO -c default_tablespace=';
		local $ENV{PGOPTIONS} = $mild;

		# the worker begins with them; our own sessions would not live long
		open my $in, '|-', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') or die;
		print $in "$_;\n" foreach @settings, 'SELECT pg_reload_conf()', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'tasksync worker'";
		close $in;
		is($?, 0, "ALTER $where SET: hostile");
		my $name = lc $where =~ s/ .*//r;
		sql($node, "INSERT INTO tasksync.task (project_id, title, due_date, due_time, time_zone, remind_at, tags, description)"
			  . " VALUES ('$project', '$name', '2027-03-04', '10:30', 'Europe/Berlin', '2027-03-04 08:00+00', '{a,b}', repeat('long ', 20000))");
		$dav->put_todo($list, "there-$name", "SUMMARY:there $name", 'DUE:20270405T061500Z', 'CATEGORIES:x,y', 'STATUS:COMPLETED', 'COMPLETED:20270101T000000Z');
		is(sqlstate($node, "CALL tasksync.sync_now('$provider', timeout => '20 s')"), '00000', '... a worker begins, and syncs');
		my ($path, $text) = $dav->find($list, $name);
		like($text // '', qr/^DUE;TZID=Europe\/Berlin:20270304T103000\r$/m, '... what goes out is right');
		is(sql($node, "SELECT concat_ws(' ', due_date, due_time, time_zone, tags, status, completed_at = '2027-01-01 00:00+00') FROM tasksync.task WHERE title = 'there $name'"),
			'2027-04-05 06:15:00 UTC {x,y} COMPLETED t', '... what comes in too');
		is(sql($node, "SELECT field, left(local, 30), left(remote, 30) FROM tasksync.verify_mapping('$mapping')"), '', '... both sides are the same');
		$reset->(map { "ALTER $where RESET $_" } @names);
		$reset->('SELECT pg_reload_conf()');
	}
	$node->restart;
	has_worker($node, 'back to normal');
	$dav->delete($_) foreach grep { !/main-first/ } keys %{ $dav->todos($list) };
	sync($node, $provider);
}

#
# Disk
#

sub long { return join '', map { sprintf '%08x', rand 2**32 } 1 .. $_[0] / 8; }

# Files of the worker that may not grow any more: as on a full disk, but for
# the name of the error.  (Segments of WAL have 1 MB here, and always fit.)
{
	my $limit = 1536 * 1024;
	my $long = long(16384);

	$dav->put_todo($list, "big-$_", "SUMMARY:big $_", "DESCRIPTION:$long$_") foreach 1 .. 150;
	my $pid = worker_pid($node);
	system_or_bail('prlimit', "--fsize=$limit:", '--pid', $pid);
	is(sqlstate($node, "CALL tasksync.sync_now('$provider', timeout => '60 s')"), 'XX000', 'no room: the job says so');
	like(sync_job($node, 'error_message'), qr/could not (?:extend|write)/, '... with the reason');
	is(worker_pid($node), $pid, '... and the worker lives');
	my $there = sql($node, "SELECT count(*) FROM tasksync.task WHERE title LIKE 'big %'");
	system_or_bail('prlimit', '--fsize=unlimited', '--pid', $pid);
	sql($node, 'SELECT tasksync.retry_failed()');
	is(sqlstate($node, "CALL tasksync.sync_now('$provider', timeout => '60 s')"), '00000', "there is room again (for more than $there)");
	is(sql($node, "SELECT concat_ws(' ', count(*), count(DISTINCT title)) FROM tasksync.task WHERE title LIKE 'big %'"), '150 150', '... and all tasks are here, once');
	is(sql($node, "SELECT count(*) FROM tasksync.verify_mapping('$mapping')"), '0', '... as they are there');
	is(sql($node, 'SELECT count(*) FROM tasksync.task_inbox'), '0', '... nothing is set aside');
}

# Temporary files that may not grow: an error of class 53, and no item's fault
{
	my $long = long(16384);

	sql($node, "ALTER SYSTEM SET work_mem = '64kB'");
	sql($node, 'ALTER SYSTEM SET temp_file_limit = 0');
	sql($node, 'SELECT pg_reload_conf()');
	sleep 0.5;
	$dav->edit("${list}big-$_.ics", sub { s/^DESCRIPTION:.*?\r\n(?! )/DESCRIPTION:$long again\r\n/ms }) foreach 1 .. 50;
	is(sqlstate($node, "CALL tasksync.sync_now('$provider', timeout => '60 s')"), '53400', 'no temporary files: the job says so');
	is(sql($node, 'SELECT count(*) FROM tasksync.task_inbox'), '0', '... nothing is set aside for it');
	is(sql($node, "SELECT error_code FROM tasksync.task_list_mapping WHERE id = '$mapping'"), '53400', '... the mapping has the error');
	sql($node, 'ALTER SYSTEM RESET temp_file_limit');
	sql($node, 'SELECT pg_reload_conf()');
	sleep 0.5;
	is(sqlstate($node, "CALL tasksync.sync_now('$provider', timeout => '60 s')"), '00000', 'with them it goes on');
	is(sql($node, "SELECT count(*) FROM tasksync.verify_mapping('$mapping')"), '0', '... and both sides are the same');
	is(sql($node, "SELECT count(*) FROM tasksync.task WHERE description LIKE '%again%'"), '50', '... with all edits');
	is(sql($node, "SELECT error_code IS NULL FROM tasksync.task_list_mapping WHERE id = '$mapping'"), 't', '... and without an error');
}

$node->stop;
done_testing();
