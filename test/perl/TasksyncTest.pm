# What the TAP tests have in common: a PostgreSQL node with the extension, and
# the services it talks to, each on a free port of the loopback interface.
#
#   my $node = tasks_node('main');              a node, its database "tasks"
#   my $dav = TasksyncTest::Dav->new('radicale');
#   my $list = $dav->make_list('garden', 'Garden');
#   my $provider = add_caldav($node, $dav->url);
#   sync($node, $provider);
#
# The services are started by the scripts in test/fakes, in a folder of the
# test's own, and end with the test.
package TasksyncTest;

use strict;
use warnings FATAL => 'all';

use Carp qw(croak);
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use HTTP::Tiny;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
  tasks_node install_tasksync sql sqlstate wait_until worker_pid
  add_caldav map_list sync sync_job fake_dir start_service free_port rows
);

my $fakes = abs_path(dirname(__FILE__) . '/../fakes');
my %services;

# A node that is up and has the extension in its database "tasks".
sub tasks_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%{ $options{init} // {} });
	$node->append_conf('postgresql.conf', <<CONF);
shared_preload_libraries = 'tasksync'
tasksync.allow_private_networks = on
tasksync.retry_base_delay = '200ms'
tasksync.databases = 'tasks'
max_worker_processes = 16
restart_after_crash = on
timezone = 'UTC'
log_line_prefix = '%m [%p] %b '
CONF
	$node->append_conf('postgresql.conf', $options{conf}) if $options{conf};
	$node->start;
	install_tasksync($node, %options);
	return $node;
}

sub install_tasksync
{
	my ($node, %options) = @_;

	$node->safe_psql('postgres', 'CREATE DATABASE tasks');
	$node->safe_psql('tasks', 'CREATE EXTENSION tasksync');
	return if $options{no_worker};
	wait_until($node, 'SELECT count(*) = 1 FROM pg_stat_activity'
		  . " WHERE backend_type = 'tasksync worker' AND datname = 'tasks'")
	  or croak 'no worker';
	return;
}

# The answer to SQL as text; dies of an error.
sub sql
{
	my ($node, $query) = @_;

	return $node->safe_psql('tasks', $query);
}

# The lines of the answer.
sub rows
{
	my ($node, $query) = @_;

	return split /\n/, sql($node, $query);
}

# The SQLSTATE that a statement ends with, '00000' when it succeeds.
sub sqlstate
{
	my ($node, $query, %options) = @_;
	my $stderr = '';
	my $status = $node->psql($options{dbname} // 'tasks',
		"\\set VERBOSITY sqlstate\n$query",
		stderr => \$stderr, on_error_stop => 1, %{ $options{psql} // {} });

	return '00000' if $status == 0;
	return $stderr =~ /(?:ERROR|FATAL):  (\w{5})$/m ? $1 : "status $status: $stderr";
}

# Whether a query answers true within some seconds.  (A server that is starting
# lets psql end before it has read the query.)
sub wait_until
{
	my ($node, $query, %options) = @_;
	my $until = time + ($options{seconds} // 30);
	my $answer = '';

	while (time < $until)
	{
		eval
		{
			$node->psql($options{dbname} // 'tasks', $query, stdout => \$answer,
				stderr => \my $ignored);
			1;
		} or $answer = $@;
		return 1 if $answer eq 't';
		sleep 0.05;
	}
	diag("last answer to \"$query\": $answer");
	return 0;
}

# After a worker has ended the whole server by an immediate shutdown: starts it again.
sub start_again
{
	my ($node) = @_;

	for (1 .. 1000)
	{
		last unless kill 0, $node->{_pid};
		sleep 0.01;
	}
	$node->{_pid} = undef;
	$node->start;
	return;
}

sub worker_pid
{
	my ($node, $dbname) = @_;

	$dbname //= 'tasks';
	return $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity'
		  . " WHERE backend_type = 'tasksync worker' AND datname = '$dbname'");
}

# A CalDAV provider; its id.
sub add_caldav
{
	my ($node, $url, %options) = @_;
	my $password = $options{password} // 'secret';
	my $name = $options{name} // 'dav';

	return sql($node, "SELECT tasksync.add_provider('CALDAV', '$name',"
		  . " '{\"username\": \"tasks\", \"password\": \"$password\"}',"
		  . " '{\"url\": \"$url\"}')");
}

# Maps a list and waits for its first sync; the ids of mapping and project.
sub map_list
{
	my ($node, $provider, $list, $arguments) = @_;
	my $more = $arguments ? ", $arguments" : '';
	my $mapping = sql($node, "SELECT tasksync.create_mapping('$provider', '$list'$more)");

	sql($node, "CALL tasksync.sync_now(mapping_id => '$mapping', timeout => '60 s')");
	return ($mapping,
		sql($node, "SELECT project_id FROM tasksync.task_list_mapping WHERE id = '$mapping'"));
}

sub sync
{
	my ($node, $provider) = @_;

	return sql($node, "CALL tasksync.sync_now('$provider', timeout => '60 s')");
}

# A value of the last job: sync_job($node, "result ->> 'requests'")
sub sync_job
{
	my ($node, $expression) = @_;

	return sql($node, "SELECT $expression FROM tasksync.sync_job ORDER BY id DESC LIMIT 1");
}

#
# Services
#

sub free_port
{
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
	  or croak "no free port: $!";

	return $socket->sockport;
}

sub fake_dir
{
	return $fakes;
}

sub wait_for_port
{
	my ($port, $pid) = @_;

	for (1 .. 300)
	{
		return
		  if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1);
		croak 'the service ended at once' if waitpid($pid, POSIX::WNOHANG) == $pid;
		sleep 0.05;
	}
	croak "nothing listens on port $port";
}

# What a server that writes down its requests was asked since the last call.
sub new_requests
{
	my ($self) = @_;
	my @lines = -f "$self->{folder}/requests"
	  ? split /\n/, PostgreSQL::Test::Utils::slurp_file("$self->{folder}/requests") : ();
	my $seen = $self->{seen} // 0;

	$self->{seen} = @lines;
	return @lines[ $seen .. $#lines ];
}

# Starts a program that serves a port, in a folder; its pid.
sub start_service
{
	my ($folder, $port, @command) = @_;
	my $pid = fork // croak "could not fork: $!";

	if ($pid == 0)
	{
		setpgrp;
		chdir $folder or POSIX::_exit(1);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$folder/service.log";
		open STDERR, '>&', \*STDOUT;
		exec @command or POSIX::_exit(127);
	}
	$services{$pid} = 1;
	wait_for_port($port, $pid);
	return $pid;
}

sub stop_service
{
	my ($pid) = @_;

	return unless delete $services{$pid};
	kill 'KILL', -$pid;
	waitpid $pid, 0;
	return;
}

END
{
	local $?;

	stop_service($_) foreach keys %services;
}

#
# A proxy in front of a service, that counts and misbehaves (fakes/proxy.py).
#
package TasksyncTest::Proxy;

sub new
{
	my ($class, $upstream_port) = @_;
	my $self = bless {
		port => TasksyncTest::free_port(),
		folder => PostgreSQL::Test::Utils::tempdir('proxy') }, $class;

	TasksyncTest::start_service($self->{folder}, $self->{port}, "$fakes/proxy.py",
		$self->{port}, $upstream_port, $self->{folder});
	return $self;
}

sub url { return "http://127.0.0.1:$_[0]{port}/"; }

# How it answers from now on
sub mode
{
	my ($self, $mode) = @_;

	PostgreSQL::Test::Utils::append_to_file("$self->{folder}/mode.new", $mode);
	rename "$self->{folder}/mode.new", "$self->{folder}/mode";
	return;
}

# The requests since the last call: "METHOD path status"
sub requests { return TasksyncTest::new_requests($_[0]); }

#
# A server that means harm, or none (fakes/hostile.py).
#
package TasksyncTest::Hostile;

sub new
{
	my ($class, @certificate) = @_;
	my $self = bless {
		port => TasksyncTest::free_port(),
		scheme => @certificate ? 'https' : 'http',
		folder => PostgreSQL::Test::Utils::tempdir('hostile') }, $class;

	TasksyncTest::start_service($self->{folder}, $self->{port}, "$fakes/hostile.py",
		$self->{port}, $self->{folder}, @certificate);
	return $self;
}

sub port { return $_[0]{port}; }

# The address of one of its behaviours; the host may be another name of it.
sub url
{
	my ($self, $path, $host) = @_;

	$host //= '127.0.0.1';
	return "$self->{scheme}://$host:$self->{port}/$path/";
}

# The requests since the last call: "METHOD path authorization"
sub requests { return TasksyncTest::new_requests($_[0]); }

#
# Microsoft To Do and Microsoft's sign-in, or what stands for them
# (fakes/graph.py): what a person does in the app, and what a client would see.
# A list is told by its name or id, a task by its title or id.
#
package TasksyncTest::Graph;

use Carp qw(croak);
use HTTP::Tiny;
use JSON::PP ();

# Options are those of the program: (delta_lag => 300)
sub new
{
	my ($class, %options) = @_;
	my $self = bless {
		port => TasksyncTest::free_port(),
		folder => PostgreSQL::Test::Utils::tempdir('graph'),
		json => JSON::PP->new->utf8->canonical->allow_nonref,
		http => HTTP::Tiny->new(keep_alive => 0, timeout => 60, max_redirect => 0) }, $class;

	$self->{pid} = TasksyncTest::start_service($self->{folder}, $self->{port}, "$fakes/graph.py",
		$self->{port}, $self->{folder}, map { "--$_=$options{$_}" } sort keys %options);
	return $self;
}

sub stop { return TasksyncTest::stop_service($_[0]{pid}); }
sub port { return $_[0]{port}; }
sub folder { return $_[0]{folder}; }
sub url { return "http://127.0.0.1:$_[0]{port}/v1.0"; }

# What a tenant and the rest of a path come after
sub login_url { return "http://127.0.0.1:$_[0]{port}/login"; }

# A command of fakes/graph/control.py; its answer.
sub control
{
	my ($self, $command, %arguments) = @_;
	my $answer = $self->{http}->request('POST', "http://127.0.0.1:$self->{port}/control",
		{ content => $self->{json}->encode({ do => $command, %arguments }) });

	croak "$command: $answer->{content}" unless $answer->{success};
	return $self->{json}->decode($answer->{content});
}

# Switches options, while it runs.
sub set { my ($self, %options) = @_; return $self->control('set', %options); }

# In the app: lists
sub make_list { my ($self, $name, %more) = @_; return $self->control('make_list', name => $name, %more)->{id}; }
sub rename_list { my ($self, $list, $name) = @_; return $self->control('rename_list', list => $list, name => $name); }
sub delete_list { my ($self, $list) = @_; return $self->control('delete_list', list => $list); }
sub lists { return @{ $_[0]->control('lists')->{lists} }; }

# In the app: tasks.  add_task($list, 'Milk', due => '2026-01-02', zone => 'Europe/Berlin')
sub add_task
{
	my ($self, $list, $title, %more) = @_;

	return $self->control('add_task', list => $list, title => $title, %more)->{id};
}

# edit_task($list, 'Milk', title => 'Oat milk', due => undef)
sub edit_task
{
	my ($self, $list, $task, %changes) = @_;

	return $self->control('edit_task', list => $list, task => $task, %changes);
}

# move_task($list, 'Milk', $other_list); its new id
sub move_task
{
	my ($self, $list, $task, $to) = @_;

	return $self->control('move_task', list => $list, task => $task, to => $to)->{id};
}

sub complete_task { my ($self, $list, $task) = @_; return $self->control('complete_task', list => $list, task => $task); }
sub reopen_task { my ($self, $list, $task) = @_; return $self->control('reopen_task', list => $list, task => $task); }
sub delete_task { my ($self, $list, $task) = @_; return $self->control('delete_task', list => $list, task => $task); }

# What there is: each task a hash with all properties, undef where none is set
sub tasks { my ($self, $list) = @_; return @{ $self->control('tasks', list => $list)->{tasks} }; }
sub task { my ($self, $list, $task) = @_; return $self->control('task', list => $list, task => $task)->{task}; }

# The titles in a list, sorted, in one line.
sub titles { my ($self, $list) = @_; return join ', ', sort map { $_->{title} } $self->tasks($list); }

# A token answer: access_token, refresh_token, …; (scope => …, expires_in => …, user => …)
sub token { my ($self, %more) = @_; return $self->control('token', %more); }

# How it misbehaves from now on: rules as in fakes/graph.py, none for not at all.
sub mode
{
	my ($self, @rules) = @_;

	PostgreSQL::Test::Utils::append_to_file("$self->{folder}/mode.new", join "\n", @rules);
	rename "$self->{folder}/mode.new", "$self->{folder}/mode";
	return;
}

# The requests since the last call: "METHOD path status", "  METHOD path status" of a part
sub requests { return TasksyncTest::new_requests($_[0]); }

# What no client must send, all of it: lines
sub violations { return $_[0]->lines_of('violations'); }

# Every secret that was given out
sub secrets { return map { (split / /)[1] } $_[0]->lines_of('tokens'); }

sub lines_of
{
	my ($self, $name) = @_;

	return unless -f "$self->{folder}/$name";
	return split /\n/, PostgreSQL::Test::Utils::slurp_file("$self->{folder}/$name");
}

# A request to Graph as a client makes it; path below /v1.0 or a whole url.  The
# answer of HTTP::Tiny, and what its JSON says as "json".
sub request
{
	my ($self, $method, $path, $body, %headers) = @_;
	my $url = $path =~ /^http:/ ? $path : $self->url . $path;

	$self->{token} //= $self->token->{access_token};
	$headers{authorization} //= "Bearer $self->{token}";
	$headers{'content-type'} //= 'application/json' if defined $body;
	$body = $self->{json}->encode($body) if ref $body;
	my $answer = $self->{http}->request($method, $url,
		{ headers => \%headers, (defined $body ? (content => $body) : ()) });
	$answer->{json} = eval { $self->{json}->decode($answer->{content}) };
	return $answer;
}

# A form to the sign-in: form('common', 'token', grant_type => …)
sub form
{
	my ($self, $tenant, $what, %fields) = @_;
	my $answer = $self->{http}->post_form($self->login_url . "/$tenant/oauth2/v2.0/$what", \%fields);

	$answer->{json} = eval { $self->{json}->decode($answer->{content}) };
	return $answer;
}

#
# A CalDAV server, and a client of it that sees it as another program would.
#
package TasksyncTest::Dav;

use Carp qw(croak);
use File::Basename qw(dirname);
use MIME::Base64 qw(encode_base64);

# Where the lists of the user "tasks" are
my %homes = (
	radicale => '/tasks/',
	xandikos => '/tasks/calendars/',
	sabre => '/calendars/tasks/');

sub new
{
	my ($class, $kind) = @_;
	my $self = bless {
		kind => $kind,
		port => TasksyncTest::free_port(),
		folder => PostgreSQL::Test::Utils::tempdir($kind),
		http => HTTP::Tiny->new(keep_alive => 0, timeout => 60),
		authorization => 'Basic ' . encode_base64('tasks:secret', '') }, $class;

	$self->start;
	return $self;
}

sub start
{
	my ($self) = @_;

	$self->{pid} = TasksyncTest::start_service($self->{folder}, $self->{port},
		"$fakes/$self->{kind}.sh", $self->{folder}, $self->{port});
	$self->request('MKCOL', '/tasks/') if $self->{kind} eq 'radicale';
	return;
}

sub stop
{
	my ($self) = @_;

	TasksyncTest::stop_service($self->{pid});
	return;
}

sub kind { return $_[0]{kind}; }
sub home { return $homes{ $_[0]{kind} }; }
sub port { return $_[0]{port}; }
sub url { return "http://127.0.0.1:$_[0]{port}/"; }

# A request; the answer of HTTP::Tiny.
sub request
{
	my ($self, $method, $path, %options) = @_;
	my %headers = (authorization => $self->{authorization}, %{ $options{headers} // {} });

	$headers{'content-type'} //= 'application/xml; charset=utf-8' if defined $options{content};
	return $self->{http}->request($method, "http://127.0.0.1:$self->{port}$path",
		{ headers => \%headers, (defined $options{content} ? (content => $options{content}) : ()) });
}

sub must
{
	my ($self, $method, $path, %options) = @_;
	my $answer = $self->request($method, $path, %options);

	croak "$method $path: $answer->{status} $answer->{reason} $answer->{content}"
	  unless $answer->{success};
	return $answer;
}

# Makes a list; its path, which is its external_list_id.
sub make_list
{
	my ($self, $id, $name, $color) = @_;
	my $path = $self->home . "$id/";
	my $more = $color ? "<A:calendar-color>${color}FF</A:calendar-color>" : '';

	$self->must('MKCALENDAR', $path, content => <<XML);
<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="http://apple.com/ns/ical/">
<set><prop><displayname>$name</displayname>
<C:supported-calendar-component-set><C:comp name="VTODO"/></C:supported-calendar-component-set>
$more</prop></set></C:mkcalendar>
XML
	return $path;
}

sub list_property
{
	my ($self, $path, $name) = @_;
	my $answer = $self->must('PROPFIND', $path, headers => { depth => '0' }, content => <<XML);
<propfind xmlns="DAV:" xmlns:A="http://apple.com/ns/ical/"><prop><displayname/><A:calendar-color/></prop></propfind>
XML
	return $answer->{content} =~ m{<(?:\w+:)?$name[^>]*>([^<]*)</} ? unescape($1) : undef;
}

sub set_list_name
{
	my ($self, $path, $name) = @_;

	return $self->must('PROPPATCH', $path, content => <<XML);
<propertyupdate xmlns="DAV:"><set><prop><displayname>$name</displayname></prop></set></propertyupdate>
XML
}

# A VTODO of these lines, as a client would send it.
sub vtodo
{
	my ($uid, @lines) = @_;

	return join("\r\n", 'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//example//test//EN',
		'BEGIN:VTODO', "UID:$uid", 'DTSTAMP:20260102T030405Z', @lines,
		'END:VTODO', 'END:VCALENDAR', '');
}

sub put
{
	my ($self, $path, $text) = @_;

	return $self->must('PUT', $path, content => $text,
		headers => { 'content-type' => 'text/calendar; charset=utf-8' });
}

# Makes an object of the list; its path.
sub put_todo
{
	my ($self, $list, $uid, @lines) = @_;

	$self->put("$list$uid.ics", vtodo($uid, @lines));
	return "$list$uid.ics";
}

sub get { my ($self, $path) = @_; return $self->must('GET', $path)->{content}; }
sub delete { my ($self, $path) = @_; return $self->must('DELETE', $path); }
sub exists { my ($self, $path) = @_; return $self->request('GET', $path)->{success}; }

# Rewrites an object as a person at another client would.
sub edit
{
	my ($self, $path, $change) = @_;
	local $_ = $self->get($path);

	$change->();
	return $self->put($path, $_);
}

sub unescape
{
	my ($text) = @_;
	my %entity = (lt => '<', gt => '>', amp => '&', quot => '"', apos => "'");

	$text =~ s/&#x([0-9A-Fa-f]+);/chr hex $1/ge;
	$text =~ s/&#(\d+);/chr $1/ge;
	$text =~ s/&(\w+);/$entity{$1}/ge;
	return $text;
}

# All objects of a list: path → text.
sub todos
{
	my ($self, $list) = @_;
	my $answer = $self->must('REPORT', $list, headers => { depth => '1' }, content => <<XML);
<C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><prop><getetag/><C:calendar-data/></prop>
<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VTODO"/></C:comp-filter></C:filter></C:calendar-query>
XML
	my %todos;

	while ($answer->{content} =~ m{<(?:\w+:)?response[ >](.*?)</(?:\w+:)?response>}gs)
	{
		my $response = $1;
		my ($href) = $response =~ m{<(?:\w+:)?href[^>]*>([^<]*)<};
		my ($text) = $response =~ m{<(?:\w+:)?calendar-data[^>]*>(.*?)</}s;

		next unless defined $text;
		$text = unescape($text);
		$text =~ s/\r?\n/\r\n/g;
		$text =~ s/\r\n[ \t]//g;
		$todos{$href} = $text;
	}
	return \%todos;
}

# The titles in a list, sorted, in one line.
sub titles
{
	my ($self, $list) = @_;

	return join ', ',
	  sort map { /^SUMMARY(?:;[^:]*)?:(.*?)\r$/m ? $1 : '-' } values %{ $self->todos($list) };
}

# The object with a title: its path and its text, unfolded.
sub find
{
	my ($self, $list, $title) = @_;
	my $todos = $self->todos($list);

	foreach my $path (keys %$todos)
	{
		return ($path, $todos->{$path}) if $todos->{$path} =~ /^SUMMARY:\Q$title\E\r$/m;
	}
	return;
}

1;
