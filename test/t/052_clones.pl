# Copies of a database keep quiet, also where they find the original's key folder,
# and a standby that takes over does not.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();
use TasksyncTest;
use Test::More;

my $node = tasks_node('original', init => { allows_streaming => 1 });
my $server = TasksyncTest::Hostile->new;
my $folder = $node->data_dir . '.tasksync';
my $provider = add_caldav($node, $server->url('dav'));
my ($instance) = glob "$folder/*.instance";

# What a call that asks the service ends with, and whether it asked.
sub is_original
{
	my ($where, $name) = @_;

	$server->requests;
	is(sqlstate($where, "SELECT * FROM tasksync.task_lists('$provider')"), '00000', $name);
	cmp_ok(scalar(() = $server->requests), '>', 0, '... it reaches the service');
	is(sqlstate($where, "CALL tasksync.sync_now('$provider')"), '00000', '... and its worker too');
	return;
}

sub is_copy
{
	my ($where, $name) = @_;

	$server->requests;
	is(sqlstate($where, "SELECT * FROM tasksync.task_lists('$provider')"), '55000', $name);
	is(sqlstate($where, "CALL tasksync.sync_now('$provider')"), '55000', '... nor does its worker');
	is(sqlstate($where, 'SELECT tasksync.rotate_secret_key()'), '55000', '... nor may it change keys');
	is(scalar(() = $server->requests), 0, '... no request leaves');
	return;
}

# A base backup as a node of its own, not a standby.
sub copy_of
{
	my ($name, $backup) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);

	$copy->init_from_backup($node, $backup);
	return $copy;
}

sub started
{
	my ($where) = @_;

	$where->start;
	wait_until($where, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = \'tasksync worker\'');
	return $where;
}

is_original($node, 'the original syncs');
sql($node, "SELECT tasksync.create_mapping('$provider', '/dav/')");
is_original($node, '... with a mapping');
$node->backup('base');

# A base backup beside its original
my $beside = started(copy_of('beside', 'base'));
is_copy($beside, 'a base backup that is started beside its original does not sync');
is_original($node, 'the original goes on');
$node->stop;
is_copy($beside, 'nor does it when the original has stopped');
$node->start;
is_original($node, 'which goes on when it is back');
is(sqlstate($beside, 'SELECT tasksync.adopt_clone()'), '00000', 'adopt_clone');
is(sqlstate($beside, "SELECT tasksync.set_credentials(id, '{\"token\": \"t\"}') FROM tasksync.connected_account"), '00000', '... and credentials for its own key');
is_original($beside, '... make it sync');
ok(-f $beside->data_dir . '.tasksync/secret.key', '... with a key folder of its own');
is_original($node, '... and the original too');
$beside->stop;

# A standby on the same machine, which finds the folder in the original's place
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$node->stop;
$standby->promote;
wait_until($standby, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = \'tasksync worker\'');
is_original($standby, 'a promoted standby goes on');
like(PostgreSQL::Test::Utils::slurp_file($instance), qr/^data \d+:\d+ \Q@{[ $standby->data_dir ]}\E$/m, '... the file is its own now');
$node->start;
wait_until($node, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = \'tasksync worker\'');
is_copy($node, 'the old primary, started again by mistake, does not sync');
is_original($standby, 'the new one goes on');
$node->stop;

# … promoted while the other still runs: the other has the folder
$standby->backup('second');
my $twin = PostgreSQL::Test::Cluster->new('twin');
$twin->init_from_backup($standby, 'second', has_streaming => 1);
$twin->start;
$standby->wait_for_catchup($twin);
$twin->promote;
wait_until($twin, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = \'tasksync worker\'');
is_copy($twin, 'a standby that is promoted while its primary runs does not sync');
is_original($standby, 'its primary goes on');
$twin->stop;

# … with a copy of the folder, as on a machine of its own
my $machine = PostgreSQL::Test::Cluster->new('machine');
$machine->init_from_backup($standby, 'second', has_streaming => 1);
PostgreSQL::Test::Utils::system_or_bail('cp', '-a', $folder, $machine->data_dir . '.keys');
$machine->append_conf('postgresql.conf', "tasksync.secret_key_file = '" . $machine->data_dir . ".keys/secret.key'\n");
$machine->start;
$standby->wait_for_catchup($machine);
$machine->promote;
wait_until($machine, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = \'tasksync worker\'');
is_original($machine, 'a promoted standby with a copy of the folder goes on');
$machine->stop;

# A data directory that was moved
$standby->stop;
my $old = $standby->data_dir;
rename $old, "$old-moved" or die $!;
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-D', "$old-moved", '-w', '-l', $standby->logfile, 'start');
wait_until($standby, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = \'tasksync worker\'');
is_original($standby, 'a data directory that was moved goes on');
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-D', "$old-moved", '-w', '-m', 'fast', 'stop');
PostgreSQL::Test::Utils::system_or_bail('cp', '-a', "$old-moved", "$old-copied");
PostgreSQL::Test::Utils::system_or_bail('rm', '-r', "$old-moved");
PostgreSQL::Test::Utils::system_or_bail('mkdir', '-m', '700', "$old-moved");
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-D', "$old-copied", '-w', '-l', $standby->logfile, 'start');
wait_until($standby, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = \'tasksync worker\'');
is_original($standby, '... or copied, where something else stands in its place');
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-D', "$old-copied", '-w', '-m', 'fast', 'stop');
rmdir "$old-moved";
rename "$old-copied", "$old-moved" or die $!;
rename "$old-moved", $old or die $!;

# A file that says only which database it is, as the first ones did
$standby->start;
my ($oid) = PostgreSQL::Test::Utils::slurp_file($instance) =~ /^(\d+)$/m;
open my $handle, '>', $instance or die $!;
print $handle "$oid\n";
close $handle;
wait_until($standby, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = \'tasksync worker\'');
is_original($standby, 'a file without a data directory is completed');
like(PostgreSQL::Test::Utils::slurp_file($instance), qr/^system \d+$/m, '... by the first who reads it');
open $handle, '>', $instance or die $!;
print $handle "1\n";
close $handle;
is_copy($standby, 'a file that names another database is not ours');
$standby->stop;

done_testing();
