// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * What one interface receives: counted, sampled, and where asked dropped.
 *
 * Order: source address, deny list, rate limit, ports, peer and flow. Whoever is denied or limited
 * never reaches the tables of peers and flows, so that a flood which is dropped cannot churn them.
 *
 * What cannot be parsed is passed and counted as malformed: the kernel decides about it. Built from
 * UAPI headers alone, with no relocation against the kernel's types. The layout of every map is
 * that of actors/xdp/layout.py; a change of one is a change of LAYOUT_VERSION in both.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define LAYOUT_VERSION 1
#define MAGIC 0x62347834 /* tells our configuration from that of any other program */

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSIONS 6   /* IPv6 extension headers that are walked */
#define BUCKETS 16	   /* of an inter-arrival histogram */
#define FIRST_BUCKET_LOG2 10 /* below 2^10 ns; each further one reaches four times as far */
#define EACH_GAP 16	   /* packets of a flow of which each gap is measured, */
#define SOME_GAPS 15	   /* then one in this many + 1 */
#define NEW_INTERVAL_NS 50000ull /* between new flows on a CPU, in the long run */
#define NEW_BURST_NS (4096 * NEW_INTERVAL_NS)
#define CAS_TRIES 8
#define SKEW_NS 1000000000ull /* by which the clocks of CPUs surely agree */

#define IP_OFFSET_OR_MORE 0x3fff /* fragment offset, and "more fragments" */

enum action { PASSED, OTHER, MALFORMED, DENIED, LIMITED, ACTIONS };
enum event { NEW_PEER, NEW_FLOW, UNTABLED, LOST_SAMPLE, EVENTS };

struct config {
	__u32 magic;
	__u32 layout;
	__u64 limit_interval_ns; /* between two packets of one source; 0: no limit */
	__u64 limit_burst_ns;	 /* how far a source may be ahead of its rate */
	__u32 deny_v4;		 /* number of entries, so that an empty list costs nothing */
	__u32 deny_v6;
	__u32 sample_mask; /* every (mask + 1)th packet of an action on a CPU */
	__u32 sample_on;
};

struct tally {
	__u64 packets;
	__u64 bytes;
};

struct peer {
	__u8 address[16]; /* IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2) */
};

struct flow {
	__u8 source[16];
	__u8 destination[16];
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
};

/* Of one CPU. A gap is the time between two packets of one flow on that CPU. */
struct flow_traffic {
	__u64 packets;
	__u64 bytes;
	__u64 last_ns;
	__u32 untold_packets; /* that are not in the traffic of the peer yet */
	__u32 untold_bytes;
	__u32 gaps[BUCKETS];
};

struct peer_traffic {
	__u64 packets;
	__u64 bytes;
	__u32 gaps[BUCKETS];
};

struct prefix_v4 {
	__u32 length;
	__u8 address[4];
};

struct prefix_v6 {
	__u32 length;
	__u8 address[16];
};

struct sample {
	__u64 at_ns;
	__u32 length;
	__u8 action;
	__u8 pad[3];
	struct flow flow;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} x0_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ACTIONS);
	__type(key, __u32);
	__type(value, struct tally);
} x0_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENTS);
	__type(key, __u32);
	__type(value, __u64);
} x0_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct peer);
	__type(value, struct peer_traffic);
} x0_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow);
	__type(value, struct flow_traffic);
} x0_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} x0_pace SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct peer);
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

/* What has been read of a packet. `at` is the first byte that has not. */
struct packet {
	void *at;
	void *end;
	struct flow flow;
	__u8 is_v4;
	__u8 whole; /* its transport header can be read, or is of no interest */
};

static __always_inline void note(__u32 event)
{
	__u64 *count = bpf_map_lookup_elem(&x0_events, &event);

	if (count)
		*count += 1;
}

/* Skip Ethernet and VLAN tags; the EtherType in network order, or 0 if it is cut off. */
static __always_inline __be16 link_layer(struct packet *p)
{
	struct ethhdr *ethernet = p->at;
	__be16 type;
	int i;

	if ((void *)(ethernet + 1) > p->end)
		return 0;
	type = ethernet->h_proto;
	p->at = ethernet + 1;
#pragma unroll
	for (i = 0; i < MAX_VLAN_TAGS; i++) {
		__be16 *tag = p->at;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 2) > p->end)
			return 0;
		type = tag[1];
		p->at = tag + 2;
	}
	return type;
}

static __always_inline void mapped(__u8 *address, __be32 v4)
{
	__u32 *words = (__u32 *)address;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = v4;
}

/* RFC 791. Fragments have no ports, so that all fragments of a datagram are of one flow. */
static __always_inline int ipv4(struct packet *p)
{
	struct iphdr *ip = p->at;
	__u32 length;

	if ((void *)(ip + 1) > p->end || ip->version != 4 || ip->ihl < 5)
		return -1;
	length = ip->ihl * 4;
	if (p->at + length > p->end || bpf_ntohs(ip->tot_len) < length)
		return -1;
	mapped(p->flow.source, ip->saddr);
	mapped(p->flow.destination, ip->daddr);
	p->is_v4 = 1;
	p->flow.protocol = ip->protocol;
	p->at += length;
	if (ip->frag_off & bpf_htons(IP_OFFSET_OR_MORE))
		p->at = 0;
	return 0;
}

/* RFC 8200 4. Behind MAX_EXTENSIONS of them, the next header is taken for the protocol. */
static __always_inline void extensions(struct packet *p)
{
	int i;

#pragma unroll
	for (i = 0; i < MAX_EXTENSIONS; i++) {
		__u8 *header = p->at;
		__u8 kind = p->flow.protocol;

		if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_DSTOPTS &&
		    kind != IPPROTO_FRAGMENT && kind != IPPROTO_AH)
			return;
		if ((void *)(header + 8) > p->end) {
			p->whole = 0;
			return;
		}
		p->flow.protocol = header[0];
		if (kind == IPPROTO_FRAGMENT) {
			p->at = 0;
			return;
		}
		if (kind == IPPROTO_AH) /* RFC 4302 2.2: in words of 4 bytes, less 2 */
			p->at = header + (header[1] + 2) * 4;
		else
			p->at = header + 8 + header[1] * 8;
	}
	p->at = 0;
}

static __always_inline int ipv6(struct packet *p)
{
	struct ipv6hdr *ip = p->at;

	if ((void *)(ip + 1) > p->end || ip->version != 6)
		return -1;
	__builtin_memcpy(p->flow.source, &ip->saddr, 16);
	__builtin_memcpy(p->flow.destination, &ip->daddr, 16);
	p->flow.protocol = ip->nexthdr;
	p->at = ip + 1;
	return 0;
}

static __always_inline void ports(struct packet *p)
{
	__be16 *port = p->at;
	__u8 protocol = p->flow.protocol;

	if (!p->at)
		return;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_SCTP &&
	    protocol != IPPROTO_UDPLITE && protocol != IPPROTO_DCCP)
		return;
	if ((void *)(port + 2) > p->end) {
		p->whole = 0;
		return;
	}
	p->flow.source_port = port[0];
	p->flow.destination_port = port[1];
}

static __always_inline int denied(const struct config *c, const struct packet *p)
{
	if (p->is_v4) {
		struct prefix_v4 key = {.length = 32};

		if (!c->deny_v4)
			return 0;
		__builtin_memcpy(key.address, p->flow.source + 12, 4);
		return bpf_map_lookup_elem(&x0_deny_v4, &key) != 0;
	}
	struct prefix_v6 key = {.length = 128};

	if (!c->deny_v6)
		return 0;
	__builtin_memcpy(key.address, p->flow.source, 16);
	return bpf_map_lookup_elem(&x0_deny_v6, &key) != 0;
}

/*
 * A token bucket for each source, as a virtual schedule (GCRA, ITU-T I.371): one word, the time at
 * which its next packet is due, which CPUs exchange by compare and swap.
 */
static __always_inline int limited(const struct config *c, const struct packet *p)
{
	struct peer key;
	__u64 now = bpf_ktime_get_coarse_ns();
	__u64 first = now + c->limit_interval_ns;
	__u64 *due;
	int i;

	__builtin_memcpy(key.address, p->flow.source, 16);
	due = bpf_map_lookup_elem(&x0_limits, &key);
	if (!due) {
		if (!bpf_map_update_elem(&x0_limits, &key, &first, BPF_NOEXIST))
			return 0;
		due = bpf_map_lookup_elem(&x0_limits, &key); /* another CPU was first */
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

/* Put what the flow has not told yet, and a gap if there is one, into the traffic of its peer. */
static __always_inline void tell(const struct flow *key, struct flow_traffic *flow, int gap)
{
	struct peer_traffic first = {.packets = flow->untold_packets, .bytes = flow->untold_bytes};
	struct peer_traffic *peer = bpf_map_lookup_elem(&x0_peers, key->source);

	if (!peer && !bpf_map_update_elem(&x0_peers, key->source, &first, BPF_NOEXIST)) {
		note(NEW_PEER);
	} else {
		if (!peer) /* another CPU was first */
			peer = bpf_map_lookup_elem(&x0_peers, key->source);
		if (!peer)
			return;
		peer->packets += flow->untold_packets;
		peer->bytes += flow->untold_bytes;
		if (gap >= 0)
			peer->gaps[gap & (BUCKETS - 1)] += 1;
	}
	flow->untold_packets = 0;
	flow->untold_bytes = 0;
}

/*
 * Every packet is counted. The clock, which costs as much as a look-up, is read and the peer is
 * told for each of the first packets of a flow, then for two in sixteen.
 */
static __always_inline void add(const struct flow *key, struct flow_traffic *flow, __u64 length)
{
	__u64 number = flow->packets, now;
	int gap = -1;

	flow->packets = number + 1;
	flow->bytes += length;
	flow->untold_packets += 1;
	flow->untold_bytes += length;
	if (number >= EACH_GAP && (number & SOME_GAPS) > 1)
		return;
	now = bpf_ktime_get_ns();
	if (number > 0 && (number < EACH_GAP || (number & SOME_GAPS) == 1)) {
		gap = bucket(now > flow->last_ns ? now - flow->last_ns : 0);
		flow->gaps[gap & (BUCKETS - 1)] += 1;
	}
	flow->last_ns = now;
	if (number < EACH_GAP || gap >= 0)
		tell(key, flow, gap);
}

/* Whether this CPU may make a new entry: a flood of made-up sources must not push out the others. */
static __always_inline int affordable(void)
{
	__u64 now = bpf_ktime_get_coarse_ns(), start;
	__u32 zero = 0;
	__u64 *due = bpf_map_lookup_elem(&x0_pace, &zero);

	if (!due)
		return 0;
	start = *due > now ? *due : now;
	if (start - now > NEW_BURST_NS)
		return 0;
	*due = start + NEW_INTERVAL_NS;
	return 1;
}

static __always_inline void count(const struct flow *key, __u64 length)
{
	struct flow_traffic *known = bpf_map_lookup_elem(&x0_flows, key);
	struct flow_traffic first = {};

	if (!known && affordable()) {
		if (!bpf_map_update_elem(&x0_flows, key, &first, BPF_NOEXIST))
			note(NEW_FLOW);
		known = bpf_map_lookup_elem(&x0_flows, key);
	}
	if (known)
		add(key, known, length);
	else
		note(UNTABLED);
}

static __always_inline void sampled(const struct config *c, const struct tally *total, __u32 action,
				    const struct packet *p, __u64 length)
{
	struct sample *s;

	if (!c->sample_on || (total->packets & c->sample_mask))
		return;
	s = bpf_ringbuf_reserve(&x0_samples, sizeof(*s), 0);
	if (!s) {
		note(LOST_SAMPLE);
		return;
	}
	s->at_ns = bpf_ktime_get_ns();
	s->length = length;
	s->action = action;
	__builtin_memset(s->pad, 0, sizeof(s->pad));
	s->flow = p->flow;
	bpf_ringbuf_submit(s, 0);
}

static __always_inline __u32 judged(const struct config *c, struct packet *p, __u64 length)
{
	__be16 type;
	int bad;

	type = link_layer(p);
	if (!type)
		return MALFORMED;
	if (type == bpf_htons(ETH_P_IP))
		bad = ipv4(p);
	else if (type == bpf_htons(ETH_P_IPV6))
		bad = ipv6(p);
	else
		return OTHER;
	if (bad)
		return MALFORMED;
	if (denied(c, p))
		return DENIED;
	if (c->limit_interval_ns && limited(c, p))
		return LIMITED;
	if (!p->is_v4)
		extensions(p);
	ports(p);
	if (!p->whole)
		return MALFORMED;
	if (x0_tables_on)
		count(&p->flow, length);
	return PASSED;
}

static __always_inline int handled(struct xdp_md *ctx)
{
	struct packet p = {
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.whole = 1,
	};
	__u64 length = bpf_xdp_get_buff_len(ctx);
	__u32 zero = 0, action;
	const struct config *c = bpf_map_lookup_elem(&x0_config, &zero);
	struct tally *total;

	if (!c)
		return XDP_PASS;
	action = judged(c, &p, length);
	total = bpf_map_lookup_elem(&x0_totals, &action);
	if (!total)
		return XDP_PASS;
	total->packets += 1;
	total->bytes += length;
	sampled(c, total, action, &p, length);
	return action == DENIED || action == LIMITED ? XDP_DROP : XDP_PASS;
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
