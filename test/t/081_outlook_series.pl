# Recurring tasks of Microsoft To Do whose next occurrence bears all that the one
# before did, the link by which we know our tasks too; and rules that have an end.
use strict;
use warnings FATAL => 'all';

use OutlookWorld;
use TasksyncTest;
use Test::More;

my $graph = TasksyncTest::Graph->new(concurrency => 0);
my $node = tasks_node('series', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $world = OutlookWorld->new($node, $graph);
my $weekly = q('FREQ=WEEKLY;BYDAY=MO');

sub count_here { my ($title) = @_; return $world->sql("SELECT count(*) FROM tasksync.task WHERE title = '$title'") }
sub try_sync { my ($mapped) = @_; return $world->sync_state($mapped) }

# What is in a list, a line a task
sub there
{
	my ($mapped) = @_;

	return join ', ', sort map { join ' ', $_->{title}, $_->{status}, substr $_->{dueDateTime}{dateTime} // '-', 0, 10 } $world->tasks_there($mapped);
}

# A recurring task made here, and completed so many times
sub series
{
	my ($title, $times) = @_;
	my $mapped = $world->map_list($title);

	$world->insert($mapped, title => "'$title'", due_date => "'2027-03-01'", recurrence_rule => $weekly);
	$world->sync($mapped);
	foreach (1 .. $times)
	{
		$world->sql("UPDATE tasksync.task SET status = 'COMPLETED' WHERE title = '$title' AND status = 'TODO'");
		$world->sync($mapped) foreach 1 .. 3;
	}
	return $mapped;
}

$graph->set(recurring_links => 'on');
foreach my $how ('the same provider', 'another one')
{
	subtest "a list is mapped anew, by $how" => sub {
		my $title = "Mapped by $how";
		my $mapped = series($title, 3);
		my $before = there($mapped);
		my $by = $how eq 'another one' ? OutlookWorld->new($node, $graph) : $world;

		$world->sql("SELECT tasksync.delete_mapping('$mapped->{mapping}')");
		$mapped->{mapping} = $by->sql("SELECT tasksync.create_mapping('$by->{provider}', '$mapped->{list}', project_id => '$mapped->{project}')");
		$by->sync foreach 1 .. 3;
		is(there($mapped), $before, 'nothing changes there');
		is(count_here($title), 4, '... and each occurrence is here, once');
		$by->at_rest($mapped, 'at rest');
	};
}

subtest 'made here, of which nobody heard, and completed in the app' => sub {
	my $mapped = $world->map_list('Unheard');

	$world->insert($mapped, title => "'Unheard'", due_date => "'2027-03-01'", recurrence_rule => $weekly);
	$graph->mode('graph POST ~/tasks$ lost times 1');
	try_sync($mapped);
	$graph->mode;
	$world->complete($mapped, 'Unheard');
	$world->sync($mapped) foreach 1 .. 3;
	is(there($mapped), 'Unheard completed 2027-03-01, Unheard notStarted 2027-03-08', 'two occurrences are there');
	is(count_here('Unheard'), 2, '... and here');
	$world->at_rest($mapped, 'at rest');
};
$graph->set(recurring_links => 'off');

subtest 'completed in the app, and its rule changed here' => sub {
	my $mapped = series('Passed on', 0);

	$world->complete($mapped, 'Passed on');
	$world->update($mapped, 'Passed on', "recurrence_rule = 'FREQ=DAILY;INTERVAL=3'");
	$world->sync($mapped) foreach 1 .. 2;
	is(there($mapped), 'Passed on completed 2027-03-01, Passed on notStarted 2027-03-08', 'what is done does not recur');
	is($world->sql("SELECT local->>'recurrence_rule', resolution FROM tasksync.task_conflict c WHERE mapping_id = '$mapped->{mapping}'"), 'FREQ=DAILY;INTERVAL=3|REMOTE', 'the rule is recorded');
	is(scalar(grep { $_->{status} eq 'completed' && $_->{recurrence} } $world->tasks_there($mapped)), 0, '... and not sent');
	$world->at_rest($mapped, 'at rest');
};

foreach my $accepted (1, 0)
{
	subtest 'a service that takes a rule without an end for one that has none, and ' . ($accepted ? 'takes it with' : 'refuses') . ' an end' => sub {
		my $title = 'End ' . ($accepted ? 'accepted' : 'refused');
		my $mapped = $world->map_list($title);

		$graph->set(range_null => 'noEnd', range_on_patch => $accepted ? 'accepted' : 'refused');
		$world->insert($mapped, title => "'$title'", due_date => "'2027-03-01'", recurrence_rule => "'FREQ=DAILY;COUNT=5'");
		$world->sync($mapped);
		$world->update($mapped, $title, "recurrence_rule = 'FREQ=DAILY;INTERVAL=2;COUNT=5'");
		try_sync($mapped);
		like($world->errors($mapped), $accepted ? qr/^$/ : qr/have another end.*HINT:  Take COUNT/s, $accepted ? 'nothing is set aside' : 'it is told');
		if ($accepted)
		{
			is($world->task_there($mapped, $title)->{recurrence}{range}{numberOfOccurrences}, 5, 'the end is kept');
			$world->at_rest($mapped, 'at rest');
		}
		$graph->set(range_null => 'kept', range_on_patch => 'refused');
	};
}

is(join("\n", $graph->violations), '', 'all requests were as they should be');
done_testing();
