// Mean cross-entropy of logits [N, V] in float32 or bfloat16 against int64 labels [N]. The log-softmax is float32; no
// float32 copy of the logits is made, and the backward pass keeps one float per row.
#include "common.h"

#define NLORA_FOREACH "loss_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, int64_t ignore_index) {
  const char* op = "nlora::cross_entropy";
  TORCH_CHECK(is_floating(logits) && logits.dim() == 2 && labels.scalar_type() == at::kLong && labels.dim() == 1 &&
                  labels.size(0) == logits.size(0) && logits.device() == labels.device(),
              op, ": logits are ", describe(logits), " and labels ", describe(labels),
              ", expected floating-point logits [N, V] and int64 labels [N] on one device");
  if (!is_fast(logits)) {
    const auto compute = logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return at::cross_entropy_loss(logits.to(compute), labels, {}, at::Reduction::Mean, ignore_index);
  }
  const int64_t rows = logits.size(0), classes = logits.size(1);
  Tensor loss, totals, targets;
  int64_t counted = 0;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor x = logits.contiguous();
    targets = labels.contiguous();
    const int64_t* label = targets.data_ptr<int64_t>();
    for (int64_t i = 0; i < rows; i++) {
      if (label[i] == ignore_index) continue;
      counted++;
      TORCH_CHECK(label[i] >= 0 && label[i] < classes, op, ": label ", label[i], " at position ", i,
                  " is out of range, expected 0 to ", classes - 1, " or ", ignore_index, " to ignore it");
    }
    totals = at::empty({rows}, at::kFloat);
    float* total = totals.data_ptr<float>();
    std::vector<float> losses(rows, 0.0f);
    by_dtype(x, [&](auto t) {
      using T = decltype(t);
      const T* px = data<T>(x);
      at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(classes, 1)), [&](int64_t i, int64_t j) {
        for (; i < j; i++) {
          if (label[i] == ignore_index) continue;
          total[i] = NLORA_CALL(log_sum_exp, px + i * classes, classes);
          losses[i] = total[i] - as_float(px[i * classes + label[i]]);
        }
      });
    });
    double sum = 0;
    for (float one : losses) sum += one;
    loss = at::full({}, sum / static_cast<double>(counted), at::kFloat);  // NaN when every label is ignored, as in ATen
  }
  if (!needs_grad(logits)) return loss;
  const auto backward = [counted, ignore_index](const Tensor& grad, const Tensors& saved, const auto&) {
    const Tensor x = saved[0].contiguous();
    const int64_t n = x.size(0), width = x.size(1);
    const int64_t* label = saved[1].data_ptr<int64_t>();
    const float* total = saved[2].data_ptr<float>();
    const float scale = static_cast<float>(grad.item<double>() / std::max<int64_t>(counted, 1));
    Tensor grad_logits = at::empty_like(x);
    by_dtype(x, [&](auto t) {
      using T = decltype(t);
      const T* px = data<T>(x);
      T* pg = data<T>(grad_logits);
      at::parallel_for(0, n, std::max<int64_t>(1, kGrain / std::max<int64_t>(width, 1)), [&](int64_t i, int64_t j) {
        for (; i < j; i++) {
          if (label[i] == ignore_index) std::memset(pg + i * width, 0, width * sizeof(T));
          else NLORA_CALL(cross_entropy_backward, px + i * width, width, label[i], total[i], scale, pg + i * width);
        }
      });
    });
    return Tensors{grad_logits};
  };
  return with_history("cross_entropy", loss, {logits}, {logits, targets, totals}, backward);
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) { m.impl("cross_entropy", cross_entropy); }

}  // namespace
}  // namespace nlora
