/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The fast path, or what stands in for it. */
#ifndef HNV_FAST_H
#define HNV_FAST_H

#ifdef HNV_SLOW
#include "established_none.h"
#else
#include "established_skb.h"
#endif

#endif
