# Two-way sync with xandikos: the tests are in test/perl/CaldavSuite.pm.
use strict;
use warnings FATAL => 'all';

use CaldavSuite;

CaldavSuite::run('xandikos');
