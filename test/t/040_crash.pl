# Syncs of many changes, killed at random moments, then left to go on: nothing
# is doubled and nothing is lost, on either side.
#
# TASKSYNC_CRASHES is the number of crashes of each kind, TASKSYNC_SEED makes
# the moments the same again.
use strict;
use warnings FATAL => 'all';

use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $crashes = $ENV{TASKSYNC_CRASHES} // 8;
my $changes = $ENV{TASKSYNC_CHANGES} // 500;
my $seed = $ENV{TASKSYNC_SEED} // time ^ $$;
srand $seed;
note("seed $seed");

my $dav = TasksyncTest::Dav->new('radicale');
my $node = tasks_node('main', conf => "tasksync.push_delay = '10ms'\ntasksync.mass_delete_threshold = 100\n");
my $list = $dav->make_list('busy', 'Busy');

# What must be on both sides in the end: title → description, and the title's object
my (%expected, %path);

sub make_there
{
	my ($title) = @_;
	my $uid = $title =~ s/ /-/gr;

	$path{$title} = $dav->put_todo($list, $uid, "SUMMARY:$title", 'DESCRIPTION:new');
	$expected{$title} = 'new';
	return;
}

sub make_here
{
	my ($title) = @_;

	$expected{$title} = 'new';
	return "INSERT INTO tasksync.task (project_id, title, description)"
	  . " SELECT id, '$title', 'new' FROM tasksync.project;\n";
}

# Changes on both sides, a third each of creations, edits and deletions, no two
# of one task: three in five here, in one transaction.
sub change_both_sides
{
	my ($round) = @_;
	my $third = int($changes / 15);
	my @known = sort grep { $path{$_} && $expected{$_} } keys %expected;
	my @edited_here = splice @known, 0, 3 * $third;
	my @deleted_here = splice @known, 0, 3 * $third;
	my @edited_there = splice @known, 0, 2 * $third;
	my @deleted_there = splice @known, 0, 2 * $third;

	foreach my $title (@edited_there)
	{
		$expected{$title} = "edited there $round";
		$dav->edit($path{$title}, sub { s/^DESCRIPTION:.*?\r\n/DESCRIPTION:edited there $round\r\n/m or die $_ });
	}
	$dav->delete($path{$_}) foreach @deleted_there;
	make_there("there $round $_") foreach 1 .. 2 * $third;

	my $sql = 'BEGIN;';
	$sql .= make_here("here $round $_") foreach 1 .. 3 * $third;
	foreach my $title (@edited_here)
	{
		$expected{$title} = "edited here $round";
		$sql .= "UPDATE tasksync.task SET description = 'edited here $round' WHERE title = '$title';\n";
	}
	$sql .= "DELETE FROM tasksync.task WHERE title = '$_';\n" foreach @deleted_here;
	delete @expected{ @deleted_here, @deleted_there };
	sql($node, "$sql COMMIT;");
	return;
}

sub crash
{
	my ($how) = @_;

	if ($how eq 'server')
	{
		$node->stop('immediate');
		$node->start;
		return;
	}
	my $pid = worker_pid($node);
	return unless $pid;
	kill 'KILL', $pid;

	# the postmaster ends all other sessions and recovers
	wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync worker' AND pid <> $pid")
	  or BAIL_OUT('the worker does not come back');
	return;
}

sub content
{
	my ($lines) = @_;

	return join "\n", sort @$lines;
}

sub here
{
	return content([ rows($node, "SELECT title || '=' || description FROM tasksync.task") ]);
}

sub there
{
	return content([ map {
			my ($title) = /^SUMMARY:(.*?)\r$/m;
			my ($description) = /^DESCRIPTION:(.*?)\r$/m;
			"$title=" . ($description // '')
		} values %{ $dav->todos($list) } ]);
}

# The objects there that are not as they must be.
sub differences
{
	my %there = map { ($_ => 1) } split /\n/, there();
	my $missing = grep { !delete $there{"$_=$expected{$_}"} } keys %expected;

	return $missing + keys %there;
}

make_there("first $_") foreach 1 .. int($changes * 4 / 3);
my $provider = add_caldav($node, $dav->url);
my ($mapping) = map_list($node, $provider, $list);
my $start = time;
foreach my $round (1 .. 2)
{
	my $how = $round == 1 ? 'worker' : 'server';

	change_both_sides($round);
	note("round $round: " . differences() . ' differences to begin with');
	foreach (1 .. $crashes)
	{
		sleep rand($how eq 'server' ? 3 : 1.5);
		crash($how);
	}
	note("round $round: " . differences() . " differences left after $crashes crashes of the $how");
	for (1 .. 5)
	{
		last if sqlstate($node, "CALL tasksync.sync_now('$provider')") eq '00000';
		sleep 1;
	}
	sql($node, "CALL tasksync.sync_now('$provider')");

	my $expected = content([ map { "$_=$expected{$_}" } keys %expected ]);
	is(here(), $expected, "after crashes of the $how: all is here, once");
	is(there(), $expected, "after crashes of the $how: all is there, once");
	is(sql($node, "SELECT count(*) FROM tasksync.verify_mapping('$mapping')"), '0', '... and verify_mapping agrees');
	is(sql($node, 'SELECT count(*) FROM tasksync.task_intent'), '0', '... no write is in doubt any more');
	is(sql($node, 'SELECT count(*) FROM tasksync.task_change WHERE synced_at IS NULL'), '0', '... and none left to send');
	is(sql($node, 'SELECT count(*) FROM tasksync.task_conflict'), '0', '... and no conflict came of it');
}
note(sprintf '%.0f seconds', time - $start);

$node->stop;
done_testing();
