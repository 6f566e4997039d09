# Whom a server may be made to talk to, what it tells them, and how long it
# listens: addresses in every spelling, names that change, redirects, links to
# elsewhere, certificates, and servers that never end.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils ();
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

# A resolver of ours, for names in .test (fakes/names.c)
my $scratch = PostgreSQL::Test::Utils::tempdir('names');
PostgreSQL::Test::Utils::system_or_bail('gcc', '-shared', '-fPIC', '-o', "$scratch/names.so", fake_dir() . '/names.c', '-ldl');
$ENV{TASKSYNC_NAMES} = "$scratch/names";
sub names
{
	open my $file, '>', "$scratch/names.new" or die $!;
	print $file map { "$_\n" } @_;
	close $file;
	rename "$scratch/names.new", "$scratch/names" or die $!;
	return;
}
names();

my $node;
{
	local $ENV{LD_PRELOAD} = "$scratch/names.so";
	$node = tasks_node('network', conf => <<'CONF');
tasksync.allow_private_networks = off
tasksync.require_tls = off
tasksync.request_timeout = '1s'
tasksync.connect_timeout = '1s'
tasksync.max_response_size = '4MB'
tasksync.max_attempts = 1
CONF
}
my $server = TasksyncTest::Hostile->new;
my $other = TasksyncTest::Hostile->new;
my ($port, $other_port) = ($server->port, $other->port);
my $provider = add_caldav($node, $server->url('dav'), password => 'pa55word');

sub settings
{
	my (%settings) = @_;

	$node->append_conf('postgresql.conf', map { "$_ = '$settings{$_}'\n" } sort keys %settings);
	$node->reload;
	my ($name, $value) = %settings;
	wait_until($node, "SELECT current_setting('$name') = '$value'");
	return;
}

# What comes of a url: "t", or the error's code.  The servers' logs begin anew.
sub outcome
{
	my ($url) = @_;

	$_->requests foreach $server, $other;
	$url =~ s/'/''/g;
	return sql($node, "UPDATE tasksync.task_provider SET error_code = NULL,"
		  . " settings = jsonb_build_object('url', E'$url');"
		  . " UPDATE tasksync.connected_account SET status = 'OK';"
		  . " SELECT CASE WHEN tasksync.validate_connection('$provider') THEN 't' END;"
		  . ' SELECT error_code FROM tasksync.task_provider') =~ s/\s+//r;
}

sub message { return sql($node, 'SELECT error_message FROM tasksync.task_provider'); }
sub requests { return scalar(() = ($server->requests, $other->requests)); }

sub is_refused
{
	my ($url, $name, $code) = @_;

	is(outcome($url), $code // '42501', $name);
	is(requests(), 0, '... and no request was sent');
	return;
}

#
# Addresses
#

my @private = qw(
  127.0.0.1 127.255.255.254 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 169.254.169.254 100.64.0.1 100.127.255.255
  192.0.0.1 192.88.99.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255);
my @private6 = qw(
  :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe
  64:ff9b:1::7f00:1 2002:7f00:1:: 2002:a00:1::1 2001:0:1:2:3:4:5:6 fc00::1 fd12:3456::1 fe80::1 febf::1 fec0::1 ff02::1);

is_refused("http://$_:$port/dav/", "address $_") foreach @private;
is_refused("http://[$_]:$port/dav/", "address $_") foreach @private6;

# Other spellings: whatever they mean, it is nobody's but a private address
foreach my $host (qw(127.1 127.0.1 2130706433 0x7f000001 0x7F.1 0x7f.0x0.0x0.0x1 017700000001 0177.0.0.1 0177.1 0 00 0x0
	2852039166 0xa9fea9fe localhost LOCALHOST localhost. [0:0:0:0:0:0:0:1] [0::0001] [::FFFF:127.0.0.1] [fe80::1%25lo]),
	'127\u30020\u30020\u30021', '\u2460\u2461\u2466.0.0.1', '127.0.0.1%2500')
{
	my $outcome = outcome("http://$host:$port/dav/");
	like($outcome, qr/^(?:42501|TS503|TS502|22023)$/, "spelling $host: $outcome");
	is(requests(), 0, '... and no request was sent');
}

# Names
foreach my $address (@private, @private6)
{
	names("name.test $address");
	is(outcome("http://name.test:$port/dav/"), '42501', "a name for $address");
}
is(requests(), 0, 'no request was sent to any');
names('name.test 203.0.113.1');
is(outcome("http://name.test:$port/dav/"), 't', 'a name for a public address is reached');
cmp_ok(requests(), '>', 0, '... really');
names('name.test 127.0.0.1');
is(outcome("http://name.test:$port/dav/"), '42501', 'the same name, now for a private one, is not');
is(requests(), 0, '... and no request was sent');
names('name.test 203.0.113.9 127.0.0.1');
is(outcome("http://name.test:$port/dav/"), '42501', 'nor is a private address behind a public one that is down');
is(requests(), 0, '... and no request was sent');
names('name.test 203.0.113.1 127.0.0.1');
is(outcome("http://name.test:$port/dav/"), 't', 'a public one before a private one is');

# The worker keeps a connection open; what is no longer allowed ends with the settings
names('name.test 203.0.113.1');
outcome("http://name.test:$port/dav/");
is(sqlstate($node, "SELECT tasksync.create_mapping('$provider', '/dav/'); CALL tasksync.sync_now('$provider')"), '00000', 'the worker reaches it too');
names('name.test 127.0.0.1');
is(sqlstate($node, "SELECT pg_terminate_backend(" . worker_pid($node) . ')'), '00000', 'a new worker');
wait_until($node, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = \'tasksync worker\' AND state IS NOT NULL');
$server->requests;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '42501', '... not at its new address');
is(requests(), 0, '... and no request was sent');

# Schemes
foreach my $url ('file:///etc/passwd', 'ftp://127.0.0.1/', 'gopher://127.0.0.1/', 'dict://127.0.0.1/', 'ldap://127.0.0.1/',
	'javascript:alert(1)', '/etc/passwd', 'http:127.0.0.1', 'http://', 'httpx://203.0.113.1/', '\\\\\\\\host\\\\share')
{
	unlike(outcome($url), qr/^(?:t|)$/, "url $url is refused, though set by UPDATE");
	is(sqlstate($node, "SELECT tasksync.add_provider('CALDAV', 'x', '{\"token\": \"t\"}', jsonb_build_object('url', E'$url'))"), '22023', '... and at once by add_provider');
}
names('name.test 203.0.113.1');
settings('tasksync.require_tls' => 'on');
is_refused("http://name.test:$port/dav/", 'http to a public host, where TLS is required');
names('127.name.test 203.0.113.1', 'name.test 203.0.113.1');
is_refused("http://127.name.test:$port/dav/", '... or to one whose name looks like loopback');
settings('tasksync.require_tls' => 'off');

is(sqlstate($node, "UPDATE tasksync.task_provider SET settings = '{\"url\": \"http://tasks:an0ther\@203.0.113.1/\"}'"), '23514', 'a url with a password in it cannot be set by UPDATE either');

# Line breaks and what else could become protocol
foreach my $bad ('\r\nX-Injected: 1', '\n', '\r', '\x7f', '\t')
{
	is_refused("http://name.test:$port/dav/$bad", 'a control character in a url', '22023');
	is_refused("http://name.test$bad:$port/dav/", '... in its host', '22023');
	is(sqlstate($node, "SELECT tasksync.create_mapping('$provider', E'/dav/x$bad/')"), '22023', '... in the id of a list');
	is(sqlstate($node, "SELECT tasksync.add_account('CALDAV', 'x', jsonb_build_object('username', 'a', 'password', E'b$bad'))"), '22023', '... in a password');
	is(sqlstate($node, "SELECT tasksync.add_account('CALDAV', 'x', jsonb_build_object('username', E'a$bad', 'password', 'b'))"), '22023', '... in a user name');
	is(sqlstate($node, "SELECT tasksync.add_account('CALDAV', 'x', jsonb_build_object('token', E'b$bad'))"), '22023', '... in a token');
}

#
# Where credentials go
#

settings('tasksync.allow_private_networks' => 'on');
my $here = $server->url('dav');
is(outcome($here), 't', 'a private address is reached where it is allowed');
is((grep { /Basic dGFza3M6cGE1NXdvcmQ=$/ } $server->requests) ? 1 : 0, 1, '... with the credentials');

sub redirect { my ($code, $to) = @_; return $server->url("to/$code/" . unpack 'H*', $to); }

foreach my $code (301, 302, 307, 308)
{
	is(outcome(redirect($code, $here)), 't', "$code within the origin is followed");
	is(scalar(grep { !/Basic dGFza3M6cGE1NXdvcmQ=$/ } $server->requests), 0, '... with the credentials');
	foreach my $to ($other->url('dav'), $server->url('dav', 'localhost'), "https://127.0.0.1:$port/dav/",
		"http://tasks:pa55word\@127.0.0.1:$other_port/dav/", "http://127.0.0.1:$port\@localhost:$other_port/dav/",
		"//127.0.0.1:$other_port/dav/", "\\\\127.0.0.1:$other_port/dav/", 'file:///etc/passwd', "gopher://127.0.0.1:$other_port/x")
	{
		isnt(outcome(redirect($code, $to)), 't', "$code to $to is not");
		is(scalar(() = $other->requests), 0, '... and nothing went there');
		is(scalar(grep { m{ /dav/} } $server->requests), 0, '... nor to another name of this one');
	}
}
outcome($server->url('to/302/' . unpack 'H*', '.'));
cmp_ok(scalar(() = $server->requests), '<', 20, 'a redirect in a circle comes to an end');
outcome($server->url("elsewhere/$other_port"));
is(scalar(() = $other->requests), 0, 'a principal or home at another port is not asked');
cmp_ok(scalar(() = $server->requests), '>', 0, '... though the first server was');
names('name.test 203.0.113.1');
settings('tasksync.allow_private_networks' => 'off');
outcome("http://name.test:$port/to/302/" . unpack('H*', "http://127.0.0.1:$other_port/dav/") . '/');
is(scalar(() = $other->requests), 0, 'a public server does not lead to a private one');

#
# Certificates
#

settings('tasksync.allow_private_networks' => 'on');
sub openssl { PostgreSQL::Test::Utils::system_or_bail('sh', '-c', "openssl @_ 2>/dev/null"); return; }
openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout $scratch/ca.key -out $scratch/ca.pem");
sub certificate
{
	my ($name, $alt) = @_;

	PostgreSQL::Test::Utils::append_to_file("$scratch/$name.ext", "subjectAltName=$alt\n");
	openssl("req -newkey rsa:2048 -nodes -subj /CN=$name -keyout $scratch/$name.key -out $scratch/$name.csr");
	openssl("x509 -req -days 2 -in $scratch/$name.csr -CA $scratch/ca.pem -CAkey $scratch/ca.key -CAcreateserial"
		  . " -extfile $scratch/$name.ext -out $scratch/$name.pem");
	return ("$scratch/$name.pem", "$scratch/$name.key");
}
openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout $scratch/self.key -out $scratch/self.pem");
my $self_signed = TasksyncTest::Hostile->new("$scratch/self.pem", "$scratch/self.key");
my $good = TasksyncTest::Hostile->new(certificate('good', 'IP:127.0.0.1'));
my $wrong = TasksyncTest::Hostile->new(certificate('wrong', 'DNS:example.org'));

is(outcome($self_signed->url('dav')), 'TS503', 'a self-signed certificate is refused');
is(scalar(() = $self_signed->requests), 0, '... before any request');
like(sql($node, "SELECT concat_ws(' ', error_message, (SELECT 1)) FROM tasksync.task_provider"), qr/could not get an answer|certificate/, '... in words');
is(outcome($good->url('dav')), 'TS503', 'one of an unknown authority is refused');
is(scalar(() = $good->requests), 0, '... before any request');
settings('tasksync.ca_file' => "$scratch/ca.pem");
is(outcome($good->url('dav')), 't', 'where tasksync.ca_file has its authority it is accepted');
cmp_ok(scalar(() = $good->requests), '>', 0, '... really');
is(outcome($wrong->url('dav')), 'TS503', '... but not one for another host');
is(outcome($self_signed->url('dav')), 'TS503', '... nor the self-signed one');
is(scalar(() = ($wrong->requests, $self_signed->requests)), 0, '... before any request');
settings('tasksync.ca_file' => "$scratch/no_such.pem");
is(outcome($good->url('dav')), 'TS503', 'a file that is not there makes nothing trusted');
settings('tasksync.ca_file' => '');
is(outcome($self_signed->url('dav') =~ s/^https/http/r), 'TS503', 'http to a port that speaks TLS');

#
# Servers without an end.  In a call, and all at once in the worker.
#

my %ends = (
	'drip' => 'TS503', 'drip-header' => 'TS503', 'silent' => 'TS503', 'trickle' => 'TS503',
	'endless-header' => 'TS502', 'long-header' => 'TS50[23]', 'endless-continue' => 'TS50[23]',
	'endless-body' => 'TS502', 'bomb' => 'TS502');

foreach my $mode (sort keys %ends)
{
	my $start = time;
	like(outcome($server->url($mode)), qr/^$ends{$mode}$/, "a call ends: $mode");
	cmp_ok(time - $start, '<', 4, '... soon') or diag(message());
	like(message(), qr/ is too large$/, '... being too large') if $mode =~ /^(?:endless-body|bomb|endless-header)$/;
}
is(sqlstate($node, "SELECT tasksync.remove_provider('$provider')"), '00000', 'the provider goes');
foreach my $mode (sort keys %ends)
{
	my $id = add_caldav($node, $server->url($mode), name => $mode, password => $mode);
	sql($node, "SELECT tasksync.create_mapping('$id', '/$mode/')");
}
my $start = time;
ok(wait_until($node, "SELECT count(*) = $_ FROM tasksync.sync_job WHERE status = 'FAILED' AND started_at > now() - interval '1 min'"
	  . " AND provider_id IN (SELECT id FROM tasksync.task_provider)", seconds => 20), 'all syncs end')
  foreach scalar keys %ends;
cmp_ok(time - $start, '<', 15, '... in the time of ten requests');
cmp_ok(sql($node, "SELECT extract(epoch FROM max(j.finished_at - j.started_at)) FROM tasksync.sync_job j JOIN tasksync.task_provider p ON p.id = j.provider_id WHERE p.name LIKE 'drip%'"),
	'<', 9.5, '... a byte a second sooner');
my %codes = map { split /\|/ } rows($node, 'SELECT p.name, j.error_code FROM tasksync.sync_job j JOIN tasksync.task_provider p ON p.id = j.provider_id');
like($codes{$_} // '', qr/^$ends{$_}$/, "... of $_") foreach sort keys %ends;

# Nothing of it in the log
ok(PostgreSQL::Test::Utils::slurp_file($node->logfile) !~ /pa55word|dGFza3M6cGE1NXdvcmQ/, 'the log shows no password');

$node->stop;
done_testing();
