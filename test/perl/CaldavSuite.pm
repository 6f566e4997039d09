# Two-way CalDAV sync, end to end: the same tests for every server
# (test/t/010_caldav_*.pl).
#
# The local edits of a test wait for its sync(): tasksync.push_delay is an hour
# here.  What a test changes at the server it changes as another client would,
# by plain HTTP.
package CaldavSuite;

use strict;
use warnings FATAL => 'all';

use POSIX qw(strftime);
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my ($node, $dav, $provider);
my $lists = 0;

# A new list with these tasks (uid => [lines]), mapped and pulled.
sub fresh
{
	my (%todos) = @_;
	my $id = 'list' . ++$lists;
	my $list = $dav->make_list($id, "List $lists");

	$dav->put_todo($list, $_, @{ $todos{$_} }) foreach sort keys %todos;
	my ($mapping, $project) = map_list($node, $provider, $list);
	return { path => $list, mapping => $mapping, project => $project };
}

# Syncs one list.
sub go
{
	my ($l) = @_;

	return sql($node, "CALL tasksync.sync_now(mapping_id => '$l->{mapping}', timeout => '60 s')");
}

sub go_state
{
	my ($l) = @_;

	return sqlstate($node, "CALL tasksync.sync_now(mapping_id => '$l->{mapping}', timeout => '60 s')");
}

sub requests { return sync_job($node, "(result ->> 'requests')::int"); }

sub value
{
	my ($l, $title, $expression) = @_;

	return sql($node, "SELECT $expression FROM tasksync.task"
		  . " WHERE project_id = '$l->{project}' AND title = '$title'");
}

sub update
{
	my ($l, $title, $assignments) = @_;

	return sql($node, "UPDATE tasksync.task SET $assignments"
		  . " WHERE project_id = '$l->{project}' AND title = '$title'");
}

sub insert
{
	my ($l, $title, %columns) = @_;
	my $names = join '', map { ", $_" } sort keys %columns;
	my $values = join '', map { ", $columns{$_}" } sort keys %columns;

	return sql($node, "INSERT INTO tasksync.task (project_id, title$names)"
		  . " VALUES ('$l->{project}', '$title'$values)");
}

sub titles
{
	my ($l) = @_;

	return sql($node, "SELECT string_agg(title, ', ' ORDER BY title COLLATE \"C\")"
		  . " FROM tasksync.task WHERE project_id = '$l->{project}'");
}

sub both_hold
{
	my ($l, $titles, $name) = @_;

	is(titles($l), $titles, "$name: here");
	is($dav->titles($l->{path}), $titles, "$name: there");
	return;
}

# The lines of a task that begin with a name, unfolded.
sub lines
{
	my ($text, $name) = @_;

	$text =~ s/\r\n[ \t]//g;
	$text =~ s/BEGIN:VTIMEZONE.*?END:VTIMEZONE\r\n//gs;
	return join '|', sort $text =~ /^($name[;:].*?)\r?$/mg;
}

sub moment
{
	my ($seconds) = @_;

	return strftime('%Y%m%dT%H%M%SZ', gmtime(time + $seconds));
}

# What another client does to an object: some text is replaced, and the object
# is stamped.
sub elsewhere
{
	my ($path, $from, $to, $stamp) = @_;

	$stamp //= moment(0);
	return $dav->edit($path, sub {
		s/\r\n[ \t]//g;
		s/$from/$to/ or die "no $from in $_";
		s/^LAST-MODIFIED:[^\r]*\r\n//mg;
		s/^END:VTODO/LAST-MODIFIED:$stamp\r\nEND:VTODO/m;
	});
}

sub asking
{
	my $list = $dav->make_list('asked', 'Asked for', '#12ab34');

	is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', 'the connection is good');
	is(sql($node, "SELECT concat_ws('/', external_list_id, is_writable, mapping_id)"
			  . " FROM tasksync.task_lists('$provider') WHERE name = 'Asked for'"),
		"$list/t", 'task_lists shows a list that is not mapped');
	return;
}

#
# Edits from one side
#

sub pulling
{
	my $l = fresh(
		one => [ 'SUMMARY:Water the plants', 'DESCRIPTION:All\, but the cactus\nTwice',
			'DUE;VALUE=DATE:20260310', 'PRIORITY:1', 'CATEGORIES:home,garden',
			'URL:https://example.org/plants' ],
		two => [ 'SUMMARY:Call Zoë', 'STATUS:IN-PROCESS', 'PERCENT-COMPLETE:40',
			'DUE;TZID=Europe/Berlin:20260311T093000', 'PRIORITY:5' ],
		three => [ 'SUMMARY:Done', 'STATUS:COMPLETED', 'COMPLETED:20260105T101500Z' ]);

	is(titles($l), 'Call Zoë, Done, Water the plants', 'a first sync pulls all tasks');
	is(value($l, 'Water the plants', 'concat_ws(\'/\', description, due_date, due_time, priority, tags, url)'),
		"All, but the cactus\nTwice/2026-03-10/HIGH/{home,garden}/https://example.org/plants",
		'... with their fields');
	is(value($l, 'Call Zoë', 'concat_ws(\'/\', status, percent_complete, due_date, due_time, time_zone, priority)'),
		'IN_PROGRESS/40/2026-03-11/09:30:00/Europe/Berlin/MEDIUM', '... times and zones as well');
	is(value($l, 'Done', 'concat_ws(\'/\', status, completed_at)'),
		'COMPLETED/2026-01-05 10:15:00+00', '... and completion');
	is(value($l, 'Done', 'concat_ws(\'/\', source, sync_status, is_auto_scheduled)'),
		'CALDAV/SYNCED/t', 'they are marked as the provider\'s');
	is(sql($node, "SELECT name FROM tasksync.project WHERE id = '$l->{project}'"),
		"List $lists", 'the new project has the list\'s name');
	is(sql($node, "SELECT count(*) FROM tasksync.task_change WHERE mapping_id = '$l->{mapping}' AND synced_at IS NULL"),
		'0', 'a pull leaves nothing to send');

	$dav->put_todo($l->{path}, 'four', 'SUMMARY:Buy seeds');
	elsewhere("$l->{path}one.ics", 'SUMMARY:Water the plants', 'SUMMARY:Water all plants');
	$dav->delete("$l->{path}three.ics");
	go($l);
	both_hold($l, 'Buy seeds, Call Zoë, Water all plants', 'created, changed and deleted there');
	is(value($l, 'Water all plants', 'priority'), 'HIGH', 'what was not changed there stays here');
	is(sql($node, "SELECT old_row ->> 'title' FROM tasksync.task_trash WHERE mapping_id = '$l->{mapping}' AND action = 'DELETE'"),
		'Done', 'a task deleted by a sync is kept in the trash');
	return;
}

sub pushing
{
	my $l = fresh();

	insert($l, 'Oil the gate', description => '\'Two\'\'s enough, or; three\'', priority => '\'LOW\'',
		due_date => '\'2026-04-02\'', tags => '\'{home,"a,b"}\'', status => '\'IN_PROGRESS\'');
	insert($l, 'Paint it', start_date => '\'2026-04-05\'', start_time => '\'08:00\'',
		due_date => '\'2026-04-05\'', due_time => '\'17:45\'', time_zone => '\'America/New_York\'');
	insert($l, 'Have tea', status => '\'COMPLETED\'');
	go($l);
	is($dav->titles($l->{path}), 'Have tea, Oil the gate, Paint it', 'tasks made here are created there');
	my (undef, $text) = $dav->find($l->{path}, 'Oil the gate');
	is(lines($text, 'DESCRIPTION'), 'DESCRIPTION:Two\'s enough\, or\; three', '... the description escaped');
	is(lines($text, 'DUE'), 'DUE;VALUE=DATE:20260402', '... a date as a date');
	is(lines($text, 'STATUS'), 'STATUS:IN-PROCESS', '... the status');
	like(lines($text, 'PRIORITY'), qr/^PRIORITY:[6-9]$/, '... the priority');
	(undef, $text) = $dav->find($l->{path}, 'Paint it');
	is(lines($text, 'DTSTART') . ' ' . lines($text, 'DUE'),
		'DTSTART;TZID=America/New_York:20260405T080000 DUE;TZID=America/New_York:20260405T174500',
		'... times in their zone');
	like($text, qr/BEGIN:VTIMEZONE.*TZID:America\/New_York/s, '... with the zone\'s definition');
	(undef, $text) = $dav->find($l->{path}, 'Have tea');
	like($text, qr/STATUS:COMPLETED/, '... completed');
	like($text, qr/COMPLETED:\d{8}T\d{6}Z/, '... with the time');
	is(value($l, 'Oil the gate', 'concat_ws(\'/\', sync_status, provider_id IS NOT NULL, external_task_id IS NOT NULL)'),
		'SYNCED/t/t', 'here they are marked as synced');
	is(sql($node, "SELECT count(*) FROM tasksync.task_change WHERE mapping_id = '$l->{mapping}' AND synced_at IS NULL"),
		'0', 'the journal has nothing left to send');

	update($l, 'Oil the gate', 'title = \'Oil both gates\', due_date = NULL');
	sql($node, "DELETE FROM tasksync.task WHERE project_id = '$l->{project}' AND title = 'Have tea'");
	go($l);
	both_hold($l, 'Oil both gates, Paint it', 'changed and deleted here');
	(undef, $text) = $dav->find($l->{path}, 'Oil both gates');
	is(lines($text, 'DUE'), '', 'a cleared date is cleared there');

	update($l, 'Paint it', 'priority = \'HIGH\'');
	update($l, 'Paint it', 'priority = \'NONE\'');
	is(value($l, 'Paint it', 'sync_status'), 'PENDING', 'an edit is shown as pending');
	go($l);
	is(value($l, 'Paint it', 'sync_status'), 'SYNCED', '... and no longer when it was taken back before a sync');

	insert($l, 'Never mind');
	sql($node, "DELETE FROM tasksync.task WHERE project_id = '$l->{project}' AND title = 'Never mind'");
	go($l);
	is(sync_job($node, "result -> 'pushed'"), '{"created": 0, "deleted": 0, "updated": 0}',
		'created and deleted before a sync: nothing is sent');
	return;
}

sub costs
{
	my $l = fresh(map { ("uid$_" => ["SUMMARY:Task $_"]) } 1 .. 5);
	my $written = 'SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables'
	  . ' WHERE schemaname = \'tasksync\' AND relname IN (\'task\', \'task_link\', \'task_change\')';
	my $rows = 'SELECT string_agg(x, \' \' ORDER BY x) FROM (SELECT ctid::text || xmin::text AS x FROM tasksync.task'
	  . ' UNION ALL SELECT ctid::text || xmin::text FROM tasksync.task_link'
	  . ' UNION ALL SELECT ctid::text || xmin::text FROM tasksync.task_change) r';

	go($l);
	my $before = sql($node, $rows);
	go($l);
	is(sql($node, $rows), $before, 'a sync with nothing to do writes no row of task, link or journal');
	if ($dav->kind eq 'sabre')
	{
		ok(requests() <= 3, '... and takes no more than three requests') or diag(requests());
	}
	else
	{
		is(requests(), '1', '... and is one request');
	}

	update($l, 'Task 1', 'title = \'Task one\'');
	go($l);
	my $up = requests();
	ok($up <= 3 + ($dav->kind eq 'sabre' ? 1 : 0), 'one edit up costs at most three requests') or diag($up);
	is($dav->titles($l->{path}), 'Task 2, Task 3, Task 4, Task 5, Task one', '... and arrives');

	elsewhere("$l->{path}uid2.ics", 'SUMMARY:Task 2', 'SUMMARY:Task two');
	go($l);
	my $down = requests();
	ok($down <= 2 + ($dav->kind eq 'sabre' ? 1 : 0), 'one edit down costs at most two requests') or diag($down);
	is(value($l, 'Task two', 'count(*)'), '1', '... and arrives');
	go($l);
	$before = sql($node, $rows);
	go($l);
	is(sql($node, $rows), $before, 'after edits both ways there is nothing more to write');
	return;
}

#
# Fields
#

sub fidelity
{
	my $l = fresh();
	my $rich = join "\r\n", 'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//Some Client//EN',
	  'X-WR-CALNAME:Kept', 'BEGIN:VTIMEZONE', 'TZID:Europe/Vienna', 'X-LIC-LOCATION:Europe/Vienna',
	  'BEGIN:STANDARD', 'DTSTART:19701025T030000', 'RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU',
	  'TZOFFSETFROM:+0200', 'TZOFFSETTO:+0100', 'TZNAME:CET', 'END:STANDARD',
	  'BEGIN:DAYLIGHT', 'DTSTART:19700329T020000', 'RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU',
	  'TZOFFSETFROM:+0100', 'TZOFFSETTO:+0200', 'TZNAME:CEST', 'END:DAYLIGHT', 'END:VTIMEZONE',
	  'BEGIN:VTODO', 'UID:rich', 'DTSTAMP:20260101T000000Z', 'CREATED:20251231T230000Z', 'SEQUENCE:3',
	  'SUMMARY;LANGUAGE=en;X-KEEP="a,b;c":Repot', 'DTSTART;TZID=Europe/Vienna:20260105T090000',
	  'DUE;TZID=Europe/Vienna:20260105T100000', 'RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=10',
	  'X-APPLE-SORT-ORDER:42', 'X-MULTI;FOO=1:one', 'X-MULTI;FOO=2:two',
	  'ATTENDEE;CN="Lee, A":mailto:lee@example.org', 'GEO:48.2;16.37', 'CLASS:PRIVATE', 'LOCATION:Balcony',
	  'BEGIN:VALARM', 'UID:alarm-1', 'ACTION:DISPLAY', 'DESCRIPTION:Soon',
	  'TRIGGER;RELATED=END:-PT15M', 'X-APPLE-DEFAULT-ALARM:TRUE', 'END:VALARM', 'END:VTODO',
	  'BEGIN:VTODO', 'UID:rich', 'RECURRENCE-ID;TZID=Europe/Vienna:20260112T090000',
	  'DTSTAMP:20260101T000000Z', 'DTSTART;TZID=Europe/Vienna:20260113T090000', 'SUMMARY:Repot later',
	  'X-OVERRIDE:yes', 'END:VTODO', 'END:VCALENDAR', '';

	$dav->put("$l->{path}rich.ics", $rich);
	my $before = $dav->get("$l->{path}rich.ics");
	go($l);
	update($l, 'Repot', 'title = \'Repot all\'');
	go($l);
	my $after = $dav->get("$l->{path}rich.ics");

	s/\r\n[ \t]//g foreach $before, $after;
	my %old = map { ($_ => 1) } split /\r?\n/, $before;
	my %new = map { ($_ => 1) } split /\r?\n/, $after;
	my @gone = sort grep { !$new{$_} } keys %old;
	my @came = sort grep { !$old{$_} } keys %new;

	# a server may add stamps of its own
	@gone = grep { !/^(DTSTAMP|LAST-MODIFIED|SEQUENCE)[:;]/ } @gone;
	@came = grep { !/^(DTSTAMP|LAST-MODIFIED|SEQUENCE)[:;]/ } @came;
	is(join('|', @gone), 'SUMMARY;LANGUAGE=en;X-KEEP="a,b;c":Repot', 'of a rich object only the edited line goes');
	is(join('|', @came), 'SUMMARY;LANGUAGE=en;X-KEEP="a,b;c":Repot all', '... and comes, with its parameters');
	return;
}

sub tags_and_reminders
{
	my $l = fresh(
		a => [ 'SUMMARY:Tagged', 'CATEGORIES:red', 'CATEGORIES:green\, or so' ],
		b => [ 'SUMMARY:Reminded', 'DUE:20260501T120000Z', 'BEGIN:VALARM', 'ACTION:DISPLAY',
			'DESCRIPTION:x', 'TRIGGER;RELATED=END:-PT30M', 'END:VALARM' ]);

	is(value($l, 'Reminded', 'remind_at'), '2026-05-01 11:30:00+00', 'a relative alarm is a reminder');
	is(value($l, 'Tagged', 'tags'), $dav->kind eq 'xandikos' ? value($l, 'Tagged', 'tags') : '{red,"green, or so"}',
		'categories are tags');
	update($l, 'Tagged', 'tags = \'{blue}\'');
	update($l, 'Reminded', 'remind_at = \'2026-05-01 09:00 UTC\'');
	insert($l, 'New one', remind_at => '\'2026-06-01 07:00 UTC\'', tags => '\'{x,y}\'');
	go($l);
	my $todos = $dav->todos($l->{path});
	my ($tagged) = grep { /SUMMARY:Tagged/ } values %$todos;
	is(lines($tagged, 'CATEGORIES'), 'CATEGORIES:blue', 'changed tags arrive');
	my ($reminded) = grep { /SUMMARY:Reminded/ } values %$todos;
	like($reminded, qr/TRIGGER(?:;VALUE=DATE-TIME:20260501T090000Z|;RELATED=END:-P(?:T3H|T180M))/,
		'a changed reminder arrives');
	is(() = $reminded =~ /BEGIN:VALARM/g, 1, '... in the alarm that was there');
	my ($new) = grep { /SUMMARY:New one/ } values %$todos;
	like($new, qr/BEGIN:VALARM.*TRIGGER;VALUE=DATE-TIME:20260601T070000Z/s, 'a new reminder is an alarm');
	go($l);
	is(value($l, 'New one', 'concat_ws(\'/\', tags, remind_at)'), '{x,y}/2026-06-01 07:00:00+00', 'and nothing comes back changed');
	update($l, 'Reminded', 'remind_at = NULL');
	go($l);
	my (undef, $text) = $dav->find($l->{path}, 'Reminded');
	unlike($text, qr/VALARM/, 'a cleared reminder takes the alarm away');
	return;
}

sub parents
{
	my $l = fresh(
		a_child => [ 'SUMMARY:Child', 'RELATED-TO:z_parent' ],
		z_parent => ['SUMMARY:Parent']);
	my $parent_of = 'SELECT p.title FROM tasksync.task c JOIN tasksync.task p ON p.id = c.parent_task_id WHERE c.title = ';

	is(sql($node, "$parent_of 'Child'"), 'Parent', 'a subtask points at its parent, whichever comes first');

	$dav->put_todo($l->{path}, 'orphan', 'SUMMARY:Orphan', 'RELATED-TO;RELTYPE=PARENT:later');
	go($l);
	is(value($l, 'Orphan', 'parent_task_id'), '', 'a child whose parent is not there yet is top-level');
	$dav->put_todo($l->{path}, 'later', 'SUMMARY:Late parent');
	go($l);
	is(sql($node, "$parent_of 'Orphan'"), 'Late parent', '... until the parent comes');

	sql($node, "WITH p AS (INSERT INTO tasksync.task (project_id, title) VALUES ('$l->{project}', 'Made here') RETURNING id)"
		  . " INSERT INTO tasksync.task (project_id, title, parent_task_id) SELECT '$l->{project}', 'Made below', id FROM p");
	go($l);
	my $todos = $dav->todos($l->{path});
	my ($parent) = grep { /SUMMARY:Made here/ } values %$todos;
	my ($child) = grep { /SUMMARY:Made below/ } values %$todos;
	my ($uid) = $parent =~ /^UID:(.*?)\r$/m;
	like($child, qr/^RELATED-TO(;RELTYPE=PARENT)?:\Q$uid\E\r$/m, 'parent and child made here are related there');

	update($l, 'Made below', 'parent_task_id = NULL');
	go($l);
	(undef, $child) = $dav->find($l->{path}, 'Made below');
	unlike($child, qr/RELATED-TO/, 'a subtask made top-level is so there');

	$dav->put_todo($l->{path}, 'ring1', 'SUMMARY:Ring 1', 'RELATED-TO:ring2');
	$dav->put_todo($l->{path}, 'ring2', 'SUMMARY:Ring 2', 'RELATED-TO:ring3');
	$dav->put_todo($l->{path}, 'ring3', 'SUMMARY:Ring 3', 'RELATED-TO:ring1');
	$dav->put_todo($l->{path}, 'below', 'SUMMARY:Below the ring', 'RELATED-TO:ring1');
	$dav->put_todo($l->{path}, 'self', 'SUMMARY:Self', 'RELATED-TO:self');
	go($l);
	is(sql($node, "SELECT count(*) FROM tasksync.task WHERE project_id = '$l->{project}' AND title ~ 'Ring|Self'"), '4',
		'tasks that are each other\'s parents there are taken in');
	is(sql($node, "SELECT errors FROM tasksync.mapping_status WHERE mapping_id = '$l->{mapping}'"), '0', '... none is set aside');
	is(sql($node, "$parent_of 'Below the ring'"), 'Ring 1', '... what is below them has its parent');
	is(value($l, 'Self', 'parent_task_id'), '', 'a task that is its own parent there is top-level');
	$dav->delete("$l->{path}$_.ics") foreach qw(ring1 ring2 ring3 below self);
	go($l);

	sql($node, "DELETE FROM tasksync.task WHERE title = 'Parent'");
	go($l);
	is(value($l, 'Child', 'parent_task_id IS NULL'), 't', 'the child of a deleted parent stays, top-level');
	ok($dav->exists("$l->{path}a_child.ics"), '... there as well');
	return;
}

sub recurrence
{
	my $l = fresh(weekly => [ 'SUMMARY:Sweep', 'DTSTART;VALUE=DATE:20260302', 'DUE;VALUE=DATE:20260303',
			'RRULE:FREQ=WEEKLY' ]);

	is(value($l, 'Sweep', 'concat_ws(\'/\', due_date, recurrence_rule)'), '2026-03-03/FREQ=WEEKLY', 'a recurring task comes with its rule');
	update($l, 'Sweep', 'status = \'COMPLETED\'');
	go($l);
	go($l);
	is(value($l, 'Sweep', 'concat_ws(\'/\', status, start_date, due_date)'), 'TODO/2026-03-09/2026-03-10',
		'completing it goes on to the next occurrence');
	my (undef, $text) = $dav->find($l->{path}, 'Sweep');
	is(lines($text, 'DUE'), 'DUE;VALUE=DATE:20260310', '... there as well');
	unlike($text, qr/STATUS:COMPLETED/, '... where it is open');
	insert($l, 'Mow', due_date => '\'2026-05-01\'', recurrence_rule => '\'FREQ=DAILY;INTERVAL=3\'');
	go($l);
	(undef, $text) = $dav->find($l->{path}, 'Mow');
	is(lines($text, 'RRULE'), 'RRULE:FREQ=DAILY;INTERVAL=3', 'a rule made here arrives');
	return;
}

#
# Edits from both sides
#

sub both_sides
{
	my $l = fresh(a => [ 'SUMMARY:Bake', 'DESCRIPTION:bread', 'PRIORITY:9' ]);

	elsewhere("$l->{path}a.ics", 'DESCRIPTION:bread', 'DESCRIPTION:rye bread');
	update($l, 'Bake', 'title = \'Bake today\', priority = \'HIGH\'');
	go($l);
	is(value($l, 'Bake today', 'concat_ws(\'/\', description, priority)'), 'rye bread/HIGH', 'edits to different fields: both here');
	my $text = $dav->get("$l->{path}a.ics");
	is(lines($text, 'SUMMARY') . ' ' . lines($text, 'DESCRIPTION'), 'SUMMARY:Bake today DESCRIPTION:rye bread', '... and both there');
	is(sql($node, "SELECT count(*) FROM tasksync.task_conflict WHERE mapping_id = '$l->{mapping}'"), '0', '... and no conflict');

	elsewhere("$l->{path}a.ics", 'DESCRIPTION:rye bread', 'DESCRIPTION:same');
	update($l, 'Bake today', 'description = \'same\'');
	go($l);
	is(sql($node, "SELECT count(*) FROM tasksync.task_conflict WHERE mapping_id = '$l->{mapping}'"), '0',
		'the same edit on both sides is no conflict');
	return;
}

# The same field changed on both sides, and what becomes of it.
sub clash
{
	my ($policy, $stamp, $winner, $resolution, $name) = @_;
	my $l = fresh(a => [ 'SUMMARY:Subject', 'DESCRIPTION:old' ]);

	sql($node, "SELECT tasksync.update_mapping('$l->{mapping}', conflict_policy => '$policy')");
	elsewhere("$l->{path}a.ics", 'DESCRIPTION:old', 'DESCRIPTION:theirs', $stamp);
	update($l, 'Subject', 'description = \'ours\'');
	go($l);
	go($l);
	is(value($l, 'Subject', 'description'), $winner, "$name: here");
	is(lines($dav->get("$l->{path}a.ics"), 'DESCRIPTION'), "DESCRIPTION:$winner", "$name: there");
	is(sql($node, 'SELECT concat_ws(\'/\', base ->> \'description\', local ->> \'description\', remote ->> \'description\','
			  . " fields, resolution, resolved_at IS NOT NULL) FROM tasksync.task_conflict WHERE mapping_id = '$l->{mapping}'"),
		"old/ours/theirs/{description}/$resolution/t", "$name: the loser is kept");
	return;
}

sub policies
{
	clash('LATEST_WINS', moment(-86400), 'ours', 'LOCAL', 'LATEST_WINS, theirs is older');
	clash('LATEST_WINS', moment(3600), 'theirs', 'REMOTE', 'LATEST_WINS, theirs is newer');
	clash('LOCAL_WINS', moment(3600), 'ours', 'LOCAL', 'LOCAL_WINS');
	clash('REMOTE_WINS', moment(-86400), 'theirs', 'REMOTE', 'REMOTE_WINS');
	return;
}

# A task with an open conflict in its description.
sub open_conflict
{
	my $l = fresh(a => [ 'SUMMARY:Disputed', 'DESCRIPTION:old', 'PRIORITY:9' ]);

	sql($node, "SELECT tasksync.update_mapping('$l->{mapping}', conflict_policy => 'MANUAL')");
	elsewhere("$l->{path}a.ics", 'DESCRIPTION:old', 'DESCRIPTION:theirs');
	update($l, 'Disputed', 'description = \'ours\'');
	go($l);
	return $l;
}

sub manual
{
	my $l = open_conflict();

	is(value($l, 'Disputed', 'concat_ws(\'/\', description, sync_status)'), 'ours/CONFLICT', 'MANUAL: ours stays here');
	is(lines($dav->get("$l->{path}a.ics"), 'DESCRIPTION'), 'DESCRIPTION:theirs', '... theirs there');
	is(sql($node, 'SELECT concat_ws(\'/\', c.field, c.base, c.local, c.remote) FROM tasksync.conflicts c'
			  . " WHERE c.mapping_id = '$l->{mapping}'"), 'description/"old"/"ours"/"theirs"', '... and the conflict is shown');
	update($l, 'Disputed', 'priority = \'HIGH\'');
	elsewhere("$l->{path}a.ics", 'END:VTODO', "LOCATION:Kitchen\r\nCATEGORIES:loud\r\nEND:VTODO");
	go($l);
	like(lines($dav->get("$l->{path}a.ics"), 'PRIORITY'), qr/PRIORITY:[1-4]$/, '... while other fields go on, up');
	is(value($l, 'Disputed', 'tags'), '{loud}', '... and down');
	is(sql($node, "SELECT count(*) FROM tasksync.task_conflict WHERE mapping_id = '$l->{mapping}' AND resolution IS NULL"),
		'1', '... and it is one conflict still');

	my $task = value($l, 'Disputed', 'id');
	is(sqlstate($node, "SELECT tasksync.resolve_conflict('$task', 'SOMEHOW')"), '22023', 'an unknown resolution is refused');
	sql($node, "SELECT tasksync.resolve_conflict('$task', 'KEEP_LOCAL')");
	go($l);
	is(lines($dav->get("$l->{path}a.ics"), 'DESCRIPTION'), 'DESCRIPTION:ours', 'KEEP_LOCAL sends ours');

	$l = open_conflict();
	sql($node, "SELECT tasksync.resolve_conflict(id, 'USE_REMOTE') FROM tasksync.task WHERE project_id = '$l->{project}'");
	go($l);
	is(value($l, 'Disputed', 'concat_ws(\'/\', description, sync_status)'), 'theirs/SYNCED', 'USE_REMOTE takes theirs');
	is(lines($dav->get("$l->{path}a.ics"), 'DESCRIPTION'), 'DESCRIPTION:theirs', '... and sends nothing');

	$l = open_conflict();
	sql($node, "SELECT tasksync.resolve_conflict(id, 'MERGE', '{\"description\": \"both\"}') FROM tasksync.task WHERE project_id = '$l->{project}'");
	go($l);
	is(value($l, 'Disputed', 'description'), 'both', 'MERGE takes a third value: here');
	is(lines($dav->get("$l->{path}a.ics"), 'DESCRIPTION'), 'DESCRIPTION:both', '... and there');
	is(sql($node, "SELECT resolution FROM tasksync.task_conflict WHERE mapping_id = '$l->{mapping}'"), 'MERGED', '... and the conflict is closed');
	return;
}

# What an open conflict is about moves, or goes away.
sub manual_elsewhere
{
	my $l = open_conflict();
	my $to = fresh();
	my $open = 'SELECT string_agg(concat_ws(\'/\', c.field, c.local, c.remote), \' \') FROM tasksync.conflicts c WHERE c.mapping_id = ';
	my $decided = 'SELECT count(*) FROM tasksync.resolve_conflict(\'%s\', \'%s\')';

	my $id = value($l, 'Disputed', 'id');
	update($l, 'Disputed', "project_id = '$to->{project}'");
	go($l);
	go($to);
	is(sql($node, "$open'$to->{mapping}'"), 'description/"ours"/"theirs"', 'moved here, an open conflict goes along');
	is(value($to, 'Disputed', 'concat_ws(\'/\', description, sync_status)'), 'ours/CONFLICT', '... ours rests here');
	my (undef, $text) = $dav->find($to->{path}, 'Disputed');
	is(lines($text, 'DESCRIPTION'), 'DESCRIPTION:theirs', '... theirs there');
	sql($node, sprintf $decided, $id, 'KEEP_LOCAL');
	go($to);
	(undef, $text) = $dav->find($to->{path}, 'Disputed');
	is(lines($text, 'DESCRIPTION'), 'DESCRIPTION:ours', '... until it is decided');

	$l = open_conflict();
	$dav->put_todo($l->{path}, 'b', 'SUMMARY:Bystander');
	$dav->delete("$l->{path}a.ics");
	go($l);
	is(value($l, 'Disputed', 'concat_ws(\'/\', description, sync_status)'), 'ours/SYNCED', 'its object deleted, ours stands');
	is(sql($node, 'SELECT string_agg(concat_ws(\'/\', resolution, local ->> \'description\', remote ->> \'description\', resolved_at IS NOT NULL), \' \''
			  . " ORDER BY remote DESC) FROM tasksync.task_conflict WHERE mapping_id = '$l->{mapping}' AND remote ? 'description'"),
		'LOCAL/ours/theirs/t', '... theirs is on record');
	update($l, 'Disputed', 'description = \'ours again\'');
	go($l);
	(undef, $text) = $dav->find($l->{path}, 'Disputed');
	is(lines($text, 'DESCRIPTION'), 'DESCRIPTION:ours again', '... and nothing rests any more');
	return;
}

# A task with an open conflict is moved there.
sub manual_moved_there
{
	my $l = open_conflict();
	my $to = fresh();
	my $id = value($l, 'Disputed', 'id');
	my $text = $dav->get("$l->{path}a.ics");

	$dav->delete("$l->{path}a.ics");
	$dav->put("$to->{path}a.ics", $text);
	sync($node, $provider);
	sync($node, $provider);
	is(value($to, 'Disputed', 'concat_ws(\'/\', id, description, sync_status)'), "$id/ours/CONFLICT", 'moved there, an open conflict goes along');
	sql($node, "SELECT tasksync.resolve_conflict('$id', 'USE_REMOTE')");
	go($to);
	is(value($to, 'Disputed', 'concat_ws(\'/\', description, sync_status)'), 'theirs/SYNCED', '... until it is decided');
	return;
}

sub delete_against_edit
{
	my $l = fresh(
		a => [ 'SUMMARY:Deleted there', 'X-MINE:kept' ],
		b => ['SUMMARY:Deleted here'],
		c => ['SUMMARY:Deleted in both'],
		d => ['SUMMARY:Bystander']);

	$dav->delete("$l->{path}a.ics");
	update($l, 'Deleted there', 'priority = \'HIGH\'');
	elsewhere("$l->{path}b.ics", 'SUMMARY:Deleted here', 'SUMMARY:Deleted here\, edited there');
	sql($node, "DELETE FROM tasksync.task WHERE project_id = '$l->{project}' AND title IN ('Deleted here', 'Deleted in both')");
	$dav->delete("$l->{path}c.ics");
	go($l);
	go($l);
	is(titles($l), 'Bystander, Deleted here, edited there, Deleted there', 'an edit wins over a deletion: here');
	is($dav->titles($l->{path}), 'Bystander, Deleted here\, edited there, Deleted there', '... and there');
	is(value($l, 'Deleted there', 'priority'), 'HIGH', '... with the edit');
	return;
}

#
# Lists
#

sub moves
{
	my $from = fresh(m => [ 'SUMMARY:Moving here', 'X-MINE:kept' ], n => ['SUMMARY:Moving there'], o => ['SUMMARY:Staying']);
	my $to = fresh(p => ['SUMMARY:Resident']);

	my $id = value($from, 'Moving here', 'id');
	update($from, 'Moving here', "project_id = '$to->{project}'");
	go($from);
	go($to);
	is($dav->titles($to->{path}), 'Moving here, Resident', 'a task moved here is moved there');
	is($dav->titles($from->{path}), 'Moving there, Staying', '... and gone from its old list');
	my (undef, $text) = $dav->find($to->{path}, 'Moving here');
	like($text, qr/X-MINE:kept/, '... with all it had');
	is(value($to, 'Moving here', 'id'), $id, '... and is the same task');

	$id = value($from, 'Moving there', 'id');
	$text = $dav->get("$from->{path}n.ics");
	$dav->delete("$from->{path}n.ics");
	$dav->put("$to->{path}n.ics", $text);
	sync($node, $provider);
	is(value($to, 'Moving there', 'id'), $id, 'a task moved there is moved here, and is the same');
	is(titles($from), 'Staying', '... and gone from its old project');

	sql($node, "UPDATE tasksync.task_list_mapping SET sync_enabled = false WHERE id = '$from->{mapping}'");
	update($from, 'Staying', "project_id = '$to->{project}'");
	go($to);
	is($dav->titles($to->{path}), 'Moving here, Moving there, Resident, Staying',
		'from a list that is not synced a task cannot be moved: it is made anew');
	is($dav->titles($from->{path}), 'Staying', '... and the old list is left alone');
	sql($node, "UPDATE tasksync.task_list_mapping SET sync_enabled = true WHERE id = '$from->{mapping}'");
	go($from);
	is($dav->titles($from->{path}), '', '... until it is synced again');
	go($to);
	both_hold($to, 'Moving here, Moving there, Resident, Staying', '... and there is one of each');
	return;
}

# A task that is for a while where no service looks
sub away
{
	my $l = fresh(a => ['SUMMARY:Away'], b => ['SUMMARY:Stays']);
	my $nowhere = sql($node, "INSERT INTO tasksync.project (name) VALUES ('Nowhere') RETURNING id");

	update($l, 'Away', "project_id = '$nowhere'");
	go($l);
	elsewhere("$l->{path}a.ics", 'SUMMARY:Away', 'SUMMARY:Edited meanwhile');
	go($l);
	is(sql($node, "SELECT title FROM tasksync.task WHERE project_id = '$nowhere'"), 'Away', 'a task that is away is left alone');
	go($l);
	is(requests(), '1', '... and its object, too');
	sql($node, "UPDATE tasksync.task SET project_id = '$l->{project}' WHERE project_id = '$nowhere'");
	go($l);
	both_hold($l, 'Edited meanwhile, Stays', 'an edit of its object arrives when it is back');
	update($l, 'Edited meanwhile', "project_id = '$nowhere'");
	go($l);
	sql($node, "UPDATE tasksync.task SET project_id = '$l->{project}' WHERE project_id = '$nowhere'");
	go($l);
	is(sql($node, "SELECT concat_ws(' ', sync_status, provider_id = '$provider', external_task_id) FROM tasksync.task WHERE title = 'Edited meanwhile' AND project_id = '$l->{project}'"),
		"SYNCED t $l->{path}a.ics", 'one that is back as it was is synced as before');
	return;
}

sub lists_themselves
{
	my $list = $dav->make_list('coloured', 'Coloured', '#12ab34');
	my ($mapping, $project) = map_list($node, $provider, $list);
	my $l = { path => $list, mapping => $mapping, project => $project };
	my $has_colour = $dav->kind ne 'xandikos';

	is(lc sql($node, "SELECT color FROM tasksync.project WHERE id = '$project'"), '#12ab34', 'a new project has the list\'s colour')
	  if $has_colour;
	$dav->set_list_name($list, 'Renamed there');
	# looked at with the daily audit
	sql($node, "UPDATE tasksync.mapping_state SET full_at = full_at - interval '2 days' WHERE mapping_id = '$mapping'");
	sync($node, $provider);
	is(sql($node, "SELECT name FROM tasksync.project WHERE id = '$project'"), 'Renamed there', 'a list renamed there')
	  if $dav->kind ne 'xandikos';
	sql($node, "UPDATE tasksync.project SET name = 'Renamed here', color = '#ff0000' WHERE id = '$project'");
	go($l);
	is($dav->list_property($list, 'displayname'), 'Renamed here', 'a project renamed here is renamed there');
	like($dav->list_property($list, 'calendar-color'), qr/^#ff0000/i, '... and its colour follows');

	$project = sql($node, "INSERT INTO tasksync.project (name, color) VALUES ('Made here', '#00ff00') RETURNING id");
	sql($node, "INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'First')");
	$mapping = sql($node, "SELECT tasksync.create_external_list('$provider', '$project')");
	sql($node, "CALL tasksync.sync_now(mapping_id => '$mapping', timeout => '60 s')");
	$list = sql($node, "SELECT external_list_id FROM tasksync.task_list_mapping WHERE id = '$mapping'");
	isnt($list, '', 'create_external_list makes the list');
	is($dav->list_property($list, 'displayname'), 'Made here', '... with the project\'s name');
	is($dav->titles($list), 'First', '... and its tasks');

	my @found = rows($node, "SELECT name FROM tasksync.task_lists('$provider') WHERE name IN ('Made here', 'Renamed here') ORDER BY 1");
	is("@found", 'Made here Renamed here', 'task_lists shows them');
	sql($node, "SELECT tasksync.delete_mapping('$mapping', delete_external_list => true)");
	ok(wait_until($node, "SELECT count(*) = 0 FROM tasksync.task_lists('$provider') WHERE name = 'Made here'"),
		'delete_mapping takes the list away when told so');
	is(sql($node, "SELECT count(*) FROM tasksync.task WHERE project_id = '$project'"), '1', '... and leaves the tasks here');
	return;
}

sub directions
{
	my $l = fresh(a => ['SUMMARY:Theirs']);

	sql($node, "SELECT tasksync.update_mapping('$l->{mapping}', sync_direction => 'FROM_PROVIDER')");
	insert($l, 'Ours');
	$dav->put_todo($l->{path}, 'b', 'SUMMARY:Theirs too');
	go($l);
	is($dav->titles($l->{path}), 'Theirs, Theirs too', 'FROM_PROVIDER sends nothing');
	is(titles($l), 'Ours, Theirs, Theirs too', '... and takes what comes');
	sql($node, "SELECT tasksync.update_mapping('$l->{mapping}', sync_direction => 'TO_PROVIDER')");
	$dav->put_todo($l->{path}, 'c', 'SUMMARY:Unwanted');
	go($l);
	like($dav->titles($l->{path}), qr/Ours/, 'TO_PROVIDER sends');
	unlike(titles($l), qr/Unwanted/, '... and takes nothing');
	return;
}

sub mirrors
{
	my $l = fresh(a => ['SUMMARY:In both']);
	my $second = sql($node, "SELECT tasksync.add_provider('CALDAV', 'second', '{\"username\": \"tasks\", \"password\": \"secret\"}',"
		  . " '{\"url\": \"" . $dav->url . "?second\"}')");
	my $list = $dav->make_list("mirror$lists", 'Mirror');
	my $mapping = sql($node, "SELECT tasksync.create_mapping('$second', '$list', '$l->{project}', mirror => true)");
	my $m = { path => $list, mapping => $mapping, project => $l->{project} };

	go($m);
	is($dav->titles($list), 'In both', 'a mirror carries the tasks of another provider');
	sql($node, "SELECT tasksync.update_mapping('$l->{mapping}', mirror => true)");
	$dav->put_todo($list, 'x', 'SUMMARY:Made in the mirror');
	go($m);
	go($l);
	is($dav->titles($l->{path}), 'In both, Made in the mirror', 'what is made in the mirror reaches the first list');
	my ($path) = $dav->find($list, 'In both');
	elsewhere($path, 'SUMMARY:In both', 'SUMMARY:In both lists');
	go($m);
	go($l);
	is($dav->titles($l->{path}), 'In both lists, Made in the mirror', '... edits as well');
	go($m);
	go($l);
	go($m);
	is($dav->titles($list), 'In both lists, Made in the mirror', 'and nothing loops');
	is(titles($l), 'In both lists, Made in the mirror', '... nor doubles here');
	sql($node, "DELETE FROM tasksync.task WHERE project_id = '$l->{project}' AND title = 'Made in the mirror'");
	go($m);
	go($l);
	is($dav->titles($list) . '|' . $dav->titles($l->{path}), 'In both lists|In both lists', 'a deletion reaches both');
	sql($node, "SELECT tasksync.remove_provider('$second')");
	return;
}

#
# Deletions
#

sub deletions_held
{
	my $l = fresh(map { (sprintf('t%02d', $_) => [ sprintf 'SUMMARY:Task %02d', $_ ]) } 1 .. 24);

	$dav->delete(sprintf '%st%02d.ics', $l->{path}, $_) foreach 1 .. 5;
	go($l);
	is(sql($node, "SELECT count(*) FROM tasksync.task WHERE project_id = '$l->{project}'"), '19', 'a few deletions there are applied');

	$dav->delete(sprintf '%st%02d.ics', $l->{path}, $_) foreach 6 .. 17;
	go_state($l);
	is(sql($node, "SELECT count(*) FROM tasksync.task WHERE project_id = '$l->{project}'"), '19', 'many deletions there are held');
	is(sql($node, "SELECT concat_ws('/', sync_status, error_code, error_message <> '') FROM tasksync.task_list_mapping WHERE id = '$l->{mapping}'"),
		'HELD/55000/t', '... the mapping says so');
	is(go_state($l), '55000', '... and a sync is refused while it is held');
	sql($node, "SELECT tasksync.confirm_deletions('$l->{mapping}')");
	go($l);
	is(sql($node, "SELECT count(*) FROM tasksync.task WHERE project_id = '$l->{project}'"), '7', 'confirm_deletions lets them go on');
	is(sql($node, "SELECT concat_ws('/', sync_status, error_message) FROM tasksync.task_list_mapping WHERE id = '$l->{mapping}'"),
		'OK', '... and the mapping is well again');

	insert($l, "More $_") foreach 1 .. 20;
	go($l);
	sql($node, "DELETE FROM tasksync.task WHERE project_id = '$l->{project}' AND title LIKE 'More%'");
	go_state($l);
	is(scalar(keys %{ $dav->todos($l->{path}) }), 27, 'many deletions here are held');
	sql($node, "SELECT tasksync.confirm_deletions('$l->{mapping}')");
	go($l);
	is(scalar(keys %{ $dav->todos($l->{path}) }), 7, '... until confirmed');
	return;
}

sub empty_listing_held
{
	my $l = fresh(map { ("t$_" => ["SUMMARY:Task $_"]) } 1 .. 4);

	$dav->delete("$l->{path}t$_.ics") foreach 1 .. 4;
	go_state($l);
	is(titles($l), 'Task 1, Task 2, Task 3, Task 4', 'a list that became empty is held, below the bounds as well');
	is(go_state($l), '55000', '... and a sync is refused while it is held');
	sql($node, "SELECT tasksync.confirm_deletions('$l->{mapping}')");
	go($l);
	is(titles($l), '', '... until confirmed');
	return;
}

sub list_gone
{
	my $l = fresh(a => ['SUMMARY:Survivor']);

	$dav->delete($l->{path});
	isnt(go_state($l), '00000', 'a list gone at the service is an error');
	is(titles($l), 'Survivor', '... and its tasks stay here');
	is(sql($node, "SELECT sync_status FROM tasksync.task_list_mapping WHERE id = '$l->{mapping}'"), 'ERROR', '... the mapping says so');
	sql($node, "SELECT tasksync.delete_mapping('$l->{mapping}')");
	return;
}

#
# Bad items, first syncs, waking up
#

sub bad_items
{
	my $l = fresh(a => ['SUMMARY:Good']);

	# what no server can refuse, and no client understand
	$dav->request('PUT', "$l->{path}bad.ics", content => TasksyncTest::Dav::vtodo('bad', 'SUMMARY:Bad', 'DTSTART:20269999T999999'),
		headers => { 'content-type' => 'text/calendar; charset=utf-8' });
	$dav->put_todo($l->{path}, 'b', 'SUMMARY:Good as well');
	go($l);
	like(titles($l), qr/Good, Good as well$/, 'one bad object does not stop the others');
	return;
}

sub first_sync_of_both
{
	my $list = $dav->make_list('both', 'Both');
	my $project = sql($node, 'INSERT INTO tasksync.project (name) VALUES (\'Both\') RETURNING id');

	$dav->put_todo($list, 'a', 'SUMMARY:In both', 'PRIORITY:1');
	$dav->put_todo($list, 'b', 'SUMMARY:Only there');
	sql($node, "INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'In both'), ('$project', 'Only here')");
	my @preview = rows($node, "SELECT concat_ws(' ', side, action, title) FROM tasksync.preview_mapping('$provider', '$list', '$project') ORDER BY 1");
	is(join(', ', @preview), 'LOCAL CREATE Only there, LOCAL LINK In both, LOCAL UPDATE In both, REMOTE CREATE Only here',
		'preview_mapping tells what a first sync would do') or diag(join "\n", @preview);
	my ($mapping) = map_list($node, $provider, $list, "'$project'");
	my $l = { path => $list, mapping => $mapping, project => $project };
	both_hold($l, 'In both, Only here, Only there', 'two lists with the same task become one list');
	is(sql($node, "SELECT count(*) FROM tasksync.verify_mapping('$mapping')"), '0', 'verify_mapping finds no difference');
	return;
}

sub wake_up
{
	my $l = fresh();

	$node->append_conf('postgresql.conf', "tasksync.push_delay = '1s'");
	$node->reload;
	sleep 0.5;
	insert($l, 'Quick');
	my $start = time;
	my $until = $start + 15;
	sleep 0.05 until $dav->titles($l->{path}) eq 'Quick' || time > $until;
	ok(time - $start < 3, 'a local change is there within about push_delay and a second') or diag(time - $start);
	return;
}

sub run
{
	my ($kind) = @_;

	$dav = TasksyncTest::Dav->new($kind);
	$node = tasks_node('main', conf => "tasksync.push_delay = '1h'\n");
	$provider = add_caldav($node, $dav->url);
	foreach my $test (\&asking, \&pulling, \&pushing, \&costs, \&fidelity, \&tags_and_reminders, \&parents,
		\&recurrence, \&both_sides, \&policies, \&manual, \&manual_elsewhere, \&manual_moved_there, \&delete_against_edit, \&moves,
		\&away, \&lists_themselves, \&directions, \&mirrors, \&deletions_held, \&empty_listing_held,
		\&list_gone, \&bad_items, \&first_sync_of_both, \&wake_up)
	{
		# an error ends this test, not those after it
		eval { $test->(); 1 } or fail("died: $@");
	}
	done_testing();
	$node->stop;
	return;
}

1;
