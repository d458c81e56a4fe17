// The FFmpeg calls that Swift cannot import (macros, anonymous enums) or whose types differ between
// FFmpeg 5 and 8. Everything here is `static inline` and carries the prefix `kino_`.

#ifndef KINO_CFFMPEG_SHIM_H
#define KINO_CFFMPEG_SHIM_H

#include <errno.h>
#include <stdint.h>

#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/cpu.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

// Status codes.

static inline int kino_status_again(void) { return AVERROR(EAGAIN); }
static inline int kino_status_end(void) { return AVERROR_EOF; }
static inline int kino_status_of_errno(int code) { return AVERROR(code); }
static inline int kino_errno_of_status(int status) { return AVUNERROR(status); }
static inline int64_t kino_no_timestamp(void) { return AV_NOPTS_VALUE; }
static inline int kino_seek_size(void) { return AVSEEK_SIZE; }

// Reading.

static inline int kino_refuse_open(struct AVFormatContext *context, AVIOContext **io,
                                   const char *url, int flags, AVDictionary **options) {
  (void)context; (void)io; (void)url; (void)flags; (void)options;
  return AVERROR(EPERM);
}

/// Makes a demuxer unable to open any file besides the one it was given.
static inline void kino_refuse_nested_files(AVFormatContext *context) {
  context->io_open = kino_refuse_open;
}

/// The display matrix (nine 16.16 numbers) of a stream, or NULL.
static inline const int32_t *kino_stream_display_matrix(const AVStream *stream) {
#if LIBAVCODEC_VERSION_MAJOR >= 61
  const AVPacketSideData *side = av_packet_side_data_get(
      stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data,
      AV_PKT_DATA_DISPLAYMATRIX);
  return side && side->size >= 9 * sizeof(int32_t) ? (const int32_t *)side->data : NULL;
#else
  size_t size = 0;
  const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return data && size >= 9 * sizeof(int32_t) ? (const int32_t *)data : NULL;
#endif
}

/// The display matrix attached to a decoded frame, or NULL.
static inline const int32_t *kino_frame_display_matrix(const AVFrame *frame) {
  const AVFrameSideData *side = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
  return side && side->size >= 9 * sizeof(int32_t) ? (const int32_t *)side->data : NULL;
}

/// How long a decoded frame is shown, in the stream's time base; 0 if unknown.
static inline int64_t kino_frame_duration(const AVFrame *frame) {
#if LIBAVUTIL_VERSION_MAJOR >= 58
  return frame->duration;
#else
  return frame->pkt_duration;
#endif
}

static inline void kino_set_frame_duration(AVFrame *frame, int64_t duration) {
#if LIBAVUTIL_VERSION_MAJOR >= 58
  frame->duration = duration;
#else
  frame->pkt_duration = duration;
#endif
}

/// Cuts a frame by moving its pointers; copies nothing.
static inline int kino_frame_crop(AVFrame *frame, size_t left, size_t top, size_t right,
                                  size_t bottom) {
  frame->crop_left = left;
  frame->crop_top = top;
  frame->crop_right = right;
  frame->crop_bottom = bottom;
  return av_frame_apply_cropping(frame, AV_FRAME_CROP_UNALIGNED);
}

// Conversion. `void *` because SwsContext is opaque before FFmpeg 8 and a plain struct since.

typedef struct {
  int width, height;
  enum AVPixelFormat format;
  int matrix;      // SWS_CS_*
  int full_range;  // 0 or 1
  int chroma_x, chroma_y;  // position of the chroma sample, 1/256 of a luma pixel; -513: default
} kino_picture_layout;

static inline void *kino_scaler_create(kino_picture_layout from, kino_picture_layout to,
                                       int averages) {
  struct SwsContext *scaler = sws_alloc_context();
  if (!scaler) return NULL;
  int flags = (averages ? SWS_AREA : SWS_BICUBIC) | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT |
              SWS_FULL_CHR_H_INP | SWS_BITEXACT;
  av_opt_set_int(scaler, "sws_flags", flags, 0);
  av_opt_set_int(scaler, "srcw", from.width, 0);
  av_opt_set_int(scaler, "srch", from.height, 0);
  av_opt_set_int(scaler, "src_format", from.format, 0);
  av_opt_set_int(scaler, "src_range", from.full_range, 0);
  av_opt_set_int(scaler, "src_h_chr_pos", from.chroma_x, 0);
  av_opt_set_int(scaler, "src_v_chr_pos", from.chroma_y, 0);
  av_opt_set_int(scaler, "dstw", to.width, 0);
  av_opt_set_int(scaler, "dsth", to.height, 0);
  av_opt_set_int(scaler, "dst_format", to.format, 0);
  av_opt_set_int(scaler, "dst_range", to.full_range, 0);
  av_opt_set_int(scaler, "dst_h_chr_pos", to.chroma_x, 0);
  av_opt_set_int(scaler, "dst_v_chr_pos", to.chroma_y, 0);
  if (sws_init_context(scaler, NULL, NULL) < 0) {
    sws_freeContext(scaler);
    return NULL;
  }
  // Fails only for pairs of formats that need no matrix.
  sws_setColorspaceDetails(scaler, sws_getCoefficients(from.matrix), from.full_range,
                           sws_getCoefficients(to.matrix), to.full_range, 0, 1 << 16, 1 << 16);
  return scaler;
}

static inline int kino_scaler_convert(void *scaler, const AVFrame *from, AVFrame *to) {
  return sws_scale((struct SwsContext *)scaler, (const uint8_t *const *)from->data, from->linesize,
                   0, from->height, to->data, to->linesize);
}

static inline void kino_scaler_free(void *scaler) { sws_freeContext((struct SwsContext *)scaler); }

// Sound. A resampler keeps the number of channels, up to two, and gives planes of floats.

static inline void *kino_resampler_create(const AVFrame *from, int rate) {
  AVChannelLayout in = {0}, out = {0};
  int channels = from->ch_layout.nb_channels;
  SwrContext *resampler = NULL;
  if (channels < 1 || channels > 64 || from->sample_rate < 1) return NULL;
  if (from->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
    av_channel_layout_default(&in, channels);
  else if (av_channel_layout_copy(&in, &from->ch_layout) < 0)
    return NULL;
  av_channel_layout_default(&out, channels < 2 ? channels : 2);
  int status = swr_alloc_set_opts2(&resampler, channels < 2 ? &in : &out, AV_SAMPLE_FMT_FLTP, rate,
                                   &in, (enum AVSampleFormat)from->format, from->sample_rate, 0,
                                   NULL);
  // Many channels into two must not get louder than 1.
  if (status >= 0) status = av_opt_set_double(resampler, "rematrix_maxval", 1, 0);
  if (status >= 0) status = swr_init(resampler);
  if (status < 0) swr_free(&resampler);
  av_channel_layout_uninit(&in);
  av_channel_layout_uninit(&out);
  return resampler;
}

/// The most samples that converting `count` more may give, in each channel.
static inline int kino_resampler_capacity(void *resampler, int count) {
  return swr_get_out_samples((SwrContext *)resampler, count);
}

/// How many samples of the result it holds back.
static inline int64_t kino_resampler_delay(void *resampler, int rate) {
  return swr_get_delay((SwrContext *)resampler, rate);
}

/// Converts a frame, or with NULL gives what was held back. Returns the samples in each channel.
static inline int kino_resampler_convert(void *resampler, const AVFrame *from, float *left,
                                         float *right, int capacity) {
  uint8_t *planes[2] = {(uint8_t *)left, (uint8_t *)right};
  return swr_convert((SwrContext *)resampler, planes, capacity,
                     from ? (const uint8_t **)from->extended_data : NULL,
                     from ? from->nb_samples : 0);
}

static inline void kino_resampler_free(void *resampler) {
  SwrContext *owned = (SwrContext *)resampler;
  swr_free(&owned);
}

#endif
