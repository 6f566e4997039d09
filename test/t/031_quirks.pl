# Services with habits that the standards do not allow for.
use strict;
use warnings FATAL => 'all';

use TasksyncTest;
use Test::More;

my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);
my $node = tasks_node('quirks', conf => "tasksync.push_delay = '1h'\n");
my $provider = add_caldav($node, $proxy->url);
my $lists = 0;

sub errors
{
	my ($mapping) = @_;

	return sql($node, "SELECT string_agg(error_message, ' ') FROM tasksync.task_link WHERE mapping_id = '$mapping'");
}

# Edits on both sides while the service has the habit: what they come to here and there
sub both_sides
{
	my ($mode) = @_;
	my $list = $dav->make_list('list' . ++$lists, "List $lists");

	$dav->put_todo($list, "$lists-$_", "SUMMARY:Task $_") foreach 1 .. 5;
	$proxy->mode($mode);
	my ($mapping, $project) = map_list($node, $provider, $list);
	sql($node, "UPDATE tasksync.task SET title = 'Edited here' WHERE title = 'Task 1' AND project_id = '$project'");
	sql($node, "DELETE FROM tasksync.task WHERE title = 'Task 2' AND project_id = '$project'");
	sql($node, "INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'Made here')");
	$dav->put_todo($list, "$lists-3", 'SUMMARY:Edited there');
	$dav->delete("$list$lists-4.ics");
	$dav->put_todo($list, "$lists-new", 'SUMMARY:Made there');
	sync($node, $provider);
	$proxy->requests;
	sync($node, $provider);
	cmp_ok(scalar(() = $proxy->requests), '<=', 3, "$mode: a sync with nothing to do is short");
	my $here = sql($node, "SELECT string_agg(title, ', ' ORDER BY title COLLATE \"C\") FROM tasksync.task WHERE project_id = '$project'");
	my $there = $dav->titles($list);
	my $errors = errors($mapping);

	$proxy->mode('pass');
	sql($node, "SELECT tasksync.delete_mapping('$mapping')");
	return ($here, $there, $errors);
}

my $agreed = 'Edited here, Edited there, Made here, Made there, Task 5';

is_deeply([ both_sides('pass') ], [ $agreed, $agreed, '' ], 'without a quirk');
is_deeply([ both_sides('twice') ], [ $agreed, $agreed, '' ], 'things that are named twice in an answer');
is_deeply([ both_sides('weak-etag') ], [ $agreed, $agreed, '' ], 'weak ETags');

# Without any ETag nothing that is there can be changed safely: that is told
my ($here, $there, $errors) = both_sides('no-etag');
is($here, $agreed, 'no ETag: what is there comes here');
is($there, 'Edited there, Made here, Made there, Task 1, Task 2, Task 5', '... and what is new goes there');
like($errors, qr/could not change ".*": the service tells no version.*could not change/, '... other changes are set aside, with the reason');

done_testing();
