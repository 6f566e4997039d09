# The calls that ask a service at once, against a real CalDAV server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use TasksyncTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('live');
my $dav = start_server('radicale');
my $errands = make_list($dav, 'errands', name => 'Errands', color => '#ff8800');
my $work = make_list($dav, 'work', name => 'Work');
my $provider = add_caldav($node, $dav);

sub sql { return $node->safe_psql('postgres', $_[0]) }

# validate_connection
is(sql("SELECT tasksync.validate_connection('$provider')"), 't', 'the connection works');
is(sql("SELECT * FROM tasksync.task_lists('$provider')"), '', 'lists');
done_testing();
