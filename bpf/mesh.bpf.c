// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * What one interface receives: counted, sampled, and where asked dropped.
 *
 * Order: headers, deny list, rate limit, flow. Whoever is denied or limited never reaches the tables
 * of flows and peers, so that a flood which is dropped cannot churn them.
 *
 * Each CPU has a table of flows of its own, set-associative like a cache: the hash of a flow chooses
 * a set of eight entries, in which a byte of the hash tells where to look. Beside a look-up in a
 * hash table of the kernel, that is no call, no lock, no list, and one line of memory in place of
 * three, each of which has to be read before the next is known. A flow that has to make room puts
 * what it sent into the traffic of its peer: the traffic of a peer is that and what its flows have.
 *
 * What cannot be parsed is passed and counted as malformed: the kernel decides about it. Built from
 * UAPI headers alone, with no relocation against the kernel's types. The layout of every map is
 * that of actors/xdp/layout.py; a change of one is a change of LAYOUT_VERSION in both.
 */
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define LAYOUT_VERSION 2
#define MAGIC 0x62347834 /* tells our configuration from that of any other program */

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSIONS 6   /* IPv6 extension headers that are walked */
#define BUCKETS 16	   /* of an inter-arrival histogram */
#define FIRST_BUCKET_LOG2 10 /* below 2^10 ns; each further one reaches four times as far */
#define EACH_GAP 16	   /* packets of a flow of which each gap is measured, */
#define SOME_GAPS 15	   /* then one in this many + 1 */
#define NEW_INTERVAL_NS 50000ull /* between new flows on a CPU, in the long run */
#define NEW_BURST_NS (4096 * NEW_INTERVAL_NS)
#define WAYS 8		   /* flows of a set */
#define SEEN_EVERY 256	   /* packets of a flow after which its peer is in use still */
#define CAS_TRIES 8
#define SKEW_NS 1000000000ull /* by which the clocks of CPUs surely agree */

#define IP_OFFSET_OR_MORE 0x3fff /* fragment offset, and "more fragments" */

enum action { PASSED, OTHER, MALFORMED, DENIED, LIMITED, ACTIONS }; /* from DENIED on: dropped */
enum event { NEW_PEER, NEW_FLOW, UNTABLED, LOST_SAMPLE, EVENTS };

struct config {
	__u32 magic;
	__u32 layout;
	__u64 limit_interval_ns; /* between two packets of one source; 0: no limit */
	__u64 limit_burst_ns;	 /* how far a source may be ahead of its rate */
	__u32 deny_v4;		 /* number of entries, so that an empty list costs nothing */
	__u32 deny_v6;
	__u32 rules;		 /* whether there is any of these, so that none costs one look */
	__u32 pad;
	__u64 sample_mask; /* every (mask + 1)th packet of an action on a CPU; all bits: none */
};

struct tally {
	__u64 packets;
	__u64 bytes;
};

/* Of one CPU. */
struct counts {
	struct tally actions[ACTIONS];
	__u64 events[EVENTS];
	__u64 new_due_ns; /* when the next new flow is due */
};

/* IPv4 addresses as ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
struct flow {
	__u64 source[2];
	__u64 destination[2];
	__u64 transport; /* both ports in network order, the protocol, three bytes of zero */
};

/* A flow on one CPU; in one line of the cache. Without packets: there is none. */
struct flow_traffic {
	struct flow flow;
	__u64 packets;
	__u64 bytes;
	__u64 last_ns;
};

/* A gap is the time between two packets of one flow on one CPU. */
struct gaps {
	__u32 counts[BUCKETS];
};

/* Where flows of one hash may be, on one CPU. */
struct set {
	__u64 tags; /* a byte for each way, of the hash of the flow that is there; 0: none */
	__u32 used; /* a bit for each way: a packet came since the hand passed */
	__u32 hand; /* at which way it goes on to look for one that was not used (CLOCK) */
};

/* How flows are found: the same for as long as the tables live. */
struct hashing {
	__u64 key[11]; /* secret, so that nobody can choose flows of one set */
	__u32 sets;    /* of one CPU, a power of two */
	__u32 pad;
};

/* Of the flows that had to make room. */
struct peer_traffic {
	__u64 packets;
	__u64 bytes;
	__u32 gaps[BUCKETS];
};

struct prefix_v4 {
	__u32 length;
	__u32 address;
};

struct prefix_v6 {
	__u32 length;
	__u32 address[4];
};

struct sample {
	__u64 at_ns;
	__u32 length;
	__u8 action;
	__u8 pad[3];
	struct flow flow;
};

/* The only entry of a map of the section's name, without a look-up. */
struct config x0_config SEC(".data.x0_config") = {.sample_mask = ~0ull};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} x0_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64[2]);
	__type(value, struct peer_traffic);
} x0_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hashing);
} x0_hashing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct set);
} x0_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384 * WAYS);
	__type(key, __u32);
	__type(value, struct flow_traffic);
} x0_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384 * WAYS);
	__type(key, __u32);
	__type(value, struct gaps);
} x0_gaps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64[2]);
	__type(value, __u64);
} x0_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct prefix_v4);
	__type(value, __u32);
} x0_deny_v4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct prefix_v6);
	__type(value, __u32);
} x0_deny_v6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} x0_samples SEC(".maps");

/* Set before loading; the verifier removes what they switch off. */
const volatile __u32 x0_tables_on = 1; /* the tables of peers and of flows */

/* What a frame is. */
#define MADE_OF_IP 1 /* it has addresses */
#define OF_IPV4 2
#define CUT_OFF 4 /* it cannot be parsed, or of IP, its transport header cannot */

/* What has been read of a packet. `at` is the first byte that has not; 0: nothing more is. */
struct packet {
	void *at;
	void *end;
	__u8 protocol;
};

/* Two words as they follow one another in memory. */
static __always_inline __u64 joined(__u32 first, __u32 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return first | (__u64)second << 32;
#else
	return (__u64)first << 32 | second;
#endif
}

static __always_inline __u64 transport(__u32 ports, __u8 protocol)
{
	return joined(ports, bpf_htonl((__u32)protocol << 24));
}

static __always_inline __u32 last_word(__u64 both)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return both >> 32;
#else
	return both;
#endif
}

/* Skip Ethernet and VLAN tags; the EtherType in network order, or 0 if it is cut off. */
static __always_inline __be16 link_layer(struct packet *p)
{
	__be16 *tag = p->at + offsetof(struct ethhdr, h_proto), type;
	int i;

	p->at += sizeof(struct ethhdr);
	if (p->at > p->end)
		return 0;
	type = *tag;
#pragma unroll
	for (i = 0; i < MAX_VLAN_TAGS; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		tag = p->at;
		p->at += 4;
		if (p->at > p->end)
			return 0;
		type = tag[1];
	}
	return type;
}

static __always_inline void mapped(__u64 *address, __be32 v4)
{
	address[0] = 0;
	address[1] = joined(bpf_htonl(0xffff), v4);
}

static __always_inline void copied(__u64 *address, const struct in6_addr *from)
{
	address[0] = joined(from->in6_u.u6_addr32[0], from->in6_u.u6_addr32[1]);
	address[1] = joined(from->in6_u.u6_addr32[2], from->in6_u.u6_addr32[3]);
}

/* RFC 791. Fragments have no ports, so that all fragments of a datagram are of one flow. */
static __always_inline int ipv4(struct packet *p, struct flow *flow)
{
	struct iphdr *ip = p->at;
	__u32 length;

	if ((void *)(ip + 1) > p->end || ip->version != 4 || ip->ihl < 5)
		return CUT_OFF;
	length = ip->ihl * 4;
	p->at += length;
	if (p->at > p->end || bpf_ntohs(ip->tot_len) < length)
		return CUT_OFF;
	p->protocol = ip->protocol;
	mapped(flow->source, ip->saddr);
	mapped(flow->destination, ip->daddr);
	if (ip->frag_off & bpf_htons(IP_OFFSET_OR_MORE))
		p->at = 0;
	return MADE_OF_IP | OF_IPV4;
}

/* RFC 8200 4. Behind MAX_EXTENSIONS of them, the next header is taken for the protocol. */
static __always_inline int extensions(struct packet *p)
{
	int i;

#pragma unroll
	for (i = 0; i < MAX_EXTENSIONS; i++) {
		__u8 *header = p->at;
		__u8 kind = p->protocol;

		if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_DSTOPTS &&
		    kind != IPPROTO_FRAGMENT && kind != IPPROTO_AH)
			return 0;
		if ((void *)(header + 8) > p->end)
			return CUT_OFF;
		p->protocol = header[0];
		if (kind == IPPROTO_FRAGMENT)
			break;
		if (kind == IPPROTO_AH) /* RFC 4302 2.2: in words of 4 bytes, less 2 */
			p->at = header + (header[1] + 2) * 4;
		else
			p->at = header + 8 + header[1] * 8;
	}
	p->at = 0;
	return 0;
}

static __always_inline int ipv6(struct packet *p, struct flow *flow)
{
	struct ipv6hdr *ip = p->at;

	p->at = ip + 1;
	if (p->at > p->end || ip->version != 6)
		return CUT_OFF;
	p->protocol = ip->nexthdr;
	copied(flow->source, &ip->saddr);
	copied(flow->destination, &ip->daddr);
	return MADE_OF_IP | extensions(p);
}

static __always_inline int ports(struct packet *p, struct flow *flow)
{
	__u32 *both = p->at;
	__u8 protocol = p->protocol;

	flow->transport = transport(0, protocol);
	if (!p->at || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_SCTP &&
		       protocol != IPPROTO_UDPLITE && protocol != IPPROTO_DCCP))
		return 0;
	if ((void *)(both + 1) > p->end)
		return CUT_OFF;
	flow->transport = transport(*both, protocol);
	return 0;
}

/* What any frame is. */
static __noinline int parsed(struct xdp_md *ctx, struct flow *flow)
{
	struct packet p = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	__be16 type = link_layer(&p);
	int found;

	__builtin_memset(flow, 0, sizeof(*flow));
	if (type == bpf_htons(ETH_P_IP))
		found = ipv4(&p, flow);
	else if (type == bpf_htons(ETH_P_IPV6))
		found = ipv6(&p, flow);
	else
		return type ? 0 : CUT_OFF;
	return found & CUT_OFF ? found : found | ports(&p, flow);
}

/* What most frames are, which is what `parsed` says of them too; 0: not of those. */
static __always_inline int plain(struct xdp_md *ctx, struct flow *flow)
{
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = at + sizeof(struct ethhdr);
	__u32 *both = (void *)(ip + 1);

	if ((void *)(both + 1) > end)
		return 0;
	if (*(__be16 *)(at + offsetof(struct ethhdr, h_proto)) != bpf_htons(ETH_P_IP) ||
	    *(__u8 *)ip != 0x45 || ip->frag_off & bpf_htons(IP_OFFSET_OR_MORE) ||
	    !(ip->tot_len & bpf_htons(0xffe0)) ||
	    (ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_TCP))
		return 0;
	mapped(flow->source, ip->saddr);
	mapped(flow->destination, ip->daddr);
	flow->transport = transport(*both, ip->protocol);
	return MADE_OF_IP | OF_IPV4;
}

static __always_inline int denied(const struct config *c, int found, const struct flow *flow)
{
	if (found & OF_IPV4) {
		struct prefix_v4 key = {.length = 32, .address = last_word(flow->source[1])};

		return c->deny_v4 && bpf_map_lookup_elem(&x0_deny_v4, &key) != 0;
	}
	struct prefix_v6 key = {.length = 128};

	if (!c->deny_v6)
		return 0;
	__builtin_memcpy(key.address, flow->source, 16);
	return bpf_map_lookup_elem(&x0_deny_v6, &key) != 0;
}

/*
 * A token bucket for each source, as a virtual schedule (GCRA, ITU-T I.371): one word, the time at
 * which its next packet is due, which CPUs exchange by compare and swap.
 */
static __noinline int limited(const struct config *c, const struct flow *flow)
{
	__u64 key[2] = {flow->source[0], flow->source[1]};
	__u64 now = bpf_ktime_get_coarse_ns();
	__u64 first = now + c->limit_interval_ns;
	__u64 *due;
	int i;

	due = bpf_map_lookup_elem(&x0_limits, key);
	if (!due) {
		if (!bpf_map_update_elem(&x0_limits, key, &first, BPF_NOEXIST))
			return 0;
		due = bpf_map_lookup_elem(&x0_limits, key); /* another CPU was first */
		if (!due)
			return 0;
	}
	for (i = 0; i < CAS_TRIES; i++) {
		__u64 seen = *(volatile __u64 *)due;
		__u64 start = seen > now ? seen : now;

		/* Farther ahead than this limit allows: of an earlier limit, which was lower. */
		if (start - now > c->limit_burst_ns + c->limit_interval_ns + SKEW_NS)
			start = now;
		if (start - now > c->limit_burst_ns)
			return 1;
		if (__sync_val_compare_and_swap(due, seen, start + c->limit_interval_ns) == seen)
			return 0;
	}
	return 1; /* so many CPUs at once: it is over any rate */
}

static __always_inline __u32 log2_of(__u64 v)
{
	__u32 r = 0;

	if (v >> 32) { v >>= 32; r += 32; }
	if (v >> 16) { v >>= 16; r += 16; }
	if (v >> 8) { v >>= 8; r += 8; }
	if (v >> 4) { v >>= 4; r += 4; }
	if (v >> 2) { v >>= 2; r += 2; }
	return r + (v >> 1 ? 1 : 0);
}

static __always_inline __u32 bucket(__u64 gap_ns)
{
	__u32 log2 = log2_of(gap_ns);
	__u32 at = log2 < FIRST_BUCKET_LOG2 ? 0 : (log2 - FIRST_BUCKET_LOG2) / 2 + 1;

	return at < BUCKETS ? at : BUCKETS - 1;
}

/* The entry of a peer, which is made if there is none, and is in use now. */
static __always_inline struct peer_traffic *peer_of(struct counts *n, const struct flow *flow)
{
	__u64 key[2] = {flow->source[0], flow->source[1]};
	struct peer_traffic none = {}, *peer = bpf_map_lookup_elem(&x0_peers, key);

	if (peer)
		return peer;
	if (!bpf_map_update_elem(&x0_peers, key, &none, BPF_NOEXIST))
		n->events[NEW_PEER] += 1;
	return bpf_map_lookup_elem(&x0_peers, key);
}

/*
 * Every packet is counted. The clock, which costs as much as all the rest, is read for each of the
 * first packets of a flow, then for two in sixteen.
 */
static __always_inline void add(struct counts *n, struct flow_traffic *flow, __u32 at, __u64 length)
{
	__u64 number = flow->packets, now, gap;
	struct gaps *gaps;

	flow->packets = number + 1;
	flow->bytes += length;
	if (number >= EACH_GAP && (number & SOME_GAPS) > 1)
		return;
	now = bpf_ktime_get_ns();
	gap = now > flow->last_ns ? now - flow->last_ns : 0;
	flow->last_ns = now;
	if (number == 0 || (number >= EACH_GAP && (number & SOME_GAPS) == 0))
		return;
	gaps = bpf_map_lookup_elem(&x0_gaps, &at);
	if (gaps)
		gaps->counts[bucket(gap) & (BUCKETS - 1)] += 1;
	if (number % SEEN_EVERY == 1)
		peer_of(n, &flow->flow);
}

/* Whether this CPU may make a new entry: a flood of made-up sources must not push out the others. */
static __always_inline int affordable(struct counts *n)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	__u64 start = n->new_due_ns > now ? n->new_due_ns : now;

	if (start - now > NEW_BURST_NS)
		return 0;
	n->new_due_ns = start + NEW_INTERVAL_NS;
	return 1;
}

/*
 * Strongly universal: multilinear-HM of Lemire and Kaser, "Strongly universal string hashing is
 * fast", 2014.
 */
static __always_inline __u32 hash_of(const struct hashing *h, const struct flow *f)
{
	const __u64 *k = h->key;
	__u64 sum = k[0];

#define MULTIPLIED(at, word) ((k[at] + (__u32)(word)) * (k[at + 1] + ((word) >> 32)))
	sum += MULTIPLIED(1, f->source[0]);
	sum += MULTIPLIED(3, f->source[1]);
	sum += MULTIPLIED(5, f->destination[0]);
	sum += MULTIPLIED(7, f->destination[1]);
	sum += MULTIPLIED(9, f->transport);
	return sum >> 32;
}

static __always_inline int same(const struct flow *a, const struct flow *b)
{
	return !((a->source[0] ^ b->source[0]) | (a->source[1] ^ b->source[1]) |
		 (a->destination[0] ^ b->destination[0]) |
		 (a->destination[1] ^ b->destination[1]) | (a->transport ^ b->transport));
}

#define EACH_BYTE(value) ((value) * 0x0101010101010101ull)

/* The highest bit of each byte that is 0, and perhaps of some above the lowest of those. */
static __always_inline __u64 zeros(__u64 bytes)
{
	return (bytes - EACH_BYTE(1)) & ~bytes & EACH_BYTE(0x80);
}

/* Which byte has the lowest of the bits that `zeros` gives. */
static __always_inline __u32 lowest(__u64 bits)
{
	return (((bits & -bits) >> 7) * 0x0001020304050607ull) >> 56;
}

/* A way that is free, or was not used for long. */
static __always_inline __u32 roomy(struct set *s)
{
	__u64 free = zeros(s->tags);
	__u32 way = 0;
	int i;

	if (free)
		return lowest(free);
	for (i = 0; i < WAYS + 1; i++) {
		way = s->hand++ % WAYS;
		if (!(s->used & 1 << way))
			break;
		s->used &= ~(1 << way);
	}
	return way;
}

/* Put what a flow has sent into the traffic of its peer. */
static __always_inline void tell(struct counts *n, const struct flow_traffic *flow,
				 const struct gaps *gaps)
{
	struct peer_traffic *peer = peer_of(n, &flow->flow);
	int i;

	if (!peer)
		return;
	peer->packets += flow->packets;
	peer->bytes += flow->bytes;
	for (i = 0; i < BUCKETS; i++)
		peer->gaps[i] += gaps->counts[i];
}

/*
 * Make an entry; `place` is its set, and above that its tag. Whoever reads the table meanwhile sees
 * none there until it has packets.
 */
static __noinline void enter(struct counts *n, struct set *s, const struct flow *key, __u64 place,
			     __u64 length)
{
	__u32 way = roomy(s), at = (__u32)place * WAYS + way;
	__u64 tag = place >> 32;
	struct flow_traffic *flow = bpf_map_lookup_elem(&x0_flows, &at);
	struct gaps *gaps = bpf_map_lookup_elem(&x0_gaps, &at);

	if (!flow || !gaps)
		return;
	if (flow->packets)
		tell(n, flow, gaps);
	*(volatile __u64 *)&flow->packets = 0;
	barrier();
	flow->flow = *key;
	flow->bytes = 0;
	__builtin_memset(gaps, 0, sizeof(*gaps));
	barrier();
	s->tags = (s->tags & ~(0xffull << way * 8)) | tag << way * 8;
	n->events[NEW_FLOW] += 1;
	peer_of(n, key);
	add(n, flow, at, length);
}

static __always_inline void count(struct counts *n, const struct flow *key, __u64 length)
{
	__u32 zero = 0, hash, set, tag, at;
	const struct hashing *h = bpf_map_lookup_elem(&x0_hashing, &zero);
	struct set *s;
	__u64 alike;
	int i;

	if (!h)
		goto untabled;
	hash = hash_of(h, key);
	set = bpf_get_smp_processor_id() * h->sets + (hash & (h->sets - 1));
	tag = hash >> 24 ?: 1;
	s = bpf_map_lookup_elem(&x0_sets, &set);
	if (!s)
		goto untabled;
	alike = zeros(s->tags ^ EACH_BYTE(tag));
	for (i = 0; i < WAYS && alike; i++) {
		__u32 way = lowest(alike);
		struct flow_traffic *flow;

		at = set * WAYS + way;
		flow = bpf_map_lookup_elem(&x0_flows, &at);
		if (flow && same(&flow->flow, key)) {
			if (!(s->used & 1 << way))
				s->used |= 1 << way;
			add(n, flow, at, length);
			return;
		}
		alike &= alike - 1;
	}
	if (affordable(n)) {
		enter(n, s, key, (__u64)tag << 32 | set, length);
		return;
	}
untabled:
	n->events[UNTABLED] += 1;
}

static __noinline void sampled(struct counts *n, __u32 action, const struct flow *flow,
			       __u64 length)
{
	struct sample *s = bpf_ringbuf_reserve(&x0_samples, sizeof(*s), 0);

	if (!s) {
		n->events[LOST_SAMPLE] += 1;
		return;
	}
	s->at_ns = bpf_ktime_get_ns();
	s->length = length;
	s->action = action;
	__builtin_memset(s->pad, 0, sizeof(s->pad));
	s->flow = *flow;
	bpf_ringbuf_submit(s, 0);
}

static __always_inline __u32 judged(const struct config *c, struct counts *n, int found,
				    const struct flow *flow, __u64 length)
{
	if (!(found & MADE_OF_IP))
		return found & CUT_OFF ? MALFORMED : OTHER;
	if (c->rules) {
		if (denied(c, found, flow))
			return DENIED;
		if (c->limit_interval_ns && limited(c, flow))
			return LIMITED;
	}
	if (found & CUT_OFF)
		return MALFORMED;
	if (x0_tables_on)
		count(n, flow, length);
	return PASSED;
}

static __always_inline int handled(struct xdp_md *ctx)
{
	__u64 length = bpf_xdp_get_buff_len(ctx);
	__u32 zero = 0, action;
	const struct config *c = &x0_config;
	struct counts *n = bpf_map_lookup_elem(&x0_counts, &zero);
	struct flow flow;
	int found;

	if (!n)
		return XDP_PASS;
	found = plain(ctx, &flow);
	if (!found)
		found = parsed(ctx, &flow);
	action = judged(c, n, found, &flow, length);
	n->actions[action].packets += 1;
	n->actions[action].bytes += length;
	if (!(n->actions[action].packets & c->sample_mask))
		sampled(n, action, &flow, length);
	return action >= DENIED ? XDP_DROP : XDP_PASS;
}

SEC("xdp.frags")
int x0_mesh(struct xdp_md *ctx)
{
	return handled(ctx);
}

/* For drivers that refuse programs which take packets in several buffers. */
SEC("xdp")
int x0_mesh_linear(struct xdp_md *ctx)
{
	return handled(ctx);
}

/* How this object was built; `make -C bpf` gives both. The kernel does not see it. */
const char x0_built[] SEC(".x0.built") = "source=" SOURCE_HASH " compiler=" __VERSION__;

char LICENSE[] SEC("license") = "GPL";
