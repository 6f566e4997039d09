use strict;
use warnings FATAL => 'all';
use TasksyncTest;
use Test::More;

my $node = tasks_node('main');
my $dav = TasksyncTest::Dav->new('radicale');
my $list = $dav->make_list('garden', 'Garden', '#12ab34');
$dav->put_todo($list, 'one', 'SUMMARY:Water the plants', 'PRIORITY:1');
my $provider = add_caldav($node, $dav->url);
my ($mapping, $project) = map_list($node, $provider, $list);
is(sql($node, 'SELECT title, priority FROM tasksync.task'), 'Water the plants|HIGH', 'pull');
is($dav->titles($list), 'Water the plants', 'titles');
done_testing();
