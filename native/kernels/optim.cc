// AdamW (Loshchilov & Hutter 2019, in the form PyTorch computes it) over many tensors in one pass, and the global norm of
// gradients. Work is cut into pieces of fixed length, so results do not depend on the thread count.
#include "common.h"

namespace nlora {

struct AdamStep {
  float one_minus_beta1, beta2, one_minus_beta2, decay, step_size, root_correction, eps, grad_scale;
};

}  // namespace nlora

#define NLORA_FOREACH "optim_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

constexpr int64_t kPiece = 8192;

struct Piece {
  size_t tensor;
  int64_t begin, count;
};

std::vector<Piece> pieces_of(at::TensorList tensors) {
  std::vector<Piece> pieces;
  for (size_t t = 0; t < tensors.size(); t++) {
    for (int64_t i = 0; i < tensors[t].numel(); i += kPiece) pieces.push_back({t, i, std::min(kPiece, tensors[t].numel() - i)});
  }
  return pieces;
}

void adamw_(at::TensorList params, at::TensorList grads, at::TensorList exp_avg, at::TensorList exp_avg_sq, double lr,
            double beta1, double beta2, double eps, double weight_decay, int64_t step, double grad_scale) {
  const char* op = "nlora::adamw_";
  TORCH_CHECK(grads.size() == params.size() && exp_avg.size() == params.size() && exp_avg_sq.size() == params.size(), op,
              ": got ", params.size(), " params, ", grads.size(), " grads, ", exp_avg.size(), " exp_avg and ",
              exp_avg_sq.size(), " exp_avg_sq, expected equally many");
  TORCH_CHECK(step >= 1, op, ": step is ", step, ", expected 1 for the first update");
  bool fast = true;
  for (size_t i = 0; i < params.size(); i++) {
    TORCH_CHECK(grads[i].defined() && grads[i].sizes() == params[i].sizes() && exp_avg[i].sizes() == params[i].sizes() &&
                    exp_avg_sq[i].sizes() == params[i].sizes(),
                op, ": at index ", i, " param is ", describe(params[i]), ", grad ", describe(grads[i]), ", exp_avg ",
                describe(exp_avg[i]), ", exp_avg_sq ", describe(exp_avg_sq[i]), ", expected equal shapes");
    for (const Tensor& t : {params[i], exp_avg[i], exp_avg_sq[i]}) {
      fast = fast && is_fast(t) && t.scalar_type() == at::kFloat && t.is_contiguous();
    }
    fast = fast && grads[i].device().is_cpu() && grads[i].layout() == c10::kStrided;
  }
  const double correction1 = 1 - std::pow(beta1, step), correction2 = 1 - std::pow(beta2, step);
  at::NoGradGuard no_grad;
  if (!fast) {
    for (size_t i = 0; i < params.size(); i++) {
      const Tensor g = grads[i].to(exp_avg[i].scalar_type()).mul(grad_scale);
      params[i].mul_(1 - lr * weight_decay);
      exp_avg[i].lerp_(g, 1 - beta1);
      exp_avg_sq[i].mul_(beta2).addcmul_(g, g, 1 - beta2);
      params[i].addcdiv_(exp_avg[i], exp_avg_sq[i].sqrt().div_(std::sqrt(correction2)).add_(eps), -lr / correction1);
    }
    return;
  }
  const auto f = [](double v) { return static_cast<float>(v); };
  const AdamStep s{f(1 - beta1), f(beta2), f(1 - beta2), f(1 - lr * weight_decay), f(lr / correction1),
                   f(std::sqrt(correction2)), f(eps), f(grad_scale)};
  Tensors gradients;
  for (const Tensor& g : grads) gradients.push_back(as_float(g));
  const std::vector<Piece> pieces = pieces_of(params);
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 2, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; k++) {
      const Piece& piece = pieces[k];
      const size_t t = piece.tensor;
      NLORA_CALL(adamw, piece.count, s, params[t].data_ptr<float>() + piece.begin,
                 gradients[t].data_ptr<float>() + piece.begin, exp_avg[t].data_ptr<float>() + piece.begin,
                 exp_avg_sq[t].data_ptr<float>() + piece.begin);
    }
  });
  for (const auto& list : {params, exp_avg, exp_avg_sq}) {
    for (const Tensor& t : list) torch::autograd::impl::bump_version(t);
  }
}

Tensor grad_norm(at::TensorList grads) {
  at::NoGradGuard no_grad;
  bool fast = true;
  for (size_t i = 0; i < grads.size(); i++) {
    TORCH_CHECK(grads[i].defined() && is_floating(grads[i]), "nlora::grad_norm: gradient ", i, " is ", describe(grads[i]),
                ", expected a floating-point tensor");
    fast = fast && is_fast(grads[i]);
  }
  if (!fast) {
    Tensor total = at::zeros({}, grads[0].options().dtype(at::kDouble));
    for (const Tensor& g : grads) total = total + g.to(at::kDouble).pow(2).sum().to(total.device());
    return total.sqrt().to(at::kFloat);
  }
  Tensors tensors;
  for (const Tensor& g : grads) tensors.push_back(g.contiguous());
  const std::vector<Piece> pieces = pieces_of(tensors);
  std::vector<double> parts(pieces.size());
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 2, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; k++) {
      const Piece& piece = pieces[k];
      by_dtype(tensors[piece.tensor], [&](auto t) {
        const auto* x = data<decltype(t)>(tensors[piece.tensor]) + piece.begin;
        parts[k] = NLORA_CALL(sum_of_squares, piece.count, x);
      });
    }
  });
  double total = 0;
  for (double part : parts) total += part;
  return at::full({}, std::sqrt(total), at::kFloat);
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) {
  m.impl("adamw_", adamw_);
  m.impl("grad_norm", grad_norm);
}

}  // namespace
}  // namespace nlora
