=pod

=head1 NAME

TasksyncTest - what the TAP tests share

=head1 SYNOPSIS

  use TasksyncTest;

  my $node = new_node('main', preload => 1);
  my $dav = start_server('radicale');
  my $list = make_list($dav, 'errands', name => 'Errands', color => '#ff8800');
  put_task($dav, $list, 'one', 'SUMMARY:Buy milk');
  my $provider = add_caldav($node, $dav);

=head1 DESCRIPTION

A fake service is a script of test/fakes, called with a data directory and a
port.  It is started on a free port of 127.0.0.1, waited for until it answers,
and ended with the test, whatever happens.

=cut

package TasksyncTest;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use IO::Socket::INET;
use IPC::Run qw(run);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(new_node start_server stop_server curl make_list put_task
  get_object delete_object list_objects add_caldav sync_now error_of);

my $fakes = abs_path(dirname(__FILE__) . '/../fakes');
my %running;

=pod

=head1 FUNCTIONS

=head2 new_node(name, preload => 0|1, conf => text)

A running server with the extension in database "postgres"; private networks
are allowed and things happen quickly.

=cut

sub new_node
{
	my ($name, %o) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', <<"CONF");
tasksync.allow_private_networks = on
tasksync.push_delay = '50ms'
tasksync.retry_base_delay = '100ms'
tasksync.request_timeout = '10s'
log_min_messages = info
CONF
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tasksync'\n")
	  if $o{preload};
	$node->append_conf('postgresql.conf', $o{conf}) if $o{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION tasksync');
	return $node;
}

=pod

=head2 start_server(kind, port => n, data => directory)

A fake service of test/fakes (radicale, xandikos, sabre).  The result has kind,
port, data, url, user and password; giving port and data starts an old one
again.

=cut

sub start_server
{
	my ($kind, %o) = @_;
	my $server = {
		kind => $kind,
		port => $o{port} // PostgreSQL::Test::Cluster::get_free_port(),
		data => $o{data} // PostgreSQL::Test::Utils::tempdir(),
		user => 'tasks',
		password => 'secret'
	};
	my $log = "$PostgreSQL::Test::Utils::log_path/$kind-$server->{port}.log";

	$server->{url} = "http://127.0.0.1:$server->{port}";
	my $pid = fork();
	die "could not fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		setpgrp(0, 0);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', $log;
		open STDERR, '>&', \*STDOUT;
		exec('sh', "$fakes/$kind.sh", $server->{data}, $server->{port})
		  or POSIX::_exit(127);
	}
	$server->{pid} = $pid;
	$running{$pid} = 1;
	wait_for_port($server->{port}, $log);
	return $server;
}

sub wait_for_port
{
	my ($port, $log) = @_;

	for (1 .. 1800)
	{
		return if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1);
		usleep(100_000);
	}
	die "no server came up on port $port, see $log";
}

=pod

=head2 stop_server(server)

=cut

sub stop_server
{
	my ($server) = @_;

	end_process(delete $server->{pid}) if $server->{pid};
}

sub end_process
{
	my ($pid) = @_;
	my $status = $?;

	kill 'TERM', -$pid;
	kill 'TERM', $pid;
	waitpid($pid, 0);
	delete $running{$pid};
	$? = $status;
}

END { end_process($_) foreach keys %running }

=pod

=head2 curl(server, arguments …, path)

What the service answers; dies when curl fails or the status is 400 or more.

=cut

sub curl
{
	my ($server, @args) = @_;
	my $path = pop @args;
	my ($out, $err);

	run [
		'curl', '-sSf', '--max-time', '20',
		'-u', "$server->{user}:$server->{password}",
		@args, "$server->{url}$path"
	  ], '>', \$out, '2>', \$err
	  or die "curl @args $path: $err";
	return $out;
}

=pod

=head2 make_list(server, id, name => text, color => '#rrggbb')

A list for tasks; its path on the server, which is its external_list_id.

=cut

sub make_list
{
	my ($server, $id, %o) = @_;
	my $path = "/$server->{user}/$id/";
	my $name = $o{name} // $id;
	my $color = $o{color} ? "<A:calendar-color>$o{color}</A:calendar-color>" : '';

	curl($server, '-X', 'MKCALENDAR', '-H', 'Content-Type: application/xml', '--data-binary', <<"XML", $path);
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="http://apple.com/ns/ical/">
<D:set><D:prop><D:displayname>$name</D:displayname>$color
<C:supported-calendar-component-set><C:comp name="VTODO"/></C:supported-calendar-component-set>
</D:prop></D:set></C:mkcalendar>
XML
	return $path;
}

=pod

=head2 put_task(server, list, uid, lines …)

Creates or replaces the object UID.ics with one VTODO of these content lines;
its path.

=cut

sub put_task
{
	my ($server, $list, $uid, @lines) = @_;
	my $path = "$list$uid.ics";
	my $object = join("\r\n",
		'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//test//test//EN',
		'BEGIN:VTODO', "UID:$uid", 'DTSTAMP:20260101T000000Z', @lines,
		'END:VTODO', 'END:VCALENDAR', '');

	curl($server, '-X', 'PUT', '-H', 'Content-Type: text/calendar', '--data-binary', $object, $path);
	return $path;
}

=pod

=head2 get_object(server, path), delete_object(server, path)

=cut

sub get_object
{
	my ($server, $path) = @_;

	return curl($server, $path);
}

sub delete_object
{
	my ($server, $path) = @_;

	return curl($server, '-X', 'DELETE', $path);
}

=pod

=head2 list_objects(server, list)

The paths of the objects in a list, in order.

=cut

sub list_objects
{
	my ($server, $list) = @_;
	my $answer = curl($server, '-X', 'PROPFIND', '-H', 'Depth: 1', $list);

	my @paths = sort grep { $_ ne $list } $answer =~ m{<(?:\w+:)?response>\s*<(?:\w+:)?href>([^<]+)</}g;

	return @paths;
}

=pod

=head2 add_caldav(node, server, name => text, settings => JSON text, as => SQL)

The id of a new provider for the server's root.  "as" is put before the call
(SET ROLE …;).

=cut

sub add_caldav
{
	my ($node, $server, %o) = @_;
	my $name = $o{name} ? "'$o{name}'" : 'NULL';
	my $settings = $o{settings} // '{}';
	my $as = $o{as} // '';

	return $node->safe_psql('postgres', <<"SQL");
$as SELECT tasksync.add_provider('CALDAV', $name,
	'{"username": "$server->{user}", "password": "$server->{password}"}',
	'{"url": "$server->{url}/"}'::jsonb || '$settings');
SQL
}

=pod

=head2 sync_now(node, id of a mapping or NULL)

CALL tasksync.sync_now(): everything, or one mapping; dies when it fails.

=cut

sub sync_now
{
	my ($node, $mapping) = @_;
	my $arg = defined $mapping ? "mapping_id => '$mapping'" : '';

	$node->safe_psql('postgres', "CALL tasksync.sync_now($arg)");
}

=pod

=head2 error_of(node, sql)

The SQLSTATE and message of the error that a statement ends with; '' when it
succeeds.

=cut

sub error_of
{
	my ($node, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	return $err =~ /ERROR:\s+(\w{5}): ([^\n]*)/ ? "$1: $2" : $err;
}

1;
