/*-------------------------------------------------------------------------
 *
 * host.c
 *	  Which hosts may be reached, and which may see credentials.
 *
 * Addresses are judged after resolving, when the socket is opened: a name that
 * resolves to something else the second time (DNS rebinding) gains nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include "net/host.h"

typedef struct Range4
{
	uint32		net;
	int			bits;
} Range4;

/* RFC 6890 and its successors: what is not the public Internet */
static const Range4 private4[] = {
	{0x00000000, 8},			/* this network */
	{0x0A000000, 8},			/* private */
	{0x64400000, 10},			/* carrier-grade NAT */
	{0x7F000000, 8},			/* loopback */
	{0xA9FE0000, 16},			/* link-local, cloud metadata */
	{0xAC100000, 12},			/* private */
	{0xC0000000, 24},			/* protocol assignments */
	{0xC0586300, 24},			/* relays into IPv6 (6to4) */
	{0xC0A80000, 16},			/* private */
	{0xC6120000, 15},			/* benchmarking */
	{0xE0000000, 3}				/* multicast and reserved */
};

static bool
is_private4(uint32 addr)
{
	for (int i = 0; i < lengthof(private4); i++)
		if ((addr ^ private4[i].net) >> (32 - private4[i].bits) == 0)
			return true;
	return false;
}

/*
 * The IPv4 address inside an IPv6 one.  Where each of these forms has it; what a
 * host or a router on the way makes of the form is to send IPv4 there.
 */
typedef struct Embedding
{
	unsigned char prefix[12];
	int			len;			/* of the prefix, bytes */
	int			at;				/* of the address */
} Embedding;

static const Embedding embeddings[] = {
	{{0}, 12, 12},				/* v4-compatible */
	{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 12, 12},	/* v4-mapped */
	{{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}, 12, 12},	/* translated, RFC 2765 */
	{{0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}, 12, 12}, /* NAT64, RFC 6052 */
	{{0x20, 0x02}, 2, 2},		/* 6to4, RFC 3056 */
};

static bool
embedded4(const struct in6_addr *a, uint32 *addr)
{
	for (int i = 0; i < lengthof(embeddings); i++)
	{
		if (memcmp(a->s6_addr, embeddings[i].prefix, embeddings[i].len) != 0)
			continue;
		memcpy(addr, &a->s6_addr[embeddings[i].at], 4);
		*addr = ntohl(*addr);
		return true;
	}
	return false;
}

/* What is private whatever may be inside. */
static bool
is_private6(const struct in6_addr *a)
{
	static const unsigned char local_nat64[6] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
	static const unsigned char teredo[4] = {0x20, 0x01, 0x00, 0x00};

	return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) ||
		(a->s6_addr[0] & 0xfe) == 0xfc ||	/* unique local */
		IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_SITELOCAL(a) || IN6_IS_ADDR_MULTICAST(a) ||
		memcmp(a->s6_addr, local_nat64, sizeof(local_nat64)) == 0 ||	/* RFC 8215 */
		memcmp(a->s6_addr, teredo, sizeof(teredo)) == 0;	/* RFC 4380 */
}

bool
ts_address_is_private(const struct sockaddr *addr)
{
	const struct in6_addr *a;
	uint32		v4;

	if (addr->sa_family == AF_INET)
		return is_private4(ntohl(((const struct sockaddr_in *) addr)->sin_addr.s_addr));
	if (addr->sa_family != AF_INET6)
		return true;
	a = &((const struct sockaddr_in6 *) addr)->sin6_addr;
	return is_private6(a) || (embedded4(a, &v4) && is_private4(v4));
}

bool
ts_address_is_loopback(const struct sockaddr *addr)
{
	uint32		v4 = 0;

	if (addr->sa_family == AF_INET)
		v4 = ntohl(((const struct sockaddr_in *) addr)->sin_addr.s_addr);
	else if (addr->sa_family == AF_INET6)
	{
		const struct in6_addr *a = &((const struct sockaddr_in6 *) addr)->sin6_addr;

		if (IN6_IS_ADDR_LOOPBACK(a))
			return true;
		if (!IN6_IS_ADDR_V4MAPPED(a))
			return false;
		memcpy(&v4, &a->s6_addr[12], 4);
		v4 = ntohl(v4);
	}
	return v4 >> 24 == 127;
}

typedef struct UrlParts
{
	char	   *scheme;
	char	   *host;
	char	   *port;
} UrlParts;

static void
free_parts(UrlParts *p)
{
	curl_free(p->scheme);
	curl_free(p->host);
	curl_free(p->port);
}

static bool
split_url(const char *url, UrlParts *p)
{
	CURLU	   *u = curl_url();
	bool		ok;

	memset(p, 0, sizeof(*p));
	ok = u != NULL &&
		curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_SCHEME, &p->scheme, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_HOST, &p->host, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_PORT, &p->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	curl_url_cleanup(u);
	if (!ok)
		free_parts(p);
	return ok;
}

bool
ts_same_origin(const char *origin, const char *url)
{
	UrlParts	a,
				b;
	bool		same;

	if (!split_url(origin, &a))
		return false;
	if (!split_url(url, &b))
	{
		free_parts(&a);
		return false;
	}
	same = pg_strcasecmp(a.host, b.host) == 0 &&
		((strcmp(a.scheme, b.scheme) == 0 && strcmp(a.port, b.port) == 0) ||
		 (strcmp(a.scheme, "http") == 0 && strcmp(a.port, "80") == 0 &&
		  strcmp(b.scheme, "https") == 0 && strcmp(b.port, "443") == 0));
	free_parts(&a);
	free_parts(&b);
	return same;
}

bool
ts_url_is_loopback(const char *url)
{
	UrlParts	p;
	struct in6_addr v6;
	bool		loopback;

	if (!split_url(url, &p))
		return false;
	loopback = pg_strcasecmp(p.host, "localhost") == 0 || strncmp(p.host, "127.", 4) == 0;
	if (!loopback && p.host[0] == '[')
	{
		char	   *end = strchr(p.host, ']');

		if (end)
			*end = '\0';
		loopback = inet_pton(AF_INET6, p.host + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
	}
	free_parts(&p);
	return loopback;
}

bool
ts_url_is_https(const char *url)
{
	return pg_strncasecmp(url, "https://", 8) == 0;
}
