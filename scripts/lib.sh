# What demo, test and bench have in common: a PostgreSQL of their own.
#
# PostgreSQL finds its files relative to its programs, so a copy of the
# installation in a folder, with the extension put into it, leaves the system's
# alone.  PostgreSQL refuses to run as root: as root, everything of the server
# runs as the user postgres, which Debian's package has made.

PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
export PG_CONFIG

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# Runs a command as the user that the servers run as; from / where that user
# can't get into the current directory, which PostgreSQL's programs complain of.
as_server()
{
	if [ "$(id -u)" -eq 0 ]; then
		(
			runuser -u postgres -- test -x "$PWD" || cd /
			exec runuser -u postgres -- "$@"
		)
	else
		"$@"
	fi
}

give_to_server()
{
	[ "$(id -u)" -ne 0 ] || chown -R postgres: "$@"
}

build()
{
	make -s with_llvm=no -j"$(nproc)" PG_CONFIG="$PG_CONFIG"
}

# The simulator; with an argument, the one whose guards can be switched off.
build_simulator()
{
	make -s -C test/simulator -j"$(nproc)" PG_CONFIG="$PG_CONFIG" ${1:+ABLATION=1}
}

# The runs that once found something, each of its events that were enough.
simulate_kept()
{
	local seed only what failed=0

	while read -r seed only what; do
		[ "$seed" != "#" ] || continue
		if test/simulator/bin/simulate --seed "$seed" --only "$only" > /dev/null 2>&1; then
			echo "ok - seed $seed: $what"
		else
			echo "not ok - seed $seed: $what"
			failed=1
		fi
	done < test/simulator/kept
	return $failed
}

# So many runs of the simulator from a seed on, shared by the processors.
simulate_seeds()
{
	local seeds=$1 from=$2 n share failed=0 runs=()

	n=$(nproc)
	share=$(((seeds + n - 1) / n))
	while [ "$seeds" -gt 0 ]; do
		[ "$share" -le "$seeds" ] || share=$seeds
		test/simulator/bin/simulate --seeds "$share" --from "$from" &
		runs+=($!)
		from=$((from + share))
		seeds=$((seeds - share))
	done
	for n in "${runs[@]}"; do
		wait "$n" || failed=1
	done
	return $failed
}

# The installation of PostgreSQL and the extension, below a folder.
install_copy()
{
	local root=$1 dir

	for dir in "$("$PG_CONFIG" --bindir)" "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)"; do
		mkdir -p "$root$dir"
		tar -C "$dir" --exclude=./bitcode --exclude=./man -cf - . | tar -C "$root$dir" -xf -
	done
	make -s install with_llvm=no PG_CONFIG="$PG_CONFIG" DESTDIR="$root"
}

# The folder of the programs in such a copy.
copied_bin()
{
	echo "$1$("$PG_CONFIG" --bindir)"
}

# A new folder for things that need not survive: in memory where there is room.
scratch_folder()
{
	local free

	free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
	if [ "${free:-0}" -ge 2000000 ] && mktemp -d "/dev/shm/tasksync-$1.XXXXXX" 2>/dev/null; then
		return
	fi
	mktemp -d "${TMPDIR:-/tmp}/tasksync-$1.XXXXXX"
}

free_port()
{
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The processes that work in a folder or below it: servers that were started
# there have it as their current directory.
processes_below()
{
	local process

	for process in /proc/[0-9]*; do
		case $(readlink "$process/cwd" 2>/dev/null) in
			"$1"|"$1"/*) echo "${process#/proc/}" ;;
		esac
	done
}

# Ends them, and takes the folder away.
stop_and_remove()
{
	local pids i

	cd /
	for i in $(seq 50); do
		mapfile -t pids < <(processes_below "$1")
		[ ${#pids[@]} -gt 0 ] || break
		case $i in
			1) kill -INT "${pids[@]}" 2>/dev/null || : ;;
			30) kill -KILL "${pids[@]}" 2>/dev/null || : ;;
		esac
		sleep 0.1
	done
	rm -rf "$1"
}
