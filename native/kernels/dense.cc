#include "dense.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>

namespace nlora {
namespace {

// oneDNN's row-major sgemm, where libtorch is linked with a shared oneDNN (Debian, Ubuntu).
using Sgemm = int (*)(char, char, int64_t, int64_t, int64_t, float, const float*, int64_t, const float*, int64_t, float,
                      float*, int64_t);

Sgemm shared_sgemm() {
  static const Sgemm found = reinterpret_cast<Sgemm>(dlsym(RTLD_DEFAULT, "dnnl_sgemm"));
  return found;
}

// mkldnn::_linear_pointwise(X, W, B, attr, scalars, algorithm), where oneDNN is inside libtorch (2.x).
const c10::OperatorHandle* linear_pointwise() {
  static const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  return found.has_value() && isa() >= Isa::avx512 ? &*found : nullptr;
}

Tensor pointwise(const Tensor& x, const Tensor& weight, const OptionalTensor& bias) {
  torch::jit::Stack stack;
  stack.emplace_back(x);
  stack.emplace_back(weight);
  stack.push_back(is_given(bias) ? c10::IValue(*bias) : c10::IValue());
  stack.emplace_back(std::string("none"));
  stack.push_back(c10::List<c10::optional<at::Scalar>>());
  stack.push_back(std::string());
  linear_pointwise()->callBoxed(&stack);
  return stack[0].toTensor();
}

bool is_plain_float(const Tensor& t) {
  return is_fast(t) && t.scalar_type() == at::kFloat && t.is_contiguous() && t.numel() > 0;
}

}  // namespace

Tensor dense_forward(const Tensor& x, const Tensor& weight, const OptionalTensor& bias) {
  if (is_plain_float(x) && is_plain_float(weight)) {
    if (const Sgemm sgemm = shared_sgemm()) {
      const int64_t n = x.size(0), k = x.size(1), m = weight.size(0);
      Tensor y = is_given(bias) ? bias->to(at::kFloat).expand({n, m}).clone(at::MemoryFormat::Contiguous)
                                : at::empty({n, m}, x.options());
      const int status = sgemm('N', 'T', n, m, k, 1.0f, x.data_ptr<float>(), k, weight.data_ptr<float>(), k,
                               is_given(bias) ? 1.0f : 0.0f, y.data_ptr<float>(), m);
      if (status == 0) return y;
    } else if (linear_pointwise() != nullptr) {
      return pointwise(x, weight, bias).contiguous();
    }
  }
  return at::linear(x, weight, bias).contiguous();
}

Tensor dense_backward(const Tensor& g, const Tensor& weight) {
  if (is_plain_float(g) && is_plain_float(weight)) {
    if (const Sgemm sgemm = shared_sgemm()) {
      const int64_t n = g.size(0), m = g.size(1), k = weight.size(1);
      Tensor x = at::empty({n, k}, g.options());
      const int status = sgemm('N', 'N', n, k, m, 1.0f, g.data_ptr<float>(), m, weight.data_ptr<float>(), k, 0.0f,
                               x.data_ptr<float>(), k);
      if (status == 0) return x;
    } else if (linear_pointwise() != nullptr) {
      return pointwise(g, weight.t(), OptionalTensor()).contiguous();
    }
  }
  return at::mm(g, weight).contiguous();
}

}  // namespace nlora
