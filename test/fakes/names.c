/*
 * A resolver and a network for tests, to be preloaded into a server.
 *
 * Names that end in ".test" are looked up in the file that $TASKSYNC_NAMES
 * names, anew each time: a line "name address …".  Addresses 203.0.113.x (RFC
 * 5737) are public ones that work: what connects to them reaches 127.0.0.1, but
 * for 203.0.113.9, where nobody answers.
 *
 *	cc -shared -fPIC -o names.so names.c -ldl
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_FD 4096

static in_addr_t shown[MAX_FD];	/* what a socket is connected to, as it believes */

typedef int (*Lookup) (const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef int (*Connect) (int, const struct sockaddr *, socklen_t);
typedef int (*PeerName) (int, struct sockaddr *restrict, socklen_t *restrict);

/* The addresses of a name, chained. */
static int
look_up(char *addresses, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	Lookup		real = (Lookup) dlsym(RTLD_NEXT, "getaddrinfo");
	struct addrinfo numeric = *hints;
	struct addrinfo **next = result;
	char	   *save = NULL;

	*result = NULL;
	numeric.ai_flags = AI_NUMERICHOST;
	for (char *a = strtok_r(addresses, " \n", &save); a; a = strtok_r(NULL, " \n", &save))
	{
		numeric.ai_family = strchr(a, ':') ? AF_INET6 : AF_INET;
		if (real(a, service, &numeric, next) == 0)
			while (*next)
				next = &(*next)->ai_next;
	}
	return *result ? 0 : EAI_NONAME;
}

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	size_t		len = node ? strlen(node) : 0;
	FILE	   *names;
	char		line[1024];
	int			rc = EAI_NONAME;

	if (len < 5 || strcmp(node + len - 5, ".test") != 0)
		return ((Lookup) dlsym(RTLD_NEXT, "getaddrinfo")) (node, service, hints, result);
	names = fopen(getenv("TASKSYNC_NAMES"), "r");
	while (names && rc != 0 && fgets(line, sizeof(line), names))
		if (strncmp(line, node, len) == 0 && line[len] == ' ')
			rc = look_up(line + len, service, hints, result);
	if (names)
		fclose(names);
	return rc;
}

int
connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	Connect		real = (Connect) dlsym(RTLD_NEXT, "connect");
	struct sockaddr_in to;

	if (fd >= 0 && fd < MAX_FD)
		shown[fd] = 0;
	if (addr->sa_family != AF_INET)
		return real(fd, addr, len);
	memcpy(&to, addr, sizeof(to));
	if (ntohl(to.sin_addr.s_addr) >> 8 != 0xCB0071 || fd >= MAX_FD)
		return real(fd, addr, len);
	if ((ntohl(to.sin_addr.s_addr) & 0xff) == 9)
	{
		errno = ECONNREFUSED;
		return -1;
	}
	shown[fd] = to.sin_addr.s_addr;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return real(fd, (struct sockaddr *) &to, sizeof(to));
}

int
getpeername(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	int			rc = ((PeerName) dlsym(RTLD_NEXT, "getpeername")) (fd, addr, len);

	if (rc == 0 && addr->sa_family == AF_INET && fd < MAX_FD && shown[fd])
		((struct sockaddr_in *) addr)->sin_addr.s_addr = shown[fd];
	return rc;
}
