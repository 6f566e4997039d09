# Two-way sync with radicale: the tests are in test/perl/CaldavSuite.pm.
use strict;
use warnings FATAL => 'all';

use CaldavSuite;

CaldavSuite::run('radicale');
