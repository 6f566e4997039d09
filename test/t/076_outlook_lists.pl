# Several lists of Microsoft To Do: moves between them, who wins, what is held
# and brought back, and the lists themselves.
use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use OutlookWorld;
use TasksyncTest;
use Test::More;

my $graph = TasksyncTest::Graph->new;
my $node = tasks_node('lists', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $world = OutlookWorld->new($node, $graph);

sub json { return JSON::PP->new->canonical->encode($_[0]) }
sub rested { my ($name, @mapped) = @_; $world->at_rest($_, $name) foreach @mapped; return }
sub status { my ($mapped) = @_; return $world->sql("SELECT sync_status FROM tasksync.task_list_mapping WHERE id = '$mapped->{mapping}'") }
# A sync of all lists, which may fail
sub try_all { return sqlstate($node, "CALL tasksync.sync_now('$world->{provider}', timeout => '120 s')") }
sub writes { return join "\n", grep { /^ *(?:POST|PATCH|DELETE) (?!\S*batch)/ } @_ }

my %rich = (
	html => '<html><body><p>Some <b>bold</b> text</p></body></html>', due => '2027-03-01', start => '2027-02-01', importance => 'high', categories => [ 'Red category', 'x' ],
	reminder => '2027-02-28T08:00:00', status => 'waitingOnOthers', steps => [ 'one', { displayName => 'two', isChecked => JSON::PP::true() } ],
	links => [ { applicationName => 'Another', webUrl => 'https://example.com/x', displayName => 'there', externalId => '7' } ],
	recurrence => { pattern => { type => 'weekly', interval => 1, daysOfWeek => ['monday'], firstDayOfWeek => 'monday' }, range => { type => 'numbered', startDate => '2027-02-15', recurrenceTimeZone => 'Europe/Berlin', numberOfOccurrences => 5 } });

# What of a task is to survive a move
sub essence
{
	my ($task) = @_;

	return {
		(map { $_ => $task->{$_} } qw(title importance categories isReminderOn reminderDateTime status)),
		recurrence => $task->{recurrence} && { pattern => { map { $_ => $task->{recurrence}{pattern}{$_} } qw(type interval daysOfWeek) }, range => { map { $_ => $task->{recurrence}{range}{$_} } qw(type startDate recurrenceTimeZone numberOfOccurrences) } },
		due => substr($task->{dueDateTime}{dateTime} // '', 0, 19), start => substr($task->{startDateTime}{dateTime} // '', 0, 19),
		text => OutlookWorld::plain_text($task->{body}),
		steps => [ map { "$_->{displayName} " . ($_->{isChecked} ? 'done' : 'open') } @{ $task->{checklistItems} } ],
		links => [ map { $_->{applicationName} eq 'tasksync' ? () : "$_->{applicationName} $_->{externalId} $_->{webUrl}" } @{ $task->{linkedResources} } ] };
}

subtest 'moved here' => sub {
	my ($a, $b) = map { $world->map_list("Here $_") } qw(A B);
	$world->add($a, 'Rich', %rich);
	$world->add($a, 'Stays');
	$world->insert($a, title => "'Ours'", description => "'text'", due_date => "'2027-01-02'", tags => "'{x,y}'");
	$world->sync;
	my $before = essence($world->task_there($a, 'Rich'));
	my $ids = $world->sql("SELECT string_agg(id::text, ',' ORDER BY title) FROM tasksync.task WHERE title IN ('Rich', 'Ours')");
	$world->sql("UPDATE tasksync.task SET project_id = '$b->{project}' WHERE title IN ('Rich', 'Ours')");
	$world->sync;
	is($world->titles_there($a), 'Stays', 'they are no longer in the one list');
	is($world->titles_there($b), 'Ours, Rich', '... and once in the other');
	is_deeply(essence($world->task_there($b, 'Rich')), $before, 'all of it has moved');
	is($world->sql("SELECT string_agg(id::text, ',' ORDER BY title) FROM tasksync.task WHERE title IN ('Rich', 'Ours')"), $ids, 'here they are the same');
	rested('at rest', $a, $b);

	# moved and edited; moved back before a sync; moved here and edited there
	$world->sql("UPDATE tasksync.task SET project_id = '$a->{project}', title = 'Ours, edited' WHERE title = 'Ours'");
	$world->sql("UPDATE tasksync.task SET project_id = '$b->{project}' WHERE title = 'Stays'; UPDATE tasksync.task SET project_id = '$a->{project}' WHERE title = 'Stays'");
	$world->sql("UPDATE tasksync.task SET project_id = '$a->{project}' WHERE title = 'Rich'");
	$world->edit($b, 'Rich', text => 'edited there');
	$world->sync foreach 1 .. 2;
	is($world->titles_there($a), 'Ours, edited, Rich, Stays', 'moved back, with edits');
	is($world->titles_there($b), '', '... all of them');
	is($world->task_there($a, 'Rich')->{body}{content}, 'edited there', 'an edit there goes with it');
	rested('at rest again', $a, $b);

	# to a project that is not mapped, and from one
	my $none = $world->sql("INSERT INTO tasksync.project (name) VALUES ('Unmapped') RETURNING id");
	$world->sql("UPDATE tasksync.task SET project_id = '$none' WHERE title = 'Rich'");
	$world->sync;
	is($world->sql("SELECT count(*) FROM tasksync.task WHERE title = 'Rich'"), '1', 'in a project that is not mapped it is still here');
	is($world->titles_there($a), 'Ours, edited, Rich, Stays', '... and still there: no list has it now');
	$world->sql("UPDATE tasksync.task SET project_id = '$b->{project}' WHERE title = 'Rich'");
	$world->sync;
	is($world->titles_there($b), 'Rich', '... and there again');
	rested('at rest at last', $a, $b);
};

foreach my $status (qw(COMPLETED CANCELLED))
{
	subtest "moved here and $status" => sub {
		my ($old, $new) = map { $world->map_list("$status $_") } qw(A B);
		$world->add($old, 'Again', %rich);
		$world->sync;
		$world->sql("UPDATE tasksync.task SET project_id = '$new->{project}', status = '$status' WHERE project_id = '$old->{project}'");
		$world->sync foreach 1 .. 2;
		is($world->titles_there($old), '', 'it has moved');
		is(join(', ', map { "$_->{status} " . substr $_->{dueDateTime}{dateTime}, 0, 10 } sort { $a->{dueDateTime}{dateTime} cmp $b->{dueDateTime}{dateTime} } $world->tasks_there($new)),
			'completed 2027-03-01, notStarted 2027-03-08', '... is done, and the next one is there');
		is($world->sql("SELECT string_agg(status || ' ' || due_date, ', ' ORDER BY due_date) FROM tasksync.task WHERE project_id = '$new->{project}'"),
			"$status 2027-03-01, TODO 2027-03-08", '... and here');
		is($world->sql("SELECT count(*) FROM tasksync.task_conflict c JOIN tasksync.task t ON t.id = c.task_id WHERE t.project_id = '$new->{project}'"), '0', 'nobody lost');
		rested('at rest', $old, $new);
	};
}

subtest 'more steps than a page' => sub {
	my ($a, $b) = map { $world->map_list("Stairs $_") } qw(A B);
	$graph->set(max_page_size => 5);
	$world->add($a, 'Stairs', steps => [ map { "step $_" } 1 .. 8 ]);
	$world->sync;
	$world->sql("UPDATE tasksync.task SET project_id = '$b->{project}' WHERE title = 'Stairs'");
	$world->sync;
	is(join(', ', map { $_->{displayName} } @{ $world->task_there($b, 'Stairs')->{checklistItems} }), join(', ', map { "step $_" } 1 .. 8), 'each is there once');
	rested('at rest', $a, $b);
	$graph->set(max_page_size => 100);
};

subtest 'files' => sub {
	my ($a, $b) = map { $world->map_list("Files $_") } qw(A B);
	$world->add($a, $_) foreach 'With a file', 'Without';
	$world->there('attach', list => $a->{list}, task => 'With a file', name => 'plan.txt');
	$world->sync;
	$world->sql("UPDATE tasksync.task SET description = 'edited', priority = 'HIGH' WHERE project_id = '$a->{project}'");
	$world->sync;
	ok($world->task_there($a, 'With a file')->{hasAttachments}, 'a file survives edits here');
	$world->sql("UPDATE tasksync.task SET project_id = '$b->{project}' WHERE project_id = '$a->{project}'");
	$world->sync foreach 1 .. 2;
	is($world->titles_there($a) . '|' . $world->titles_there($b), 'With a file|Without', 'a task with one is not moved from here');
	like($world->errors($b), qr/^a task with attachments can't be moved/, '... which is told');
	$world->sql("UPDATE tasksync.task SET project_id = '$a->{project}', title = 'Back again' WHERE title = 'With a file'");
	$world->sync foreach 1 .. 2;
	is($world->titles_there($a) . '|' . $world->titles_there($b), 'Back again|Without', '... and goes on when it is moved back');
	rested('at rest', $a, $b);
};

subtest 'moved here, and the list that it went to takes nothing any more' => sub {
	my ($a, $b) = map { $world->map_list("Turned $_") } qw(A B);
	my $elsewhere = OutlookWorld->new($node, $graph, user => 'berta');
	my $mirror = $elsewhere->map_list('Mirror', arguments => "project_id => '$b->{project}', mirror => true");
	$world->insert($a, title => "'Goes'");
	$world->sync;
	$world->sql("UPDATE tasksync.task SET project_id = '$b->{project}' WHERE title = 'Goes'");
	$graph->mode('graph POST ~/tasks$ lost times 1');
	try_all();
	$graph->mode;
	is($world->titles_there($b), 'Goes', 'the copy was made, and nobody knows');
	$elsewhere->sync;
	is($elsewhere->titles_there($mirror), 'Goes', '... and another service has it, too');
	$world->sql("SELECT tasksync.update_mapping('$b->{mapping}', sync_direction => 'FROM_PROVIDER')");
	$world->sync foreach 1 .. 3;
	is($world->sql("SELECT count(external_task_id) FROM tasksync.task_link WHERE mapping_id = '$b->{mapping}'"), '1', 'it is found again');
	is($world->titles($a) . '|' . $world->titles($b), '|Goes', '... and is the same task');
	$world->sql("SELECT tasksync.update_mapping('$b->{mapping}', sync_direction => 'BIDIRECTIONAL')");
	$world->sync foreach 1 .. 3;
	is($world->titles_there($a) . '|' . $world->titles_there($b), '|Goes', 'the first one goes as soon as it may');
	rested('at rest', $a, $b);
	$elsewhere->sync;
	$elsewhere->at_rest($mirror, 'at rest there');
};

subtest 'moved here, and then in conflict' => sub {
	my ($a, $b) = map { $world->map_list("Disputed $_") } qw(A B);
	$world->sql("SELECT tasksync.update_mapping('$a->{mapping}', conflict_policy => 'MANUAL')");
	$world->insert($a, title => "'Disputed'");
	$world->sync;
	$world->sql("UPDATE tasksync.task SET project_id = '$b->{project}' WHERE title = 'Disputed'");
	$graph->mode('graph DELETE status 503 times 1');
	try_all();
	$graph->mode;
	is($world->titles_there($a) . '|' . $world->titles_there($b), 'Disputed|Disputed', 'copied, and not yet deleted');
	$world->update($b, 'Disputed', "description = 'here'");
	$world->edit($a, 'Disputed', text => 'there');
	$world->sync foreach 1 .. 3;
	is($world->sql("SELECT mapping_id FROM tasksync.task_conflict WHERE resolution IS NULL"), $a->{mapping}, 'the conflict is open');
	is($world->titles_there($a), 'Disputed', '... and what it is about stays');
	$world->sql("SELECT tasksync.resolve_conflict(id, 'USE_REMOTE') FROM tasksync.task WHERE title = 'Disputed' AND project_id = '$b->{project}'");
	$world->sync foreach 1 .. 3;
	is($world->titles_there($a) . '|' . $world->titles_there($b), '|Disputed', 'decided, it goes');
	is($world->task_there($b, 'Disputed')->{body}{content}, 'there', '... and what was decided for is there');
	rested('at rest', $a, $b);
};

subtest 'made here, and gone before the service has told of it' => sub {
	my ($a, $b) = map { $world->map_list("Early $_") } qw(A B);
	$world->insert($a, title => "'$_'", description => "'$_ here'") foreach 'Early to go', 'Early to leave', 'Early to stay';
	$world->sync;
	$world->there('delete_task', list => $a->{list}, task => 'Early to go');
	$world->there('move_task', list => $a->{list}, task => 'Early to leave', to => $b->{list});
	my $id = $world->value($a, 'Early to leave', 'id');
	$world->sync foreach 1 .. 2;
	is($world->titles($a) . '|' . $world->titles($b), 'Early to stay|Early to leave', 'deleted and moved here as well');
	is($world->value($b, 'Early to leave', 'id'), $id, '... as the same task');
	is($world->titles_there($a) . '|' . $world->titles_there($b), 'Early to stay|Early to leave', '... once');
	rested('at rest', $a, $b);
};

subtest 'moved in the app' => sub {
	my ($a, $b) = map { $world->map_list("There $_") } qw(A B);
	$world->add($a, 'Theirs', %rich);
	$world->insert($a, title => "'Ours'", description => "'text'");
	$world->insert($a, title => "'$_'") foreach 'Edited here', 'Stays 1', 'Stays 2';
	$world->sync;
	my $ids = join ',', map { $world->value($a, $_, 'id') } 'Theirs', 'Ours';
	$world->there('move_task', list => $a->{list}, task => $_, to => $b->{list}) foreach 'Theirs', 'Ours', 'Edited here';
	$world->update($a, 'Edited here', "description = 'an edit'");
	$world->sync foreach 1 .. 3;
	is($world->titles_there($a) . '|' . $world->titles_there($b), 'Stays 1, Stays 2|Edited here, Ours, Theirs', 'there it stays as it was moved');
	is($world->titles($a) . '|' . $world->titles($b), 'Stays 1, Stays 2|Edited here, Ours, Theirs', '... and here it is so, once');
	is($world->value($b, 'Edited here', 'description'), 'an edit', 'an edit here goes with it');
	is_deeply(essence($world->task_there($b, 'Theirs')), { %{ essence($world->task_there($b, 'Theirs')) }, steps => [ 'one open', 'two done' ], status => 'waitingOnOthers' }, 'nothing of it is lost there');
	is($world->value($b, 'Theirs', "priority || ' ' || due_date || ' ' || recurrence_rule"), 'HIGH 2027-03-01 FREQ=WEEKLY;BYDAY=MO;COUNT=5', '... nor here');
	is(join(',', map { $world->value($b, $_, 'id') } 'Ours'), (split /,/, $ids)[1], 'what was made here is the same task');
	note('what was made in the app is ' . ($world->value($b, 'Theirs', 'id') eq (split /,/, $ids)[0] ? 'the same task' : 'another task') . ' here after a move in the app');
	rested('at rest', $a, $b);
	$world->there('move_task', list => $b->{list}, task => 'Ours', to => $graph->make_list('Not mapped'));
	$world->sync foreach 1 .. 2;
	is($world->titles($b), 'Edited here, Theirs', 'moved to a list that is not mapped, it is deleted here');
	is($world->sql("SELECT count(*) FROM tasksync.task_trash WHERE task_id = '" . (split /,/, $ids)[1] . "'"), '1', '... and in the trash');
	rested('at rest again', $a, $b);

	# one that was made in the app tells by nothing that it is the same
	$world->add($a, 'Moved and edited');
	$world->sync;
	$world->there('move_task', list => $a->{list}, task => 'Moved and edited', to => $b->{list});
	$world->update($a, 'Moved and edited', "description = 'an edit'");
	$world->sync foreach 1 .. 3;
	is(join(', ', sort map { $_->{body}{content} } grep { $_->{title} eq 'Moved and edited' } $world->tasks_there($a), $world->tasks_there($b)), ', an edit',
		'made and moved in the app, and edited here before that was known: both are kept');
	rested('at rest at last', $a, $b);
};

subtest 'importance, tags, reminders' => sub {
	my $m = $world->map_list('Small things');
	$world->insert($m, title => "'$_'", priority => "'$_'") foreach qw(NONE LOW MEDIUM HIGH);
	$world->add($m, $_, importance => $_) foreach qw(low normal high);
	$world->insert($m, title => "'Reminded here'", remind_at => "'2027-02-03 04:05:06+00'", tags => "'{Red category,new one}'");
	$world->add($m, 'Reminded there', reminder => '2027-07-03T09:30:00', zone => 'America/Los_Angeles', categories => [ 'a', 'b' ]);
	$world->sync;
	is(join(',', map { $world->task_there($m, $_)->{importance} } qw(NONE LOW MEDIUM HIGH)), 'normal,low,normal,high', 'priorities there');
	is(join(',', map { $world->value($m, $_, 'priority') } qw(low normal high)), 'LOW,NONE,HIGH', 'importance here');
	is(substr($world->task_there($m, 'Reminded here')->{reminderDateTime}{dateTime}, 0, 19), '2027-02-03T04:05:06', 'a reminder there');
	is($world->value($m, 'Reminded there', "to_char(remind_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"), '2027-07-03 16:30', '... and here');
	is_deeply($world->task_there($m, 'Reminded here')->{categories}, [ 'Red category', 'new one' ], 'tags are categories');
	$world->edit($m, 'MEDIUM', text => 'x');
	$world->update($m, 'normal', "priority = 'MEDIUM'");
	$world->update($m, 'high', "priority = 'MEDIUM'");
	$world->update($m, 'Reminded there', 'remind_at = NULL');
	$world->edit($m, 'Reminded here', reminder => undef, categories => []);
	$world->sync foreach 1 .. 2;
	is(join(',', map { $world->value($m, $_, 'priority') } qw(MEDIUM normal high)), 'MEDIUM,MEDIUM,MEDIUM', 'MEDIUM stays MEDIUM');
	is(join(',', map { $world->task_there($m, $_)->{importance} } qw(MEDIUM normal high)), 'normal,normal,normal', '... and is normal there');
	is($world->task_there($m, 'Reminded there')->{isReminderOn} ? 1 : 0, 0, 'cleared there');
	is($world->value($m, 'Reminded here', "remind_at IS NULL AND tags = '{}'"), 't', 'cleared here');
	$world->edit($m, 'MEDIUM', importance => 'high');
	$world->sync;
	is($world->value($m, 'MEDIUM', 'priority'), 'HIGH', 'made important there');
	rested('at rest', $m);
};

subtest 'who wins' => sub {
	my %expected = (LATEST_WINS => 'ours later', LOCAL_WINS => 'ours', REMOTE_WINS => 'theirs', MANUAL => 'open');
	foreach my $policy (sort keys %expected)
	{
		my $m = $world->map_list("Policy $policy", tasks => [ 'X', 'Y' ], arguments => "conflict_policy => '$policy'");
		$world->update($m, 'X', "description = 'ours first'");
		$world->edit($m, 'X', text => 'theirs last');
		$world->edit($m, 'Y', text => 'theirs first');
		$world->update($m, 'Y', "description = 'ours last', priority = 'HIGH'");
		$world->sync;
		my %want = (LATEST_WINS => 'theirs last,ours last', LOCAL_WINS => 'ours first,ours last', REMOTE_WINS => 'theirs last,theirs first');
		my $here = join ',', map { $world->value($m, $_, 'description') } qw(X Y);
		my $there = join ',', map { $world->task_there($m, $_)->{body}{content} } qw(X Y);
		if ($policy ne 'MANUAL')
		{
			is($here, $want{$policy}, "$policy: here");
			is($there, $want{$policy}, '... and there');
			is($world->sql("SELECT count(*) FROM tasksync.task_conflict WHERE mapping_id = '$m->{mapping}' AND resolution IS NOT NULL"), '2', '... what lost is on record');
		}
		else
		{
			is("$here|$there", 'ours first,ours last|theirs last,theirs first', 'MANUAL: both stay');
			is($world->task_there($m, 'Y')->{importance}, 'high', '... other fields go on');
			is($world->sql("SELECT count(*) FROM tasksync.conflicts WHERE mapping_id = '$m->{mapping}'"), '2', '... and wait for a person');
			$world->sync;
			is(join(',', map { $world->value($m, $_, 'description') } qw(X Y)), $here, '... however often it is synced');
			$world->sql("SELECT tasksync.resolve_conflict(id, CASE title WHEN 'X' THEN 'KEEP_LOCAL' ELSE 'USE_REMOTE' END) FROM tasksync.task WHERE project_id = '$m->{project}'");
			$world->sync;
			is(join(',', map { $world->task_there($m, $_)->{body}{content} } qw(X Y)), 'ours first,theirs first', 'decided');
		}
		rested("$policy rests", $m);
	}
};

subtest 'mass deletion and undo' => sub {
	my $m = $world->map_list('Mass', tasks => [ map { "Task $_" } 10 .. 39 ]);
	my @all = map { "Task $_" } 10 .. 39;
	$world->remove($m, $_) foreach @all[ 0 .. 19 ];
	$world->sync_state($m);
	is(status($m), 'HELD', 'most were deleted there: held');
	is($world->titles($m), join(', ', @all), '... nothing was deleted here');
	is($world->sync_state($m), '55000', '... until somebody confirms it');
	$world->sql("SELECT tasksync.confirm_deletions('$m->{mapping}')");
	$world->sync($m);
	is($world->titles($m), join(', ', @all[ 20 .. 29 ]), 'confirmed');
	my $job = $world->sql("SELECT max(id) FROM tasksync.sync_job WHERE (result -> 'pulled' ->> 'deleted')::int = 20");
	is($world->sql("SELECT tasksync.undo_sync($job)"), '20', 'and undone');
	$world->sync($m);
	is($world->titles_there($m), join(', ', @all), 'all is there again');
	is($world->titles($m), join(', ', @all), '... and here');
	rested('at rest', $m);

	$world->sql("DELETE FROM tasksync.task WHERE project_id = '$m->{project}' AND title < 'Task 30'");
	$world->sync_state($m);
	is(status($m), 'HELD', 'most were deleted here: held');
	is($world->titles_there($m), join(', ', @all), '... nothing was deleted there');
	$world->sql("SELECT tasksync.confirm_deletions('$m->{mapping}')");
	$world->sync($m);
	is($world->titles_there($m), join(', ', @all[ 20 .. 29 ]), 'confirmed');
	rested('at rest again', $m);

	$world->edit($m, 'Task 35', title => 'Overwritten', text => 'x');
	$world->sync($m);
	$job = $world->sql('SELECT max(id) FROM tasksync.sync_job');
	is($world->sql("SELECT tasksync.undo_sync($job)"), '1', 'an edit is undone');
	$world->sync($m);
	is($world->task_there($m, 'Task 35')->{body}{content}, '', '... there, too');
	rested('at rest once more', $m);
};

subtest 'preview and first syncs' => sub {
	my $list = $graph->make_list('Preview');
	$graph->add_task($list, $_) foreach 'Same', 'Only there';
	my $project = $world->sql("INSERT INTO tasksync.project (name) VALUES ('Preview') RETURNING id");
	$world->sql("INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'Same'), ('$project', 'Only here')");
	my $versions = $world->versions;
	$graph->requests;
	is(join("\n", rows($node, "SELECT side, action, title FROM tasksync.preview_mapping('$world->{provider}', '$list', '$project') ORDER BY side, action, title")),
		"LOCAL|CREATE|Only there\nLOCAL|LINK|Same\nREMOTE|CREATE|Only here", 'what a first sync would do');
	is(writes($graph->requests), '', '... nothing is written there');
	is($world->versions, $versions, '... nor here');
	my $m = $world->map_list('Preview', list => $list, arguments => "'$project'");
	is($world->titles($m), 'Only here, Only there, Same', 'and it does so, here');
	is($world->titles_there($m), 'Only here, Only there, Same', '... and there');
	rested('at rest', $m);
};

subtest 'lists' => sub {
	is(join(', ', rows($node, "SELECT name || ' ' || is_writable FROM tasksync.task_lists('$world->{provider}') WHERE name IN ('Tasks', 'Flagged email') ORDER BY name")), 'Flagged email false, Tasks true', 'who can be written to');
	is($world->sql("SELECT tasksync.validate_connection('$world->{provider}')"), 't', 'the connection is valid');

	# made from here
	my $project = $world->sql("INSERT INTO tasksync.project (name, color) VALUES ('M\x{e4}de here', '#ff0000') RETURNING id");
	$world->sql("INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'One'), ('$project', 'Two')");
	$graph->requests;
	$world->sql("BEGIN; SELECT tasksync.create_external_list('$world->{provider}', '$project'); ROLLBACK");
	is(writes($graph->requests), '', 'what was rolled back was not made');
	my $mapping = $world->sql("SELECT tasksync.create_external_list('$world->{provider}', '$project')");
	$world->sql("CALL tasksync.sync_now(mapping_id => '$mapping')");
	my $m = { mapping => $mapping, project => $project, list => $world->sql("SELECT external_list_id FROM tasksync.task_list_mapping WHERE id = '$mapping'") };
	is((scalar grep { $_->{displayName} eq "M\x{e4}de here" } $graph->lists), 1, 'a list was made');
	is((scalar grep { $_->{displayName} =~ /tasksync/ } $graph->lists), 0, '... under its own name');
	is($world->titles_there($m), 'One, Two', '... with its tasks');
	rested('at rest', $m);

	# renamed
	$world->sql("UPDATE tasksync.project SET name = 'Renamed here' WHERE id = '$project'");
	$world->sync;
	is((scalar grep { $_->{displayName} eq 'Renamed here' } $graph->lists), 1, 'renamed here');
	$graph->rename_list('Renamed here', 'Renamed there');
	# looked at with the daily audit
	$world->sql("UPDATE tasksync.mapping_state SET full_at = full_at - interval '2 days' WHERE mapping_id = '$mapping'");
	$world->sync;
	is($world->sql("SELECT name FROM tasksync.project WHERE id = '$project'"), 'Renamed there', 'renamed there');
	is((scalar grep { $_->{displayName} eq 'Renamed there' } $graph->lists), 1, '... and it stays so');
	rested('at rest again', $m);

	# deleted from here
	$world->sql("SELECT tasksync.delete_mapping('$mapping', delete_external_list => true)");
	ok(wait_until($node, "SELECT count(*) = 0 FROM tasksync.sync_job WHERE status IN ('PENDING', 'RUNNING')"), 'a job deletes it');
	is((scalar grep { $_->{displayName} eq 'Renamed there' } $graph->lists), 0, 'the list is gone there');
	is($world->sql("SELECT count(*) FROM tasksync.task WHERE project_id = '$project'"), '2', '... and its tasks stay here');

	# deleted there
	my $gone = $world->map_list('Soon gone', tasks => [ 'X', 'Y', 'Z' ]);
	$graph->delete_list($gone->{list});
	isnt($world->sync_state($gone), '00000', 'a list that is gone there');
	is(status($gone), 'ERROR', '... is an error');
	is($world->titles($gone), 'X, Y, Z', '... and its tasks stay');
	$world->insert($gone, title => "'New'");
	$world->update($gone, 'X', "description = 'y'");
	$world->delete($gone, 'Z');
	isnt($world->sync_state($gone), '00000', '... whatever was edited');
	is($world->titles($gone), 'New, X, Y', '... here');
	$world->sql("SELECT tasksync.delete_mapping('$gone->{mapping}')");

	# not to be written to
	$graph->add_task('Flagged email', 'A flagged mail');
	my ($flagged) = map { $_->{id} } grep { $_->{wellknownListName} eq 'flaggedEmails' } $graph->lists;
	my $f = $world->map_list('Flagged email', list => $flagged);
	is($world->titles($f), 'A flagged mail', 'flagged mail is here');
	$world->insert($f, title => "'Not for there'");
	$graph->requests;
	$world->sync($f) foreach 1 .. 2;
	is($world->titles_there($f), 'A flagged mail', '... and nothing is made there');
	note('Flagged email: ' . $world->errors($f) . ' / ' . status($f) . ' / ' . writes($graph->requests));
	$world->sql("UPDATE tasksync.project SET name = 'Renamed flagged' WHERE id = '$f->{project}'");
	$world->sync_state($f);
	is((scalar grep { $_->{displayName} eq 'Flagged email' } $graph->lists), 1, 'the list keeps its name');
	note('renamed: ' . $world->sql("SELECT sync_status || ' ' || coalesce(error_message, '-') FROM tasksync.task_list_mapping WHERE id = '$f->{mapping}'"));

	# all at once
	$graph->make_list("More $_") foreach 1 .. 12;
	my $before = $world->sql("SELECT count(*) FROM tasksync.task_list_mapping");
	my @new = rows($node, "SELECT tasksync.map_all_lists('$world->{provider}')");
	is($world->sql("SELECT count(*) FROM tasksync.task_list_mapping WHERE provider_id = '$world->{provider}'"), scalar(@{ $world->there('lists')->{lists} }), 'all lists are mapped');
	is(scalar(() = rows($node, "SELECT tasksync.map_all_lists('$world->{provider}')")), 0, '... once');
	$world->sync;
	$graph->requests;
	$world->sync;
	is(scalar(() = $graph->requests), scalar(() = $graph->lists), 'a sync with nothing to do is one request a list');
};

is(join("\n", $graph->violations), '', 'all requests were as they should be');

done_testing();
