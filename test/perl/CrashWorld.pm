# A world that is crashed: two lists at a CalDAV server with some twenty tasks,
# behind a proxy, synced by a worker that ends at a given step of its work.
#
#   my $world = CrashWorld->new($node, $dav, $proxy, seed => 7);
#   my $report = $world->round(steps => [5, 9], mode => 'exit');
#
# A round edits both sides as users do (creations, edits, conflicts, deletions,
# moves between the lists, parents and children, a recurring task that is done),
# lets a worker begin and crash at each of the steps, one life after the other,
# and then another one end its work.  What must be there afterwards is known:
# nothing may be lost or doubled on either side, the sides agree, every value
# that lost a conflict is on record, and the next sync writes nothing.
#
# All that happens at random comes from the seed.
package CrashWorld;

use strict;
use warnings FATAL => 'all';

use Carp qw(croak);
use IPC::Open2 qw(open2);
use List::Util qw(shuffle max);
use POSIX qw(strftime);
use TasksyncTest ();
use Time::HiRes qw(sleep time);

my $worlds = 0;

# The settings of its node: workers are only started by hand.
sub conf
{
	return <<CONF;
tasksync.databases = 'none'
tasksync.push_delay = '1 h'
tasksync.retry_base_delay = '10 ms'
tasksync.mass_delete_threshold = 100
tasksync.mass_delete_minimum = 10000
tasksync.request_timeout = '10 s'
fsync = off
synchronous_commit = on
max_connections = 20
shared_buffers = '16MB'
log_statement = 'none'
CONF
}

sub new
{
	my ($class, $node, $dav, $proxy, %options) = @_;
	my $self = bless {
		node => $node, dav => $dav, proxy => $proxy, seed => $options{seed}, chaos => $options{chaos} // 0,
		tasks => {}, last => 0, rounds => 0 }, $class;

	srand $self->{seed};
	$worlds++;
	$self->{worker} = $self->start_worker;
	my ($account) = ('{"username": "tasks", "password": "secret"}');
	$self->{provider} = $self->sql("SELECT tasksync.add_provider('CALDAV', 'world $worlds', '$account', '{\"url\": \"${\$proxy->url}\"}')");
	foreach my $list (qw(A B))
	{
		$self->{lists}{$list} = $dav->make_list("w$$-$worlds-$list", "$worlds $list");
		$self->{mappings}{$list} = $self->sql("SELECT tasksync.create_mapping('$self->{provider}', '$self->{lists}{$list}')");
		$self->{projects}{$list} = $self->sql("SELECT project_id FROM tasksync.task_list_mapping WHERE id = '$self->{mappings}{$list}'");
	}
	$self->call("CALL tasksync.sync_now('$self->{provider}', timeout => '60 s')");
	$self->populate;
	$self->settle;
	$self->check({ problems => [] });
	return $self;
}

# It is over: what it had here is deleted, nothing is at the server.
sub end
{
	my ($self) = @_;

	$self->sql("SELECT tasksync.remove_provider('$self->{provider}', true)");
	$self->sql("DELETE FROM tasksync.project WHERE id = '$_'") foreach values %{ $self->{projects} };
	$self->{dav}->delete($_) foreach values %{ $self->{lists} };
	$self->stop_worker;
	return;
}

#
# A session of psql that lives as long as the server lets it
#

sub connect
{
	my ($self) = @_;
	my $until = time + 60;

	while (time < $until)
	{
		my $dsn = $self->{node}->connstr('tasks');
		$self->{psql_pid} = open2(my $out, my $in, "psql -XAtq '$dsn' 2>&1");
		$self->{in} = $in;
		$self->{out} = $out;
		return if defined $self->try_sql('SELECT 1');
		sleep 0.02;
	}
	croak 'the server does not come back';
}

# The answer, or undef when the connection was lost.
sub try_sql
{
	my ($self, $query) = @_;
	my $answer = '';

	local $SIG{PIPE} = 'IGNORE';
	my $in = $self->{in} or return;
	print $in "$query;\n\\echo -- the end\n";
	$in->flush;
	while (defined(my $line = readline $self->{out}))
	{
		return $answer =~ s/\n\z//r if $line eq "-- the end\n";
		$answer .= $line;
	}
	close $self->{out};
	close $in;
	waitpid $self->{psql_pid}, 0;
	delete @$self{qw(in out psql_pid)};
	return;
}

sub sql
{
	my ($self, $query) = @_;

	$self->connect unless $self->{in};
	my $answer = $self->try_sql($query);
	$answer = do { $self->connect; $self->try_sql($query) } unless defined $answer;
	croak "$query: " . ($answer // 'the connection was lost')
	  if !defined $answer || $answer =~ /^(?:psql:.*)?(?:ERROR|FATAL): /m;
	return $answer;
}

# A statement's error, or '' when it succeeded.
sub call
{
	my ($self, $query) = @_;

	$self->connect unless $self->{in};
	my $answer = $self->try_sql($query) // 'the connection was lost';
	return $answer =~ /ERROR|FATAL|lost/ ? $answer : '';
}

#
# The worker
#

# Its pid; 0 when it is gone already.
sub start_worker
{
	my ($self, $at, $mode) = @_;

	$self->connect unless $self->{in};
	my $answer = $self->try_sql('SET tasksync.crash_at = ' . ($at // 0) . '; SET tasksync.crash_mode = ' . ($mode // 'fatal')
		  . '; SELECT tasksync.start_worker()');
	my ($pid) = ($answer // '') =~ /^(\d+)$/m;
	croak "no worker: $answer" if !$pid && !$at;
	return $pid // 0;
}

sub stop_worker
{
	my ($self) = @_;

	$self->sql('SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = \'tasksync worker\'');
	return;
}

# A worker that is to crash at a step, until it has, or has no work any more:
# whether it crashed.
sub live_and_die
{
	my ($self, $at, $mode) = @_;
	my $job = $self->sql("SELECT tasksync.sync_provider('$self->{provider}')");
	my $pid = $self->start_worker($at, $mode);
	my $until = time + 60;
	my $open = 't';

	for (my $i = 1; $pid && kill(0, $pid) && $open eq 't' && time < $until; $i++)
	{
		sleep 0.005;
		next if $i % 10;
		$open = $self->try_sql("SELECT count(*) > 0 FROM tasksync.sync_job WHERE id >= $job AND status IN ('PENDING', 'RUNNING')") // 't';
		$self->connect if !$self->{in} && $mode ne 'immediate';
	}
	# the last steps are after the job's end
	sleep 0.05 if $open ne 't';
	my $crashed = !$pid || !kill(0, $pid);
	$self->await_server($mode) if $crashed;
	$self->stop_worker unless $crashed;
	return $crashed;
}

# After a crash: the server is up again.
sub await_server
{
	my ($self, $mode) = @_;
	my $node = $self->{node};

	if ($mode eq 'immediate')
	{
		delete @$self{qw(in out)};
		TasksyncTest::start_again($node);
	}
	return if $mode eq 'fatal';
	# a session that was there before the crash would be ended in the middle of the next statement
	for (1 .. 1000)
	{
		last unless defined $self->try_sql('SELECT 1');
		last if $mode eq 'immediate';
		sleep 0.01;
	}
	$self->connect;
	return;
}

#
# What users do
#

sub pick
{
	my ($self, $free, $n, $condition) = @_;
	my @picked;

	for (my $i = 0; $i < @$free && @picked < $n;)
	{
		if (!$condition || $condition->($free->[$i])) { push @picked, splice @$free, $i, 1; }
		else { $i++; }
	}
	return @picked;
}

sub new_task
{
	my ($self, %values) = @_;
	my $key = 'k' . ++$self->{last};

	return $self->{tasks}{$key} = {
		key => $key, title => 'new', description => "of $key", status => 'TODO', list => rand() < 0.5 ? 'A' : 'B', %values };
}

sub title { return "$_[0]{key} $_[0]{title}"; }

# INSERT for a task, and for its parent before it
sub insert
{
	my ($self, $t) = @_;
	my $parent = $t->{parent} ? "(SELECT id FROM tasksync.task WHERE project_id = '$self->{projects}{$t->{list}}' AND title LIKE '$t->{parent} %')" : 'NULL';
	my $due = $t->{due} ? "'$t->{due}'" : 'NULL';
	my $rule = $t->{due} ? "'FREQ=DAILY'" : 'NULL';

	return 'INSERT INTO tasksync.task (project_id, title, description, parent_task_id, due_date, recurrence_rule)'
	  . " VALUES ('$self->{projects}{$t->{list}}', '${\title($t)}', '$t->{description}', $parent, $due, $rule);\n";
}

sub update
{
	my ($self, $t, $assignments) = @_;

	return "UPDATE tasksync.task SET $assignments WHERE user_id = current_user AND title LIKE '$t->{key} %';\n";
}

sub put_new
{
	my ($self, $t) = @_;
	my @lines = ('SUMMARY:' . title($t), "DESCRIPTION:$t->{description}");

	$t->{uid} = "$t->{key}-$$-$worlds";
	push @lines, "RELATED-TO:$self->{tasks}{$t->{parent}}{uid}" if $t->{parent};
	$self->{dav}->put_todo($self->{lists}{ $t->{list} }, $t->{uid}, @lines);
	return;
}

# Another client's edit of an object as it was last seen
sub put_edited
{
	my ($self, $t, %lines) = @_;
	my $text = $t->{text};
	my $stamp = strftime('%Y%m%dT%H%M%SZ', gmtime);

	foreach my $name (keys %lines)
	{
		$text =~ s/^$name[:;][^\r]*\r\n//mg;
		$text =~ s/^END:VTODO/$name:$lines{$name}\r\nEND:VTODO/m;
	}
	$text =~ s/^LAST-MODIFIED:[^\r]*\r\n//mg;
	$text =~ s/^END:VTODO/LAST-MODIFIED:$stamp\r\nEND:VTODO/m;
	$self->{dav}->put($t->{path}, $text);
	return;
}

sub populate
{
	my ($self) = @_;
	my $sql = '';

	$sql .= $self->insert($self->new_task(list => $_, due => '2027-01-01')) foreach qw(A B);
	$sql .= $self->insert($self->new_task) foreach 1 .. 8;
	$self->put_new($self->new_task) foreach 1 .. 10;
	$self->sql("BEGIN; $sql COMMIT");
	return;
}

sub next_day
{
	my ($y, $m, $d) = split /-/, $_[0];

	return strftime('%Y-%m-%d', 0, 0, 12, $d + 1, $m - 1, $y - 1900);
}

# One of each, and some more; no task is touched twice
sub edit_both_sides
{
	my ($self) = @_;
	my $tasks = $self->{tasks};
	my $r = ++$self->{rounds};
	my %has_child = map { ($_->{parent} // '' => 1) } values %$tasks;
	my @free = map { $tasks->{$_} } shuffle sort keys %$tasks;
	my $plain = sub { !$_[0]{parent} && !$has_child{ $_[0]{key} } && !$_[0]{due} };
	my $childless = sub { !$has_child{ $_[0]{key} } && !$_[0]{due} };
	my $deletions = @free > 30 ? 6 : @free > 22 ? 3 : 1;
	my $sql = '';

	foreach my $t ($self->pick(\@free, $deletions, $childless))
	{
		$sql .= "DELETE FROM tasksync.task WHERE user_id = current_user AND title LIKE '$t->{key} %';\n";
		delete $tasks->{ $t->{key} };
	}
	foreach my $t ($self->pick(\@free, $deletions, $childless))
	{
		$self->{dav}->delete($t->{path});
		delete $tasks->{ $t->{key} };
	}
	foreach my $t ($self->pick(\@free, 1, $plain))    # moved here
	{
		$t->{list} = $t->{list} eq 'A' ? 'B' : 'A';
		$sql .= $self->update($t, "project_id = '$self->{projects}{$t->{list}}'");
	}
	foreach my $t ($self->pick(\@free, 1, $plain))    # moved there
	{
		$t->{list} = $t->{list} eq 'A' ? 'B' : 'A';
		my ($name) = $t->{path} =~ m{([^/]+)$};
		$self->{dav}->must('MOVE', $t->{path}, headers => { destination =>
			  "http://127.0.0.1:$self->{dav}{port}$self->{lists}{$t->{list}}$name" });
	}
	if (rand() < 0.5)    # deleted here, edited there: the edit wins
	{
		foreach my $t ($self->pick(\@free, 1, $plain))
		{
			$sql .= "DELETE FROM tasksync.task WHERE user_id = current_user AND title LIKE '$t->{key} %';\n";
			$self->put_edited($t, DESCRIPTION => $t->{description} = "there $r deleted here");
		}
	}
	else                 # … and the other way round
	{
		foreach my $t ($self->pick(\@free, 1, $plain))
		{
			$self->{dav}->delete($t->{path});
			$t->{description} = "here $r deleted there";
			$sql .= $self->update($t, "description = '$t->{description}'");
		}
	}
	foreach my $t ($self->pick(\@free, 1, sub { $_[0]{due} }))    # a recurring task is done
	{
		$sql .= $self->update($t, "status = 'COMPLETED'");
		$t->{due} = next_day($t->{due});
	}
	@free = grep { !$_->{due} } @free;
	foreach my $t ($self->pick(\@free, 2))
	{
		$t->{description} = "here $r";
		$t->{status} = $t->{status} eq 'TODO' ? 'COMPLETED' : 'TODO';
		$sql .= $self->update($t, "description = '$t->{description}', status = '$t->{status}'");
	}
	foreach my $t ($self->pick(\@free, 2))
	{
		$self->put_edited($t, DESCRIPTION => $t->{description} = "there $r");
	}
	foreach my $t ($self->pick(\@free, 1))    # a conflict: one of both, the other on record
	{
		$t->{either} = [ "this $r", "that $r" ];
		$sql .= $self->update($t, "description = 'this $r'");
		$self->put_edited($t, DESCRIPTION => "that $r");
	}
	foreach my $t ($self->pick(\@free, 1))    # both, but not the same field
	{
		$t->{title} = "title there $r";
		$t->{description} = "description here $r";
		$sql .= $self->update($t, "description = '$t->{description}'");
		$self->put_edited($t, SUMMARY => title($t));
	}
	my $mother = $self->new_task;
	$sql .= $self->insert($_)
	  foreach $mother, $self->new_task(parent => $mother->{key}, list => $mother->{list});
	$mother = $self->new_task;
	$self->put_new($_)
	  foreach $mother, $self->new_task(parent => $mother->{key}, list => $mother->{list});
	$self->{untouched} = \@free;
	$self->sql("BEGIN; $sql COMMIT");
	return;
}

# Between two crashes: some more edits, of tasks that this round has not touched
sub edit_more
{
	my ($self) = @_;
	my $r = $self->{rounds};
	my $free = $self->{untouched};
	my $sql = $self->insert($self->new_task);

	foreach my $t ($self->pick($free, 1))
	{
		$t->{description} = "here $r between";
		$sql .= $self->update($t, "description = '$t->{description}'");
	}
	foreach my $t ($self->pick($free, 1))
	{
		$self->put_edited($t, DESCRIPTION => $t->{description} = "there $r between");
	}
	$self->put_new($self->new_task) if rand() < 0.5;
	$self->sql("BEGIN; $sql COMMIT");
	return;
}

#
# What must be
#

# A sync that nothing disturbs
sub settle
{
	my ($self) = @_;

	return $self->call("CALL tasksync.sync_now('$self->{provider}', timeout => '60 s')");
}

# Our tasks: key → the fields, as text; a list, for there may be more of one
sub here
{
	my ($self) = @_;
	my %list_of = reverse %{ $self->{projects} };
	my $projects = join ',', map { "'$_'" } values %{ $self->{projects} };
	my %here;

	foreach (split /\n/, $self->sql('SELECT concat_ws(\'|\', t.project_id, t.title, coalesce(t.description, \'\'), t.status, coalesce(p.title, \'\'), coalesce(t.due_date::text, \'\'))'
			  . ' FROM tasksync.task t LEFT JOIN tasksync.task p ON p.id = t.parent_task_id AND p.user_id = t.user_id'
			  . " WHERE t.project_id IN ($projects)"))
	{
		my ($project, $title, @rest) = split /\|/, $_, -1;
		my ($key) = $title =~ /^(k\d+) /;
		$rest[2] =~ s/ .*//;
		push @{ $here{ $key // $title } }, join '|', $list_of{$project}, $title, @rest;
	}
	return \%here;
}

# The objects there in the same form
sub there
{
	my ($self) = @_;
	my %there;
	my (%key_of, @found);

	foreach my $list (qw(A B))
	{
		my $todos = $self->{dav}->todos($self->{lists}{$list});
		foreach my $path (keys %$todos)
		{
			my $text = $todos->{$path};
			my %line = $text =~ /^([A-Z-]+)(?:;[^:\r]*)?:([^\r]*)\r$/mg;
			my ($key) = ($line{SUMMARY} // '') =~ /^(k\d+) /;

			$key_of{ $line{UID} } = $key // '?';
			push @found, [ $list, $path, $text, $key // $path, \%line ];
		}
	}
	foreach (@found)
	{
		my ($list, $path, $text, $key, $line) = @$_;
		my $parent = $text =~ /^RELATED-TO[^:\r]*:([^\r]*)\r$/m ? $key_of{$1} // '' : '';
		my %status = ('NEEDS-ACTION' => 'TODO');
		my $status = $line->{STATUS} // 'NEEDS-ACTION';
		my $due = ($line->{DUE} // '') =~ s/^(\d{4})(\d\d)(\d\d).*/$1-$2-$3/r;

		push @{ $there{$key} }, join '|', $list, $line->{SUMMARY}, $line->{DESCRIPTION} // '', $status{$status} // $status, $parent, $due;
		@{ $self->{tasks}{$key} }{qw(path text uid)} = ($path, $text, $line->{UID}) if $self->{tasks}{$key};
	}
	return \%there;
}

sub check_conflict
{
	my ($self, $t, $found, $problems) = @_;
	my ($a, $b) = @{ delete $t->{either} };
	my ($loser) = grep { $_ ne $found } $a, $b;

	$t->{description} = $found;
	return if $found ne $a && $found ne $b;
	push @$problems, "\"$loser\" is lost" unless $self->sql('SELECT count(*) FROM tasksync.task_conflict'
		  . " WHERE local ->> 'description' = '$loser' OR remote ->> 'description' = '$loser'");
	return;
}

# Both sides hold what they must, once
sub check_sides
{
	my ($self, $problems) = @_;
	my $here = $self->here;
	my $there = $self->there;
	my %sides = (here => $here, there => $there);

	foreach my $key (sort keys %{ $self->{tasks} })
	{
		my $t = $self->{tasks}{$key};

		$self->check_conflict($t, (split /\|/, ($here->{$key} // ['|||'])->[0])[2] // '', $problems) if $t->{either};
		my $wanted = join '|', $t->{list}, title($t), $t->{description}, $t->{status}, $t->{parent} // '', $t->{due} // '';
		foreach my $side (sort keys %sides)
		{
			my @found = @{ delete $sides{$side}{$key} // [] };
			push @$problems, "$side: " . (@found ? join(' and ', @found) : 'nothing') . " instead of $wanted"
			  if @found != 1 || $found[0] ne $wanted;
		}
	}
	foreach my $side (sort keys %sides)
	{
		push @$problems, map { "$side, too many: @{$sides{$side}{$_}}" } sort keys %{ $sides{$side} };
	}
	return;
}

sub state_of_rows
{
	my ($self) = @_;

	return { map { split / /, $_, 2 } split /\n/, $self->sql(
			'SELECT t.id, t.xmin, to_jsonb(t) FROM tasksync.task t UNION ALL'
			  . ' SELECT l.id, l.xmin, to_jsonb(l) FROM tasksync.task_link l') =~ s/\|/ /gr };
}

# A sync of what is in sync: the rows that it wrote all the same.
sub quiet_sync
{
	my ($self, $problems) = @_;
	my $before = $self->state_of_rows;

	$self->{proxy}->requests;
	my $error = $self->settle;
	push @$problems, "the quiet sync fails: $error" if $error;
	push @$problems, map { "a write when all was done: $_" } grep { !/^(?:PROPFIND|REPORT|GET|OPTIONS) / } $self->{proxy}->requests;
	my $after = $self->state_of_rows;
	return map { substr("$before->{$_} is now " . ($after->{$_} // 'gone'), 0, 3000) }
	  grep { $before->{$_} ne ($after->{$_} // '') } sort keys %$before;
}

# The next sync writes nothing there.  It may learn ETags that a move has kept
# from it; the one after it writes no row of a task or link either.
sub check_quiet
{
	my ($self, $problems) = @_;

	if ($self->quiet_sync($problems))
	{
		push @$problems, map { "a row written when all was done: $_" } $self->quiet_sync($problems);
	}
	my $counts = $self->sql('SELECT concat_ws(\' \', (SELECT count(*) FROM tasksync.task_intent), (SELECT count(*) FROM tasksync.task_change WHERE synced_at IS NULL AND mapping_id IS NOT NULL),'
		  . ' (SELECT count(*) FROM tasksync.task_inbox), (SELECT count(*) FROM tasksync.task_link WHERE error_message IS NOT NULL))');
	push @$problems, "left over (intents, changes, inbox, errors): $counts" if $counts ne '0 0 0 0';
	return;
}

sub check
{
	my ($self, $report) = @_;

	$self->check_sides($report->{problems});
	$self->check_quiet($report->{problems});
	if ($self->{rounds} % 10 == 0)
	{
		foreach (values %{ $self->{mappings} })
		{
			my $rows = $self->sql("SELECT * FROM tasksync.verify_mapping('$_')");
			push @{ $report->{problems} }, "verify_mapping: $rows" if $rows ne '';
		}
	}
	croak join "\n", 'the world begins badly', @{ $report->{problems} } if !$self->{rounds} && @{ $report->{problems} };
	return;
}

# Edits, crashes, recovery; steps crashed, whether one ended untouched, problems.
sub round
{
	my ($self, %options) = @_;
	my $report = { crashes => 0, untouched => 0, problems => [] };

	$self->stop_worker;
	$self->edit_both_sides;
	$self->{proxy}->mode("chaos $self->{seed}-$self->{rounds} $self->{chaos}") if $self->{chaos};
	foreach my $at (@{ $options{steps} })
	{
		$self->edit_more if $report->{crashes};
		if ($self->live_and_die($at, $options{mode})) { $report->{crashes}++; next; }
		$report->{untouched} = 1;
		last;
	}
	$self->{proxy}->mode('pass') if $self->{chaos};
	$self->start_worker;
	$self->sql('SELECT tasksync.retry_failed()') if $self->{chaos};
	my $error = $self->settle;
	push @{ $report->{problems} }, "the sync after the crash fails: $error" if $error;
	$self->check($report);
	return $report;
}

1;
