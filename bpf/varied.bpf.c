// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * The program of mesh.bpf.c with sources that vary, to measure what many of them cost: a test run
 * gives it the same frame each time.
 */
#include "mesh.bpf.c"

#define SOURCE_OFFSET 26 /* of the IPv4 source address, without a VLAN tag */

/* Set before loading: how many sources take turns, less 1. */
const volatile __u32 x0_last_source = 0xffff;

static __always_inline void vary(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__be32 *source = data + SOURCE_OFFSET;

	if ((void *)(source + 1) > end)
		return;
	*source = bpf_htonl(0x0b000000 | ((bpf_ntohl(*source) + 1) & x0_last_source));
}

SEC("xdp.frags")
int x0_varied(struct xdp_md *ctx)
{
	vary(ctx);
	return handled(ctx);
}
