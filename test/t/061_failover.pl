# A standby that is promoted in the middle of a sync, with and without the last
# of what the primary committed; and a recovery to a point before the last
# syncs.  The service is ahead of the database then: nothing is doubled or lost
# there, and edits made there survive.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);
my $node = tasks_node('main', init => { allows_streaming => 1, has_archiving => 1 },
	conf => "tasksync.push_delay = '1 h'\ntasksync.mass_delete_threshold = 100\n");
my $list = $dav->make_list('busy', 'Busy');
my $other = $dav->make_list('other', 'Other');
my %path;
foreach my $n (1 .. 12)
{
	$path{"t$n"} = $dav->put_todo($list, "t$n", "SUMMARY:t$n", 'DESCRIPTION:first');
}
my $provider = add_caldav($node, $proxy->url);
my ($mapping, $project) = map_list($node, $provider, $list);
my ($other_mapping, $other_project) = map_list($node, $provider, $other);
my $round = 0;

sub content_here
{
	my ($on) = @_;

	return sql($on, "SELECT string_agg(concat_ws(':', CASE project_id WHEN '$project' THEN 'busy' ELSE 'other' END, title, description), ', ' ORDER BY title COLLATE \"C\") FROM tasksync.task");
}

sub content_there
{
	my @found;

	foreach ([ busy => $list ], [ other => $other ])
	{
		my ($name, $path) = @$_;

		push @found, map { join ':', $name, /^SUMMARY:(.*?)\r$/m, /^DESCRIPTION:(.*?)\r$/m } values %{ $dav->todos($path) };
	}
	return join ', ', sort { (split /:/, $a)[1] cmp(split /:/, $b)[1] } @found;
}

sub worker_is_there
{
	my ($on) = @_;

	return ok(wait_until($on, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync worker'"),
		'a worker begins');
}

# Changes on both sides, a few of each kind
sub change
{
	my ($on) = @_;
	my $r = ++$round;
	my @titles = rows($on, "SELECT title FROM tasksync.task WHERE project_id = '$project' ORDER BY title COLLATE \"C\"");
	my ($deleted, $moved, $edited, $gone, $touched, $same) = @titles;

	sql($on, "BEGIN; DELETE FROM tasksync.task WHERE title = '$deleted';"
		  . "UPDATE tasksync.task SET project_id = '$other_project' WHERE title = '$moved';"
		  . "UPDATE tasksync.task SET description = 'here $r' WHERE title IN ('$edited');"
		  . "INSERT INTO tasksync.task (project_id, title, description) SELECT '$project', 'new $r ' || n, 'here' FROM generate_series(1, 4) n; COMMIT");
	my ($at) = $dav->find($list, $gone);
	$dav->delete($at);
	($at) = $dav->find($list, $touched);
	$dav->edit($at, sub { s/^DESCRIPTION:.*?\r\n/DESCRIPTION:there $r\r\n/m });
	$dav->put_todo($list, "there-$r", "SUMMARY:there $r", 'DESCRIPTION:there');
	return;
}

# In sync, all here and there the same, and the next sync writes nothing
sub is_whole
{
	my ($on, $name, $expected) = @_;
	my $here = content_here($on);

	is(content_there(), $here, "$name: both sides are the same");
	is($here, $expected, "$name: ... and as they must be") if defined $expected;
	is(sql($on, 'SELECT count(*) - count(DISTINCT title) FROM tasksync.task'), '0', "$name: nothing is doubled");
	is(sql($on, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', "$name: verify_mapping agrees");
	$proxy->requests;
	sync($on, $provider);
	is(join("\n", grep { /^(?:PUT|DELETE|MOVE|PROPPATCH|MK)/ } $proxy->requests), '', "$name: the next sync writes nothing");
	is(sql($on, 'SELECT count(*) FROM tasksync.task_intent'), '0', "$name: nothing is in doubt");
	return;
}

# What both sides must hold once all is in sync, by the words of change()
sub expected_after_change
{
	my ($before) = @_;
	my %task = map { my ($where, $title, $description) = split /:/; ($title => [ $where, $description ]) } split /, /, $before;
	my ($deleted, $moved, $edited, $gone, $touched) = sort grep { $task{$_}[0] eq 'busy' } keys %task;
	my $r = $round;

	delete @task{ $deleted, $gone };
	$task{$moved}[0] = 'other';
	$task{$edited}[1] = "here $r";
	$task{$touched}[1] = "there $r";
	$task{"new $r $_"} = [ 'busy', 'here' ] foreach 1 .. 4;
	$task{"there $r"} = [ 'busy', 'there' ];
	return join ', ', map { "$task{$_}[0]:$_:$task{$_}[1]" } sort keys %task;
}

#
# Standbys
#

sub standby_of
{
	my ($primary, $name) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->backup($name);
	$standby->init_from_backup($primary, $name, has_streaming => 1);
	$standby->start;
	$primary->wait_for_catchup($standby);
	return $standby;
}

sync($node, $provider);
foreach my $seconds (0.3, 1.2, 2.2)
{
	my $standby = standby_of($node, "standby$round");
	my $before = content_here($node);

	change($node);
	$node->wait_for_catchup($standby);
	$proxy->mode('slow 0.1');
	my $job = sql($node, "SELECT tasksync.sync_provider('$provider')");
	wait_until($node, "SELECT status = 'RUNNING' FROM tasksync.sync_job WHERE id = $job");
	sleep $seconds;
	$node->stop('immediate');
	$proxy->mode('pass');
	$standby->promote;
	worker_is_there($standby);
	sync($standby, $provider);
	is_whole($standby, "promoted after $seconds s", expected_after_change($before));
	$node = $standby;
}

# The standby has none of what the last sync committed
{
	my $standby = standby_of($node, 'behind');
	my $before = content_here($node);

	change($node);
	$node->wait_for_catchup($standby);
	$standby->append_conf('postgresql.conf', "primary_conninfo = ''");
	$standby->reload;
	ok(wait_until($standby, 'SELECT count(*) = 0 FROM pg_stat_wal_receiver'), 'the standby is cut off');
	sync($node, $provider);
	$node->stop('immediate');
	$standby->promote;
	worker_is_there($standby);
	sync($standby, $provider);
	is_whole($standby, 'promoted without the last sync', expected_after_change($before));
	$node = $standby;
}

#
# Recovery to a point in time
#
$node->append_conf('postgresql.conf', "archive_mode = on\n");
$node->enable_archiving;
$node->restart;
worker_is_there($node);
$node->backup('base');
sql($node, "INSERT INTO tasksync.task (project_id, title, description) VALUES ('$project', 'not yet sent', 'here')");
my $before = content_here($node);
$node->safe_psql('postgres', "SELECT pg_create_restore_point('before')");
change($node);
sync($node, $provider);
my $survivor = "new $round 1";
my ($at) = $dav->find($list, $survivor);
$dav->edit($at, sub { s/^DESCRIPTION:.*?\r\n/DESCRIPTION:there after the point\r\n/m });
my $wal = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn())');
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
$node->poll_query_until('postgres', "SELECT last_archived_wal >= '$wal' FROM pg_stat_archiver") or BAIL_OUT('not archived');
$node->stop;
my $ahead = content_there();
my $past = PostgreSQL::Test::Cluster->new('past');
$past->init_from_backup($node, 'base', has_restoring => 1, standby => 0);
$past->append_conf('postgresql.conf', "recovery_target_name = 'before'\nrecovery_target_action = 'promote'\narchive_mode = off\n");
$past->start;
worker_is_there($past);
is(content_here($past), $before, 'recovered to the point');
sync($past, $provider);

# All that was ever done is at the service, and nothing of it is undone: what was deleted stays so
is_whole($past, 'recovered to a point in time', $ahead);
is(sql($past, "SELECT description FROM tasksync.task WHERE title = '$survivor'"), 'there after the point', 'an edit there survives');
$past->stop;

done_testing();
