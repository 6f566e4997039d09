# Changing the key of secrets: nothing is lost on the way, whatever happens, and
# the old key goes when nothing needs it.
use strict;
use warnings FATAL => 'all';

use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils ();
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep);

my $node = tasks_node('keys', conf => "tasksync.databases = 'tasks,second'\nsynchronous_commit = off\n");
my $server = TasksyncTest::Hostile->new;
my $folder = $node->data_dir . '.tasksync';
my $file = "$folder/secret.key";
my $provider = add_caldav($node, $server->url('dav'), password => 'first');
sql($node, "SELECT tasksync.add_account('CALDAV', 'other' || i, '{\"token\": \"t\"}') FROM generate_series(1, 20) i");

sub keys_in_file { return scalar(() = PostgreSQL::Test::Utils::slurp_file($file) =~ /^tasksync-key \w{16} \S{43}=$/mg); }
sub key_ids { my ($dbname) = @_; return $node->safe_psql($dbname // 'tasks', 'SELECT string_agg(DISTINCT key_id, \' \') FROM tasksync.secret'); }
sub newest { my ($id) = PostgreSQL::Test::Utils::slurp_file($file) =~ /(\w{16}) \S+\s*\z/; return $id; }

# The credentials reach the service as they were given.
sub is_readable
{
	my ($name, $dbname, $p) = @_;
	my $answer = $node->safe_psql($dbname // 'tasks', "SELECT tasksync.validate_connection('" . ($p // $provider) . "')");
	my @sent = grep { / Basic \Q@{[ encode_base64('tasks:first', '') ]}\E$/ } $server->requests;

	ok($answer eq 't' && @sent, $name) or diag(sql($node, 'SELECT error_message FROM tasksync.task_provider'));
	return;
}

# The worker looks at the keys when it begins, every ten minutes, and at a reload.
sub worker_looks
{
	sql($node, 'SELECT pg_reload_conf()');
	return 1;
}

sub until_keys
{
	my ($n) = @_;

	for (1 .. 100)
	{
		return 1 if keys_in_file() == $n;
		sleep 0.1;
	}
	return 0;
}

# It works
my $old_id = key_ids();
my $before = sql($node, 'SELECT md5(string_agg(sealed::text, \'\' ORDER BY account_id)) FROM tasksync.secret');
is(keys_in_file(), 1, 'at first there is one key');
is(sql($node, 'SELECT tasksync.rotate_secret_key()'), '21', 'all secrets are sealed anew');
is(keys_in_file(), 2, 'the file holds the new key and still the old one');
is(key_ids(), newest(), '... all are sealed with the new one');
isnt(key_ids(), $old_id, '... which is another');
isnt(sql($node, 'SELECT md5(string_agg(sealed::text, \'\' ORDER BY account_id)) FROM tasksync.secret'), $before, '... and so is the ciphertext');
is((stat $file)[2] & 07777, 0600, 'the file is for its owner alone');
is_readable('they open');
ok(worker_looks() && until_keys(1), 'the worker takes the old key out');
is(newest(), key_ids(), '... and leaves the new one');
is_readable('they still open');

# Who may
sql($node, 'CREATE ROLE ann LOGIN; SELECT tasksync.grant_access(\'ann\')');
is(sqlstate($node, 'SELECT tasksync.rotate_secret_key()', psql => { extra_params => [ '-U', 'ann' ] }), '42501', 'a plain user may not');
sql($node, 'GRANT EXECUTE ON FUNCTION tasksync.rotate_secret_key() TO ann');
is(sqlstate($node, 'SELECT tasksync.rotate_secret_key()', psql => { extra_params => [ '-U', 'ann' ] }), '42501', '... not with EXECUTE alone either');
is(keys_in_file(), 1, '... and nothing came of it');

# Rolled back, also in part
sql($node, 'BEGIN; SELECT tasksync.rotate_secret_key(); ROLLBACK');
is_readable('after ROLLBACK they open');
sql($node, 'BEGIN; SAVEPOINT s; SELECT tasksync.rotate_secret_key(); ROLLBACK TO s; COMMIT');
is_readable('after ROLLBACK TO they open');
is(keys_in_file(), 3, 'keys that came to nothing stay for a while');
sql($node, "SELECT tasksync.set_credentials(id, '{\"token\": \"u\"}') FROM tasksync.connected_account WHERE label = 'other1'");
worker_looks();
sleep 0.5;
is(keys_in_file(), 3, '... and a worker takes out none that is older than what is needed');
is_readable('... so all open');
sql($node, 'SELECT tasksync.rotate_secret_key()');
ok(worker_looks() && until_keys(1), 'after another rotation there is one key again');

# Two at a time: what is being sealed is not lost under a key that goes
my $session = $node->background_psql('tasks');
$session->query_safe("BEGIN; SELECT tasksync.add_account('CALDAV', 'not there yet', '{\"token\": \"v\"}')");
is(sqlstate($node, 'SET lock_timeout = \'300ms\'; SELECT tasksync.rotate_secret_key()'), '55P03', 'a rotation waits for who is sealing');
$session->query_safe('ROLLBACK; BEGIN; SELECT tasksync.rotate_secret_key()');
is(sqlstate($node, "SET lock_timeout = '300ms'; SELECT tasksync.set_credentials(id, '{\"token\": \"w\"}') FROM tasksync.connected_account WHERE label = 'other2'"),
	'55P03', 'and who seals waits for it');
worker_looks();
sleep 0.5;
cmp_ok(keys_in_file(), '>=', 2, '... and a worker takes out nothing meanwhile');
$session->query_safe('ROLLBACK');
$session->quit;
is_readable('... so they open');

# Crashes: before the commit, after it, and at any moment
my $aborted = $node->background_psql('tasks');
$aborted->query_safe('BEGIN; SELECT tasksync.rotate_secret_key()');
$node->stop('immediate');
eval { $aborted->quit };
$node->start;
is_readable('after a crash before the commit they open');
sql($node, 'SELECT tasksync.rotate_secret_key()');
$node->stop('immediate');
$node->start;
is_readable('after a crash behind the commit they open');
my $loop = $node->basedir . '/rotate.sql';
PostgreSQL::Test::Utils::append_to_file($loop, "SELECT tasksync.rotate_secret_key();\n");
foreach my $round (1 .. 3)
{
	my $run = IPC::Run::start([ 'pgbench', '-n', '-T', '20', '-R', '100', '-f', $loop, $node->connstr('tasks') ], '>', '/dev/null', '2>', '/dev/null');
	sleep 0.3 + rand 0.5;
	$node->stop('immediate');
	$run->kill_kill(grace => 1);
	PostgreSQL::Test::Utils::append_to_file("$file.new", 'tasksync-key half');
	$node->start;
	is_readable("after a crash amid rotations they open ($round)");
}
like(sql($node, 'SELECT tasksync.rotate_secret_key()'), qr/^21$/, 'and are all there');
ok(worker_looks() && until_keys(1), '... with one key in the end');


# A file that is full
my $newest = PostgreSQL::Test::Utils::slurp_file($file);
my $filler = sprintf("tasksync-key %016d %s=\n", 0, 'A' x 43);
PostgreSQL::Test::Utils::append_to_file("$file.full", $filler x int((65536 - length $newest) / length $filler) . $newest);
chmod 0600, "$file.full";
rename "$file.full", $file or die;
is(sqlstate($node, 'SELECT tasksync.rotate_secret_key()'), '55000', 'a file that has no room takes no more keys');
ok(worker_looks() && until_keys(1), '... until the worker has taken out what nothing needs');
is(sql($node, 'SELECT tasksync.rotate_secret_key()'), '21', '... and then does');
ok(worker_looks() && until_keys(1), '... as ever');

# All databases of a server share the file
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', 'CREATE EXTENSION tasksync');
my $there = $node->safe_psql('second', "SELECT tasksync.add_provider('CALDAV', 'p', '{\"username\": \"tasks\", \"password\": \"first\"}', '{\"url\": \"" . $server->url('dav') . '"}\')');
sql($node, 'SELECT tasksync.rotate_secret_key()');
worker_looks();
sleep 1;
is(keys_in_file(), 2, 'a key that another database needs stays');
is_readable('... and opens what is sealed there', 'second', $there);
$node->safe_psql('second', 'SELECT tasksync.rotate_secret_key()');
wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync worker' AND datname = 'second'");
worker_looks();
ok(until_keys(2), 'when that has changed its key too, the first one goes');
is_readable('... what is sealed there opens', 'second', $there);
is_readable('... and here');
$node->safe_psql('second', "SELECT tasksync.remove_provider('$there'); DELETE FROM tasksync.connected_account");
my $sealing = $node->background_psql('second');
$sealing->query_safe("BEGIN; SELECT tasksync.add_provider('CALDAV', 'p', '{\"username\": \"tasks\", \"password\": \"first\"}', '{\"url\": \"" . $server->url('dav') . '"}\')');
sql($node, 'SELECT tasksync.rotate_secret_key()');
worker_looks();
sleep 1;
$sealing->query_safe('COMMIT');
$sealing->quit;
is_readable('what was being sealed there while a key was changed here opens', 'second', $node->safe_psql('second', 'SELECT id FROM tasksync.task_provider'));
$node->safe_psql('postgres', 'DROP DATABASE second');
sql($node, 'SELECT tasksync.rotate_secret_key()');
ok(worker_looks() && until_keys(1), 'a database that was dropped needs none');

# A ciphertext opens in its own row only, and none that was tampered with
sql($node, "UPDATE tasksync.secret s SET sealed = o.sealed, key_id = o.key_id FROM tasksync.secret o, tasksync.connected_account a, tasksync.connected_account b"
	  . " WHERE s.account_id = a.id AND a.label = 'other3' AND o.account_id = b.id AND b.label LIKE 'tasks\@%'");
my ($status, $out, $err) = $node->psql('tasks', 'SELECT tasksync.rotate_secret_key()');
is($out, '20', 'a secret that was moved to another account does not open');
like($err, qr/WARNING: .*cannot be opened.*DETAIL: .*cannot be decrypted/s, '... and a rotation says so');
is(sqlstate($node, "SELECT tasksync.set_credentials(id, '{\"token\": \"x\"}') FROM tasksync.connected_account WHERE label = 'other3'"), '00000', '... setting it again mends it');
is(sql($node, 'SELECT tasksync.rotate_secret_key()'), '21', '... for good');

# The file itself
chmod 0640, $file;
is(sqlstate($node, 'SELECT tasksync.rotate_secret_key()'), '55000', 'a key file that others can read is refused');
is(sqlstate($node, "SELECT tasksync.add_account('CALDAV', 'z', '{\"token\": \"x\"}')"), '55000', '... by whoever seals');
chmod 0600, $file;
rename $file, "$file.away";
is(sqlstate($node, "SELECT * FROM tasksync.task_lists('$provider')"), '55000', 'without the key nothing opens');
rename "$file.away", $file;
is_readable('and with it everything does');
foreach my $inside ($node->data_dir . '/secret.key', $node->data_dir . '/../pgdata/global/x.key', 'secret.key')
{
	$node->append_conf('postgresql.conf', "tasksync.secret_key_file = '$inside'\n");
	$node->reload;
	wait_until($node, "SELECT current_setting('tasksync.secret_key_file') = '$inside'");
	is(sqlstate($node, "SELECT tasksync.add_account('CALDAV', 'in', '{\"token\": \"x\"}')"), '55000', "a key file in the data directory is refused: $inside");
}
$node->append_conf('postgresql.conf', "tasksync.secret_key_file = ''\n");
$node->reload;

$node->stop;
done_testing();
