// What the fused operators share: checks, access to raw data, and one autograd node for all of them.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/library.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "isa.h"

namespace nlora {

using at::Tensor;
using OptionalTensor = c10::optional<Tensor>;
using Tensors = std::vector<Tensor>;

inline bool is_given(const OptionalTensor& t) { return t.has_value() && t->defined(); }

// True where the vector kernels apply; everything else takes the plain ATen formulation.
inline bool is_fast(const Tensor& t) {
  return t.device().is_cpu() && t.layout() == c10::kStrided &&
         (t.scalar_type() == at::kFloat || t.scalar_type() == at::kBFloat16);
}

inline bool is_floating(const Tensor& t) { return at::isFloatingType(t.scalar_type()); }

// "float32 [2, 3]"-like text for messages.
std::string describe(const Tensor& t);

inline bool needs_grad(const Tensor& t) { return at::GradMode::is_enabled() && t.defined() && t.requires_grad(); }

template <typename T>
T* data(const Tensor& t);
template <>
inline float* data<float>(const Tensor& t) { return t.data_ptr<float>(); }
template <>
inline uint16_t* data<uint16_t>(const Tensor& t) { return reinterpret_cast<uint16_t*>(t.data_ptr<at::BFloat16>()); }

// Calls body(float{}) or body(uint16_t{}) by the dtype.
template <typename Body>
void by_dtype(const Tensor& t, Body&& body) {
  if (t.scalar_type() == at::kBFloat16) body(uint16_t{});
  else body(float{});
}

inline float as_float(float value) { return value; }
inline float as_float(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}
inline Tensor as_float(const Tensor& t) { return t.to(at::kFloat).contiguous(); }

// Elements per task of a parallel loop over an elementwise kernel.
constexpr int64_t kGrain = 16384;

// Gradients of one output: receives its gradient, the saved tensors and which inputs want a gradient; returns one per
// input (undefined where none is wanted).
using BackwardFunction =
    std::function<Tensors(const Tensor& grad, const Tensors& saved, const std::vector<bool>& wanted)>;

// Makes `output` (a fresh tensor) depend on `inputs`. `saved` are inputs, fresh tensors, or `output.detach()`.
Tensor with_history(const char* name, Tensor output, const Tensors& inputs, const Tensors& saved, BackwardFunction backward);

// Dropout (dropout.cc).
DropoutKey dropout_key(const char* name, double p, int64_t seed);
Tensor keep_mask_plain(const DropoutKey& key, int64_t n, c10::Device device);
Tensor dropout_plain(const Tensor& x, const DropoutKey& key);

}  // namespace nlora
