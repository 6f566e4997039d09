# A dump restored in another cluster: it leaves the service alone until it is
# adopted, and then goes on without doubling or losing anything.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TasksyncTest;
use Test::More;

my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);
my $node = tasks_node('original');
my $list = $dav->make_list('garden', 'Garden');
my %object = map { $_ => $dav->put_todo($list, $_, "SUMMARY:$_") } qw(rake water weed);
my $provider = add_caldav($node, $proxy->url);
my ($mapping, $project) = map_list($node, $provider, $list);

sub titles
{
	my ($on) = @_;

	return sql($on, 'SELECT string_agg(title, \', \' ORDER BY title COLLATE "C") FROM tasksync.task');
}

sql($node, "INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'dig'), ('$project', 'sow')");
sync($node, $provider);
is($dav->titles($list), 'dig, rake, sow, water, weed', 'in sync');
my $journal = sql($node, 'SELECT max(id) FROM tasksync.task_change');

# The dump is taken with something yet to be sent
sql($node, 'UPDATE tasksync.task_provider SET sync_enabled = false');
sql($node, "UPDATE tasksync.task_list_mapping SET sync_enabled = false");
sql($node, "UPDATE tasksync.task SET description = 'before the dump' WHERE title = 'dig'");
my $dump = PostgreSQL::Test::Utils::tempdir('dump') . '/tasks.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('tasks') ], 'pg_dump');
unlike(slurp_file($dump), qr/"password"/, 'no credentials in it');
sql($node, "UPDATE tasksync.task_list_mapping SET sync_enabled = true");
sync($node, $provider);

# The original goes on after the dump
sql($node, "INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'after the dump')");
sql($node, "UPDATE tasksync.task SET title = 'sow again' WHERE title = 'sow'");
sql($node, "DELETE FROM tasksync.task WHERE title = 'weed'");
sync($node, $provider);
$dav->edit($object{water}, sub { s/^SUMMARY:.*?\r\n/SUMMARY:water there\r\n/m });
is($dav->titles($list), 'after the dump, dig, rake, sow again, water there', 'the service is ahead of the dump');
my $oid = sql($node, 'SELECT oid FROM pg_database WHERE datname = current_database()');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init;
$copy->append_conf('postgresql.conf', "shared_preload_libraries = 'tasksync'\ntasksync.allow_private_networks = on\n"
	  . "tasksync.databases = 'tasks'\ntasksync.retry_base_delay = '100ms'\ntimezone = 'UTC'\n");
$copy->start;
$copy->safe_psql('postgres', 'CREATE DATABASE tasks');

# The instance file of the original is on the same machine, and the database has the same number: it is a copy all the same
is($copy->safe_psql('tasks', 'SELECT oid FROM pg_database WHERE datname = current_database()'), $oid,
	'the copy has the number of the original');
$node->stop;
$proxy->requests;
$copy->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $copy->connstr('tasks') ], 'the dump is restored');
ok(wait_until($copy, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync worker'"), 'its worker is there');
sql($copy, 'UPDATE tasksync.task_list_mapping SET sync_enabled = true');
sql($copy, "UPDATE tasksync.task_provider SET sync_enabled = true, next_sync_at = now()");
is(sqlstate($copy, "CALL tasksync.sync_now('$provider')"), '55000', 'it does not sync');
is(sqlstate($copy, "SELECT * FROM tasksync.task_lists('$provider')"), '55000', '... nor does it ask');
sql($copy, "UPDATE tasksync.task SET description = 'in the copy' WHERE title = 'rake'");
ok(wait_until($copy, "SELECT sync_status = 'ERROR' FROM tasksync.task_provider"), 'its schedule fails');
is(join("\n", $proxy->requests), '', 'not one request left it');
is(titles($copy), 'dig, rake, sow, water, weed', 'all tasks are there');
cmp_ok(sql($copy, 'INSERT INTO tasksync.task_change (task_id, change_type) SELECT gen_random_uuid(), \'CREATE\' RETURNING id'),
	'>', $journal, 'numbers go on');
sql($copy, 'DELETE FROM tasksync.task_change WHERE mapping_id IS NULL');

# Adopted
sql($copy, 'SELECT tasksync.adopt_clone()');
is(sqlstate($copy, "CALL tasksync.sync_now('$provider')"), '55000', 'without the key it says so');
sql($copy, "SELECT tasksync.set_credentials(account_id, '{\"username\": \"tasks\", \"password\": \"secret\"}') FROM tasksync.task_provider");
sync($copy, $provider);
my $all = 'after the dump, dig, rake, sow again, water there';
is(titles($copy), $all, 'adopted: what happened since is here, once');
is($dav->titles($list), $all, '... and nothing is doubled there');
like($dav->get($object{rake}), qr/^DESCRIPTION:in the copy\r$/m, '... the edit in the copy is there');
my $quiet = join "\n", sort values %{ $dav->todos($list) };
$proxy->requests;
sync($copy, $provider);
is(join("\n", grep { /^(?:PUT|DELETE|MOVE|PROPPATCH|MK)/ } $proxy->requests), '', 'the next sync writes nothing');
is(join("\n", sort values %{ $dav->todos($list) }), $quiet, '... and all is as it was');
is(sql($copy, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', 'both sides are the same');
$copy->restart;
ok(wait_until($copy, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync worker'"), 'restarted');
is(sqlstate($copy, "CALL tasksync.sync_now('$provider')"), '00000', '... it still is the one');
$copy->stop;

done_testing();
