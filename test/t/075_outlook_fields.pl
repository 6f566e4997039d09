# What Microsoft To Do and a task here have in common, field by field, both
# ways: dates in zones, recurrence, reminders …; and moves, policies, lists.
use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use OutlookWorld;
use TasksyncTest;
use Test::More;

my $graph = TasksyncTest::Graph->new;
my $node = tasks_node('fields', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $world = OutlookWorld->new($node, $graph);

sub json { return JSON::PP->new->canonical->encode($_[0]) }
sub rule { my ($mapped, $title) = @_; return $world->value($mapped, $title, 'recurrence_rule') }
sub due { my ($mapped, $title) = @_; return $world->value($mapped, $title, 'due_date') }

# The day of somebody's calendar that a due date there is
sub day_there
{
	my ($value, $zone) = @_;

	return sql($node, "SELECT (('$value->{dateTime}'::timestamp AT TIME ZONE '" . ($value->{timeZone} =~ m{^(?:UTC|.*/.*)$} ? $value->{timeZone} : $zone) . "') AT TIME ZONE '$zone')::date");
}

sub set_zone
{
	my ($zone) = @_;

	$node->append_conf('postgresql.conf', "tasksync.default_time_zone = '$zone'");
	$node->reload;
	wait_until($node, "SELECT current_setting('tasksync.default_time_zone') = '$zone'");
	return;
}

#
# Recurrence
#
my %patterns = (
	daily => [ { type => 'daily', interval => 1 }, 'FREQ=DAILY' ],
	'every third day' => [ { type => 'daily', interval => 3 }, 'FREQ=DAILY;INTERVAL=3' ],
	weekly => [ { type => 'weekly', interval => 1, daysOfWeek => ['monday'], firstDayOfWeek => 'monday' }, 'FREQ=WEEKLY;BYDAY=MO' ],
	'every other week' => [ { type => 'weekly', interval => 2, daysOfWeek => [ 'monday', 'thursday' ], firstDayOfWeek => 'sunday' }, 'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;WKST=SU' ],
	monthly => [ { type => 'absoluteMonthly', interval => 1, dayOfMonth => 15 }, 'FREQ=MONTHLY;BYMONTHDAY=15' ],
	yearly => [ { type => 'absoluteYearly', interval => 1, dayOfMonth => 1, month => 3 }, 'FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=1' ],
	'last Monday' => [ { type => 'relativeMonthly', interval => 1, daysOfWeek => ['monday'], index => 'last' }, 'FREQ=MONTHLY;BYDAY=-1MO' ],
	'second Tuesday of May' => [ { type => 'relativeYearly', interval => 1, daysOfWeek => ['tuesday'], index => 'second', month => 5 }, 'FREQ=YEARLY;BYMONTH=5;BYDAY=2TU' ]);
my %ranges = (
	'' => { type => 'noEnd' },
	';COUNT=7' => { type => 'numbered', numberOfOccurrences => 7 },
	';UNTIL=20281231' => { type => 'endDate', endDate => '2028-12-31' });

subtest 'recurrence, both ways' => sub {
	my $mapped = $world->map_list('Recurring');
	my %expected;

	foreach my $name (sort keys %patterns)
	{
		foreach my $end (sort keys %ranges)
		{
			my ($pattern, $rule) = @{ $patterns{$name} };

			$world->add($mapped, "$name$end there", due => '2027-03-01', recurrence => { pattern => $pattern, range => { %{ $ranges{$end} }, startDate => '2027-03-01' } });
			$world->insert($mapped, title => "'$name$end here'", due_date => "'2027-03-01'", recurrence_rule => "'$rule$end'");
			$expected{"$name$end $_"} = "$rule$end" foreach qw(here there);
		}
	}
	$world->sync($mapped);
	my %rules = map { split /\|/, $_, 2 } rows($node, "SELECT title, recurrence_rule FROM tasksync.task WHERE project_id = '$mapped->{project}'");
	is_deeply(\%rules, \%expected, 'the rules here');
	is($world->errors($mapped), '', 'none is too hard');
	my %there = map { $_->{title} => $_->{recurrence} } $world->tasks_there($mapped);
	foreach my $title (grep { / there$/ } sort keys %there)
	{
		my $twin = $title =~ s/ there$/ here/r;
		my ($a, $b) = map { JSON::PP->new->decode(json($there{$_})) } $title, $twin;

		foreach my $recurrence ($a, $b)
		{
			delete $recurrence->{range}{recurrenceTimeZone};
			delete $recurrence->{pattern}{firstDayOfWeek} if $recurrence->{pattern}{type} ne 'weekly' || $recurrence->{pattern}{interval} == 1;
		}
		is_deeply($b, $a, "$twin: there, the same as in the app");
	}
	$world->at_rest($mapped, 'at rest');

	# other fields, and the rule itself
	$world->sql("UPDATE tasksync.task SET title = title || '.', priority = 'HIGH', description = 'more' WHERE project_id = '$mapped->{project}'");
	$world->sync($mapped);
	is_deeply({ map { $_->{title} =~ s/\.$//r => $_->{recurrence} } $world->tasks_there($mapped) }, \%there, 'edits of other fields leave it as it is');
	is($world->errors($mapped), '', '... and go there');
	$world->sql("UPDATE tasksync.task SET recurrence_rule = 'FREQ=DAILY;INTERVAL=5' WHERE project_id = '$mapped->{project}' AND title LIKE 'weekly here%'");
	$world->edit($mapped, 'weekly there.', recurrence => { pattern => { type => 'daily', interval => 6 }, range => { type => 'noEnd', startDate => '2027-03-01' } });
	$world->sql("UPDATE tasksync.task SET recurrence_rule = NULL WHERE project_id = '$mapped->{project}' AND title = 'yearly here.'");
	$world->edit($mapped, 'yearly there.', recurrence => undef);
	$world->sync($mapped);
	is($world->task_there($mapped, 'weekly here.')->{recurrence}{pattern}{interval}, 5, 'changed here');
	is(rule($mapped, 'weekly there.'), 'FREQ=DAILY;INTERVAL=6', 'changed there');
	is($world->task_there($mapped, 'yearly here.')->{recurrence}, undef, 'cleared here');
	is(rule($mapped, 'yearly there.'), '', 'cleared there');
	is($world->task_there($mapped, 'yearly here.')->{dueDateTime}{dateTime}, '2027-03-01T00:00:00.0000000', '... but not its due date');
	$world->at_rest($mapped, 'at rest again');

	# an end that changes is a range to be PATCHed, which this service refuses
	$world->update($mapped, 'daily here.', "recurrence_rule = 'FREQ=DAILY;COUNT=3'");
	$world->update($mapped, 'monthly here.', "title = 'Monthly'");
	$world->sync($mapped);
	like($world->errors($mapped), qr/have another end.*The service said: .*Edm\.Date/s, 'another end of a rule may be refused');
	is($world->task_there($mapped, 'Monthly')->{title}, 'Monthly', '... others go on');
	$graph->set(range_on_patch => 'accepted');
	$world->sql("SELECT tasksync.retry_failed('$mapped->{mapping}')");
	$world->sync($mapped);
	is($world->task_there($mapped, 'daily here.')->{recurrence}{range}{numberOfOccurrences}, 3, '... or accepted');
	is($world->errors($mapped), '', '... and then all is well');
	$graph->set(range_on_patch => 'refused');
	$world->at_rest($mapped, 'at rest at last');
};

subtest 'rules that leave the day to the due date' => sub {
	my $mapped = $world->map_list('By due date');
	my %bare = (Weekly => 'FREQ=WEEKLY', Monthly => 'FREQ=MONTHLY;COUNT=4', Yearly => 'FREQ=YEARLY');

	$world->insert($mapped, title => "'$_'", due_date => "'2027-03-01'", recurrence_rule => "'$bare{$_}'") foreach sort keys %bare;
	$world->sync($mapped);
	is($world->sql("SELECT string_agg(recurrence_rule, ' ' ORDER BY title) FROM tasksync.task WHERE project_id = '$mapped->{project}'"), join(' ', map { $bare{$_} } sort keys %bare), 'they stay as they were written');
	is(json($world->task_there($mapped, 'Weekly')->{recurrence}{pattern}{daysOfWeek}), '["monday"]', '... and are of that day there');
	$world->at_rest($mapped, 'at rest');
	$world->sql("UPDATE tasksync.task SET due_date = '2027-04-08' WHERE project_id = '$mapped->{project}'");
	$world->sync($mapped);
	is($world->errors($mapped), '', 'the due date moves');
	my %there = map { $_->{title} => $_->{recurrence} } $world->tasks_there($mapped);
	is(json($there{Weekly}{pattern}{daysOfWeek}), '["thursday"]', 'each week on the new day');
	is("$there{Monthly}{pattern}{dayOfMonth} $there{Monthly}{range}{numberOfOccurrences}", '8 4', 'each month, as often as before');
	is("$there{Yearly}{pattern}{month}-$there{Yearly}{pattern}{dayOfMonth}", '4-8', 'each year');
	$world->at_rest($mapped, 'at rest again');

	my $other = $world->map_list('By due date, moved there');
	$world->insert($other, title => "'$_'", due_date => "'2027-03-01'", recurrence_rule => "'FREQ=WEEKLY;COUNT=5'") foreach 'In the app', 'In both';
	$world->sync($other);
	$world->edit($other, $_, due => '2027-03-04') foreach 'In the app', 'In both';
	$world->sql("SELECT tasksync.update_mapping('$other->{mapping}', conflict_policy => 'LOCAL_WINS')");
	$world->update($other, 'In both', "due_date = '2027-03-12'");
	$world->sync($other) foreach 1 .. 2;
	is($world->sql("SELECT string_agg(concat_ws(' ', title, due_date, recurrence_rule), ', ' ORDER BY title) FROM tasksync.task WHERE project_id = '$other->{project}'"),
		'In both 2027-03-12 FREQ=WEEKLY;COUNT=5, In the app 2027-03-04 FREQ=WEEKLY;BYDAY=MO;COUNT=5', 'the app moves the due date alone: the day stays, and is named here');
	is(json($world->task_there($other, 'In both')->{recurrence}{pattern}{daysOfWeek}), '["friday"]', '... unless it was moved here, which stands');
	$world->at_rest($other, 'at rest');
};

subtest 'what Microsoft To Do has no words for' => sub {
	my $mapped = $world->map_list('Wordless');
	my @hard = ('FREQ=HOURLY', 'FREQ=MONTHLY;BYMONTHDAY=1,15', 'FREQ=MONTHLY;BYDAY=1MO,3MO', 'FREQ=MONTHLY;BYDAY=-2FR', 'FREQ=DAILY;BYMONTH=6', 'FREQ=YEARLY;BYWEEKNO=20');

	$world->insert($mapped, title => "'$_'", due_date => "'2027-03-01'", recurrence_rule => "'$_'") foreach @hard;
	$world->insert($mapped, title => "'No due'", recurrence_rule => "'FREQ=DAILY'");
	$world->insert($mapped, title => "repeat('long', 80)");
	$world->insert($mapped, title => "'Fine'");
	$world->sync($mapped);
	is($world->titles_there($mapped), 'Fine', 'the others go on');
	is($world->sql("SELECT count(*) FILTER (WHERE l.error_message LIKE '%Outlook has no words for the recurrence rule%'), count(*) FILTER (WHERE l.error_message LIKE '%needs a due date%') FROM tasksync.task_link l WHERE mapping_id = '$mapped->{mapping}'"),
		@hard . '|1', 'each tells what is wrong with it');
	is($world->sql("SELECT count(*) FROM tasksync.task WHERE project_id = '$mapped->{project}' AND sync_status = 'ERROR'"), @hard + 2, '... the tasks, too');
	is($world->sql("SELECT sync_status FROM tasksync.task_list_mapping WHERE id = '$mapped->{mapping}'"), 'OK', '... and not the list');
	like($world->errors($mapped), qr/could not make a task in Outlook list "\Q$mapped->{list}\E": HTTP status 400\nDETAIL:  The service said: .*too long/m, '... and what the service said');
	$graph->requests;
	$world->sync($mapped) foreach 1 .. 3;
	is((join "\n", grep { /^ *(?:POST|PATCH) / } $graph->requests), '', 'nothing is tried over and over');
	$world->sql("UPDATE tasksync.task SET recurrence_rule = NULL, title = left(title, 200) WHERE project_id = '$mapped->{project}'");
	$world->sync($mapped);
	is(scalar(() = $world->tasks_there($mapped)), @hard + 3, 'mended, they go');
	$world->update($mapped, 'Fine', "recurrence_rule = 'FREQ=HOURLY', due_date = '2027-03-01'");
	$world->sync($mapped);
	is($world->value($mapped, 'Fine', 'sync_status'), 'ERROR', 'an error');
	$world->update($mapped, 'Fine', 'recurrence_rule = NULL, due_date = NULL');
	$world->sync($mapped);
	is($world->value($mapped, 'Fine', 'sync_status'), 'SYNCED', '... that was taken back is none');
	$world->at_rest($mapped, 'at rest');

	# one that is there and is made such
	$world->update($mapped, 'Fine', "due_date = '2027-03-01', recurrence_rule = 'FREQ=HOURLY', description = 'x'");
	$world->update($mapped, 'No due', "description = 'y'");
	$world->sync($mapped);
	like($world->errors($mapped), qr/^Outlook has no words for the recurrence rule "FREQ=HOURLY"$/m, 'an edit that cannot be said');
	is($world->task_there($mapped, 'No due')->{body}{content}, 'y', '... others go on');
	$world->update($mapped, 'Fine', "recurrence_rule = 'FREQ=DAILY'");
	$world->sync($mapped);
	is($world->task_there($mapped, 'Fine')->{body}{content}, 'x', 'mended, it goes');
	$world->at_rest($mapped, 'at rest again');
};

subtest 'titles of blanks' => sub {
	my $mapped = $world->map_list('Blanks');
	my @blank = ('', ' ', "\x{a0}", "\t\x{2003}\x{3000}\x{200b}");

	$world->insert($mapped, title => "'$_'") foreach @blank;
	$world->insert($mapped, title => "'Turns blank'");
	$world->sync($mapped);
	is($world->errors($mapped), '', 'none is refused');
	$world->update($mapped, 'Turns blank', "title = '\x{a0}'");
	$world->sync($mapped);
	is($world->errors($mapped), '', '... nor one that becomes such');
	is($world->titles_there($mapped), join(', ', ('(no title)') x (@blank + 1)), 'there it is said that there is none');
	is($world->sql("SELECT count(*) FROM tasksync.task WHERE project_id = '$mapped->{project}' AND title LIKE '(%'"), '0', '... and not here');
	is($world->differences($mapped), '', 'which is no difference');
	$world->at_rest($mapped, 'at rest', errors => qr/^$/);
};

subtest 'indented text that becomes HTML' => sub {
	my $mapped = $world->map_list('Indented');
	my $text = "  todo:\n    - one  two\n\n      three";
	my $hard = "a\ttab, a blank \nat the end";

	$graph->set(text_bodies => 'html');
	$world->insert($mapped, title => "'$_'", description => "'$text'") foreach 'New', 'Old';
	$world->insert($mapped, title => "'Hard'");
	$world->sync($mapped);
	$world->at_rest($mapped, 'at rest');
	$world->update($mapped, 'Old', "description = description || E'\\n  and more'");
	$world->sync($mapped);
	is($world->task_there($mapped, 'Old')->{body}{contentType}, 'html', 'it is HTML there');
	is($world->value($mapped, 'Old', 'description'), "$text\n  and more", '... and here as it was written');
	$world->at_rest($mapped, 'at rest again');
	$world->edit($mapped, 'Old', title => 'Renamed');
	$world->update($mapped, 'Renamed', "priority = 'HIGH'");
	$world->sync($mapped) foreach 1 .. 2;
	$world->edit($mapped, 'Renamed', html => $world->task_there($mapped, 'Renamed')->{body}{content} =~ s/more/less/r);
	$world->sync($mapped);
	$world->update($mapped, 'Hard', "description = '$hard'");
	$world->sync($mapped);
	is($world->value($mapped, 'Hard', 'description'), $hard, 'what HTML has no words for stays here');
	is($world->value($mapped, 'Renamed', 'description'), "$text\n  and less", 'an edit there leaves what it does not concern');
	$world->at_rest($mapped, 'at rest at last');
	$graph->set(text_bodies => 'text');
};

subtest 'completing a recurring task' => sub {
	my $mapped = $world->map_list('Again and again');
	foreach my $where (qw(here there))
	{
		$world->add($mapped, "from there, done $where", due => '2027-03-01', recurrence => { pattern => { type => 'weekly', interval => 1, daysOfWeek => ['monday'], firstDayOfWeek => 'monday' }, range => { type => 'noEnd', startDate => '2027-03-01' } });
		$world->insert($mapped, title => "'from here, done $where'", due_date => "'2027-03-01'", recurrence_rule => "'FREQ=WEEKLY;BYDAY=MO'");
	}
	$world->sync($mapped);
	$world->sql("UPDATE tasksync.task SET status = 'COMPLETED' WHERE project_id = '$mapped->{project}' AND title LIKE '%done here'");
	$world->complete($mapped, "from $_, done there") foreach qw(here there);
	$world->sync($mapped) foreach 1 .. 3;
	foreach my $title (map { my $from = $_; map { "from $from, done $_" } qw(here there) } qw(here there))
	{
		is($world->sql("SELECT string_agg(status || ' ' || due_date, ', ' ORDER BY due_date) FROM tasksync.task WHERE project_id = '$mapped->{project}' AND title = '$title'"),
			'COMPLETED 2027-03-01, TODO 2027-03-08', "$title: done, and the next one, here");
		is(join(', ', map { "$_->{status} " . substr $_->{dueDateTime}{dateTime}, 0, 10 } sort { $a->{dueDateTime}{dateTime} cmp $b->{dueDateTime}{dateTime} } grep { $_->{title} eq $title } $world->tasks_there($mapped)),
			'completed 2027-03-01, notStarted 2027-03-08', '... and there');
	}
	$world->at_rest($mapped, 'at rest');

	# on both sides before either knows
	$world->sql("UPDATE tasksync.task SET status = 'COMPLETED' WHERE project_id = '$mapped->{project}' AND due_date = '2027-03-08' AND title = 'from here, done here'");
	my ($open) = grep { $_->{title} eq 'from here, done here' && $_->{status} ne 'completed' } $world->tasks_there($mapped);
	$world->complete($mapped, $open->{id});
	$world->sync foreach 1 .. 3;
	is($world->sql("SELECT string_agg(status || ' ' || due_date, ', ' ORDER BY due_date) FROM tasksync.task WHERE project_id = '$mapped->{project}' AND title = 'from here, done here'"),
		'COMPLETED 2027-03-01, COMPLETED 2027-03-08, TODO 2027-03-15', 'done on both sides at once: one next');
	$world->at_rest($mapped, 'at rest again');
};

#
# Dates
#
subtest 'due dates' => sub {
	my $mapped = $world->map_list('Due');
	$world->add($mapped, "There $_", due => '2027-05-01', start => '2027-04-30') foreach 1 .. 2;
	$world->insert($mapped, title => "'Here $_'", due_date => "'2027-05-01'", start_date => "'2027-04-30'") foreach 1 .. 2;
	$world->sync($mapped);
	is($world->sql("SELECT DISTINCT due_date, start_date, due_time, time_zone FROM tasksync.task WHERE project_id = '$mapped->{project}'"), '2027-05-01|2027-04-30||', 'days, here');
	$world->edit($mapped, 'There 1', due => undef, start => undef);
	$world->edit($mapped, 'Here 1', due => undef);
	$world->update($mapped, 'There 2', 'due_date = NULL, start_date = NULL');
	$world->update($mapped, 'Here 2', 'due_date = NULL');
	$world->sync($mapped);
	is(due($mapped, $_), '', "$_: cleared there, cleared here") foreach 'There 1', 'Here 1';
	is($world->task_there($mapped, $_)->{dueDateTime}, undef, "$_: cleared here, cleared there") foreach 'There 2', 'Here 2';
	is($world->value($mapped, 'Here 1', 'start_date'), '2027-04-30', '... and nothing else');
	$world->update($mapped, 'There 1', "due_date = '2027-06-07', due_time = '15:30', time_zone = 'Europe/Berlin'");
	$world->sync($mapped);
	is(substr($world->task_there($mapped, 'There 1')->{dueDateTime}{dateTime}, 0, 10), '2027-06-07', 'a time of day is a day there');
	is($world->value($mapped, 'There 1', "due_time || ' ' || time_zone"), '15:30:00 Europe/Berlin', '... and stays here');
	$world->edit($mapped, 'There 1', text => 'x');
	$world->sync($mapped);
	is($world->value($mapped, 'There 1', "due_time || ' ' || time_zone"), '15:30:00 Europe/Berlin', '... after an edit there, too');
	$world->at_rest($mapped, 'at rest');
};

my @zones = ('Europe/Berlin', 'America/Los_Angeles', 'Pacific/Auckland');
my @days = ('2027-01-31', '2027-07-01', '2027-03-14', '2027-03-28', '2027-04-04', '2027-09-26');    # winter, summer, and when clocks change

foreach my $our_zone ('UTC', @zones)
{
	foreach my $options ([], [ due_dates => 'date' ], [ dates => 'given' ], [ dates => 'given', zone_names => 'windows' ], [ dates => 'given', zone_names => 'iana', due_truncate => 'off' ])
	{
		subtest "days do not slide: $our_zone, @$options" => sub {
			set_zone($our_zone);
			$graph->set(due_dates => 'instant', dates => 'utc', zone_names => 'sent', due_truncate => 'on', @$options);
			my $mapped = $world->map_list("Days $our_zone @$options");
			foreach my $day (@days)
			{
				$world->add($mapped, "$day $_", due => $day, start => $day, zone => $_) foreach @zones;
				$world->insert($mapped, title => "'$day here'", due_date => "'$day'", start_date => "'$day'");
			}
			$world->sync($mapped);
			is($world->sql("SELECT string_agg(title || ' is ' || due_date, ', ') FROM tasksync.task WHERE project_id = '$mapped->{project}' AND (left(title, 10) <> due_date::text OR start_date <> due_date)"), '', 'none is another day here');
			my @dues = map { json([ @$_{qw(title dueDateTime startDateTime)} ]) } $world->tasks_there($mapped);
			$world->sql("UPDATE tasksync.task SET description = 'edited', start_date = start_date - 7 WHERE project_id = '$mapped->{project}'");
			$world->sync($mapped);
			my @now = map { json([ @$_{qw(title dueDateTime)} ]) } $world->tasks_there($mapped);
			is_deeply(\@now, [ map { json([ @{ JSON::PP->new->decode($_) }[ 0, 1 ] ]) } @dues ], 'edits of other fields leave them alone');
			$world->sql("UPDATE tasksync.task SET due_date = due_date + 1 WHERE project_id = '$mapped->{project}'");
			$world->sync($mapped);
			is($world->sql("SELECT count(*) FROM tasksync.task WHERE project_id = '$mapped->{project}' AND title = (due_date - 1) || substr(title, 11) AND start_date = due_date - 8"), @days * 4, 'moved by a day here');
			if ($our_zone ne 'UTC' && !@$options)
			{
				is(join(', ', grep { day_there($_->{dueDateTime}, $our_zone) ne sql($node, "SELECT left('$_->{title}', 10)::date + 1") } $world->tasks_there($mapped)), '', '... and there, on the calendar of who lives here');
			}
			$world->at_rest($mapped, 'at rest');
			$world->sql("SELECT tasksync.delete_mapping('$mapped->{mapping}', delete_tasks => true)");
		};
	}
}

subtest 'a zone that has no name' => sub {
	set_zone('<+03>-3');
	$graph->set(due_dates => 'instant', dates => 'utc', zone_names => 'sent', due_truncate => 'on');
	my $mapped = $world->map_list('Nameless');
	$world->insert($mapped, title => "'Task'", due_date => "'2027-03-01'", remind_at => "'2027-03-01 09:00+03'");
	$world->sync($mapped);
	is($world->errors($mapped), '', 'is not sent');
	my $task = $world->task_there($mapped, 'Task');
	is(substr($task->{dueDateTime}{dateTime}, 0, 10), '2027-03-01', 'the day is right');
	is(substr($task->{reminderDateTime}{dateTime}, 0, 16), '2027-03-01T06:00', '... and the time of the reminder');
	$world->at_rest($mapped, 'at rest');
};
set_zone('UTC');
$graph->set(due_dates => 'instant', dates => 'utc', zone_names => 'sent', due_truncate => 'on');

is(join("\n", $graph->violations), '', 'all requests were as they should be');

done_testing();
