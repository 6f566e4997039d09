# tasksync: PGXS build.
#
#   make                build tasksync.so and the extension script
#   make install        into the PostgreSQL that pg_config belongs to
#   make unit           the C unit tests of the pure rooms (no server needed)
#   make installcheck   regression, isolation and TAP tests against the running
#                       server of PGHOST/PGPORT (scripts/test arranges one)
#
# The extension script is the concatenation of sql/src/*.sql in name order, so
# that each subject has a file of its own.  sql/upgrade/ has the scripts from
# one version to the next (docs/contributing.md, Releases).

EXTENSION = tasksync
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" tasksync.control)

MODULE_big = tasksync
SRCS = $(sort $(wildcard src/*.c src/*/*.c src/*/*/*.c))
OBJS = $(SRCS:.c=.o)

SQL_PARTS = $(sort $(wildcard sql/src/*.sql))
DATA_built = sql/tasksync--$(EXTVERSION).sql
DATA = $(wildcard sql/upgrade/tasksync--*--*.sql)

REGRESS = $(sort $(basename $(notdir $(wildcard test/sql/*.sql))))
REGRESS_OPTS = --inputdir=test --outputdir=test/output --load-extension=tasksync
ISOLATION = $(sort $(basename $(notdir $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test --outputdir=test/output --load-extension=tasksync
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
PROVE_FLAGS = -I $(CURDIR)/test/perl

EXTRA_CLEAN = $(DATA_built) test/output test/unit/bin test/simulator/bin test/fuzz/bin tmp_check

PG_CPPFLAGS = -I$(srcdir)/src $(shell xml2-config --cflags) -DTASKSYNC_VERSION=\"$(EXTVERSION)\"
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Werror -Wshadow=local \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-declaration-after-statement $(COPT_EXTRA)
SHLIB_LINK = -lcurl -lical -lexpat -lxml2 -lsodium

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(wildcard src/*.h src/*/*.h src/*/*/*.h)

$(DATA_built): $(SQL_PARTS) tasksync.control
	cat $(SQL_PARTS) > $@

.PHONY: unit
unit:
	$(MAKE) -C test/unit PG_CONFIG=$(PG_CONFIG)
