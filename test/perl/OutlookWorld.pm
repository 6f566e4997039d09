# A person's Microsoft To Do (fakes/graph.py) and a database that is synced with
# it, as one user of each sees them.
#
#   my $world = OutlookWorld->new($node, $graph);
#   my $garden = $world->map_list('Garden');
#   $world->here("INSERT INTO tasksync.task …", $garden);
#   $world->at_rest($garden, 'edits went both ways');
#
# A mapped list is a hash of its list, mapping and project.
package OutlookWorld;

use strict;
use warnings FATAL => 'all';

use TasksyncTest ();
use Test::More;

my $accounts = 0;

# Options: user, settings (JSON members), scope
sub new
{
	my ($class, $node, $graph, %options) = @_;
	my $self = bless { node => $node, graph => $graph, user => $options{user} // 'anna' }, $class;
	my $token = $graph->token(user => $self->{user}, expires_in => 86400,
		$options{scope} ? (scope => $options{scope}) : ())->{access_token};
	my $more = $options{settings} ? ", $options{settings}" : '';

	$accounts++;
	$self->{token} = $token;
	$self->{provider} = $self->sql("SELECT tasksync.add_provider('OUTLOOK', 'outlook $accounts', '{\"access_token\": \"$token\"}',"
		  . " '{\"base_url\": \"" . ($options{base_url} // $graph->url) . "\"$more}')");
	return $self;
}

sub sql
{
	my ($self, $query) = @_;

	utf8::encode($query);
	my $answer = TasksyncTest::sql($self->{node}, $query);
	utf8::decode($answer);
	return $answer;
}

# A command of the fake, for this user
sub there
{
	my ($self, $command, @arguments) = @_;

	return $self->{graph}->control($command, user => $self->{user}, @arguments);
}

# Makes a list with tasks of these titles there, maps it and waits for its first sync.
sub map_list
{
	my ($self, $name, %options) = @_;
	my $list = $options{list} // $self->there('make_list', name => $name)->{id};
	my $arguments = $options{arguments} ? ", $options{arguments}" : '';

	$self->there('add_task', list => $list, title => $_) foreach @{ $options{tasks} // [] };
	my $mapping = $self->sql("SELECT tasksync.create_mapping('$self->{provider}', '$list'$arguments)");
	my $mapped = { list => $list, mapping => $mapping };
	$self->sync($mapped);
	$mapped->{project} = $self->sql("SELECT project_id FROM tasksync.task_list_mapping WHERE id = '$mapping'");
	return $mapped;
}

sub sync
{
	my ($self, @mapped) = @_;

	$self->sql(join ';', map { "CALL tasksync.sync_now(mapping_id => '$_->{mapping}', timeout => '120 s')" } @mapped) if @mapped;
	$self->sql("CALL tasksync.sync_now('$self->{provider}', timeout => '120 s')") unless @mapped;
	return;
}

# The SQLSTATE that a sync ends with
sub sync_state
{
	my ($self, $mapped) = @_;

	return TasksyncTest::sqlstate($self->{node}, "CALL tasksync.sync_now(mapping_id => '$mapped->{mapping}', timeout => '120 s')");
}

# Makes a task here: insert($garden, title => "'Milk'", due_date => "'2026-01-02'"); its id
sub insert
{
	my ($self, $mapped, %values) = @_;
	my @names = sort keys %values;

	return $self->sql('INSERT INTO tasksync.task (' . join(', ', 'project_id', @names) . ") VALUES ("
		  . join(', ', "'$mapped->{project}'", @values{@names}) . ') RETURNING id');
}

# update($garden, 'Milk', "due_date = '2026-01-02'")
sub update
{
	my ($self, $mapped, $title, $assignments) = @_;

	return $self->sql("UPDATE tasksync.task SET $assignments WHERE project_id = '$mapped->{project}' AND title = '$title'");
}

sub delete
{
	my ($self, $mapped, $title) = @_;

	return $self->sql("DELETE FROM tasksync.task WHERE project_id = '$mapped->{project}' AND title = '$title'");
}

# An expression over the tasks here of a title
sub value
{
	my ($self, $mapped, $title, $expression) = @_;

	return $self->sql("SELECT $expression FROM tasksync.task WHERE project_id = '$mapped->{project}' AND title = '$title'");
}

sub titles
{
	my ($self, $mapped) = @_;

	return $self->sql("SELECT string_agg(title, ', ' ORDER BY title COLLATE \"C\") FROM tasksync.task WHERE project_id = '$mapped->{project}'");
}

sub tasks_there { my ($self, $mapped) = @_; return @{ $self->there('tasks', list => $mapped->{list})->{tasks} }; }
sub titles_there { my ($self, $mapped) = @_; return join ', ', sort map { $_->{title} } $self->tasks_there($mapped); }
sub task_there { my ($self, $mapped, $title) = @_; return $self->there('task', list => $mapped->{list}, task => $title)->{task}; }

# In the app
sub add { my ($self, $mapped, $title, %more) = @_; return $self->there('add_task', list => $mapped->{list}, title => $title, %more)->{id}; }
sub edit { my ($self, $mapped, $title, %more) = @_; return $self->there('edit_task', list => $mapped->{list}, task => $title, %more); }
sub remove { my ($self, $mapped, $title) = @_; return $self->there('delete_task', list => $mapped->{list}, task => $title); }
sub complete { my ($self, $mapped, $title) = @_; return $self->there('complete_task', list => $mapped->{list}, task => $title); }

# What of the mapping was set aside, with the reasons
sub errors
{
	my ($self, $mapped) = @_;

	return $self->sql("SELECT string_agg(error_message, '; ' ORDER BY error_message) FROM tasksync.task_link"
		  . " WHERE mapping_id = '$mapped->{mapping}'");
}

# What differs, as the extension itself sees it
sub differences
{
	my ($self, $mapped) = @_;

	return $self->sql("SELECT coalesce(field, 'task') || ': ' || coalesce(local, '-') || ' / ' || coalesce(remote, '-')"
		  . " FROM tasksync.verify_mapping('$mapped->{mapping}')");
}

# … and as somebody does who looks at both sides: a line a task
sub seen_here
{
	my ($self, $mapped) = @_;

	return $self->sql("SELECT string_agg(line, E'\\n' ORDER BY line COLLATE \"C\") FROM (SELECT concat_ws(' | ', title,"
		  . " CASE WHEN status IN ('COMPLETED', 'CANCELLED') THEN 'done' ELSE 'open' END,"
		  . " CASE WHEN priority IN ('NONE', 'MEDIUM') THEN '' ELSE priority END, array_to_string(tags, ','),"
		  . " btrim(regexp_replace(coalesce(description, ''), '[-\\s]+', ' ', 'g')), recurrence_rule IS NOT NULL,"
		  . " to_char(remind_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')) AS line FROM tasksync.task"
		  . " WHERE project_id = '$mapped->{project}') x");
}

sub plain_text
{
	my ($body) = @_;
	my $text = $body->{content};

	if ($body->{contentType} eq 'html')
	{
		$text =~ s/^.*<body[^>]*>//s;
		$text =~ s/<[^>]*>/ /g;
		$text =~ s/&lt;/</g;
		$text =~ s/&gt;/>/g;
		$text =~ s/&nbsp;/ /g;
		$text =~ s/&amp;/&/g;
	}
	$text =~ s/[-\s]+/ /g;
	$text =~ s/^ | $//g;
	return $text;
}

sub seen_there
{
	my ($self, $mapped) = @_;
	my @lines;

	foreach my $t ($self->tasks_there($mapped))
	{
		push @lines, join ' | ', $t->{title}, ($t->{status} eq 'completed' ? 'done' : 'open'),
		  ($t->{importance} eq 'normal' ? '' : uc $t->{importance}), join(',', @{ $t->{categories} }),
		  plain_text($t->{body}), ($t->{recurrence} ? 't' : 'f'),
		  ($t->{isReminderOn} ? substr($t->{reminderDateTime}{dateTime}, 0, 19) : ());
	}
	return join "\n", sort @lines;
}

# Every row of the lists, to see whether one was written
sub versions
{
	my ($self) = @_;

	return $self->sql(join ' UNION ALL ', map { "SELECT '$_ ' || md5(string_agg(xmin::text || ' ' || id::text, ',' ORDER BY id)) FROM tasksync.$_" }
		  qw(task task_link task_change task_conflict project));
}

# Both sides agree; a further sync writes nothing on either side, and the one
# after it, when the service has told of what was last sent, is one request.
sub at_rest
{
	my ($self, $mapped, $name, %options) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::subtest($name => sub {
		my $errors = $options{errors} // qr/^$/;

		is($self->seen_here($mapped), $self->seen_there($mapped), 'the same on both sides') unless $options{errors};
		is($self->differences($mapped), '', 'verify_mapping finds nothing') unless $options{errors};
		like($self->errors($mapped), $errors, 'what is set aside');
		my $versions = $self->versions;
		$self->{graph}->requests;
		$self->sync($mapped);
		$self->{graph}->requests if $options{lists};
		$self->sync($mapped);
		my @requests = $self->{graph}->requests;
		is((join "\n", grep { m{^ *(?:PATCH|DELETE|POST) (?!\S*/\$batch)} } @requests), '', 'a further sync writes nothing there');
		is($self->versions, $versions, '... and no row here');
		$self->sync($mapped);
		cmp_ok(scalar(@requests = $self->{graph}->requests), '<=', $options{requests} // 1, '... and is one request then') or diag(join "\n", @requests);
	});
}

1;
