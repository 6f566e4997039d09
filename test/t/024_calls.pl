# What the calls say when they cannot do what they are asked, against a real
# CalDAV server.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils ();
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep);

my $node = tasks_node('calls', conf => "tasksync.push_delay = '1 h'\n");
my $dav = TasksyncTest::Dav->new('radicale');
my $provider = add_caldav($node, $dav->url);

# What psql says on its other channel: warnings, notifications
sub said
{
	my ($query) = @_;
	my ($stdout, $stderr) = ('', '');

	$node->psql('tasks', "\\set VERBOSITY verbose\n$query", stdout => \$stdout, stderr => \$stderr);
	return "$stdout\n$stderr";
}

# A provider whose only list waits for a person cannot be synced, and says so …
my $list = $dav->make_list('held', 'Held');
$dav->put_todo($list, "t$_", "SUMMARY:Task $_") foreach 1 .. 3;
my ($held) = map_list($node, $provider, $list);
$dav->delete("${list}t$_.ics") foreach 1 .. 3;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', 'the sync that finds a mass deletion ends well');
is(sql($node, "SELECT sync_status FROM tasksync.task_list_mapping WHERE id = '$held'"), 'HELD', '... and holds it');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '55000', 'nothing but held mappings: 55000');
like(said("CALL tasksync.sync_now('$provider')"), qr/ERROR:  55000: mapping "$held" is HELD.*HINT/s, '... in words, with a hint');
like(said('CALL tasksync.sync_now()'), qr/WARNING:  55000: mapping "$held" is HELD/, 'a sync of all providers warns');
my $job = sql($node, "SELECT tasksync.sync_mapping('$held')");
like(said("CALL tasksync.wait_for_job($job)"), qr/ERROR:  55000: mapping "$held" is HELD/, 'a job for it fails with the same words');

# … and one with others syncs those, and warns
my $other = $dav->make_list('other', 'Other');
$dav->put_todo($other, 'new', 'SUMMARY:New');
map_list($node, $provider, $other);
$dav->put_todo($other, 'newer', 'SUMMARY:Newer');
like(said("CALL tasksync.sync_now('$provider')"), qr/WARNING:  55000: mapping "$held" is HELD/, 'others go on, with a warning');
is(sql($node, 'SELECT count(*) FROM tasksync.task WHERE title = \'Newer\''), '1', '... and did');
is(sql($node, 'SELECT count(*) FROM tasksync.task WHERE title LIKE \'Task%\''), '3', '... and nothing was deleted');
sql($node, "SELECT tasksync.confirm_deletions('$held')");
unlike(said("CALL tasksync.sync_now('$provider')"), qr/WARNING|ERROR/, 'no word when nothing is held');
is(sql($node, 'SELECT count(*) FROM tasksync.task WHERE title LIKE \'Task%\''), '0', '... the deletions are confirmed');

# A list whose path needs escapes, named in several ways
my $odd = $dav->make_list('a%20b%3Fc%C3%A9', 'Odd');
$dav->put_todo($odd, 'x%20y%23', 'SUMMARY:Odd one');
is(sql($node, "SELECT external_list_id FROM tasksync.task_lists('$provider') WHERE name = 'Odd'"), $odd, 'task_lists names it');
my ($mapping) = map_list($node, $provider, '/tasks/a b%3fcé');
is(sql($node, "SELECT external_list_id FROM tasksync.task_list_mapping WHERE id = '$mapping'"), $odd, 'its id is as task_lists gives it');
is(sqlstate($node, "SELECT tasksync.create_mapping('$provider', '$odd')"), '23505', '... so it is mapped once');
is(sql($node, "SELECT * FROM tasksync.preview_mapping('$provider', '/tasks/a b%3fcé')"), '', '... and previewed as mapped');
sql($node, 'UPDATE tasksync.task SET title = \'Odd two\' WHERE title = \'Odd one\'');
sql($node, "CALL tasksync.sync_now('$provider')");
is($dav->titles($odd), 'Odd two', '... and written to');

# The end of a job that never ran is told as well
like(said("LISTEN tasksync; BEGIN; SELECT tasksync.cancel_job(tasksync.sync_provider('$provider')); COMMIT; SELECT 1"),
	qr/"event" : "job".*"status" : "CANCELLED"/, 'cancelling a waiting job notifies');

# Settings are replaced
is(sql($node, "SELECT (tasksync.update_provider('$provider', settings => jsonb_build_object('url', '" . $dav->url . "tasks/'))).settings ->> 'url'"),
	$dav->url . 'tasks/', 'update_provider replaces the settings');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', '... and syncs with them');

# Who may not drop it does not stop the worker either
my $pid = worker_pid($node);
sql($node, 'CREATE ROLE eve LOGIN');
is(sqlstate($node, 'SET ROLE eve; DROP EXTENSION tasksync;'), '42501', 'a user may not drop the extension');
is(sqlstate($node, 'SET ROLE eve; DROP DATABASE tasks;', dbname => 'postgres'), '42501', '... or the database');
is(sqlstate($node, 'SET ROLE eve; CREATE DATABASE x TEMPLATE tasks;', dbname => 'postgres'), '42501', '... or copy it');
sleep 1;
is(worker_pid($node), $pid, '... and the worker does not end for it');

# A database that cannot hold what services send is refused
$node->safe_psql('postgres', 'CREATE DATABASE latin ENCODING \'LATIN1\' LOCALE \'C\' TEMPLATE template0');
is(sqlstate($node, 'CREATE EXTENSION tasksync;', dbname => 'latin'), '55000', 'a database in another encoding is refused');

done_testing();
