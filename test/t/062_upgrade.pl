# Versions of the extension: a library that is newer than a database's tables,
# one that is older, and ALTER EXTENSION … UPDATE while a worker runs.
#
# The older version's script is made of this one's, as a release before the
# settings of a provider might have been; the newer one adds a column.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = tasks_node('main');
my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);
my $folder = $node->config_data('--sharedir') . '/extension';
my ($version) = slurp_file("$folder/tasksync.control") =~ /^default_version = '(.*)'/m;
my @made;

sub script
{
	my ($name, $text) = @_;

	append_to_file("$folder/$name", $text);
	push @made, "$folder/$name";
	return;
}

END { unlink @made; }

# The pid of the worker of a database, once it is there
sub worker_of
{
	my ($database) = @_;

	ok(wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync worker' AND datname = '$database'",
			dbname => 'postgres', seconds => 15), "$database has a worker");
	return worker_pid($node, $database);
}

my $base = slurp_file("$folder/tasksync--$version.sql");
my $older = $base . "ALTER TABLE tasksync.project DROP COLUMN description;\n";
script('tasksync--0.9.sql', $older);
script("tasksync--0.9--$version.sql", <<SQL);
\\echo Use "ALTER EXTENSION tasksync UPDATE" to load this file. \\quit
ALTER TABLE tasksync.project ADD COLUMN description text;
COMMENT ON COLUMN tasksync.project.description IS 'what it is about';
SQL
script("tasksync--$version--99.1.sql", "ALTER TABLE tasksync.project ADD COLUMN icon text;\n");
script("tasksync--99.1--$version.sql", "ALTER TABLE tasksync.project DROP COLUMN icon;\n");

#
# The library is newer: the server was restarted with it, the database not updated yet
#
$node->append_conf('postgresql.conf', "tasksync.databases = 'tasks,old'");
$node->reload;
$node->safe_psql('postgres', 'CREATE DATABASE old');
my $log = -s $node->logfile;
$node->safe_psql('old', "CREATE EXTENSION tasksync VERSION '0.9'");
ok($node->wait_for_log(qr/database "old" does not work: .*is of version 0\.9 in this database, its library of version \Q$version\E/, $log),
	'a newer library: the worker says so');
like(slurp_file($node->logfile), qr/HINT:  Run ALTER EXTENSION tasksync UPDATE\./, '... and what to do');
is(worker_pid($node, 'old'), '', '... and does nothing');
my %old = (dbname => 'old');
is(sqlstate($node, "SELECT tasksync.add_provider('CALDAV', credentials => '{\"token\": \"x\"}', settings => '{\"url\": \"${\$proxy->url}\"}')", %old), '55000', 'its functions say so');
is(sqlstate($node, 'CALL tasksync.sync_now()', %old), '55000', '... sync_now');
is(sqlstate($node, 'SELECT tasksync.start_worker()', %old), '55000', '... start_worker');
my $stderr;
$node->psql('old', 'CALL tasksync.sync_now()', stderr => \$stderr);
like($stderr, qr/HINT:  Run ALTER EXTENSION tasksync UPDATE\./, '... with the hint');
is(sqlstate($node, "INSERT INTO tasksync.task (title) VALUES ('waits')", %old), '00000', 'tasks can be written all the same');
$node->safe_psql('old', 'ALTER EXTENSION tasksync UPDATE');
worker_of('old');
is(sqlstate($node, 'CALL tasksync.sync_now()', %old), '00000', 'updated: it works');
is($node->safe_psql('old', 'SELECT count(*) FROM tasksync.task'), '1', '... and has its tasks');

#
# ALTER EXTENSION … UPDATE while a worker is in the middle of a sync
#
my $list = $dav->make_list('garden', 'Garden');
$dav->put_todo($list, "t$_", "SUMMARY:t$_") foreach 1 .. 5;
my $provider = add_caldav($node, $proxy->url);
my ($mapping, $project) = map_list($node, $provider, $list);
sql($node, "INSERT INTO tasksync.task (project_id, title) SELECT '$project', 'new ' || n FROM generate_series(1, 5) n");
$proxy->mode('slow 0.3');
my $job = sql($node, "SELECT tasksync.sync_provider('$provider')");
ok(wait_until($node, "SELECT status = 'RUNNING' FROM tasksync.sync_job WHERE id = $job"), 'a sync runs');
my $pid = worker_of('tasks');
$log = -s $node->logfile;
my $start = time;
is(sqlstate($node, "ALTER EXTENSION tasksync UPDATE TO '99.1'"), '00000', 'ALTER EXTENSION UPDATE while it runs');
cmp_ok(time - $start, '<', 5, '... does not wait for it');
ok($node->wait_for_log(qr/database "tasks" does not work: .*is of version 99\.1 in this database/, $log),
	'an older library: the next worker says so');
like(slurp_file($node->logfile), qr/HINT:  Install the library of version 99\.1, and restart the server\./, '... and what to do');
is(worker_pid($node), '', '... and does nothing');
$node->psql('tasks', "SELECT * FROM tasksync.task_lists('$provider')", stderr => \$stderr);
like($stderr, qr/is of version 99\.1 in this database.*HINT:  Install the library of version 99\.1/s, '... functions say so');
$proxy->mode('pass');
sql($node, "ALTER EXTENSION tasksync UPDATE TO '$version'");
isnt(worker_of('tasks'), $pid, '... another one');
sync($node, $provider);
is($dav->titles($list), 'new 1, new 2, new 3, new 4, new 5, t1, t2, t3, t4, t5', 'the sync that was ended goes on, nothing is doubled');
is(sql($node, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', '... both sides are the same');

# An update that fails changes nothing, and the worker comes back
script("tasksync--$version--99.2.sql", "CREATE TABLE tasksync.new (id int);\nSELECT 1 / 0;\n");
is(sqlstate($node, "ALTER EXTENSION tasksync UPDATE TO '99.2'"), '22012', 'an update fails');
worker_of('tasks');
sync($node, $provider);

# Who may not update the extension does not stop its worker either
$pid = worker_pid($node);
is(sqlstate($node, "CREATE ROLE ann;\nSET ROLE ann;\nALTER EXTENSION tasksync UPDATE TO '99.1'"), '42501', 'an update by somebody else is refused');
is(worker_pid($node), $pid, '... and the worker stays');

# Without preloading a worker finds out by itself
my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->start;
$plain->safe_psql('postgres', 'CREATE DATABASE tasks');
$plain->safe_psql('tasks', 'CREATE EXTENSION tasksync');
sql($plain, 'SELECT tasksync.start_worker()');
sql($plain, "ALTER EXTENSION tasksync UPDATE TO '99.1'");
ok(wait_until($plain, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tasksync worker'", seconds => 20),
	'without preloading: the worker ends at its next look');
$plain->stop;
$node->stop;

done_testing();
