// The demultiplexer of animated WebP, which FFmpeg before 8 can't read.

#ifndef KINO_CWEBP_SHIM_H
#define KINO_CWEBP_SHIM_H

#include <webp/demux.h>

#endif
