// Convolutions with kernels of 3x3 in space, any reach in time, by minimal filtering in float32: a quarter of
// the products. Every instruction set and thread count shares one order of sums.
//
// Unlike cuDNN's and oneDNN's, the transform of a frame is shared by all kernels in time that see it: with
// the tiles of a frame lying next to each other, the next frame is the same matrix some rows further down.
#include "winograd.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "parallel.h"
#include "shim.h"

namespace kino {
namespace {

using namespace winograd;

constexpr int64_t kMostKernelNumbers = int64_t{4} << 20;  // of transformed kernels at a time
constexpr int64_t kMostTileNumbers = int64_t{2} << 20;    // of transformed tiles at a time, but
constexpr int64_t kFewestRows = 192;                      // not so few that kernels are transformed for nothing
constexpr int64_t kDepth = 384;                           // channels that a product takes at a time
constexpr int64_t kBand = 240;                            // rows per task, a multiple of kMostRows

// Numbers from one point's plane to the next: planes start in different sets of the first-level cache.
int64_t plane(int64_t count) { return rounded_up(count, 1024) + 16; }

struct Shape {
  int64_t samples, frames, height, width;  // of the results
  int64_t inputs, outputs, reach;          // kernels see `reach` frames
  int64_t before, past, held;              // frames seen: zeros, those of the past, the input's, then zeros
  bool doubles;                            // inputs have half the height and width: each is seen four times

  int64_t seen_frames() const { return frames + reach - 1; }
  int64_t columns() const { return divided_up(width, kTile); }
  int64_t tiles() const { return samples * divided_up(height, kTile) * columns(); }
};

// Some tiles of every frame.
struct Chunk {
  int64_t first, count;
};

struct Corner {
  int64_t sample, y, x;
};

Corner corner(const Shape &shape, int64_t tile) {
  const int64_t across = shape.columns(), down = divided_up(shape.height, kTile);
  return {tile / (across * down), tile / across % down * kTile, tile % across * kTile};
}

// Calls body for parts of the chunks that keep both kinds of transformed tiles small.
template <typename Body>
void for_each_chunk(const Shape &shape, int64_t outputs, const Body &body) {
  const int64_t numbers = kPoints * (shape.seen_frames() * shape.inputs + shape.frames * outputs);
  const int64_t fewest = divided_up(kFewestRows, shape.frames);
  const int64_t most = std::min(std::max(kMostTileNumbers / numbers, fewest), shape.tiles());
  for (int64_t first = 0; first < shape.tiles(); first += most) {
    body(Chunk{first, std::min(most, shape.tiles() - first)});
  }
}

// -- Transforms

// Frames [samples, frames, height, width, channels]: the input and what came before it.
template <typename T>
struct Source {
  const T *past, *present;
};

// Of all frames seen, to [point][frame][tile][channel].
template <typename T>
void transform_inputs(Source<T> x, const Shape &shape, Chunk chunk, float *out, int64_t out_plane) {
  const int half = shape.doubles ? 1 : 0;
  const int64_t channels = shape.inputs, row = (shape.width >> half) * channels, size = (shape.height >> half) * row;
  const std::vector<T> nothing(static_cast<size_t>(channels));
  constexpr int64_t kRun = 4;  // lanes at a time
  const auto level = simd();
  parallel_for(0, shape.seen_frames() * chunk.count, 4, [&](int64_t begin, int64_t end) {
    with_simd(level, [&]() KINO_INLINED {
      for (int64_t item = begin; item < end; ++item) {
        const auto [sample, top, left] = corner(shape, chunk.first + item % chunk.count);
        const int64_t old = item / chunk.count - shape.before, frame = old - shape.past;
        const bool is_held = old >= 0 && frame < shape.held;
        const T *from = frame < 0 ? x.past + (sample * shape.past + old) * size
                                  : x.present + (sample * shape.held + frame) * size;
        const T *pixels[kPoints];
        for (int i = 0; i < kPoints; ++i) {
          const int64_t y = top + i / kPatch - 1, at = left + i % kPatch - 1;
          const bool is_inside = is_held && y >= 0 && y < shape.height && at >= 0 && at < shape.width;
          pixels[i] = is_inside ? from + (y >> half) * row + (at >> half) * channels : nothing.data();
        }
        for (int64_t c = 0; c < channels; c += kRun * kLanes) {
          const int64_t run = std::min(kRun, (channels - c) / kLanes);
          Lanes points[kPoints][kRun];
          for (int64_t r = 0; r < run; ++r) {
            Lanes patch[kPoints], half[kPoints];
#pragma clang loop unroll(full)
            for (int i = 0; i < kPoints; ++i) read(pixels[i] + c + r * kLanes, patch[i]);
            for (int j = 0; j < kPatch; ++j) evaluate_input(patch + j, half + j, kPatch, kPatch);
            for (int i = 0; i < kPatch; ++i) evaluate_input(half + i * kPatch, &points[i * kPatch][r], 1, kRun);
          }
          for (int p = 0; p < kPoints; ++p) {
            float *to = out + p * out_plane + item * channels + c;
            write_run<kRun>(to, points[p], run);
          }
        }
      }
    });
  });
}

// Of gradients of the results, to [point][frame][tile][output], `stride` numbers from tile to tile.
template <typename T>
void transform_gradients(const T *dy, const Shape &shape, Chunk chunk, float *out, int64_t out_plane, int64_t stride) {
  const int64_t channels = shape.outputs, row = shape.width * channels;
  const auto level = simd();
  parallel_for(0, shape.frames * chunk.count, 4, [&](int64_t begin, int64_t end) {
    with_simd(level, [&]() KINO_INLINED {
      for (int64_t item = begin; item < end; ++item) {
        const auto [sample, top, left] = corner(shape, chunk.first + item % chunk.count);
        const T *from = dy + (sample * shape.frames + item / chunk.count) * shape.height * row;
        for (int64_t c = 0; c < channels; c += kLanes) {
          Lanes patch[kPoints] = {}, half[kPoints];
          for (int64_t i = 0; i < std::min<int64_t>(kTile, shape.height - top); ++i) {
            for (int64_t j = 0; j < std::min<int64_t>(kTile, shape.width - left); ++j) {
              read(from + (top + i) * row + (left + j) * channels + c, patch[i * kPatch + j]);
            }
          }
          for (int j = 0; j < kTile; ++j) evaluate_gradient(patch + j, half + j, kPatch);
          for (int i = 0; i < kPatch; ++i) evaluate_gradient(half + i * kPatch, patch + i * kPatch, 1);
          for (int p = 0; p < kPoints; ++p) write(out + p * out_plane + item * stride + c, patch[p]);
        }
      }
    });
  });
}

// From [point][frame][tile][output] to y [samples, frames, height, width, outputs]: `count` outputs from `first`.
template <typename T>
void transform_outputs(const float *from, int64_t from_plane, int64_t stride, const float *bias, const Shape &shape,
                       Chunk chunk, int64_t first, int64_t count, T *y) {
  const int64_t row = shape.width * shape.outputs;
  const auto level = simd();
  parallel_for(0, shape.frames * chunk.count, 4, [&](int64_t begin, int64_t end) {
    with_simd(level, [&]() KINO_INLINED {
      for (int64_t item = begin; item < end; ++item) {
        const auto [sample, top, left] = corner(shape, chunk.first + item % chunk.count);
        T *to = y + (sample * shape.frames + item / chunk.count) * shape.height * row + first;
        for (int64_t c = 0; c < count; c += kLanes) {
          Lanes patch[kPoints], half[kPoints], start = {};
          if (bias) read(bias + first + c, start);
          for (int p = 0; p < kPoints; ++p) read(from + p * from_plane + item * stride + c, patch[p]);
          for (int j = 0; j < kPatch; ++j) interpolate_output(patch + j, half + j, kPatch);
          for (int i = 0; i < kTile; ++i) interpolate_output(half + i * kPatch, patch + i * kPatch, 1);
          for (int64_t i = 0; i < std::min<int64_t>(kTile, shape.height - top); ++i) {
            for (int64_t j = 0; j < std::min<int64_t>(kTile, shape.width - left); ++j) {
              write(to + (top + i) * row + (left + j) * shape.outputs + c, patch[i * kPatch + j] + start);
            }
          }
        }
      }
    });
  });
}

// Kernels [outputs, inputs, reach, 3, 3] as [point][panel][reach][input][16]: `panels` panels from output `first`.
void transform_kernels(const float *weight, const Shape &shape, int64_t first, int64_t panels, float *out,
                       int64_t out_plane) {
  constexpr int64_t kRun = 8;  // inputs at a time: writing 36 planes line by line would wait for each line
  const int64_t inputs = shape.inputs, reach = shape.reach, runs = divided_up(inputs, kRun);
  const auto level = simd();
  parallel_for(0, panels * runs, 2, [&](int64_t begin, int64_t end) {
    with_simd(level, [&]() KINO_INLINED {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t panel = item / runs, input = item % runs * kRun, output = first + panel * kColumns;
        const int64_t count = std::min(kColumns, shape.outputs - output), run = std::min(kRun, inputs - input);
        for (int64_t tap = 0; tap < reach; ++tap) {
          Columns points[kPoints][kRun];
          for (int64_t r = 0; r < run; ++r) {
            float numbers[9][kColumns] = {};
            for (int64_t o = 0; o < count; ++o) {
              const float *from = weight + (((output + o) * inputs + input + r) * reach + tap) * 9;
              for (int i = 0; i < 9; ++i) numbers[i][o] = from[i];
            }
            Columns kernel[9], half[18];
            std::memcpy(kernel, numbers, sizeof kernel);
            for (int j = 0; j < 3; ++j) evaluate_kernel(kernel + j, half + j, 3, 3);
            for (int i = 0; i < kPatch; ++i) evaluate_kernel(half + i * 3, &points[i * kPatch][r], 1, kRun);
          }
          for (int64_t p = 0; p < kPoints; ++p) {
            float *to = out + p * out_plane + ((panel * reach + tap) * inputs + input) * kColumns;
            write_run<kRun>(to, points[p], run);
          }
        }
      }
    });
  });
}

// Gradients [point][reach][input][stride] as [outputs, inputs, reach, 3, 3].
void gather_kernels(const float *from, const Shape &shape, int64_t rows, int64_t stride, float *out) {
  const auto level = simd();
  parallel_for(0, shape.reach * shape.inputs, 16, [&](int64_t begin, int64_t end) {
    with_simd(level, [&]() KINO_INLINED {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t tap = item / shape.inputs, input = item % shape.inputs;
        for (int64_t c = 0; c < shape.outputs; c += kLanes) {
          Lanes points[kPoints], half[18], kernel[9];
          for (int64_t p = 0; p < kPoints; ++p) {
            read(from + ((p * shape.reach + tap) * rows + input) * stride + c, points[p]);
          }
          for (int j = 0; j < kPatch; ++j) gather_kernel(points + j, half + j, kPatch, kPatch);
          for (int i = 0; i < 3; ++i) gather_kernel(half + i * kPatch, kernel + i * 3, 1, 1);
          float numbers[9][kLanes];
          std::memcpy(numbers, kernel, sizeof numbers);
          for (int64_t o = 0; o < kLanes; ++o) {
            float *to = out + (((c + o) * shape.inputs + input) * shape.reach + tap) * 9;
            for (int i = 0; i < 9; ++i) to[i] = numbers[i][o];
          }
        }
      }
    });
  });
}

// -- Products of transformed tiles

struct Tiles {
  float *numbers;
  int64_t plane;   // numbers from point to point
  int64_t stride;  // numbers from tile to tile
};

// results[row] = the sum over frames in reach of inputs[row + frame] times kernels, per point.
void multiply(const Shape &shape, Chunk chunk, const Tiles &inputs, const float *kernels, int64_t kernel_plane,
              int64_t panels, const Tiles &results) {
  const int64_t rows = shape.frames * chunk.count, bands = divided_up(rows, kBand);
  const int64_t panel_numbers = shape.reach * shape.inputs * kColumns;
  const auto level = simd();
  parallel_for(0, kPoints * bands, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t point = task / bands, first = task % bands * kBand, last = std::min(rows, first + kBand);
      const float *tiles = inputs.numbers + point * inputs.plane;
      const float *panel = kernels + point * kernel_plane;
      float *sums = results.numbers + point * results.plane;
      with_rows(level, [&](auto count) KINO_INLINED {
        for (int64_t column = 0; column < panels; ++column, panel += panel_numbers, sums += kColumns) {
          for (int64_t tap = 0; tap < shape.reach; ++tap) {
            for (int64_t c = 0; c < shape.inputs; c += kDepth) {
              const float *from = tiles + tap * chunk.count * inputs.stride + c;
              const float *kernel = panel + (tap * shape.inputs + c) * kColumns;
              for (int64_t row = first; row < last; row += count) {
                multiply_rows<count>(from + row * inputs.stride, inputs.stride, 1, kernel, kColumns,
                                     std::min(kDepth, shape.inputs - c), sums + row * results.stride,
                                     results.stride, tap + c > 0);
              }
            }
          }
        }
      });
    }
  });
}

// sums[point][reach][input][output] += the sum over rows of inputs[row + frame] times gradients[row].
void accumulate(const Shape &shape, Chunk chunk, const Tiles &inputs, const Tiles &gradients, int64_t input_rows,
                float *sums) {
  constexpr int64_t kSpan = 128;
  const int64_t rows = shape.frames * chunk.count;
  const auto level = simd();
  parallel_for(0, kPoints * shape.reach, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t point = task / shape.reach, tap = task % shape.reach;
      const float *tiles = inputs.numbers + point * inputs.plane + tap * chunk.count * inputs.stride;
      const float *above = gradients.numbers + point * gradients.plane;
      float *to = sums + task * input_rows * gradients.stride;
      with_rows(level, [&](auto count) KINO_INLINED {
        for (int64_t row = 0; row < rows; row += kSpan) {
          for (int64_t column = 0; column < gradients.stride; column += kColumns) {
            for (int64_t c = 0; c < shape.inputs; c += count) {
              multiply_rows<count>(tiles + row * inputs.stride + c, 1, inputs.stride,
                                   above + row * gradients.stride + column, gradients.stride,
                                   std::min(kSpan, rows - row), to + c * gradients.stride + column,
                                   gradients.stride, true);
            }
          }
        }
      });
    }
  });
}

// -- Whole convolutions

// Memory that a thread keeps from one convolution to the next: fresh pages cost more than their transforms.
float *workspace(std::vector<float> &kept, int64_t count) {
  if (static_cast<int64_t>(kept.size()) < count) kept.resize(static_cast<size_t>(count));
  return kept.data();
}

struct Workspaces {
  std::vector<float> inputs, results, kernels;
};

Workspaces &workspaces() {
  thread_local Workspaces kept;
  return kept;
}

// Tiles of `frames` frames of `channels` channels, and room for the rows that a product reads past the end.
Tiles tiles(std::vector<float> &kept, int64_t frames, Chunk chunk, int64_t channels) {
  const int64_t numbers = plane((frames * chunk.count + kMostRows) * channels);
  return {workspace(kept, kPoints * numbers), numbers, channels};
}

// What a convolution reads, [N, C, F, H, W] with channels innermost: `before` frames of zeros, those of the past if
// there are any, those of x, `after` frames of zeros.
struct Input {
  at::Tensor x, past;
  int64_t before, after;
  bool doubles = false;

  template <typename T>
  Source<T> source() const {
    return {past.defined() ? static_cast<const T *>(past.const_data_ptr()) : nullptr,
            static_cast<const T *>(x.const_data_ptr())};
  }

  Shape shape(const at::Tensor &weight) const {
    const int64_t reach = weight.size(2), known = past.defined() ? past.size(2) : 0;
    const int64_t frames = before + known + x.size(2) + after - reach + 1;
    const int64_t times = doubles ? 2 : 1, height = x.size(3) * times, width = x.size(4) * times;
    return {x.size(0), frames, height, width, x.size(1), weight.size(0), reach, before, known, x.size(2), doubles};
  }
};

// weight [O, C, reach, 3, 3] and bias [O] in float32.
at::Tensor convolved(const Input &input, const at::Tensor &weight, const at::Tensor &bias) {
  const auto &x = input.x;
  const auto shape = input.shape(weight);
  auto y = at::empty({shape.samples, shape.outputs, shape.frames, shape.height, shape.width},
                     x.options().memory_format(at::MemoryFormat::ChannelsLast3d));
  const float *offsets = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  const int64_t panel_numbers = shape.reach * shape.inputs * kColumns;
  const int64_t all_panels = divided_up(shape.outputs, kColumns);
  const int64_t most_panels = std::clamp<int64_t>(kMostKernelNumbers / (kPoints * panel_numbers), 1, all_panels);
  const int64_t kernel_plane = plane(most_panels * panel_numbers);
  auto &kept = workspaces();
  float *kernels = workspace(kept.kernels, kPoints * kernel_plane);
  for_each_chunk(shape, most_panels * kColumns, [&](Chunk chunk) {
    const auto inputs = tiles(kept.inputs, shape.seen_frames(), chunk, shape.inputs);
    with_type(x.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      transform_inputs(input.source<T>(), shape, chunk, inputs.numbers, inputs.plane);
      for (int64_t panel = 0; panel < all_panels; panel += most_panels) {
        const int64_t panels = std::min(most_panels, all_panels - panel), first = panel * kColumns;
        const int64_t stride = panels * kColumns, count = std::min(stride, shape.outputs - first);
        if (chunk.first == 0 || most_panels < all_panels) {
          transform_kernels(weight.const_data_ptr<float>(), shape, first, panels, kernels, kernel_plane);
        }
        const auto results = tiles(kept.results, shape.frames, chunk, stride);
        multiply(shape, chunk, inputs, kernels, kernel_plane, panels, results);
        transform_outputs(results.numbers, results.plane, stride, offsets, shape, chunk, first, count,
                          static_cast<T *>(y.mutable_data_ptr()));
      }
    });
  });
  return y;
}

// The gradient of the kernels [O, C, reach, 3, 3], float32.
at::Tensor kernel_gradient(const Input &input, const at::Tensor &dy, const at::Tensor &weight) {
  const auto shape = input.shape(weight);
  const int64_t stride = rounded_up(shape.outputs, kColumns), input_rows = rounded_up(shape.inputs, kMostRows);
  auto sums = at::zeros({kPoints * shape.reach * input_rows * stride}, at::kFloat);
  auto &kept = workspaces();
  for_each_chunk(shape, stride, [&](Chunk chunk) {
    const auto inputs = tiles(kept.inputs, shape.seen_frames(), chunk, shape.inputs);
    const auto gradients = tiles(kept.results, shape.frames, chunk, stride);
    with_type(dy.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      transform_inputs(input.source<T>(), shape, chunk, inputs.numbers, inputs.plane);
      transform_gradients(static_cast<const T *>(dy.const_data_ptr()), shape, chunk, gradients.numbers,
                          gradients.plane, stride);
    });
    accumulate(shape, chunk, inputs, gradients, input_rows, sums.mutable_data_ptr<float>());
  });
  auto result = at::empty(weight.sizes(), at::kFloat);
  gather_kernels(sums.const_data_ptr<float>(), shape, input_rows, stride, result.mutable_data_ptr<float>());
  return result;
}

at::Tensor innermost(const at::Tensor &x) { return x.contiguous(at::MemoryFormat::ChannelsLast3d); }

// Frames around an input: what a convolution reads besides it, without gradients.
struct Surroundings {
  at::Tensor past;
  int64_t before, after;
  bool doubles;
};

struct Winograd : torch::autograd::Function<Winograd> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &weight,
                            const c10::optional<at::Tensor> &bias, const Surroundings &around) {
    const Input input{innermost(x), around.past.defined() ? innermost(around.past) : around.past, around.before,
                      around.after, around.doubles};
    context->save_for_backward({input.x, weight});
    if (input.past.defined()) context->saved_data["past"] = input.past;
    context->saved_data["before"] = input.before;
    context->saved_data["after"] = input.after;
    context->saved_data["doubles"] = input.doubles;
    context->saved_data["has_bias"] = bias.has_value();
    return convolved(input, weight.to(at::kFloat).contiguous(),
                     bias ? bias->to(at::kFloat).contiguous() : at::Tensor());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    const auto saved = context->get_saved_variables();
    auto &data = context->saved_data;
    const auto past = data.count("past") ? data["past"].toTensor() : at::Tensor();
    const Input input{saved[0], past, data["before"].toInt(), data["after"].toInt(),
                      data["doubles"].toBool()};
    const auto &weight = saved[1];
    const auto dy = innermost(gradients[0].to(input.x.scalar_type()));
    at::Tensor dx, dweight, dbias;
    if (context->needs_input_grad(0)) {
      const int64_t reach = weight.size(2), known = past.defined() ? past.size(2) : 0;
      const auto turned = weight.to(at::kFloat).flip({2, 3, 4}).transpose(0, 1).contiguous();
      const Input above{dy, at::Tensor(), reach - 1 - input.before - known, reach - 1 - input.after};
      dx = convolved(above, turned, at::Tensor());
      if (input.doubles) dx = at::avg_pool3d(dx, {1, 2, 2}, {}, 0, false, true, /*divisor_override=*/1);
    }
    if (context->needs_input_grad(1)) dweight = kernel_gradient(input, dy, weight).to(weight.scalar_type());
    if (data["has_bias"].toBool() && context->needs_input_grad(2)) {
      dbias = dy.sum({0, 2, 3, 4}, false, at::kFloat).to(weight.scalar_type());
    }
    return {dx, dweight, dbias, at::Tensor()};
  }
};

}  // namespace

at::Tensor winograd_convolution(const at::Tensor &x, const at::Tensor &past, const at::Tensor &weight,
                                const c10::optional<at::Tensor> &bias, int64_t before, int64_t after) {
  return Winograd::apply(x, weight, bias, Surroundings{past, before, after, false});
}

at::Tensor winograd_convolution_doubled(const at::Tensor &x, const at::Tensor &weight,
                                        const c10::optional<at::Tensor> &bias) {
  return Winograd::apply(x, weight, bias, Surroundings{{}, 0, 0, true});
}

}  // namespace kino
