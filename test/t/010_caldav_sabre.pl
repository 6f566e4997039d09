# Two-way sync with sabre: the tests are in test/perl/CaldavSuite.pm.
use strict;
use warnings FATAL => 'all';

use CaldavSuite;

CaldavSuite::run('sabre');
