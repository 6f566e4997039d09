# The fake of Microsoft To Do (fakes/graph.py) does what the tests of a client of
# it rely on: it refuses what the schemas forbid, pages, tells changes, keeps the
# rules of tasks, takes batches, and hands out tokens.  No database is needed.
use strict;
use warnings FATAL => 'all';

use Digest::SHA qw(sha256_base64);
use IO::Socket::INET;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Utils ();
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $graph = TasksyncTest::Graph->new(delta_empty => 0, delta_repeat => 'off', mailbox_zone => 'Europe/Berlin');
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $list = $graph->make_list('Garden');
my $task_path = path($list, $graph->add_task($list, 'Weeds'));
my ($true, $false) = (JSON::PP::true, JSON::PP::false);

sub encoded { my ($id) = @_; $id =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge; return $id; }
sub path { my ($list_id, $id) = @_; return '/me/todo/lists/' . encoded($list_id) . ($id ? '/tasks/' . encoded($id) : ''); }

# A request that must have this status; its JSON.
sub answered
{
	my ($status, @request) = @_;
	my $answer = $graph->request(@request);

	$answer->{status} == $status or die "@request[0, 1]: $answer->{status} $answer->{content}";
	return $answer->{json};
}

sub got { return answered(200, 'GET', @_); }
sub made { my ($list_id, $body) = @_; return answered(201, 'POST', path($list_id) . '/tasks', $body); }
sub patched { return answered(200, 'PATCH', @_); }

# The status of a request, and the error's code.
sub outcome
{
	my $answer = $graph->request(@_);
	my $code = ref $answer->{json} eq 'HASH' && ref $answer->{json}{error} ? " $answer->{json}{error}{code}" : '';

	return "$answer->{status}$code";
}

# The violations since the last call
my $seen = 0;
sub violations
{
	my @all = $graph->violations;
	my @new = @all[ $seen .. $#all ];

	$seen = @all;
	return @new;
}

#
# What the schemas say
#
my $id = 0;
while (my $line = <DATA>)
{
	chomp $line;
	my ($method, $path, $expected, $body, $type) = split /\t/, $line;
	my %headers = $type ? ('content-type' => $type) : ();
	my $name = "$expected: $method $path " . substr($body // '', 0, 60) . ($type ? " $type" : '');

	$path =~ s{/me/todo/lists/L1/tasks/T1}{$task_path};
	$path =~ s{/me/todo/lists/L1}{path($list)}e;
	my $answer = $graph->request($method, $path, $body, %headers);
	my @violations = violations();
	if ($expected eq 'ok')
	{
		ok($answer->{success} && !@violations, $name) or diag("$answer->{status} $answer->{content} @violations");
	}
	else
	{
		my $error = $answer->{json}{error};
		ok($answer->{status} =~ /^4/ && $error->{code} && $error->{message} && $error->{innerError}{'request-id'}
			  && @violations == 1, $name) or diag("$answer->{status} $answer->{content} @violations");
	}
}
my $python = 'import sys; sys.path.insert(0, sys.argv[1]); from graph.contract import Contract; Contract(sys.argv[2])';
my $scratch = PostgreSQL::Test::Utils::tempdir('contract');
my $schemas = PostgreSQL::Test::Utils::slurp_file(fake_dir() . '/graph/todo.yaml');
$schemas =~ s/( tasksync\.todoTaskUpdate:.*?)additionalProperties: false/$1additionalProperties: true/s;
PostgreSQL::Test::Utils::append_to_file("$scratch/todo.yaml", $schemas);
my $refused = IPC::Run::run([ '/usr/bin/python3', '-B', '-c', $python, fake_dir(), "$scratch/todo.yaml" ], '2>', \my $stderr);
ok(!$refused && $stderr =~ m{^PATCH /me/todo/.*: its schema accepts}, 'a schema that lets everything pass is noticed') or diag($stderr);

is(outcome('GET', '/me/todo/lists', undef, authorization => 'Bearer wrong'), '401 InvalidAuthenticationToken', 'a wrong token');
ok(!violations(), '… is no violation');
is(outcome('GET', '/me/todo/lists', undef, authorization => 'Basic eA=='), '401 InvalidAuthenticationToken', 'no token');
ok(violations() == 1, '… is one');
is($graph->request('GET', '/me/todo/lists', undef, authorization => "Bearer " . $graph->token(scope => 'Tasks.Read')->{access_token})
	  ->{status}, 200, 'Tasks.Read is enough for reading');
is(outcome('PATCH', $task_path, { title => 'x' },
		authorization => "Bearer " . $graph->token(scope => 'Tasks.Read')->{access_token}), '403 ErrorAccessDenied', '… but not for writing');

#
# Paging
#
my $long = $graph->make_list('Long');
$graph->add_task($long, sprintf 'task %02d', $_) foreach 1 .. 23;

# All of a collection or a round of a delta: the items, the number of pages, the last page.
sub pages
{
	my ($path, %headers) = @_;
	my (@items, $count);

	while (1)
	{
		my $page = got($path, undef, %headers);
		push @items, @{ $page->{value} };
		$count++;
		$path = $page->{'@odata.nextLink'} or return (\@items, $count, $page);
	}
}

sub titles { return join ', ', sort map { $_->{title} // '-' } @{ $_[0] }; }

my $all = join ', ', map { sprintf 'task %02d', $_ } 1 .. 23;
my ($items, $count) = pages(path($long) . '/tasks');
is(titles($items), $all, 'all tasks of three pages');
is($count, 3, '… of ten');
is((pages(path($long) . '/tasks', prefer => 'odata.maxpagesize=5'))[1], 5, 'Prefer: odata.maxpagesize');
is((pages(path($long) . '/tasks?$top=7'))[1], 4, '$top');
$graph->set(next_link => 'skiptoken');
($items, $count) = pages(path($long) . '/tasks?$expand=linkedResources');
is("$count " . titles($items), "3 $all", '… by $skiptoken');
ok(!(grep { !$_->{linkedResources} } @$items), '… which has the $expand in it');
is(scalar(grep { length $_->{id} > 100 } @$items), 23, 'long ids');
my %folded = map { lc $_->{id} => 1 } @$items;
is(scalar keys %folded, 12, '… some of which differ only by case');
ok(!exists $items->[0]{dueDateTime}, 'what is not set is left out');
like($items->[0]{lastModifiedDateTime}, qr/T\d\d:\d\d:\d\d\.\d{7}Z$/, 'seven decimals');
is(titles((pages(path($long) . q{/tasks?$filter=title%20eq%20'task%2003'}))[0]), 'task 03', '$filter');

#
# Delta
#
my @round = pages(path($long) . '/tasks/delta');
is(titles($round[0]), $all, 'a first round of a delta');
my $link = $round[2]{'@odata.deltaLink'};
$graph->edit_task($long, 'task 01', title => 'TASK 01');
$graph->delete_task($long, 'task 02');
my $other = $graph->make_list('Other');
my $moved = $graph->move_task($long, 'task 03', $other);
@round = pages($link);
is(titles($round[0]), '-, -, TASK 01', 'what has changed');
is_deeply([ sort map { $_->{'@removed'} ? $_->{'@removed'}{reason} : () } @{ $round[0] } ], [ 'deleted', 'deleted' ], '… and is gone');
is(titles((pages($link))[0]), '-, -, TASK 01', '… the same link again');
is(titles((pages($round[2]{'@odata.deltaLink'}))[0]), '', '… and nothing more');
is(outcome('GET', "$link&\$top=3"), '400 BadRequest', 'nothing can be added to the link');
is(scalar(violations()), 1, '… which is a violation');
(my $foreign = $link) =~ s/\Q${\encoded($long)}/encoded($other)/e;
is(outcome('GET', $foreign), '400 SyncStateNotFound', 'nor another list be asked with it');

$graph->set(delta_partial => 'on');
$graph->edit_task($long, 'TASK 01', due => '2026-01-02', zone => 'Europe/Berlin');
$round[0] = got($round[2]{'@odata.deltaLink'});
is($json->encode([ sort keys %{ $round[0]{value}[0] } ]), '["@odata.etag","dueDateTime","id","lastModifiedDateTime"]', 'only what changed');
$graph->edit_task($long, 'TASK 01', due => undef);
ok(exists got($round[0]{'@odata.deltaLink'})->{value}[0]{dueDateTime}, '… null when it is cleared');
$graph->set(delta_partial => 'off', delta_empty => 2, delta_repeat => 'same');
@round = pages(path($long) . '/tasks/delta');
is(scalar @{ $round[0] }, 22, 'an item comes twice');
ok($round[1] > 3, 'pages can be empty') or diag($round[1]);
my $removed = 0;
$graph->set(delta_repeat => 'off', delta_empty => 0, delta_first_removed => 'on');
$removed += $_->{'@removed'} ? 1 : 0 foreach @{ (pages(path($long) . '/tasks/delta'))[0] };
is($removed, 2, 'a first round with what is gone');
$graph->set(delta_first_removed => 'off', delta_lag => 1500);
$link = (pages(path($other) . '/tasks/delta'))[2]{'@odata.deltaLink'};
$graph->add_task($other, 'late');
@round = pages($link);
is(titles($round[0]), '', 'a delta that lags behind');
sleep 1.6;
is(titles((pages($round[2]{'@odata.deltaLink'}))[0]), 'late, task 03', '… and comes after');
$graph->set(delta_lag => 0);
$graph->control('expire_deltas');
my $answer = $graph->request('GET', $link);
is("$answer->{status} $answer->{json}{error}{code}", '410 resyncRequired', 'expired links');
ok($answer->{headers}{location} =~ m{/tasks/delta$}, '… say where to begin anew');
is(titles((pages($answer->{headers}{location}))[0]), 'late, task 03', '… where it does');
$graph->set(expired_delta => '400-badRequest');
is(outcome('GET', $link), '400 badRequest', '… or not');
$graph->set(delta_expand => 'refused');
is(outcome('GET', path($other) . '/tasks/delta?$expand=linkedResources'), '400 ErrorInvalidRequest', '$expand of a delta, refused');
$graph->set(delta_expand => 'honoured');
ok(got(path($other) . '/tasks/delta?$expand=linkedResources')->{value}[0]{linkedResources}, '… honoured');
$graph->set(read_delta => 'refused');
is(outcome('GET', path($other) . '/tasks/delta', undef,
		authorization => 'Bearer ' . $graph->token(scope => 'Tasks.Read')->{access_token}), '403 ErrorAccessDenied', '… not with Tasks.Read');

@round = pages('/me/todo/lists/delta');
$graph->rename_list('Other', 'Others');
$graph->delete_list($long);
$round[0] = got($round[2]{'@odata.deltaLink'})->{value};
is(join(', ', sort map { $_->{displayName} // $_->{'@removed'}{reason} } @{ $round[0] }), 'Others, deleted', 'the delta of lists');
is(outcome('GET', path($long) . '/tasks/delta'), '404 ErrorItemNotFound', 'a list that is gone');

#
# Writing
#
my $made = made($other, { title => 'new', dueDateTime => { dateTime => '2026-01-02T16:00:00', timeZone => 'Eastern Standard Time' },
		linkedResources => [ { applicationName => 'tasksync', externalId => "o'1" } ] });
is($json->encode($made->{dueDateTime}), '{"dateTime":"2026-01-02T05:00:00.0000000","timeZone":"UTC"}', 'due is a date of its zone');
is($made->{linkedResources}[0]{externalId}, "o'1", 'with what is linked');
my $one = path($other, $made->{id});
my $any = path($other) . q{/tasks?$filter=linkedResources/any(l:l/externalId%20eq%20'o''1')};
is(titles(got($any)->{value}), 'new', '$filter by it');
$graph->set(filter_any => 'ignored');
is(titles(got($any)->{value}), 'late, new, task 03', '… ignored');
$graph->set(filter_any => 'refused');
is(outcome('GET', $any), '400 ErrorInvalidUrlQueryFilter', '… refused');

is(outcome('PATCH', $one, { title => 'x' }, 'if-match' => 'W/"old"'), '412 ErrorIrresolvableConflict', 'If-Match');
my $etag = $made->{'@odata.etag'};
isnt(patched($one, { title => 'newer' }, 'if-match' => $etag)->{'@odata.etag'}, $etag, '… of the right etag, that changes');
$graph->set(if_match => 'ignored');
is(patched($one, { title => 'new' }, 'if-match' => $etag)->{title}, 'new', '… or ignored');
$graph->set(due_dates => 'date');
is(patched($one, { dueDateTime => { dateTime => '2026-01-02T00:00:00', timeZone => 'Europe/Berlin' } })->{dueDateTime}{dateTime},
	'2026-01-02T00:00:00.0000000', 'due dates as dates');
$graph->set(dates => 'given', zone_names => 'windows');
is(patched($one, { reminderDateTime => { dateTime => '2026-01-02T09:30:00', timeZone => 'Europe/Berlin' }, isReminderOn => $true })
	  ->{reminderDateTime}{timeZone}, 'W. Europe Standard Time', 'a zone by its other name');
is(outcome('PATCH', $one, { reminderDateTime => undef }), '400 invalidRequest', 'a reminder without its time');
my $cleared = patched($one, { reminderDateTime => undef, isReminderOn => $false, dueDateTime => undef });
ok(!$cleared->{dueDateTime} && !$cleared->{reminderDateTime}, 'null clears');
is(outcome('PATCH', $one, { title => ' ' }), '400 invalidRequest', 'no title');
ok(!violations(), 'all this is no violation');
is(outcome('PATCH', $one, { dueDateTime => { dateTime => '2026-01-02T00:00:00Z', timeZone => 'UTC' } }), '400 InvalidDateTime', 'a date with a zone in it');
is(outcome('PATCH', $one, { dueDateTime => { dateTime => '2026-01-02T00:00:00', timeZone => 'Mars' } }), '400 TimeZoneNotSupported', 'no such zone');
is(scalar(violations()), 2, '… are two');

$graph->edit_task($other, 'new', html => '<P onclick=x>a &amp; b</P><script>y</script><p>c', due => '2024-10-24', zone => 'Pacific/Kiritimati');
my $read = got($one);
is($read->{dueDateTime}{dateTime}, '2024-10-23T10:00:00.0000000', 'due as the app writes it');
like($read->{body}{content}, qr{^<html>.*<body>\r\n<p>a &amp; b</p><p>c\r\n</body>}s, 'HTML, cleaned and wrapped');
is(got($one, undef, prefer => 'outlook.body-content-type="text"')->{body}{content}, "a & b\r\nc", '… as text');
is(patched($one, { body => { content => "a\nb", contentType => 'text' } })->{body}{content}, "a\nb", 'text as it was sent');

my $done = patched($one, { status => 'completed' })->{completedDateTime};
like($json->encode($done), qr/T00:00:00\.0000000","timeZone":"UTC"/, 'completed on a day');
ok(!patched($one, { status => 'notStarted' })->{completedDateTime}, '… until it is opened again');
is($graph->request('DELETE', $one)->{status}, 204, 'deleted');
is(outcome('DELETE', $one), '404 ErrorItemNotFound', '… only once');

# Lists that everybody has
my ($default) = grep { $_->{wellknownListName} eq 'defaultList' } $graph->lists;
my ($flagged) = grep { $_->{wellknownListName} eq 'flaggedEmails' } $graph->lists;
is(outcome('PATCH', path($default->{id}), { displayName => 'x' }), '400 invalidRequest', 'the default list keeps its name');
is(outcome('DELETE', path($default->{id})), '400 invalidRequest', '… and stays');
is(outcome('POST', path($flagged->{id}) . '/tasks', { title => 'x' }), '400 invalidRequest', 'no tasks in Flagged email');
my @same = map { answered(201, 'POST', '/me/todo/lists', { displayName => 'Same' })->{id} } 1 .. 2;
isnt($same[0], $same[1], 'two lists of one name');

#
# Recurrence
#
$graph->set(dates => 'utc', due_dates => 'instant', zone_names => 'sent');
my %weekly = (pattern => { type => 'weekly', interval => 2, daysOfWeek => [ 'friday' ], firstDayOfWeek => 'monday' });
my $recurring = made($same[0], { title => 'again', recurrence => { %weekly, range => undef },
		dueDateTime => { dateTime => '2026-01-02T00:00:00', timeZone => 'Europe/Berlin' },
		checklistItems => [ { displayName => 'step', isChecked => $true } ] });
my $this = path($same[0], $recurring->{id});
is($recurring->{recurrence}{range}{startDate}, '2026-01-02', 'the range begins when it is due');
$answer = $graph->request('PATCH', $this, { recurrence => $recurring->{recurrence} });
is("$answer->{status} $answer->{json}{error}{innerError}{code}", '400 InvalidModel', 'what was read cannot be written');
is(patched($this, { recurrence => { %weekly, range => undef } })->{recurrence}{range}{type}, 'noEnd', '… but with range null');
is(patched($this, { status => 'completed' })->{recurrence}, undef, 'completed, it recurs no more');
my ($next) = grep { $_->{id} ne $recurring->{id} } $graph->tasks($same[0]);
is("$next->{status} $next->{dueDateTime}{dateTime} $next->{recurrence}{pattern}{type} $next->{checklistItems}[0]{isChecked}",
	'notStarted 2026-01-15T23:00:00.0000000 weekly 0', '… but another does');
$graph->set(recurring_due => 'second');
patched(path($same[0], $next->{id}), { dueDateTime => { dateTime => '2026-01-17T00:00:00', timeZone => 'Europe/Berlin' } });
is(scalar(grep { $_->{status} eq 'notStarted' } $graph->tasks($same[0])), 2, 'a new due date makes a second one');
is(patched(path($same[0], $next->{id}), { recurrence => undef })->{recurrence}, undef, 'null ends it');
like(made($same[0], { title => 'undated', recurrence => { pattern => { type => 'daily', interval => 1 } } })->{dueDateTime}{dateTime},
	qr/T2[23]:00:00\.0000000/, 'recurrence makes a due date');
is(outcome('POST', path($same[0]) . '/tasks', { title => 'x', recurrence => { pattern => { type => 'weekly', interval => 1 } } }),
	'400 invalidRequest', 'a week without days');
my @last = map { { type => 'numbered', startDate => '2026-01-31', numberOfOccurrences => $_ } } 2;
made($same[1], { title => 'months', recurrence => { pattern => { type => 'absoluteMonthly', interval => 1, dayOfMonth => 31 }, range => $last[0] },
		dueDateTime => { dateTime => '2026-01-31T00:00:00', timeZone => 'UTC' } });
$graph->complete_task($same[1], 'months');
my ($february) = grep { $_->{status} eq 'notStarted' } $graph->tasks($same[1]);
like($february->{dueDateTime}{dateTime}, qr/^2026-02-28/, 'the last day of a shorter month');
$graph->complete_task($same[1], $february->{id});
is(scalar(grep { $_->{status} eq 'notStarted' } $graph->tasks($same[1])), 0, 'after the last there is no more');
is(scalar(violations()), 1, 'one violation in all this');

# What differs
$graph->set(list_recurrence => 'hidden');
my $undated = path($same[0]) . q{/tasks?$filter=title%20eq%20'undated'};
ok(!(grep { $_->{recurrence} } @{ got(path($same[0]) . '/tasks')->{value} }), 'recurrence can miss in a list');
ok(got($undated)->{value}[0]{recurrence}, '… but not in a filtered one');
$graph->set(list_recurrence => 'shown', malformed_id => 400);
is(outcome('GET', path($same[0], 'none')), '400 ErrorInvalidIdMalformed', 'an id of no form');
is(outcome('GET', $one), '404 ErrorItemNotFound', '… is not one that was deleted');
is(outcome('GET', "$this?\$select=title"), '400 RequestBroker--ParseUri', '$select fails');
ok(got("$this?\$select=status")->{title}, '… or does nothing');
$graph->set(delta_repeat => 'stale', child_bumps => 'off', nulls => 'explicit', malformed_id => 404);
$link = got(path($same[1]) . '/tasks/delta')->{'@odata.deltaLink'};
$graph->add_task($same[1], $_) foreach 'first', 'second';
$graph->edit_task($same[1], $_, title => "$_!") foreach 'first', 'second';
@round = pages($link, prefer => 'odata.maxpagesize=1');
is(join(', ', map { $_->{title} } @{ $round[0] }) =~ /^(\w+), \w+!, \1!$/ ? 'older' : '-', 'older', 'an older state comes before the last');
ok(exists $round[0][2]{dueDateTime}, 'null where nothing is set');
$graph->control('add_step', list => $same[1], task => 'first!', name => 'step');
is(titles((pages($round[2]{'@odata.deltaLink'}))[0]), '', 'a step that does not change its task');
$graph->set(child_bumps => 'on');
$graph->control('edit_step', list => $same[1], task => 'first!', step => 'step', checked => $true);
is(titles((pages($round[2]{'@odata.deltaLink'}))[0]), 'first!', '… that does');
ok(!violations(), 'no violation in all this');

#
# Batches
#
sub batched { return map { $_->{id} => $_ } @{ answered(200, 'POST', '/$batch', { requests => [@_] })->{responses} }; }
my $tasks = path($other) . '/tasks';
$graph->requests;
my @parts = map { { id => "$_", method => 'POST', url => $tasks, headers => { 'Content-Type' => 'application/json' },
		body => { title => "part $_" } } } 1 .. 20;
my %parts = batched(@parts);
is(join(' ', map { $parts{$_}{status} } 1 .. 20), join(' ', (201) x 20), 'twenty parts');
my @lines = $graph->requests;
is(scalar @lines, 21, '… in the log');
like($lines[20], qr{^  POST /me/todo/lists/.*/tasks 201$}, '… one by one');
isnt(join(' ', map { $_->{id} } @{ answered(200, 'POST', '/$batch', { requests => [ map { { id => "$_", method => 'GET', url => '/me' } } 1 .. 9 ] })->{responses} }),
	'1 2 3 4 5 6 7 8 9', '… in any order');
is(outcome('POST', '/$batch', { requests => [ @parts, { %{ $parts[0] }, id => '21' } ] }), '400 MaximumValueExceeded', '… but not more');
%parts = batched({ id => 'b', method => 'GET', url => '/me', dependsOn => ['a'] }, { id => 'a', method => 'GET', url => "$tasks/none" },
	{ id => 'c', method => 'POST', url => $tasks, headers => { 'Content-Type' => 'application/json' }, body => { name => 'x' } });
is(join(' ', map { $parts{$_}{status} } 'a' .. 'c'), '404 424 400', 'what depends on what failed');
$graph->mode('part GET throttle 2.128 times 1');
%parts = batched(map { { id => "$_", method => 'GET', url => '/me' } } 1 .. 3);
my @throttled = grep { $_->{status} == 429 } values %parts;
is(scalar @throttled, 1, 'a part that must wait');
is($throttled[0]{headers}{'Retry-After'}, '2.128', '… for a fraction');
$graph->mode;
$graph->set(batch_overflow => 'throttled');
%parts = batched(map { { id => "$_", method => 'GET', url => '/me' } } 1 .. 6);
is(scalar(grep { $_->{status} == 429 } values %parts), 2, 'four at a time');
is(scalar(violations()), 2, 'two violations in all this');

#
# Faults
#
sub mode { $graph->mode(@_); return outcome('GET', '/me'); }
is(mode('throttle 1.5 times 1'), '429 TooManyRequests', 'throttled');
is(outcome('GET', '/me'), '200', '… once');
is(mode('GET ~/me$ status 503 skip 1'), '200', 'later');
is(outcome('GET', '/me'), '503 serviceNotAvailable', '… not available');
is(mode('PATCH status 500'), '200', 'another method');
$graph->set(early_retry => 'violation');
is(mode('throttle 5 times 1'), '429 TooManyRequests', 'told to wait');
got('/me');
is(scalar(violations()), 1, '… a client must');
$graph->set(early_retry => 'allowed');
is(mode('no such mode'), '500 generalException', 'a rule that is none');
is(scalar(violations()), 1, '… is told');
is(mode('html'), '200', 'a login page');
is(mode('lost'), '599', 'no answer');
is(mode('close'), '599', '… and nothing done');
is($json->encode([ mode('array'), $graph->request('GET', '/me')->{json} ]), '["200",[]]', 'another answer');
is(mode('empty') . $graph->request('GET', '/me')->{content}, '200', 'an empty answer');
is(mode('fail-after 502'), '502 BadGateway', 'a bad gateway');
is(mode('slow 0.1'), '200', 'a slow answer');
is(mode('truncate'), '599', 'half an answer');
is(mode('redirect http://127.0.0.1:1'), '302', 'a redirect');
is(mode('unauthorized times 1'), '401 InvalidAuthenticationToken', 'a token refused');
$graph->mode('POST lost');
is(outcome('POST', $tasks, { title => 'lost' }), '599', 'a lost answer');
ok((grep { $_->{title} eq 'lost' } $graph->tasks($other)), '… to what was done');
$graph->mode('POST status 500');
outcome('POST', $tasks, { title => 'never' });
$graph->mode('link-host https://elsewhere.example');
like(got($tasks)->{'@odata.nextLink'}, qr{^https://elsewhere\.example/v1\.0/me/todo}, 'links to another host');
$graph->mode('loop');
like(got($tasks)->{'@odata.nextLink'}, qr{/tasks$}, '… and to nowhere');
$graph->mode('drop 8');
is(scalar @{ got($tasks)->{value} }, 2, 'a short page');
$graph->mode('huge 1');
ok(length $graph->request('GET', $tasks)->{content} > 1e6, 'a big answer');
$graph->mode;
ok(!(grep { $_->{title} eq 'never' } $graph->tasks($other)), 'no effect of an error before it');
$graph->set(latency => 100);
my $start = time;
got('/me');
ok(time - $start >= 0.1, 'latency');

# Four at a time
$graph->control('count', reset => $true);
$graph->set(latency => 700);
my @sockets = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $graph->port) } 1 .. 6;
print $_ "GET /v1.0/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer $graph->{token}\r\n\r\n" foreach @sockets;
my @status = sort map { (split / /, readline $_)[1] } @sockets;
is("@status", '200 200 200 200 429 429', 'four requests at a time');
is($graph->control('count', match => '^GET /v1.0/me 429$', reset => $true)->{requests}, 2, '… counted');
is($graph->control('count')->{peak}, 0, '… from the beginning again');
$graph->set(latency => 0, gzip => 'on', chunked => 'on');
ok(got('/me')->{id}, 'in chunks');
$graph->set(gzip => 'off', chunked => 'off');
ok(!violations(), 'no violation in all this');

#
# Signing in
#
my %client = (client_id => '5f0c2b1e-1b9a-4b55-9c0e-2f6b1f7d3a11');
my $scope = 'Tasks.ReadWrite offline_access';
sub token_of { my %fields = (%client, @_); return $graph->form('common', 'token', %fields)->{json}; }
sub error_of { return token_of(@_)->{error} // 'none'; }

my $device = $graph->form('consumers', 'devicecode', %client, scope => $scope)->{json};
my @grant = (grant_type => 'urn:ietf:params:oauth:grant-type:device_code', device_code => $device->{device_code});
like($device->{message}, qr/$device->{user_code}/, 'a device code');
is(error_of(@grant), 'authorization_pending', '… waits');
is(error_of(@grant), 'slow_down', '… not that fast');
$graph->control('advance', seconds => 10);
$graph->control('approve_device', user_code => $device->{user_code});
my $token = token_of(@grant);
is($token->{token_type}, 'Bearer', '… until it is approved');
is($graph->request('GET', '/me/todo/lists', undef, authorization => "Bearer $token->{access_token}")->{status}, 200, '… and can be used');
is(error_of(@grant), 'invalid_grant', '… once');
is(error_of(@grant[0, 1], device_code => 'x'), 'bad_verification_code', 'a wrong one');
$device = $graph->form('common', 'devicecode', %client, scope => $scope)->{json};
$graph->control('decline_device');
is(error_of(@grant[0, 1], device_code => $device->{device_code}), 'authorization_declined', 'a declined one');
$device = $graph->form('common', 'devicecode', %client, scope => $scope)->{json};
$graph->control('advance', seconds => 1000);
is(error_of(@grant[0, 1], device_code => $device->{device_code}), 'expired_token', 'an expired one');

my @refresh = (grant_type => 'refresh_token', scope => $scope);
my $newer = token_of(@refresh, refresh_token => $token->{refresh_token});
isnt($newer->{refresh_token}, $token->{refresh_token}, 'a refresh token is replaced');
ok(token_of(@refresh, refresh_token => $token->{refresh_token})->{access_token}, '… and good for a while');
$graph->set(refresh_grace => 0);
is(error_of(@refresh, refresh_token => $token->{refresh_token}), 'invalid_grant', '… or not');
ok(($newer = token_of(@refresh, refresh_token => $newer->{refresh_token}))->{access_token}, '… but the new one is');
$graph->set(refresh_reuse => 'revokes');
error_of(@refresh, refresh_token => $token->{refresh_token});
is(error_of(@refresh, refresh_token => $newer->{refresh_token}), 'invalid_grant', '… unless the old one was used again');
$graph->set(refresh_grace => 1000, refresh_reuse => 'refused');
my $mine = $graph->token(scope => $scope);
$graph->control('refuse_refresh', number => 700082);
like(token_of(@refresh, refresh_token => $mine->{refresh_token})->{error_description}, qr/^AADSTS700082: /, 'a refusal with its number');
$graph->control('accept_refresh');
$graph->control('expire_access');
is(outcome('GET', '/me'), '401 InvalidAuthenticationToken', 'expired access tokens');
$graph->{token} = undef;
$graph->mode('login lost times 1');
is($graph->form('common', 'token', %client, @refresh, refresh_token => $mine->{refresh_token})->{status}, 599, 'a lost answer');
ok(token_of(@refresh, refresh_token => $mine->{refresh_token})->{refresh_token}, '… does not matter');
$graph->mode;
my $short = $graph->token(expires_in => 10)->{access_token};
$graph->control('advance', seconds => 11);
is(outcome('GET', '/me', undef, authorization => "Bearer $short"), '401 InvalidAuthenticationToken', 'a token lives its time');

my $verifier = 'v' x 50;
(my $challenge = sha256_base64($verifier)) =~ tr{+/}{-_};
my %asked = (%client, response_type => 'code', redirect_uri => 'http://localhost:1/back', scope => $scope, state => 's&t',
	code_challenge => $challenge, code_challenge_method => 'S256');
sub authorize
{
	my %fields = @_;
	my $where = $graph->{http}->get($graph->login_url . '/common/oauth2/v2.0/authorize?'
		  . $graph->{http}->www_form_urlencode(\%fields))->{headers}{location} // '';

	$where =~ s/%(..)/chr hex $1/ge;
	return $where;
}
my ($code) = authorize(%asked) =~ /^http:\/\/localhost:1\/back\?code=(.*)&state=s&t$/;
ok($code, 'an authorization code');
my @code = (grant_type => 'authorization_code', code => $code, redirect_uri => $asked{redirect_uri});
is(error_of(@code, code_verifier => 'w' x 50), 'invalid_grant', '… not without the verifier');
$token = token_of(@code, code_verifier => $verifier);
ok($token->{refresh_token}, '… for tokens');
is(error_of(@code, code_verifier => $verifier), 'invalid_grant', '… once');
$graph->set(consent => 'denied');
like(authorize(%asked), qr/error=access_denied/, 'or a refusal');
ok(!violations(), 'all this is no violation');
is(error_of(@refresh), 'invalid_request', 'a field that is missing');
is(error_of(@refresh, refresh_token => $token->{refresh_token}, x => 1), 'invalid_request', 'an unknown field');
is(error_of(@refresh, refresh_token => $token->{refresh_token}, scope => 'Tasks.Write'), 'invalid_scope', 'an unknown scope');
is($graph->{http}->post($graph->login_url . '/common/oauth2/v2.0/token', { content => '{}', headers => { 'content-type' => 'application/json' } })
	  ->{status}, 400, 'no form');
is(scalar(violations()), 4, '… are four');
$graph->set(client_secret => 's3cret');
is(error_of(@refresh, refresh_token => $token->{refresh_token}), 'invalid_client', 'no secret');
is(error_of(@refresh, refresh_token => $token->{refresh_token}, client_secret => 'x'), 'invalid_client', 'a wrong one');
ok(token_of(@refresh, refresh_token => $token->{refresh_token}, client_secret => 's3cret')->{access_token}, 'the right one');
ok((grep { $_ eq $token->{refresh_token} } $graph->secrets), 'every token is written down');

done_testing();

__DATA__
GET	/me/todo/lists	ok
POST	/me/todo/lists	ok	{"displayName":"Work"}
POST	/me/todo/lists	bad	{"name":"Work"}
POST	/me/todo/lists/L1/tasks	ok	{"title":"a","body":{"content":"x","contentType":"text"},"dueDateTime":{"dateTime":"2026-01-02T00:00:00","timeZone":"UTC"},"importance":"high","status":"notStarted","categories":["a"],"linkedResources":[{"applicationName":"tasksync","displayName":"d","externalId":"uuid"}]}
POST	/me/todo/lists/L1/tasks	bad	{"title":"a","due":"x"}
POST	/me/todo/lists/L1/tasks	bad	{"title":"a","status":"done"}
POST	/me/todo/lists/L1/tasks	bad	{"title":"a","dueDateTime":"2026-01-01"}
POST	/me/todo/lists/L1/tasks	bad	{"title":"a","dueDateTime":{"dateTime":"2026-01-01T00:00:00"}}
POST	/me/todo/lists/L1/tasks	bad	{"title":"a","body":"text"}
POST	/me/todo/lists/L1/tasks	bad	{"title":"a","linkedResources":[{"externalId":"without an application"}]}
POST	/me/todo/lists/L1/tasks	bad	{"status":"notStarted"}
POST	/me/todo/lists/L1/tasks	bad	{"title":"a","title":"b"}
POST	/me/todo/lists/L1/tasks	bad	{"title":"a"
POST	/me/todo/lists/L1/tasks	bad	{"title":"a"}	text/plain
POST	/me/todo/lists/L1/tasks	ok	{"title":"a"}	application/json; charset=utf-8
PATCH	/me/todo/lists/L1/tasks/T1	ok	{"dueDateTime":null,"status":"completed"}
PATCH	/me/todo/lists/L1/tasks/T1	bad	{"lastModifiedDateTime":"2026-01-01T00:00:00Z"}
PATCH	/me/todo/lists/L1/tasks/T1	bad	{"importance":null}
PATCH	/me/todo/lists/L1/tasks/T1	bad	{"linkedResources":[]}
PATCH	/me/todo/lists/L1/tasks/T1	bad	{"isReminderOn":"true"}
PATCH	/me/todo/lists/L1/tasks/T1	bad	{"recurrence":{"pattern":{"type":"hourly","interval":1}}}
PUT	/me/todo/lists/L1/tasks/T1	bad	{"title":"a"}
GET	/me/todo/lists/L1/tasks/T1?$expand=linkedResources,checklistItems,extensions	ok
GET	/me/todo/lists/L1/tasks/T1?$expand=subtasks	bad
GET	/me/todo/lists/L1/tasks?top=5	bad
GET	/me/todo/lists/L1/tasks?$top=five	bad
GET	/me/todo/lists/L1/tasks?$filter=title%20is%20'x'	bad
GET	/me/todo/lists/L1/folders	bad
GET	/me/todo/lists/L1/tasks/delta	ok
GET	/me/todo/lists/L1/tasks/delta?$filter=status%20eq%20'completed'	bad
GET	/me/todo/lists/delta	ok
POST	/$batch	ok	{"requests":[{"id":"1","method":"GET","url":"/me/todo/lists"}]}
POST	/$batch	bad	{"requests":[{"id":"1","method":"FOO","url":"/me/todo/lists"}]}
POST	/$batch	bad	{"requests":[]}
POST	/$batch	bad	{"requests":[{"id":"1","method":"GET","url":"/me"},{"id":"1","method":"GET","url":"/me"}]}
POST	/$batch	bad	{"requests":[{"id":"1","method":"GET","url":"/me","dependsOn":["2"]}]}
POST	/subscriptions	ok	{"changeType":"created,updated,deleted","notificationUrl":"https://x.example/","resource":"/me/todo/lists/L1/tasks","expirationDateTime":"2026-01-02T00:00:00Z","clientState":"s"}
GET	/me	ok
GET	/me/mailboxSettings	ok
GET	/me/outlook/masterCategories	ok
POST	/me/todo/lists/L1/tasks/T1/linkedResources	ok	{"applicationName":"x","externalId":"y"}
POST	/me/todo/lists/L1/tasks/T1/checklistItems	ok	{"displayName":"x","isChecked":false}
POST	/me/todo/lists/L1/tasks/T1/checklistItems	bad	{"title":"x"}
POST	/me/todo/lists/L1/tasks/T1/extensions	ok	{"@odata.type":"microsoft.graph.openTypeExtension","extensionName":"com.example.x","a":1}
GET	/me/todo/lists/L1/tasks/T1/extensions/com.example.x	ok
POST	/me/todo/lists/L1/tasks/T1/extensions	bad	{"a":1}
DELETE	/me/todo/lists/L1/tasks/T1	ok
