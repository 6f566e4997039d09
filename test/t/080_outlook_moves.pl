# A task that is moved here is made anew in the other list of Microsoft To Do and
# then deleted in the first: what people did to it there until that moment, and we
# have no column for, comes along.
use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use OutlookWorld;
use TasksyncTest;
use Test::More;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $graph = TasksyncTest::Graph->new(concurrency => 0);
my $node = tasks_node('moves', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $world = OutlookWorld->new($node, $graph);

sub try_sync { my ($mapped) = @_; return sqlstate($node, "CALL tasksync.sync_now(mapping_id => '$mapped->{mapping}', timeout => '120 s')") }
sub move { my ($to, $title) = @_; $world->sql("UPDATE tasksync.task SET project_id = '$to->{project}' WHERE title = '$title'"); return }
sub step { my ($list, $title, $step, %change) = @_; $world->there('edit_step', list => $list->{list}, task => $title, step => $step, %change); return }
sub add_step { my ($list, $title, $name, %more) = @_; $world->there('add_step', list => $list->{list}, task => $title, name => $name, %more); return }
sub steps { my ($list, $title) = @_; return join ', ', map { $_->{displayName} . ($_->{isChecked} ? ' done' : '') } @{ $world->task_there($list, $title)->{checklistItems} } }

# Two lists, and in the first a task with steps that is made anew in the second
sub under_way
{
	my ($name, @steps) = @_;
	my ($a, $b) = map { $world->map_list("$name $_") } qw(A B);

	$world->add($a, $name, steps => [@steps], text => 'as it was');
	$world->sync($a);
	move($b, $name);
	return ($a, $b);
}

sub arrived
{
	my ($a, $b, $name, $steps) = @_;

	$world->sync foreach 1 .. 3;
	is($world->titles_there($a) . '|' . $world->titles_there($b), "|$name", 'the task is in the new list, once');
	is(steps($b, $name), $steps, '... with its steps');
	$world->at_rest($_, 'at rest') foreach $a, $b;
	return;
}

foreach my $options ([], [ child_bumps => 'off' ], [ child_bumps => 'off', if_match => 'ignored', delete_if_match => 'ignored' ], [ deep_insert => 'ignored' ], [ deep_insert => 'refused' ])
{
	subtest join(' ', 'steps that change before the old task is deleted:', @$options) => sub {
		my $name = join ' ', 'Trip', @$options;

		$graph->set(@$options);
		my ($a, $b) = under_way($name, 'one', { displayName => 'two', isChecked => $true }, 'three', 'one');
		$world->sync($b);
		add_step($a, $name, 'four', checked => $true);
		add_step($a, $name, 'one');
		step($a, $name, 'three', checked => $true);
		arrived($a, $b, $name, 'one, two done, three done, one, four done, one');
		$graph->set(child_bumps => 'on', if_match => 'honoured', delete_if_match => 'honoured', deep_insert => 'all');
	};
}

# What we know of steps is old where they don't change their task
foreach my $known ('well', 'not')
{
	subtest "steps that were changed in the app before the move, and we know $known" => sub {
		my $name = "Old $known";
		my ($a, $b) = map { $world->map_list("$name $_") } qw(A B);

		$graph->set(child_bumps => $known eq 'well' ? 'on' : 'off');
		$world->add($a, $name, steps => [ 'one', { displayName => 'two', isChecked => $true }, 'three', 'four', 'four' ]);
		$world->sync($a);
		step($a, $name, 'one', name => 'uno');
		step($a, $name, 'two', checked => $false);
		step($a, $name, 'three', delete => $true);
		$world->sync($a);
		move($b, $name);
		arrived($a, $b, $name, 'uno, two, four, four');
		$graph->set(child_bumps => 'on');
	};
}

subtest 'steps that are changed in both' => sub {
	$graph->set(child_bumps => 'off');
	my ($a, $b) = under_way('Both', 'renamed', 'ticked', { displayName => 'reopened', isChecked => $true }, 'deleted', 'deleted here, ticked there', 'same');
	$world->sync($b);
	step($a, 'Both', 'renamed', name => 'renamed here');
	step($a, 'Both', 'reopened', checked => $false);
	step($a, 'Both', 'deleted', delete => $true);
	step($a, 'Both', 'deleted here, ticked there', delete => $true);
	step($a, 'Both', 'same', name => 'the same name', checked => $true);
	step($b, 'Both', 'ticked', checked => $true);
	step($b, 'Both', 'deleted here, ticked there', checked => $true);
	step($b, 'Both', 'same', name => 'the same name');
	$graph->mode('PATCH ~checklistItems lost times 1', 'DELETE ~checklistItems status 503 times 1');
	isnt(try_sync($a), '00000', 'a change of which nobody knows whether it was made');
	is($world->titles_there($a), 'Both', '... keeps the old task');
	$graph->mode;
	arrived($a, $b, 'Both', 'renamed here, ticked done, reopened, deleted here, ticked there done, the same name done');
	$graph->set(child_bumps => 'on');
};

subtest 'what is done in the new list stays' => sub {
	my ($a, $b) = under_way('Walk', 'one', 'two');
	$world->sync($b);
	step($b, 'Walk', 'one', checked => $true);
	add_step($b, 'Walk', 'three');
	add_step($a, 'Walk', 'four');
	arrived($a, $b, 'Walk', 'one done, two, three, four');
};

subtest 'an edit of the old task' => sub {
	my ($a, $b) = under_way('Read', 'one');
	$world->sync($b);
	$world->edit($a, 'Read', text => 'edited there', importance => 'high');
	add_step($a, 'Read', 'two');
	arrived($a, $b, 'Read', 'one, two');
	is($world->task_there($b, 'Read')->{body}{content} . ' ' . $world->task_there($b, 'Read')->{importance}, 'edited there high', 'comes along, too');
};

subtest 'an edit of the old task that the new one can not take' => sub {
	my %weekly = (pattern => { type => 'weekly', interval => 1, daysOfWeek => ['monday'] }, range => { type => 'noEnd', startDate => '2027-03-01' });
	my ($a, $b) = map { $world->map_list("Bake $_") } qw(A B);
	$world->add($a, 'Bake', due => '2027-03-01', recurrence => \%weekly);
	$world->sync($a);
	move($b, 'Bake');
	$world->sync($b);
	$world->edit($a, 'Bake', text => 'edited there', recurrence => { %weekly, range => { type => 'numbered', numberOfOccurrences => 3, startDate => '2027-03-01' } });
	$world->sync foreach 1 .. 3;
	is($world->task_there($a, 'Bake')->{body}{content}, 'edited there', 'keeps it');
	is($world->value($b, 'Bake', 'sync_status'), 'ERROR', '... which the task tells');
	$world->update($b, 'Bake', "recurrence_rule = 'FREQ=WEEKLY;BYDAY=MO'");
	$world->sync foreach 1 .. 3;
	is($world->titles_there($a) . '|' . $world->task_there($b, 'Bake')->{body}{content}, '|edited there', '... until it is mended');
	$world->at_rest($_, 'at rest') foreach $a, $b;
};

subtest 'a deletion that fails' => sub {
	my ($a, $b) = under_way('Swim', 'one');
	$world->sync($b);
	$graph->mode('DELETE status 500 times 1', 'part DELETE status 500 times 1');
	try_sync($a);
	add_step($a, 'Swim', 'two');
	$graph->mode('POST ~checklistItems status 503 times 1');
	isnt(try_sync($a), '00000', 'steps that can not be brought along');
	is($world->titles_there($a), 'Swim', '... keep the old task');
	$graph->mode('POST ~checklistItems lost times 1');
	isnt(try_sync($a), '00000', 'steps of which nobody knows whether they were');
	is($world->titles_there($a), 'Swim', '... keep it as well');
	$graph->mode;
	arrived($a, $b, 'Swim', 'one, two');
};

subtest 'the service does not take steps with a new task, and fails' => sub {
	$graph->set(deep_insert => 'ignored');
	my ($a, $b) = under_way('Sail', 'one', 'two', 'three');
	$graph->mode('POST ~checklistItems status 503 skip 1 times 1');
	$world->sync($b);
	isnt(try_sync($a), '00000', 'a step fails');
	$graph->mode;
	arrived($a, $b, 'Sail', 'one, two, three');
	$graph->set(deep_insert => 'all');
};

subtest 'a file that was added' => sub {
	my ($a, $b) = under_way('Draw', 'one');
	$world->sync($b);
	$world->there('attach', list => $a->{list}, task => 'Draw', name => 'plan.txt');
	$world->sync foreach 1 .. 2;
	ok($world->task_there($a, 'Draw')->{hasAttachments}, 'keeps the old task');
	like($world->errors($a), qr/has files/, '... which is told');
	$world->sql("SELECT tasksync.retry_failed('$a->{mapping}')");
	$world->sync;
	ok($world->task_there($a, 'Draw')->{hasAttachments}, '... also when it is tried again');
};

subtest 'a file, and another service' => sub {
	my $other = OutlookWorld->new($node, $graph, user => 'bert');
	my $a = $world->map_list('Near');
	my $b = $other->map_list('Far');
	$world->add($a, $_) foreach 'Plain', 'With a file';
	$world->there('attach', list => $a->{list}, task => 'With a file', name => 'plan.txt');
	$world->sync;
	$world->sql("UPDATE tasksync.task SET project_id = '$b->{project}' WHERE project_id = '$a->{project}'");
	$other->sync;
	$world->sync;
	is($other->titles_there($b), 'Plain, With a file', 'both have moved');
	is($world->titles_there($a), 'With a file', '... and the file is not deleted');
	like($world->errors($a), qr/has files/, '... which is told');
};

subtest 'the new task is gone before the old one is' => sub {
	my ($a, $b) = under_way('Sing', 'one');
	$world->sync($b);
	$world->remove($b, 'Sing');
	$world->sync($a);
	is($world->titles_there($a), 'Sing', 'it is not deleted in the dark');
	$world->sync foreach 1 .. 2;
	is($world->titles_there($a) . '|' . $world->titles_there($b), 'Sing|', '... nor made anew once more: it is where it was');
	is($world->sql("SELECT project_id FROM tasksync.task WHERE title = 'Sing'"), $a->{project}, '... here as well');
};

subtest 'the new task is moved on in the app before the old one is deleted' => sub {
	my ($a, $b, $c) = map { $world->map_list("Row $_") } qw(A B C);
	$world->insert($a, title => "'Row'", description => "'d'");
	$world->sync;
	move($b, 'Row');
	$world->sync($b);
	$world->there('move_task', list => $b->{list}, task => 'Row', to => $c->{list});
	$world->sync foreach 1 .. 3;
	is(join('|', map { $world->titles_there($_) } $a, $b, $c), '||Row', 'it is where it was moved last, once');
	is($world->sql("SELECT string_agg(project_id::text, ' ') FROM tasksync.task WHERE title = 'Row'"), $c->{project}, '... here as well');
	$world->at_rest($_, 'at rest') foreach $a, $b, $c;
};

foreach my $expand ('honoured', 'ignored', 'refused')
{
	subtest "more steps than a page, \$expand is $expand" => sub {
		my $name = "Climb $expand";

		$graph->set(max_page_size => 5, expand => $expand, delta_expand => $expand);
		my ($a, $b) = under_way($name, map { "step $_" } 1 .. 12);
		$world->sync($b);
		add_step($a, $name, "step $_") foreach 13 .. 14;
		arrived($a, $b, $name, join ', ', map { "step $_" } 1 .. 14);
		$graph->set(max_page_size => 100, expand => 'honoured', delta_expand => 'honoured');
	};
}

subtest 'many at once' => sub {
	my ($a, $b) = map { $world->map_list("Many $_") } qw(A B);
	$world->add($a, "Many $_", steps => [ 'one', 'two' ]) foreach 1 .. 25;
	$world->sync($a);
	$world->sql("UPDATE tasksync.task SET project_id = '$b->{project}' WHERE project_id = '$a->{project}'");
	$world->sync($b);
	$graph->requests;
	$world->sync($a);
	my @asked = grep { /^[A-Z]/ } $graph->requests;
	cmp_ok(scalar @asked, '<=', 2 + 2 * 4, 'four requests for twenty, and the pull: ' . scalar @asked);
	is($world->titles_there($a), '', 'they have moved');
	is(scalar(grep { steps($b, "Many $_") eq 'one, two' } 1 .. 25), 25, '... with their steps');
};

subtest 'two providers look at one account' => sub {
	my $other = OutlookWorld->new($node, $graph);
	my $a = $world->map_list('One of two', tasks => [ map { "Stays $_" } 1 .. 5 ]);
	my $b = $other->map_list('The other');
	$world->insert($a, title => "'Made here'", description => "'kept'");
	$world->add($a, 'Made there', steps => ['one']);
	$world->sync;
	$world->there('move_task', list => $a->{list}, task => $_, to => $b->{list}) foreach 'Made here', 'Made there';
	$other->sync;
	$world->sync;
	$_->sync foreach $other, $world;
	is($world->titles_there($a) . '|' . $world->titles_there($b), 'Stays 1, Stays 2, Stays 3, Stays 4, Stays 5|Made here, Made there', 'what the app moves from one to the other stays there');
	is($world->sql("SELECT string_agg(title || ' ' || coalesce(description, ''), ', ' ORDER BY title) FROM tasksync.task WHERE project_id = '$b->{project}'"), 'Made here kept, Made there ', '... and is in the other project here');
	is($world->sql("SELECT count(*) FROM tasksync.task WHERE title LIKE 'Made %'"), '2', '... once');
	$world->at_rest($a, 'at rest');
	$other->at_rest($b, 'at rest');
};

is(join("\n", $graph->violations), '', 'all requests were as they should be');
done_testing();
